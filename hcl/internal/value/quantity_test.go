package value

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"eyrie/hcl/internal/word"
)

// A quantity is the very number that its digits with the unit's exponent are.
func TestQuantity(t *testing.T) {
	for _, test := range []struct {
		text, unit string
		want       float64
	}{
		{"87ms", "s", 0.087},
		{"87 ms", "s", 0.087},
		{"  0.087s ", "s", 0.087},
		{"0.087", "s", 0.087},
		{"5min", "s", 300},
		{"10m", "s", 600},
		{"1.5h", "s", 5400},
		{"2d", "s", 172800},
		{"889us", "s", 889e-6},
		{"889µs", "s", 889e-6},
		{"352KiB", "bytes", 352 * 1024},
		{"0.5KiB", "bytes", 512},
		{"4GiB", "bytes", 4 << 30},
		{"4GB", "bytes", 4e9},
		{"100B", "bytes", 100},
		{"100bytes", "bytes", 100},
		{"1.6GB/s", "bytes/s", 1.6e9},
		{"200MHz", "Hz", 2e8},
		{"10.22mW", "W", 0.01022},
		{"889µJ", "J", 0.000889}, // the micro sign
		{"889μJ", "J", 0.000889}, // the Greek letter
		{"889uJ", "J", 0.000889},
		{"1e3nJ", "J", 1e-6},
		{"-1.5e-3kJ", "J", -1.5},
		{"+3W", "W", 3},
		{"2Mcycles", "cycles", 2e6},
	} {
		v, err := ParseQuantity(test.text, test.unit)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got, _ := v.AsBigFloat().Float64(); got != test.want {
			t.Errorf("%q is %v, want %v", test.text, got, test.want)
		}
	}
}

// What is no quantity of the unit is refused, and the message says what is one.
func TestQuantityRefused(t *testing.T) {
	for _, test := range []struct{ text, unit, want string }{
		{"", "s", "does not begin with a number"},
		{"ms", "s", "does not begin with a number"},
		{".5s", "s", "does not begin with a number"},
		{"5parsecs", "s", "ns, us, ms, s, min, h, d"},
		{"5 s s", "s", "is not a unit of s"},
		{"5MS", "s", "is not a unit of s"},
		{"352KB", "bytes", "KiB"},
		{"352Kb", "bytes", "KiB"},
		{"5mB", "bytes", "KiB"},
		{"5KiHz", "Hz", "kHz"},
		{"5s", "Hz", "kHz"},
		{"1e999s", "s", "too large an exponent"},
		{"1e99999999999999999999s", "s", "too large an exponent"},
		{"0x10s", "s", "is not a unit"},
		{"1_000s", "s", "is not a unit"},
		{"Infs", "s", "does not begin with a number"},
	} {
		v, err := ParseQuantity(test.text, test.unit)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q of %s is %v, %v; want an error with %q", test.text, test.unit, v, err, test.want)
		}
	}
}

// Scaling is exact: of any digits, the result is the float64 nearest to the
// true product, as computed with rationals.
func TestQuantityExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	units := map[string]map[string]string{ // the unit of the schema → suffix → factor
		"s":     {"ns": "1e-9", "us": "1e-6", "ms": "1e-3", "s": "1", "min": "60", "h": "3600", "d": "86400"},
		"bytes": {"B": "1", "kB": "1e3", "GB": "1e9", "KiB": "1024", "GiB": "1073741824"},
		"J":     {"nJ": "1e-9", "uJ": "1e-6", "mJ": "1e-3", "J": "1", "kJ": "1e3"},
	}
	for range 20000 {
		unit := []string{"s", "bytes", "J"}[rng.IntN(3)]
		suffixes := word.Keys(units[unit])
		suffix := suffixes[rng.IntN(len(suffixes))]
		number := strconv.FormatUint(rng.Uint64()>>rng.IntN(64), 10)
		if rng.IntN(2) == 0 {
			number += "." + fmt.Sprintf("%0*d", 1+rng.IntN(17), rng.IntN(1e9))
		}
		if rng.IntN(3) == 0 {
			number += "e" + strconv.Itoa(rng.IntN(40)-20)
		}
		value, _ := new(big.Rat).SetString(number)
		factor, _ := new(big.Rat).SetString(units[unit][suffix])
		want, _ := value.Mul(value, factor).Float64()
		v, err := ParseQuantity(number+suffix, unit)
		if err != nil {
			t.Fatalf("%s%s: %v", number, suffix, err)
		}
		if got, _ := v.AsBigFloat().Float64(); got != want {
			t.Fatalf("%s%s is %v, want %v", number, suffix, got, want)
		}
	}
}
