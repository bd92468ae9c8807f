// Package unit writes quantities for people. The prefix is chosen for the number as
// it is written, so that 1,048,575 bytes are 1.0 MiB and not 1024 KiB.
package unit

import (
	"math"
	"strconv"
	"strings"
)

// scale is a unit, or a prefix of one, and how much of it a number is.
type scale struct {
	name string
	of   func(v float64) float64
}

func times(f float64) func(float64) float64 { return func(v float64) float64 { return v * f } }
func over(f float64) func(float64) float64  { return func(v float64) float64 { return v / f } }

var (
	binary = []scale{
		{"B", times(1)}, {"KiB", over(1 << 10)}, {"MiB", over(1 << 20)}, {"GiB", over(1 << 30)},
		{"TiB", over(1 << 40)}, {"PiB", over(1 << 50)}, {"EiB", over(1 << 60)},
	}
	decimal = []scale{
		{"p", times(1e12)}, {"n", times(1e9)}, {"µ", times(1e6)}, {"m", times(1e3)}, {"", times(1)},
		{"k", over(1e3)}, {"M", over(1e6)}, {"G", over(1e9)}, {"T", over(1e12)}, {"P", over(1e15)},
	}
)

// one is the place of the prefix that changes nothing.
const one = 4

// Bytes writes a size with two digits, or all before the point: "12 bytes", "9.8 KiB",
// "784 KiB".
func Bytes(n int64) string {
	if -1024 < n && n < 1024 {
		return strconv.FormatInt(n, 10) + " bytes"
	}
	return Size(float64(n), func(v float64) string { return Digits(v, 2) })
}

// Size writes a size in the first unit in which the number, as it is written, is
// below 1024.
func Size(bytes float64, write func(float64) string) string {
	number, unit := fit(bytes, 1024, binary, write)
	return number + " " + unit
}

// SI writes a quantity with the prefix that fits: "889 µJ".
func SI(v float64, unit string, write func(float64) string) string {
	scales := decimal
	if v == 0 {
		scales = decimal[one:]
	}
	number, prefix := fit(v, 1000, scales, write)
	return strings.TrimSpace(number + " " + prefix + unit)
}

// fit writes a number on the first scale on which it is written as less than limit.
func fit(v, limit float64, scales []scale, write func(float64) string) (number, name string) {
	for _, s := range scales {
		number, name = write(s.of(v)), s.name
		if n, err := strconv.ParseFloat(number, 64); err != nil || math.Abs(n) < limit {
			break
		}
	}
	return number, name
}

// Digits writes a number with as many digits, counting those on both sides of the
// point, and with all that are before it: with two, 0.25 is 0.2, 9.96 is 10 and 123.4
// is 123.
func Digits(v float64, digits int) string {
	for decimals := digits - 1; decimals > 0; decimals-- {
		text := strconv.FormatFloat(v, 'f', decimals, 64)
		if before, _, _ := strings.Cut(strings.TrimPrefix(text, "-"), "."); len(before)+decimals <= digits {
			return text
		}
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
