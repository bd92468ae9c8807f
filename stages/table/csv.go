package table

import (
	"eyrie/pipeline"
	"eyrie/pipeline/sheet"
)

// csv writes the numbers without formats, with two columns behind each that has
// intervals, and a column of kinds behind each that mixes them or, where no column
// says the row's, has any. Missing values are empty.
func (g *grid) csv() string {
	var heads []string
	telling := make([]bool, len(g.heads))
	for i, h := range g.heads {
		telling[i] = h.mixed || g.legendOnly && g.kinded(i)
		title := h.title
		if h.group != "" {
			title = h.group + ": " + title
		}
		title = sheet.Text(title)
		heads = append(heads, title)
		if h.interval {
			heads = append(heads, title+" low", title+" high")
		}
		if telling[i] {
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
					low, high = sheet.Number(c.ends[0]), sheet.Number(c.ends[1])
				}
				line = append(line, low, high)
			}
			if telling[i] {
				line = append(line, pipeline.JoinKinds(c.kinds))
			}
		}
		lines = append(lines, line)
	}
	return string(sheet.Format(lines))
}

// plain returns the value for a program to read.
func (c cell) plain() string {
	switch {
	case c.missing:
		return ""
	case c.number != nil:
		return sheet.Number(*c.number)
	}
	return sheet.Text(c.text)
}
