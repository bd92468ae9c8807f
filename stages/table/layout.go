package table

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// grid is a table laid out, ready to be written in any format.
type grid struct {
	title, caption string
	heads          []head
	rows           [][]cell
	legend         []entry
	notes          []string // the author's
	legendOnly     bool     // no column says the kinds of the rows
}

// head is the top of a column.
type head struct {
	group, title string
	mark         string // the letters of the column's kinds, where all its numbers share them
	right        bool   // aligned to the right
	mixed        bool   // each number is marked instead
	interval     bool   // its numbers have one
}

// cell is a value as it is shown.
type cell struct {
	text     string
	interval string // " [81.0, 93.0]", behind the number
	mark     string // the letters of its kinds
	best     bool
	missing  bool
	number   *float64    // scaled
	ends     *[2]float64 // of the interval, scaled
	kinds    []pipeline.Provenance
	origins  []pipeline.Origin
}

// absent is what is shown for a value that is not there.
const absent = "–"

// layOut resolves every cell, then compares the cells of each column.
func layOut(ctx context.Context, c Config) (*grid, error) {
	g := &grid{title: c.Title, caption: c.Caption, rows: make([][]cell, len(c.Rows)), legendOnly: c.Provenance == InLegend}
	for i, col := range c.Columns {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := g.column(c.Rows, col); err != nil {
			return nil, pipeline.Badf(fmt.Sprintf("columns[%d].key", i), "%w", err)
		}
	}
	letters := g.letters()
	g.markKinds(letters)
	if !g.legendOnly {
		g.provenanceColumn()
	}
	g.explain(letters, g.legendOnly)
	g.notes = c.Footnotes
	return g, nil
}

// column appends a column to every row.
func (g *grid) column(rows []pipeline.Row, col Column) error {
	write, err := formatter(col)
	if err != nil {
		return err
	}
	h := head{group: col.Group, title: col.Title, right: true}
	if h.title == "" {
		h.title = col.Key
	}
	if col.Unit != "" && col.Format != "si" {
		h.title += " (" + col.Unit + ")"
	}
	known := len(rows) == 0
	for i, row := range rows {
		v, there, err := row.Lookup(col.Key)
		if err != nil {
			return fmt.Errorf("row %d: %w", i, err)
		}
		known = known || there
		cl, err := makeCell(v, write, col)
		if err != nil {
			return fmt.Errorf("row %d: %q %w", i, col.Key, err)
		}
		if col.Interval != "" && cl.number != nil {
			if err := cl.addInterval(row, col, write); err != nil {
				return fmt.Errorf("row %d: interval %w", i, err)
			}
			h.interval = h.interval || cl.ends != nil
		}
		h.right = h.right && (cl.missing || cl.number != nil)
		g.rows[i] = append(g.rows[i], cl)
	}
	if !known {
		return fmt.Errorf("no row has %q; row 0 has %s", col.Key, strings.Join(rows[0].Keys(), ", "))
	}
	if col.Align != "" {
		h.right = col.Align == "right"
	}
	g.heads = append(g.heads, h)
	g.bold(col.Best)
	return nil
}

func makeCell(v pipeline.Traced, write func(float64) string, col Column) (cell, error) {
	c := cell{origins: v.Origins}
	switch x := v.Value.(type) {
	case nil:
		return cell{text: absent, missing: true}, nil
	case bool:
		c.text = "no"
		if x {
			c.text = "yes"
		}
	case float64:
		c.text = write(x)
		if col.Scale != 0 {
			x *= col.Scale
		}
		if math.IsInf(x, 0) {
			return c, fmt.Errorf("is too large to show with scale = %g", col.Scale)
		}
		c.number, c.kinds = &x, pipeline.Kinds(v.Origins)
	case string:
		c.text = x
		if kinds := pipeline.Kinds(v.Origins); col.Format == words && !slices.Contains(kinds, pipeline.Given) {
			c.kinds = kinds
		}
	case []any:
		return listCell(c, x, write, col)
	case map[string]any:
		if digest, ok := artifacts.DigestIn(x); ok {
			c.text = digest[:min(12, len(digest))]
			return c, nil
		}
		return c, fmt.Errorf("is an object: name one of its values, %q.%s", col.Key, strings.Join(slices.Sorted(maps.Keys(x)), ", ."))
	default:
		return c, fmt.Errorf("is a %T, which a table cannot show", x)
	}
	return c, nil
}

func listCell(c cell, list []any, write func(float64) string, col Column) (cell, error) {
	var texts []string
	for _, v := range list {
		e, err := makeCell(pipeline.Traced{Value: v, Origins: c.origins}, write, col)
		if err != nil {
			return c, err
		}
		texts = append(texts, e.text)
		if e.number != nil {
			c.kinds = e.kinds
		}
	}
	c.text = strings.Join(texts, ", ")
	return c, nil
}

// addInterval puts [low, high] behind the number. An empty list is none.
func (c *cell) addInterval(row pipeline.Row, col Column, write func(float64) string) error {
	key := col.Interval
	v, there, err := row.Lookup(key)
	if err != nil || !there || v.Value == nil {
		return err
	}
	ends, ok := v.Value.([]any)
	if ok && len(ends) == 0 {
		return nil
	}
	if !ok || len(ends) != 2 {
		return fmt.Errorf("%q is %s, not a list [low, high]", key, v)
	}
	low, ok1 := ends[0].(float64)
	high, ok2 := ends[1].(float64)
	if !ok1 || !ok2 {
		return fmt.Errorf("%q holds %s and %s, not two numbers", key, pipeline.Traced{Value: ends[0]}, pipeline.Traced{Value: ends[1]})
	}
	c.interval = fmt.Sprintf(" [%s, %s]", write(low), write(high))
	if col.Scale != 0 {
		low, high = low*col.Scale, high*col.Scale
	}
	if math.IsInf(low, 0) || math.IsInf(high, 0) {
		return fmt.Errorf("%q is too large to show with scale = %g", key, col.Scale)
	}
	c.ends = &[2]float64{low, high}
	return nil
}

// bold marks the best numbers of the last column, if there are two to compare.
func (g *grid) bold(best string) {
	if best == "" {
		return
	}
	last, n := len(g.heads)-1, 0
	var top float64
	for _, row := range g.rows {
		v := row[last].number
		if v == nil {
			continue
		}
		if n++; n == 1 || best == "min" && *v < top || best == "max" && *v > top {
			top = *v
		}
	}
	for i := range g.rows {
		c := &g.rows[i][last]
		c.best = n > 1 && c.number != nil && *c.number == top
	}
}
