package table

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"eyrie/nas/unit"
)

// verb is a printf format with exactly one verb for a number: what is before it, the
// verb, and what is behind it.
var verb = regexp.MustCompile(`^((?:[^%]|%%)*)(%[-+ 0#]*\d{0,2}(?:\.\d{1,2})?([defgEG]))((?:[^%]|%%)*)$`)

// formatter returns how the column writes a number, which it scales first.
func formatter(c Column) (func(v float64) string, error) {
	scale := c.Scale
	if scale == 0 {
		scale = 1
	}
	write, err := numberFormat(c.Format, c.Unit)
	if err != nil {
		return nil, err
	}
	return func(v float64) string { return write(v * scale) }, nil
}

// signed returns a function that writes numbers as write does, with a true minus sign,
// and without one before a zero as it is written: -0.001 is 0.00, not −0.00.
func signed(write func(float64) string) func(float64) string {
	return func(v float64) string {
		s := write(v)
		number, _, _ := strings.Cut(strings.TrimLeft(s, " "), " ")
		digits, negative := strings.CutPrefix(number, "-")
		if !negative {
			return s
		}
		mantissa, _, _ := strings.Cut(strings.ToLower(digits), "e")
		if !strings.ContainsAny(mantissa, "123456789I") { // Inf is no zero
			return write(0)
		}
		return strings.Replace(s, "-", "−", 1)
	}
}

// words is the format of texts that hold numbers: the text is marked as a number
// is, and its origins count.
const words = "words"

func numberFormat(format, symbol string) (func(v float64) string, error) {
	switch format {
	case "", words:
		return signed(plain), nil
	case "percent":
		return signed(func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }), nil
	case "integer":
		return signed(func(v float64) string { return commas(whole(v)) }), nil
	case "si":
		return signed(func(v float64) string { return si(v, symbol) }), nil
	case "bytes":
		return signed(bytes), nil
	}
	parts := verb.FindStringSubmatch(format)
	if parts == nil {
		return nil, fmt.Errorf(`%q is not a format: want one such as "%%.1f", or percent, integer, si, bytes, words`, format)
	}
	before, after := strings.ReplaceAll(parts[1], "%%", "%"), strings.ReplaceAll(parts[4], "%%", "%")
	write := signed(func(v float64) string {
		if n, ok := new(big.Int).SetString(whole(v), 10); ok && parts[3] == "d" {
			return fmt.Sprintf(parts[2], n)
		}
		return fmt.Sprintf(parts[2], v)
	})
	return func(v float64) string { return before + write(v) + after }, nil
}

// exact is up to where float64 holds every whole number.
const exact = 1 << 53

// plain writes whole numbers in full and others with four significant digits. Beyond
// what float64 holds exactly it writes as many digits as the number has there.
func plain(v float64) string {
	switch a := math.Abs(v); {
	case a > exact:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case v == math.Trunc(v), a >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// whole writes a number rounded to a whole one: with zeros for the digits that float64
// does not hold.
func whole(v float64) string { return strconv.FormatFloat(math.Round(v), 'f', -1, 64) }

// commas parts the thousands of a whole number.
func commas(digits string) string {
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// si writes three significant digits with the prefix that fits.
func si(v float64, symbol string) string {
	return unit.SI(v, symbol, func(v float64) string { return unit.Digits(v, 3) })
}

// bytes writes a size in powers of 1024, with a decimal where it is not whole.
func bytes(v float64) string {
	return unit.Size(v, func(v float64) string {
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	})
}
