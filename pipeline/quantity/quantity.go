// Package quantity says what units such as "ms" and "KiB" mean, exactly: a decimal number is
// scaled as integers are, so that 87 ms are the number that 0.087 is. Recipes write
// quantities, and programs that steps start count in them.
package quantity

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Scale is what a unit multiplies by: Factor · 10^Exp. Two integers keep it exact.
type Scale struct {
	Factor int64
	Exp    int
}

// One changes nothing.
var One = Scale{1, 0}

var (
	small  = map[string]Scale{"p": {1, -12}, "n": {1, -9}, "u": {1, -6}, "µ": {1, -6}, "μ": {1, -6}, "m": {1, -3}}
	large  = map[string]Scale{"k": {1, 3}, "M": {1, 6}, "G": {1, 9}, "T": {1, 12}}
	binary = map[string]Scale{"Ki": {1 << 10, 0}, "Mi": {1 << 20, 0}, "Gi": {1 << 30, 0}, "Ti": {1 << 40, 0}}
	times  = map[string]Scale{"min": {60, 0}, "h": {3600, 0}, "d": {86400, 0}}
)

// Symbol returns how a schema's unit is written behind a number: "bytes" is "B".
func Symbol(unit string) string {
	if rest, ok := strings.CutPrefix(unit, "bytes"); ok {
		return "B" + rest
	}
	return unit
}

// Of returns what a suffix such as "ms" means where the schema's unit is "s".
func Of(suffix, unit string) (Scale, bool) {
	base := Symbol(unit)
	if suffix == base || suffix == unit {
		return One, true
	}
	if unit == "s" {
		if s, ok := times[suffix]; ok {
			return s, true
		}
	}
	prefix, ok := strings.CutSuffix(suffix, base)
	if !ok {
		return Scale{}, false
	}
	if s, ok := large[prefix]; ok {
		return s, true
	}
	prefixes := small
	if strings.HasPrefix(unit, "bytes") {
		prefixes = binary
	}
	s, ok := prefixes[prefix]
	return s, ok
}

// mostExponent bounds the exponent of a number: what is beyond is beyond float64 by far, and
// would take memory without end where it is written out.
const mostExponent = 400

// The errors of Times.
var (
	ErrExponent  = errors.New("too large an exponent")
	ErrNotNumber = errors.New("not a number")
)

// Times returns a decimal number, such as 12.5 or 2e8, times the scale, as a decimal number.
func (s Scale) Times(number string) (string, error) {
	mantissa, exp := number, 0
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		var err error
		if exp, err = strconv.Atoi(number[i+1:]); err != nil || exp > mostExponent || exp < -mostExponent {
			return "", ErrExponent
		}
		mantissa = number[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return "", ErrNotNumber
	}
	n.Mul(n, big.NewInt(s.Factor))
	return fmt.Sprintf("%se%d", n, exp-len(fraction)+s.Exp), nil
}
