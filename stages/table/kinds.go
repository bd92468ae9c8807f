package table

import (
	"slices"
	"strings"

	"eyrie/pipeline"
)

// kindsIn returns the kinds of the numbers in some cells, in order.
func kindsIn(cells []cell) []pipeline.Provenance {
	var origins []pipeline.Origin
	for _, c := range cells {
		if len(c.kinds) > 0 {
			origins = append(origins, c.origins...)
		}
	}
	return pipeline.Kinds(origins)
}

// letters gives each kind in the table a letter. A single kind needs none.
func (g *grid) letters() map[pipeline.Provenance]string {
	letters := map[pipeline.Provenance]string{}
	for _, k := range pipeline.Provenances {
		for _, row := range g.rows {
			if letters[k] == "" && slices.ContainsFunc(row, func(c cell) bool { return slices.Contains(c.kinds, k) }) {
				letters[k] = string(rune('a' + len(letters)))
			}
		}
	}
	return letters
}

// markKinds puts the letters beside the titles of columns of one kind, and
// beside each number of the others. A column of nothing but given numbers needs
// no letter: they are the table's terms, not its results.
func (g *grid) markKinds(letters map[pipeline.Provenance]string) {
	if len(letters) < 2 {
		return
	}
	mark := func(kinds []pipeline.Provenance) (m string) {
		for _, k := range kinds {
			m += letters[k]
		}
		return m
	}
	for i := range g.heads {
		h := &g.heads[i]
		var first *cell
		for r := range g.rows {
			c := &g.rows[r][i]
			if len(c.kinds) == 0 {
				continue
			}
			if first == nil {
				first = c
			}
			h.mixed = h.mixed || !slices.Equal(c.kinds, first.kinds)
		}
		if first == nil || !h.mixed && first.kinds[0] == pipeline.Given {
			continue
		}
		if !h.mixed {
			h.mark = mark(first.kinds)
			continue
		}
		for r := range g.rows {
			g.rows[r][i].mark = mark(g.rows[r][i].kinds)
		}
	}
}

// kinded reports whether a column has numbers that the recipe did not give.
func (g *grid) kinded(column int) bool {
	return slices.ContainsFunc(g.rows, func(row []cell) bool {
		kinds := row[column].kinds
		return len(kinds) > 0 && kinds[0] != pipeline.Given
	})
}

// provenanceColumn appends the column that lists each row's kinds.
func (g *grid) provenanceColumn() {
	g.heads = append(g.heads, head{title: "provenance"})
	for i, row := range g.rows {
		c := cell{text: pipeline.JoinKinds(kindsIn(row))}
		if c.text == "" {
			c = cell{text: absent, missing: true}
		}
		g.rows[i] = append(row, c)
	}
}

// entry is a kind in the legend.
type entry struct {
	letter string // "" where no letter of the table stands for it
	text   string
}

// explain fills the legend: the letters, and the sources of published numbers.
func (g *grid) explain(letters map[pipeline.Provenance]string, always bool) {
	for _, k := range pipeline.Provenances {
		letter, ok := letters[k]
		if !ok {
			continue
		}
		e := entry{text: string(k)}
		if len(letters) > 1 && g.marked(letter) {
			e.letter = letter
		}
		sources := g.sources()
		if k == pipeline.Published && len(sources) > 0 {
			e.text += " (" + strings.Join(sources, "; ") + ")"
		}
		if e.letter != "" || e.text != string(k) || always && k != pipeline.Given {
			g.legend = append(g.legend, e)
		}
	}
}

// sources returns the citations of the numbers, in the order of the table.
func (g *grid) sources() []string {
	var sources []string
	for _, row := range g.rows {
		for _, c := range row {
			for _, o := range c.origins {
				if o.Source != "" && len(c.kinds) > 0 && !slices.Contains(sources, o.Source) {
					sources = append(sources, o.Source)
				}
			}
		}
	}
	return sources
}

// legendText writes the legend in a line.
func (g *grid) legendText(raise, escape func(string) string) string {
	var parts []string
	for _, e := range g.legend {
		part := escape(e.text)
		if e.letter != "" {
			part = raise(e.letter) + " " + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// marked reports whether the letter stands anywhere in the table.
func (g *grid) marked(letter string) bool {
	for _, h := range g.heads {
		if strings.Contains(h.mark, letter) {
			return true
		}
	}
	for _, row := range g.rows {
		if slices.ContainsFunc(row, func(c cell) bool { return strings.Contains(c.mark, letter) }) {
			return true
		}
	}
	return false
}
