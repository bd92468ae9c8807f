package table

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
	"eyrie/pipeline/pipelinetest"
)

// from returns a number with one origin.
func from(v float64, kind pipeline.Provenance, step, output string) pipeline.Traced {
	return pipeline.Traced{Value: v, Origins: []pipeline.Origin{{Kind: kind, Step: step, Output: output}}}
}

func published(v float64) pipeline.Traced {
	return pipeline.Traced{Value: v, Origins: []pipeline.Origin{{Kind: pipeline.Published, Source: "Castagnetti et al., table 3"}}}
}

func name(s string) pipeline.Traced {
	return pipeline.Traced{Value: s, Origins: []pipeline.Origin{{Kind: pipeline.Given}}}
}

// table3 is the paper's values beside ours: flat rows, kinds mixed in the
// column of latencies, a nested path, a missing value, an interval.
func table3() Config {
	return Config{
		Title:   "Table 3",
		Caption: "Raptor at 200 MHz.",
		Columns: []Column{
			{Key: "network"},
			{Key: "latency", Unit: "ms", Scale: 1000, Format: "%.1f", Best: "min", Group: "ours", Interval: "interval"},
			{Key: "energy", Unit: "J", Format: "si", Group: "ours"},
			{Key: "paper.latency", Title: "latency", Unit: "ms", Format: "%.1f", Best: "min", Group: "paper"},
			{Key: "top1", Title: "top-1", Format: "percent", Best: "max"},
		},
		Rows: []pipeline.Row{
			{
				"network":  name("RaptorNet | 87 ms"),
				"latency":  from(0.0868, pipeline.Modelled, `raptornet["87ms"]`, "best.latency"),
				"interval": {Value: []any{0.081, 0.093}},
				"energy":   from(0.000889, pipeline.Modelled, `raptornet["87ms"]`, "best.energy"),
				"paper": {Value: map[string]any{"latency": 87.0, "page": 4.0}, Origins: []pipeline.Origin{
					{Kind: pipeline.Published, Source: "Castagnetti et al., table 3", At: "latency"},
					{Kind: pipeline.Given, At: "page"},
				}},
				"top1": from(0.8831, pipeline.Measured, "supernet", "top1"),
			},
			{
				"network": name("MobileNetV2 & <0.5>"),
				"latency": published(0.0871),
				"energy":  {Value: nil},
				"paper":   {Value: nil},
				"top1":    from(0.61, pipeline.Measured, "supernet", "top1"),
			},
			{
				"network": name("100 %_é"),
				"latency": {Value: 0.1, Origins: []pipeline.Origin{
					{Kind: pipeline.Modelled, Step: "a", Output: "x"}, {Kind: pipeline.Predicted, Step: "b", Output: "y"},
				}},
			},
		},
		Footnotes: []string{"int8 weights * activations, 128 MAC/cycle"},
	}
}

// Each format shows the same table, escaped as it demands.
func TestGolden(t *testing.T) {
	config := table3()
	config.Provenance = "column"
	out, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), config)
	if err != nil {
		t.Fatal(err)
	}
	escaped, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), hostile())
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.Golden(t, Stage, map[string]any{"table3": out, "hostile": escaped})
	md, _ := out.Markdown.ReadFile()
	if out.Text != string(md) {
		t.Error("text differs from table.md")
	}
}

