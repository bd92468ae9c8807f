package value

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// scale is what a unit's prefix or name multiplies by: factor · 10^exp. Two
// integers keep it exact.
type scale struct {
	factor int64
	exp    int
}

var (
	small  = map[string]scale{"p": {1, -12}, "n": {1, -9}, "u": {1, -6}, "µ": {1, -6}, "μ": {1, -6}, "m": {1, -3}}
	large  = map[string]scale{"k": {1, 3}, "M": {1, 6}, "G": {1, 9}, "T": {1, 12}}
	binary = map[string]scale{"Ki": {1 << 10, 0}, "Mi": {1 << 20, 0}, "Gi": {1 << 30, 0}, "Ti": {1 << 40, 0}}
	times  = map[string]scale{"min": {60, 0}, "m": {60, 0}, "h": {3600, 0}, "d": {86400, 0}}
)

// symbol is how a unit of the schema is written in a quantity.
func symbol(unit string) string {
	if rest, ok := strings.CutPrefix(unit, "bytes"); ok {
		return "B" + rest
	}
	return unit
}

// exampleOf returns two ways to write a quantity, for messages.
func exampleOf(unit string) string {
	switch unit {
	case "s":
		return `0.087 or "87ms"`
	case "bytes":
		return `360448 or "352KiB"`
	case "Hz":
		return `2e8 or "200MHz"`
	case "J":
		return `0.000889 or "889uJ"`
	case "W":
		return `0.01022 or "10.22mW"`
	}
	return fmt.Sprintf("5000 or %q", "5k"+symbol(unit))
}

// unitScale returns what a suffix such as "ms" means where the schema's unit
// is "s".
func unitScale(suffix, unit string) (scale, bool) {
	base := symbol(unit)
	if suffix == base || suffix == unit {
		return scale{1, 0}, true
	}
	if unit == "s" {
		if s, ok := times[suffix]; ok {
			return s, true
		}
	}
	prefix, ok := strings.CutSuffix(suffix, base)
	if !ok {
		return scale{}, false
	}
	if s, ok := large[prefix]; ok {
		return s, true
	}
	if strings.HasPrefix(unit, "bytes") {
		s, ok := binary[prefix]
		return s, ok
	}
	s, ok := small[prefix]
	return s, ok
}

// parseQuantity reads a number followed by a unit, such as "87ms", as a number
// of the schema's unit. It is exact: the decimal digits are scaled as
// integers, so that "87ms" is the number that 0.087 is.
func parseQuantity(text, unit string) (cty.Value, error) {
	text = strings.TrimSpace(text)
	end := numberEnd(text)
	digits, suffix := text[:end], strings.TrimSpace(text[end:])
	if digits == "" {
		return cty.NilVal, fmt.Errorf("%q does not begin with a number", text)
	}
	by := scale{1, 0}
	if suffix != "" {
		var ok bool
		if by, ok = unitScale(suffix, unit); !ok {
			return cty.NilVal, fmt.Errorf("%q is not a unit of %s; use one of %s", suffix, unit, strings.Join(unitsOf(unit), ", "))
		}
	}
	mantissa, exp := digits, 0
	if i := strings.IndexAny(digits, "eE"); i >= 0 {
		mantissa = digits[:i]
		if _, err := fmt.Sscanf(digits[i+1:], "%d", &exp); err != nil || exp > 400 || exp < -400 {
			return cty.NilVal, fmt.Errorf("%q has too large an exponent", digits)
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	n, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return cty.NilVal, fmt.Errorf("%q is not a number", digits)
	}
	n.Mul(n, big.NewInt(by.factor))
	v, err := cty.ParseNumberVal(fmt.Sprintf("%se%d", n, exp-len(fraction)+by.exp))
	if err != nil {
		return cty.NilVal, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

// numberEnd returns the length of the number that text begins with. An "e" is
// an exponent only when digits follow.
func numberEnd(text string) int {
	digitsFrom := func(i int) int {
		for i < len(text) && '0' <= text[i] && text[i] <= '9' {
			i++
		}
		return i
	}
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		i++
	}
	start := i
	i = digitsFrom(i)
	if i == start {
		return 0
	}
	if i < len(text) && text[i] == '.' {
		if j := digitsFrom(i + 1); j > i+1 {
			i = j
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		j := i + 1
		if j < len(text) && (text[j] == '-' || text[j] == '+') {
			j++
		}
		if k := digitsFrom(j); k > j {
			i = k
		}
	}
	return i
}

// unitsOf lists how the schema's unit can be written, from small to large.
func unitsOf(unit string) []string {
	base := symbol(unit)
	switch {
	case unit == "s":
		return []string{"ns", "us", "ms", "s", "min", "h", "d"}
	case strings.HasPrefix(unit, "bytes"):
		return []string{base, "k" + base, "M" + base, "G" + base, "Ki" + base, "Mi" + base, "Gi" + base}
	}
	var all []string
	for _, p := range slices.Concat([]string{"n", "u", "m"}, []string{""}, []string{"k", "M", "G"}) {
		all = append(all, p+base)
	}
	return all
}
