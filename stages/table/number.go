package table

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"eyrie/pipeline/float"
)

// verb is a printf format with exactly one verb for a number.
var verb = regexp.MustCompile(`^([^%]|%%)*%[-+ 0#]*\d{0,2}(\.\d{1,2})?([defgEG])([^%]|%%)*$`)

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
	return func(v float64) string {
		s := write(v * scale)
		if rest, negative := strings.CutPrefix(s, "-"); negative {
			s = "−" + rest
		}
		return s
	}, nil
}

// words is the format of texts that hold numbers: the text is marked as a number
// is, and its origins count.
const words = "words"

func numberFormat(format, unit string) (func(v float64) string, error) {
	switch format {
	case "", words:
		return plain, nil
	case "percent":
		return func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }, nil
	case "integer":
		return func(v float64) string { return humanize.Comma(int64(math.Round(v))) }, nil
	case "si":
		return func(v float64) string { return si(v, unit) }, nil
	case "bytes":
		return bytes, nil
	}
	if !verb.MatchString(format) {
		return nil, fmt.Errorf(`%q is not a format: want one such as "%%.1f", or percent, integer, si, bytes, words`, format)
	}
	if verb.FindStringSubmatch(format)[3] == "d" {
		return func(v float64) string { return fmt.Sprintf(format, int64(math.Round(v))) }, nil
	}
	return func(v float64) string { return fmt.Sprintf(format, v) }, nil
}

// plain writes whole numbers in full and others with four significant digits.
func plain(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	if a := math.Abs(v); a >= 1000 && a < 1e15 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// si writes three significant digits with the prefix that fits.
func si(v float64, unit string) string {
	const prefixes = "pnµm kMGTP"
	runes := []rune(prefixes)
	exp := 0
	if v != 0 {
		exp = min(5, max(-4, int(math.Floor(float.Log10(math.Abs(v)*(1+5e-4))/3))))
	}
	v /= float.Pow(1000, float64(exp))
	digits := 2
	if v != 0 {
		digits = min(2, max(0, 2-int(math.Floor(float.Log10(math.Abs(v)*(1+5e-4))))))
	}
	prefix := strings.TrimSpace(string(runes[exp+4]))
	return strings.TrimSpace(strconv.FormatFloat(v, 'f', digits, 64) + " " + prefix + unit)
}

// bytes writes a size in powers of 1024.
func bytes(v float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; math.Abs(v) >= 1024 && i+1 < len(units); i++ {
		v /= 1024
	}
	if v == math.Trunc(v) {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