// What is written never says more, or less, than the number is.
func TestNumbersAsWritten(t *testing.T) {
	tests := []struct {
		column Column
		v      float64
		want   string
	}{
		{Column{}, 9007199254740992, "9007199254740992"},
		{Column{}, -9007199254740991, "−9007199254740991"},
		{Column{}, 36028797018963968, "3.602879701896397e+16"},
		{Column{}, 1e300, "1e+300"},
		{Column{}, 12345.6, "12346"},
		{Column{Format: "integer"}, 9007199254740992, "9,007,199,254,740,992"},
		{Column{Format: "integer"}, -1e20, "−100,000,000,000,000,000,000"},
		{Column{Format: "integer"}, -0.4, "0"},
		{Column{Format: "integer"}, 999, "999"},
		{Column{Format: "%d"}, 1e19, "10000000000000000000"},
		{Column{Format: "%6d"}, -12, "   −12"},
		{Column{Format: "%.2f"}, -0.001, "0.00"},
		{Column{Format: "%.2f"}, -0.006, "−0.01"},
		{Column{Format: "%+.1f"}, -0.04, "+0.0"},
		{Column{Format: "%5.1f"}, -0.04, "  0.0"},
		{Column{Format: "%.1e"}, -1e-30, "−1.0e-30"},
		{Column{Format: "of 100 %%: %.1f pp"}, -0.01, "of 100 %: 0.0 pp"},
		{Column{Format: "Δ = %.1f"}, -2, "Δ = −2.0"},
		{Column{Format: "%.1f", Scale: -1}, 0, "0.0"},
		{Column{Format: "percent"}, -0.0001, "0.0 %"},
		{Column{Format: "si", Unit: "m2"}, -1e-16, "0.00 m2"},
		{Column{Format: "si", Unit: "J"}, 0.0009996, "1.00 mJ"},
		{Column{Format: "si", Unit: "B/s"}, 999_700_000, "1.00 GB/s"},
		{Column{Format: "bytes"}, 1<<20 - 1, "1 MiB"},
		{Column{Format: "bytes"}, 1<<30 - 1, "1 GiB"},
		{Column{Format: "bytes"}, 1536, "1.5 KiB"},
		{Column{Format: "bytes"}, 1023, "1023 B"},
		{Column{Format: "bytes"}, -0.01, "0 B"},
	}
	for _, test := range tests {
		write, err := formatter(test.column)
		if err != nil {
			t.Errorf("%+v: %v", test.column, err)
		} else if got := write(test.v); got != test.want {
			t.Errorf("%+v: %v is written %q, want %q", test.column, test.v, got, test.want)
		}
	}
}

// hostile is a table whose texts are markup, formulas and numbers that are hard to write.
func hostile() Config {
	texts := []string{
		"[x](y)", "![x](y)", "$x$", "~~x~~", "&amp; & &#35;", "# x", "=1+1", "+1+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=2",
		"<b>", "a_b _c_", "``x''", "a--b", "[81, 93]", "C:\\x", "-1.5",
	}
	c := Config{
		Title: " 1) *x* ", Caption: "# not a heading", Provenance: InLegend, Columns: []Column{{Key: "text", Title: "=A1"}, {Key: "n"}},
		Footnotes: []string{"> not a quotation", "- no item", "1. no item", "12) no item", "--- no rule", "=== no heading", "+ no item", "    no code", "~~~ no code", "1.5 is a number"},
	}
	for i, text := range texts {
		c.Rows = append(c.Rows, pipeline.Row{"text": name(text), "n": {Value: float64(int64(1)<<53 - int64(i))}})
	}
	return c
}

