// Package table is the stage that sets values in a table: Markdown for
// terminals and pages, CSV, LaTeX and HTML. Every number keeps its provenance:
// rows say what kinds of numbers they hold, and where one column mixes kinds,
// each of its numbers is marked.
package table

import (
	"context"
	"os"
	"strings"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the table stage.
var Stage = pipeline.Define("table", 7,
	`Sets rows of values in a table, as Markdown, CSV, LaTeX and HTML.

Rows are objects: what a step yields, or objects made in the recipe. Each
column shows one value of every row, by its key, which may be a path such as
"paper.latency". A row without the value shows –.

A column of its own says whether a row's numbers were measured, modelled,
predicted or published. Texts count as numbers where the column's format is
words. Where a table holds several kinds, a letter beside the
column's title says which, or beside each number of a column that mixes
them.`,
	Config{Provenance: InColumn}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Title      string         `json:"title,omitempty" doc:"what the table shows, in a line"`
	Caption    string         `json:"caption,omitempty" doc:"a sentence or two below the title"`
	Columns    []Column       `json:"columns" doc:"the columns, from left to right"`
	Rows       []pipeline.Row `json:"rows" doc:"the rows: objects whose values the columns show"`
	Footnotes  []string       `json:"footnotes,omitempty" doc:"remarks below the table"`
	Provenance Provenance     `json:"provenance" doc:"where the kinds of the numbers are said: in a column of its own, or only below the table"`
	Label      string         `json:"label,omitempty" doc:"LaTeX: the name by which \\ref finds the table"`
}

// Provenance is where a table says the kinds of its numbers.
type Provenance string

// The places to say it.
const (
	InColumn Provenance = "column" // of its own
	InLegend Provenance = "legend" // below the table only
)

// Choices returns the places.
func (Provenance) Choices() []string { return []string{string(InColumn), string(InLegend)} }

// Column says what a column shows, and how.
type Column struct {
	Key      string  `json:"key" doc:"which value of a row: a name, or a path such as \"best.latency\""`
	Title    string  `json:"title,omitempty" doc:"the column's heading; the key by default"`
	Group    string  `json:"group,omitempty" doc:"a heading over neighbouring columns that name the same one"`
	Unit     string  `json:"unit,omitempty" doc:"unit of the numbers as shown: \"ms\""`
	Scale    float64 `json:"scale,omitempty" doc:"numbers are multiplied by this: 1000 shows seconds as milliseconds"`
	Format   string  `json:"format,omitempty" doc:"how numbers are written: a format such as \"%.1f\", or percent (0.623 as 62.3 %), integer (1,234,567), si (0.000889 J as 889 µJ), bytes (352 KiB), or words, for texts that hold numbers"`
	Best     string  `json:"best,omitempty" oneof:"min,max" doc:"which number of the column is set in bold"`
	Interval string  `json:"interval,omitempty" doc:"key of a list [low, high] that is shown behind the number"`
	Align    string  `json:"align,omitempty" oneof:"left,right" doc:"right for numbers and left for text by default"`
}

// Output is what the block's references yield.
type Output struct {
	Text     string         `json:"text" doc:"the table in Markdown, as the runner prints it"`
	Markdown artifacts.File `json:"markdown" doc:"table.md"`
	CSV      artifacts.File `json:"csv" doc:"table.csv: plain numbers, with columns for their kinds; an apostrophe goes before a text that a spreadsheet would take for a formula"`
	LaTeX    artifacts.File `json:"latex" doc:"table.tex: for \\input, with \\usepackage{booktabs}"`
	HTML     artifacts.File `json:"html" doc:"table.html: a fragment for a page; each number carries its origins"`
}

// Check reports a table without columns, and columns that cannot be shown.
func (c Config) Check(r *mistake.Report) {
	if r.Knows("columns") && len(c.Columns) == 0 {
		r.At("columns").Badf(`a table needs columns: columns = [{ key = "name" }, { key = "latency", unit = "ms", scale = 1000, format = "%%.1f" }]`)
	}
	if r.Knows("label") && strings.ContainsAny(c.Label, "{}\\%#&$^~ ") {
		r.At("label").Badf("%q cannot be a LaTeX label: want letters, digits, colons and dashes", c.Label)
	}
	for i, col := range c.Columns {
		in := r.At("columns", i)
		if in.Knows("key") && col.Key == "" {
			in.At("key").Badf("is empty: name the value that the column shows")
		} else {
			pipeline.CheckKey(in.At("key"), r.At("rows"), c.Rows, col.Key)
		}
		if in.Knows("format", "scale", "unit") {
			if _, err := formatter(col); err != nil {
				in.At("format").Badf("%w", err)
			}
		}
	}
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	g, err := layOut(ctx, c)
	if err != nil {
		return Output{}, err
	}
	out := Output{Text: g.markdown()}
	for _, f := range []struct {
		file *artifacts.File
		name string
		form func() string
	}{
		{&out.Markdown, "table.md", func() string { return out.Text }},
		{&out.CSV, "table.csv", g.csv},
		{&out.LaTeX, "table.tex", func() string { return g.latex(c.Label) }},
		{&out.HTML, "table.html", g.html},
	} {
		if err := ctx.Err(); err != nil {
			return Output{}, err
		}
		path := task.Path(f.name)
		if err := os.WriteFile(path, []byte(f.form()), 0o666); err != nil {
			return Output{}, err
		}
		*f.file = artifacts.Local(path)
	}
	return out, nil
}
