package table

import (
	"encoding/csv"
	"strconv"
	"strings"
)

// csv writes the numbers without formats, with two columns behind each that has
// intervals, and a column of kinds behind each that mixes them. Missing values
// are empty.
func (g *grid) csv() string {
	var b strings.Builder
	var heads []string
	for _, h := range g.heads {
		title := h.title
		if h.group != "" {
			title = h.group + ": " + title
		}
		heads = append(heads, title)
		if h.interval {
			heads = append(heads, title+" low", title+" high")
		}
		if h.mixed {
			heads = append(heads, title+" provenance")
		}
	}
	lines := [][]string{heads}
	for _, row := range g.rows {
		var line []string
		for i, c := range row {
			line = append(line, c.plain())
			if g.heads[i].interval {
				low, high := "", ""
				if c.ends != nil {
					low, high = number(c.ends[0]), number(c.ends[1])
				}
				line = append(line, low, high)
			}
			if g.heads[i].mixed {
				line = append(line, joinKinds(c.kinds))
			}
		}
		lines = append(lines, line)
	}
	if err := csv.NewWriter(&b).WriteAll(lines); err != nil {
		panic(err) // a Builder takes everything
	}
	return b.String()
}

// plain returns the value for a program to read.
func (c cell) plain() string {
	switch {
	case c.missing:
		return ""
	case c.number != nil:
		return number(*c.number)
	}
	return c.text
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 12, 64) }