// No text becomes a link, a formula, a heading or anything else that was not meant.
func TestMarkup(t *testing.T) {
	g, err := layOut(t.Context(), hostile())
	if err != nil {
		t.Fatal(err)
	}
	md := g.markdown()
	for _, want := range []string{
		`**1) \*x\***`, "\n\n" + `\# not a heading`, `| [x\](y) `, `| ![x\](y) `, `| \$x\$ `, `| \~\~x\~\~ `, `| \&amp; & \&#35; `, `| # x `, `| [81, 93] `, `| \<b> `, `| a_b \_c\_ `,
		"\n" + `\> not`, "\n" + `\- no`, "\n" + `1\. no`, "\n" + `12\) no`, "\n" + `\--- no`, "\n" + `\=== no`, "\n" + `\+ no`, "\nno code", "\n" + `\~\~\~ no`, "\n1.5 is",
		"9007199254740992",
	} {
		if !strings.Contains(md, want) {
			t.Errorf("Markdown lacks %q:\n%s", want, md)
		}
	}
	table, err := csv.NewReader(strings.NewReader(g.csv())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := table[0][0]; got != "'=A1" {
		t.Errorf("CSV: the title is %q", got)
	}
	for _, line := range table {
		if strings.ContainsAny(line[0][:1], "=+@\t") || line[0][0] == '-' && line[0] != "-1.5" {
			t.Errorf("CSV: %q is a formula", line[0])
		}
	}
	if got := table[2][1]; got != "9007199254740991" {
		t.Errorf("CSV: the second number is %s", got)
	}
	tex := g.latex("")
	for _, want := range []string{"`{}`{}x'{}'{}", "a-{}-{}b", `\$x\$`, `\textbackslash{}x`} {
		if !strings.Contains(tex, want) {
			t.Errorf("LaTeX lacks %q:\n%s", want, tex)
		}
	}
}

// In Markdown every line is as wide as the others on a terminal, whatever the
// characters.
func TestMarkdownWidth(t *testing.T) {
	g, err := layOut(t.Context(), Config{
		Columns: []Column{{Key: "n"}, {Key: "v"}},
		Rows:    []pipeline.Row{{"n": name("日本"), "v": {Value: -1.5}}, {"n": name("µ…"), "v": {Value: 12345.0}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(g.markdown()), "\n")
	for _, line := range lines {
		if width.StringWidth(line) != width.StringWidth(lines[0]) {
			t.Errorf("%q is not as wide as %q", line, lines[0])
		}
	}
}

// Two kinds never share a column unmarked: any number's kind can be told from
// its own letter, or from its column's.
func TestKindsAreMarked(t *testing.T) {
	m, p := from(1, pipeline.Measured, "s", "o"), from(2, pipeline.Predicted, "s", "o")
	rows := []pipeline.Row{{"a": m, "b": p, "c": m}, {"a": m, "b": m, "c": {Value: 3.0}}}
	g, err := layOut(t.Context(), Config{Columns: []Column{{Key: "a"}, {Key: "b"}, {Key: "c"}}, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	if g.heads[0].mark != "a" || g.heads[1].mark != "" || g.heads[2].mark != "a" {
		t.Errorf("heads %+v", g.heads)
	}
	if g.rows[0][1].mark != "b" || g.rows[1][1].mark != "a" || g.rows[0][0].mark != "" {
		t.Errorf("marks of the mixed column: %q, %q; of a pure one: %q", g.rows[0][1].mark, g.rows[1][1].mark, g.rows[0][0].mark)
	}
	if got := g.rows[0][3].text; got != "measured, predicted" {
		t.Errorf("provenance of row 0: %q", got)
	}
	if got := g.legendText(superscript, escapeMarkdown); got != "ᵃ measured, ᵇ predicted" {
		t.Errorf("legend %q", got)
	}
}

// claims is a table of sentences, some of which hold numbers.
func claims() Config {
	ours := pipeline.Traced{Value: "the first blocks need 6.4 times as much as the last", Origins: []pipeline.Origin{{Kind: pipeline.Modelled, Step: "memory", Output: "blocks"}}}
	return Config{
		Columns: []Column{{Key: "claim"}, {Key: "ours", Title: "here", Format: "words"}},
		Rows: []pipeline.Row{
			{"claim": name("Activations: first and last"), "ours": ours},
			{"claim": name("Accuracy"), "ours": name("not here")},
		},
	}
}

// Texts that hold numbers are marked and linked as numbers are, other texts are
// not; a table of nothing else names each cell's column.
func TestWords(t *testing.T) {
	g, err := layOut(t.Context(), claims())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := g.rows[0][2].text, g.rows[1][2].text; a != "modelled" || b != absent {
		t.Errorf("provenance %q, %q", a, b)
	}
	for _, want := range []string{
		`<figure class="table words">`, `<td data-head="claim">Accuracy</td>`, `<td data-head="here">not here</td>`,
		`<td class="modelled" data-head="here" title="modelled: memory.blocks"><a href="#step-memory">the first`,
	} {
		if !strings.Contains(g.html(), want) {
			t.Errorf("no %s in %s", want, g.html())
		}
	}
}

// A program that reads the CSV can tell each number's kind, also where the page
// says it in the legend alone.
func TestCSVKinds(t *testing.T) {
	for provenance, want := range map[Provenance]string{
		InLegend: "n,a,a provenance\nx,1,measured\n", InColumn: "n,a,provenance\nx,1,measured\n",
	} {
		g, err := layOut(t.Context(), Config{Columns: []Column{{Key: "n"}, {Key: "a"}}, Provenance: provenance,
			Rows: []pipeline.Row{{"n": name("x"), "a": from(1, pipeline.Measured, "s", "o")}}})
		if err != nil || g.csv() != want {
			t.Errorf("%s: %v, %q, want %q", provenance, err, g.csv(), want)
		}
	}
}

// Mistakes in columns and rows are answered with where, and what there is.
func TestErrors(t *testing.T) {
	row := pipeline.Row{"latency": {Value: 1.0}, "best": {Value: map[string]any{"macs": 2.0, "top1": 0.5}}, "l": {Value: []any{1.0}}}
	for _, test := range []struct {
		column Column
		want   string
	}{
		{Column{Key: "latncy"}, `columns[0].key: no row has "latncy"; row 0 has best, l, latency`},
		{Column{Key: "best.mac"}, `columns[0].key: no row has "best.mac"`},
		{Column{Key: "best"}, `columns[0].key: row 0: "best" is an object: name one of its values, "best".macs, .top1`},
		{Column{Key: "latency.ms"}, `columns[0].key: row 0: "latency" is the number 1, not an object that could hold "ms"`},
		{Column{Key: "latency", Interval: "l"}, `row 0: interval "l" is a list of 1, not a list [low, high]`},
	} {
		_, err := layOut(t.Context(), Config{Columns: []Column{test.column}, Rows: []pipeline.Row{row}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.column, err, test.want)
		}
	}
}

// What can be told of the columns alone is told before anything runs.
func TestValidate(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{}, "columns: a table needs columns"},
		{Config{Columns: []Column{{Key: "a"}, {}}}, "columns[1].key: is empty"},
		{Config{Columns: []Column{{Key: "a", Format: "%s"}}}, `columns[0].format: "%s" is not a format`},
		{Config{Columns: []Column{{Key: "a", Format: "%.1f %.1f"}}}, "is not a format"},
		{Config{Columns: []Column{{Key: "a", Format: "%.999999999f"}}}, "is not a format"},
		{Config{Columns: []Column{{Key: "a"}}, Label: "a}b"}, "label: "},
		{table3(), ""},
	} {
		err := Stage.CheckConfig(test.config)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// Numbers are written as people write them.
func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		column Column
		v      float64
		want   string
	}{
		{Column{}, 12, "12"},
		{Column{}, 0.1234567, "0.1235"},
		{Column{}, 1234.5, "1234"},
		{Column{}, -0.5, "−0.5"},
		{Column{Scale: 1000, Format: "%.1f"}, 0.0871, "87.1"},
		{Column{Format: "%d %%"}, 61.7, "62 %"},
		{Column{Format: "%.2e"}, 12345, "1.23e+04"},
		{Column{Format: "percent"}, 0.6231, "62.3 %"},
		{Column{Format: "integer"}, 1234567, "1,234,567"},
		{Column{Format: "si", Unit: "J"}, 0.000889, "889 µJ"},
		{Column{Format: "si", Unit: "J"}, 0.03024, "30.2 mJ"},
		{Column{Format: "si", Unit: "J"}, 0.9999, "1.00 J"},
		{Column{Format: "si", Unit: "Hz"}, 2e8, "200 MHz"},
		{Column{Format: "si"}, 0, "0.00"},
		{Column{Format: "si"}, 230.5e6, "230 M"},
		{Column{Format: "bytes"}, 360448, "352 KiB"},
		{Column{Format: "bytes"}, 1536, "1.5 KiB"},
	} {
		write, err := formatter(test.column)
		if err != nil {
			t.Fatal(err)
		}
		if got := write(test.v); got != test.want {
			t.Errorf("%+v: %v is %q, want %q", test.column, test.v, got, test.want)
		}
	}
}

// Only the best of several numbers is bold; equals share it.
func TestBest(t *testing.T) {
	rows := []pipeline.Row{{"a": {Value: 2.0}}, {"a": {Value: 1.0}}, {"a": {Value: nil}}, {"a": {Value: 1.0}}}
	g, err := layOut(t.Context(), Config{Columns: []Column{{Key: "a", Best: "min"}}, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, false, true} {
		if g.rows[i][0].best != want {
			t.Errorf("row %d: best %v", i, g.rows[i][0].best)
		}
	}
}

// A row that begins with a bracket or a star is no argument of the LaTeX command
// before it.
func TestLaTeXArguments(t *testing.T) {
	rows := []pipeline.Row{{"a": {Value: "[1, 2]"}}, {"a": {Value: "*"}}, {"a": {Value: "x"}}}
	g, err := layOut(t.Context(), Config{Columns: []Column{{Key: "a"}}, Rows: rows, Provenance: "legend"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "\\midrule\n{}[1, 2] \\\\\n{}* \\\\\nx \\\\\n"; !strings.Contains(g.latex(""), want) {
		t.Errorf("got %s\nwant rows %s", g.latex(""), want)
	}
}

// Whatever is in a cell, the CSV reads back, the HTML holds no markup of its
// own, and Markdown and LaTeX keep the number of columns.
func FuzzEscapes(f *testing.F) {
	f.Add(`a|b & <script>alert("x")</script> \ % _ { } $ ^ ~ #` + "\n\"q\"")
	f.Fuzz(func(t *testing.T, s string) {
		g, err := layOut(t.Context(), Config{Title: "t" + s, Columns: []Column{{Key: "a", Title: s}, {Key: "b"}}, Provenance: "column",
			Rows: []pipeline.Row{{"a": {Value: s}, "b": {Value: 1.0}}}})
		if err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(strings.NewReader(g.csv())).ReadAll()
		if err != nil || len(records) != 2 || len(records[1]) != 3 {
			t.Fatalf("csv %q: %v", g.csv(), err)
		}
		if strings.Count(g.html(), "<") != strings.Count(mustHTML(t, "x"), "<") {
			t.Fatalf("markup in %s", g.html())
		}
		lines := strings.Split(strings.TrimSpace(g.markdown()), "\n")
		last := strings.ReplaceAll(strings.ReplaceAll(lines[len(lines)-1], `\\`, ""), `\|`, "")
		if strings.Count(last, "|") != 4 {
			t.Fatalf("markdown row %q", last)
		}
		if strings.Count(g.latex(""), "&") < 4 {
			t.Fatalf("latex %s", g.latex(""))
		}
	})
}

func mustHTML(t *testing.T, s string) string {
	g, err := layOut(t.Context(), Config{Title: "t" + s, Columns: []Column{{Key: "a", Title: s}, {Key: "b"}}, Provenance: "column",
		Rows: []pipeline.Row{{"a": {Value: s}, "b": {Value: 1.0}}}})
	if err != nil {
		t.Fatal(err)
	}
	return g.html()
}

// Attributes written as the recipe's values reach the stage as they are meant.
func TestDecode(t *testing.T) {
	var attrs map[string]any
	if err := json.Unmarshal([]byte(`{"columns": [{"key": "a", "format": "%.1f"}],
		"rows": [{"a": {"value": 1.25, "origins": [{"kind": "measured", "step": "s"}]}}]}`), &attrs); err != nil {
		t.Fatal(err)
	}
	config, err := Stage.Decode(attrs)
	if err != nil {
		t.Fatal(err)
	}
	c := config.(Config)
	if c.Provenance != "column" || c.Rows[0]["a"].Origins[0].Kind != pipeline.Measured {
		t.Errorf("%+v", c)
	}
}

// The LaTeX file compiles. Under CI pdflatex must be there.
func TestLaTeXCompiles(t *testing.T) {
	if _, err := exec.LookPath("pdflatex"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs pdflatex: ", err)
		}
		t.Skip("no pdflatex: ", err)
	}
	dir := t.TempDir()
	doc := "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\\begin{document}\n"
	for _, c := range []Config{table3(), claims()} {
		g, err := layOut(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		doc += g.latex("")
	}
	doc += "\\end{document}\n"
	if err := os.WriteFile(filepath.Join(dir, "t.tex"), []byte(doc), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// An underscore is escaped where it could begin or end emphasis, and only there.
func TestEscapeMarkdown(t *testing.T) {
	for in, want := range map[string]string{
		"W_d": "W_d", "_a_": `\_a\_`, "a__b": `a\_\_b`, "a _b": `a \_b`, "2_3": "2_3", "a|b*": `a\|b\*`,
	} {
		if got := escapeMarkdown(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// A key that no row has is told as soon as the names in the rows are known, whatever
// their values are; not where a row, or all of them, may still have it.
func TestKeysBeforeTheValues(t *testing.T) {
	values := func(key string) map[string]any {
		return map[string]any{
			"columns": []any{map[string]any{"key": key}},
			"rows": []any{
				map[string]any{"name": pipeline.Traced{Value: "a"}, "top1": nil},
				map[string]any{"name": pipeline.Traced{Value: "b"}, "best": pipeline.Traced{Value: map[string]any{"latency": 1.0}}},
			},
		}
	}
	row := func(i int, name string) mistake.Path {
		p := mistake.Path{{Name: "rows"}, {Index: i}}
		if name != "" {
			p = append(p, mistake.Step{Name: name})
		}
		return p
	}
	for _, test := range []struct {
		key     string
		unknown mistake.Path
		want    string
	}{
		{"top1", row(0, "top1"), ""},
		{"name", row(0, "top1"), ""},
		{"best.latency", row(0, "top1"), ""},
		{"tpo1", row(0, "top1"), `columns[0].key: no row has "tpo1"; rows have best, name, top1`},
		{"tpo1", row(0, ""), ""},
		{"tpo1", mistake.Path{{Name: "rows"}}, ""},
		{"tpo1", mistake.Path{{Name: "columns"}, {Index: 0}, {Name: "key"}}, ""},
	} {
		err := Stage.Check(values(test.key), []mistake.Path{test.unknown})
		if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != test.want) {
			t.Errorf("%s without %s: %v, want %q", test.key, test.unknown, err, test.want)
		}
	}
}
