package unit

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

// The number as it is written is below the next unit.
func TestBytes(t *testing.T) {
	tests := []struct {
		n    int64
		want string
	}{
		{0, "0 bytes"}, {7, "7 bytes"}, {1023, "1023 bytes"}, {1024, "1.0 KiB"}, {10036, "9.8 KiB"}, {10200, "10 KiB"}, {784 << 10, "784 KiB"},
		{1<<20 - 1, "1.0 MiB"}, {1<<20 - 600, "1023 KiB"}, {1<<30 - 1, "1.0 GiB"}, {1<<40 - 1, "1.0 TiB"}, {math.MaxInt64, "8.0 EiB"}, {-2048, "-2.0 KiB"},
	}
	for _, test := range tests {
		if got := Bytes(test.n); got != test.want {
			t.Errorf("Bytes(%d) = %s, want %s", test.n, got, test.want)
		}
	}
}

func TestSI(t *testing.T) {
	three := func(v float64) string { return Digits(v, 3) }
	tests := []struct {
		v    float64
		want string
	}{
		{0, "0.00 J"}, {0.000889, "889 µJ"}, {0.9996, "1.00 J"}, {999.5, "1.00 kJ"}, {999.4, "999 J"}, {-999.7e-6, "-1.00 mJ"},
		{12.34, "12.3 J"}, {9.996, "10.0 J"}, {1e18, "1000 PJ"}, {3e-13, "0.30 pJ"},
	}
	for _, test := range tests {
		if got := SI(test.v, "J", three); got != test.want {
			t.Errorf("SI(%g) = %s, want %s", test.v, got, test.want)
		}
	}
	if got := SI(999_960_000, "", func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }); got != "1 G" {
		t.Errorf("got %s, want 1 G", got)
	}
}

// No size is written as 1000 or 1024 of its unit, or more, as long as there is a larger one.
func FuzzSI(f *testing.F) {
	f.Add(1.0)
	f.Add(999.9999)
	f.Fuzz(func(t *testing.T, v float64) {
		if !(math.Abs(v) < 1e17) {
			return
		}
		text := SI(v, "", func(v float64) string { return Digits(v, 3) })
		number, _, _ := strings.Cut(text, " ")
		if n, err := strconv.ParseFloat(number, 64); err != nil || math.Abs(n) >= 1000 {
			t.Errorf("%v is written %s", v, text)
		}
	})
}
