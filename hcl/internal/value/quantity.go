package value

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline/quantity"
)

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
	return fmt.Sprintf("5000 or %q", "5k"+quantity.Symbol(unit))
}

// scaleOf returns what a suffix such as "ms" means where the schema's unit is "s". There,
// "m" can only be minutes.
func scaleOf(suffix, unit string) (quantity.Scale, bool) {
	if suffix == "m" && unit == "s" {
		suffix = "min"
	}
	return quantity.Of(suffix, unit)
}

// ParseQuantity reads a number followed by a unit, such as "87ms", as a number
// of the schema's unit.
func ParseQuantity(text, unit string) (cty.Value, error) {
	text = strings.TrimSpace(text)
	end := numberEnd(text)
	digits, suffix := text[:end], strings.TrimSpace(text[end:])
	if digits == "" {
		return cty.NilVal, fmt.Errorf("%q does not begin with a number", text)
	}
	by := quantity.One
	if suffix != "" {
		var ok bool
		if by, ok = scaleOf(suffix, unit); !ok {
			return cty.NilVal, fmt.Errorf("%q is not a unit of %s; use one of %s", suffix, unit, strings.Join(unitsOf(unit), ", "))
		}
	}
	scaled, err := by.Times(digits)
	if errors.Is(err, quantity.ErrExponent) {
		return cty.NilVal, fmt.Errorf("%q has too large an exponent", digits)
	} else if err != nil {
		return cty.NilVal, fmt.Errorf("%q is not a number", digits)
	}
	v, err := cty.ParseNumberVal(scaled)
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
	base := quantity.Symbol(unit)
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
