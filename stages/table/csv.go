package table

import (
	"encoding/csv"
	"strconv"
	"strings"
)

// csv writes the numbers without formats, with a column of kinds behind each
// column that mixes them. Missing values are empty.
func (g *grid) csv() string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	var heads []string
	for _, h := range g.heads {
		title := h.title
		if h.group != "" {
			title = h.group + ": " + title
		}
		heads = append(heads, title)
		if h.mixed {
			heads = append(heads, title+" provenance")
		}
	}
	w.Write(heads)
	for _, row := range g.rows {
		var line []string
		for i, c := range row {
			line = append(line, c.plain())
			if g.heads[i].mixed {
				line = append(line, joinKinds(c.kinds))
			}
		}
		w.Write(line)
	}
	w.Flush()
	return b.String()
}

// plain returns the value for a program to read.
func (c cell) plain() string {
	switch {
	case c.missing:
		return ""
	case c.number != nil:
		return strconv.FormatFloat(*c.number, 'g', 12, 64)
	}
	return c.text
}
