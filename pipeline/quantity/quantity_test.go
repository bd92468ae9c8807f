package quantity

import (
	"errors"
	"math"
	"strconv"
	"testing"
)

// A scaled number is the one that would have been written in the schema's unit.
func TestTimes(t *testing.T) {
	for _, test := range []struct {
		number, suffix, unit string
		want                 float64
	}{
		{"87", "ms", "s", 0.087}, {"0.1", "us", "s", 1e-7}, {"3", "min", "s", 180}, {"2", "d", "s", 172800}, {"12.5", "s", "s", 12.5},
		{"352", "KiB", "bytes", 360448}, {"1.5", "kB", "bytes", 1500}, {"7", "bytes", "bytes", 7}, {"2", "GB/s", "bytes/s", 2e9},
		{"-2e2", "MHz", "Hz", -2e8}, {"889", "µJ", "J", 0.000889}, {"889", "μJ", "J", 0.000889}, {"10.22", "mW", "W", 0.01022}, {"5", "kcycles", "cycles", 5000},
	} {
		s, ok := Of(test.suffix, test.unit)
		text, err := s.Times(test.number)
		got, _ := strconv.ParseFloat(text, 64)
		if !ok || err != nil || math.Float64bits(got) != math.Float64bits(test.want) {
			t.Errorf("%s %s: %s, %v, %v; want %v", test.number, test.suffix, text, ok, err, test.want)
		}
	}
	for _, suffix := range []string{"", "m", "mB", "KiHz", "x", "ks s"} {
		for _, unit := range []string{"s", "bytes", "Hz"} {
			if s, ok := Of(suffix, unit); ok {
				t.Errorf("%q is %v of %s", suffix, s, unit)
			}
		}
	}
	for number, want := range map[string]error{"1e401": ErrExponent, "1e-401": ErrExponent, "1e": ErrExponent, "x": ErrNotNumber, "": ErrNotNumber, "1.2.3": ErrNotNumber} {
		if _, err := One.Times(number); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", number, err, want)
		}
	}
}
