package sheet

import (
	"bytes"
	"encoding/csv"
	"math"
	"strconv"
	"strings"
)

// Format returns lines of cells as CSV.
func Format(lines [][]string) []byte {
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(lines); err != nil {
		panic(err) // a Buffer takes everything
	}
	return b.Bytes()
}

// Text returns a cell that a spreadsheet shows and does not execute: an apostrophe goes
// before a text that begins as a formula does, unless it is a number.
func Text(s string) string {
	if strings.HasPrefix(s, "\t") || strings.HasPrefix(s, "\r") {
		return "'" + s
	}
	switch r := []rune(strings.TrimSpace(s) + " ")[0]; r {
	case '=', '+', '-', '@', '＝', '＋', '－', '＠':
		if _, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err != nil {
			return "'" + s
		}
	}
	return s
}

// exact is up to where float64 holds every whole number.
const exact = 1 << 53

// Number returns a cell for a number: a whole one in full, where float64 holds it, and
// others with twelve digits, so that 0.1 + 0.2 is 0.3.
func Number(v float64) string {
	switch {
	case v == 0: // −0, too
		return "0"
	case v != math.Trunc(v):
		return strconv.FormatFloat(v, 'g', 12, 64)
	case math.Abs(v) <= exact:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
