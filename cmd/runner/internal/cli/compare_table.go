package cli

import (
	"slices"
	"strconv"

	"github.com/google/renameio/v2"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/sheet"
)

// heading returns a column's heading: of a metric with the kind of its numbers.
func (c *column) heading() string {
	if len(c.Kinds) == 1 {
		return c.Name + " (" + string(c.Kinds[0]) + ")"
	}
	return c.Name
}

// mixed reports whether each cell has to say how its number came about.
func (c *column) mixed() bool { return len(c.Kinds) > 1 }

func cellText(c *cell) string {
	if c == nil {
		return ""
	}
	if x, ok := c.Value.(float64); ok {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	if s, ok := c.Value.(string); ok {
		return s
	}
	return leafText(c.Value)
}

// shortText is cellText for people, who read six digits of a number.
func (c *column) shortText(cell *cell) string {
	text := cellText(cell)
	if cell != nil {
		if x, ok := cell.Value.(float64); ok && len(text) > 8 {
			text = strconv.FormatFloat(x, 'g', 6, 64)
		}
		if c.mixed() && len(cell.Kinds) > 0 {
			text += " " + pipeline.JoinKinds(cell.Kinds)
		}
	}
	return text
}

// labels returns the headings of what names a row, and those of a row.
func (c *comparison) labels() (heads []string, of func(r *row) []string) {
	steps := slices.ContainsFunc(c.Rows, func(r *row) bool { return r.Step != "" })
	several := slices.ContainsFunc(c.Rows, func(r *row) bool { return r.Run != c.Rows[0].Run })
	if !steps {
		return []string{"RUN"}, func(r *row) []string { return []string{r.Run} }
	}
	if !several {
		return []string{"STEP"}, func(r *row) []string { return []string{r.Step} }
	}
	return []string{"RUN", "STEP"}, func(r *row) []string { return []string{r.Run, r.Step} }
}

func (a *app) writeComparison(c *comparison, opt comparing) error {
	switch {
	case a.json:
		return a.print("comparison", c)
	case opt.csv:
		_, err := a.out.Write(sheet.Format(c.csv()))
		return err
	case opt.html != "":
		page, err := c.page()
		if err == nil {
			err = renameio.WriteFile(opt.html, page, 0o666)
		}
		if err == nil {
			say(a.out, "%s: %s, %s", opt.html, view.Count(len(c.Rows), "row"), view.Count(len(c.Columns), "column"))
		}
		return err
	}
	a.table(c.table(a.style(a.out)), c.numeric()...)
	if len(c.Columns) == 0 {
		say(a.out, "nothing differs (--all shows all columns)")
	}
	return nil
}

// table returns the rows for a terminal.
func (c *comparison) table(y view.Style) [][]string {
	heads, label := c.labels()
	for _, col := range c.Columns {
		heads = append(heads, col.heading())
	}
	rows := [][]string{heads}
	for _, r := range c.Rows {
		line := label(r)
		for _, col := range c.Columns {
			cell := r.Cells[col.key()]
			text := view.Cut(col.shortText(cell), 40)
			switch {
			case cell != nil && cell.Best && y.Colour:
				text = y.Bold(text)
			case cell != nil && cell.Best:
				text = "*" + text
			}
			line = append(line, text)
		}
		rows = append(rows, line)
	}
	return rows
}

// numeric returns the indexes of the columns of numbers.
func (c *comparison) numeric() (right []int) {
	heads, _ := c.labels()
	for i, col := range c.Columns {
		if !slices.ContainsFunc(c.Rows, func(r *row) bool {
			cell := r.Cells[col.key()]
			if cell == nil {
				return false
			}
			_, number := cell.Value.(float64)
			return !number
		}) {
			right = append(right, len(heads)+i)
		}
	}
	return right
}

// csv returns the lines of a CSV file: numbers in full, and where a column is mixed another
// one that says how each came about.
func (c *comparison) csv() [][]string {
	heads := []string{"run", "step", "state"}
	for _, col := range c.Columns {
		if heads = append(heads, col.heading()); col.mixed() {
			heads = append(heads, col.Name+" provenance")
		}
	}
	lines := [][]string{heads}
	for _, r := range c.Rows {
		line := []string{r.Run, r.Step, r.State}
		for _, col := range c.Columns {
			cell := r.Cells[col.key()]
			if line = append(line, csvText(cell)); col.mixed() {
				kinds := ""
				if cell != nil {
					kinds = pipeline.JoinKinds(cell.Kinds)
				}
				line = append(line, kinds)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func csvText(c *cell) string {
	if c == nil {
		return ""
	}
	if _, number := c.Value.(float64); number {
		return cellText(c) // in full: a table's twelve digits are for people
	}
	return sheet.Text(cellText(c))
}
