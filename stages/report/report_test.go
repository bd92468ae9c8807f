package report

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

func write(t testing.TB, name, content string) artifacts.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	return artifacts.Local(path)
}

const (
	tableHTML = `<figure class="table"><table><thead><tr><th scope="col">network</th><th scope="col" class="number">latency (ms)</th></tr></thead><tbody>` +
		`<tr><td>a</td><td class="number modelled" data-value="87.1" title="modelled: net.latency"><a href="#step-net_5b__22_a_22__5d_">87.1</a></td></tr>` +
		`<tr><td>b</td><td class="number">–</td></tr>` +
		`<tr><td>c</td><td class="number published" data-value="9.5">9.5</td></tr></tbody></table></figure>`
	plotSVG = `<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="100pt" height="50pt" viewBox="0 0 100 50"><text x="5" y="20">label</text></svg>`
)

// lineage is a small recipe's: a space, a supernet that ran, two instances of a
// search, and a table.
func lineage() []pipeline.Ancestor {
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	return []pipeline.Ancestor{
		{ID: "images", Stage: "dataset", Version: 1, Pos: "small.hcl:1", Finished: true, Cached: true, Run: "r1", Elapsed: 1500 * time.Millisecond, Attrs: raw(`{"source":"shapes"}`), Output: raw(`{"dataset":{"$object":"abc"}}`)},
		{ID: "space", Stage: "progressive-grid", Version: 3, Pos: "small.hcl:2", Finished: true, Cached: true, Run: "r1", Elapsed: 20 * time.Millisecond, Attrs: raw(`{}`), Output: raw(`{}`)},
		{ID: "supernet", Stage: "train-supernet", Version: 1, Pos: "small.hcl:3", Deps: []string{"images", "space"}, Finished: true, Because: []pipeline.Reason{{Attr: "epochs", Old: "3", New: "<4>"}}, Run: "r2", Elapsed: 83 * time.Second, Attrs: raw(`{"epochs":4}`), Output: raw(`{"top1":0.9}`)},
		{ID: `net["a"]`, Stage: "evolve", Version: 2, Pos: "small.hcl:4", Deps: []string{"supernet", "space"}, Finished: true, Run: "r2", Elapsed: 2 * time.Second, Attrs: raw(`{}`), Output: raw(`{}`)},
		{ID: `net["b"]`, Stage: "evolve", Version: 2, Pos: "small.hcl:4", Deps: []string{"supernet", "space"}, Finished: true, Cached: true, Run: "r1", Elapsed: 2 * time.Second, Attrs: raw(`{}`), Output: raw(`{}`)},
		{ID: "table3", Stage: "table", Version: 2, Pos: "small.hcl:5", Deps: []string{`net["a"]`, `net["b"]`, "images"}, Finished: true, Run: "r2", Elapsed: time.Millisecond, Attrs: raw(`{}`), Output: raw(`{}`)},
	}
}

func config(t testing.TB) Config {
	recipe := write(t, "small.hcl", "stage \"dataset\" \"images\" {\n  source = \"shapes\"\n}\n")
	return Config{
		Title: "RaptorNet & <others>", Text: "What came out.\n\n- **one** thing\n- `two` < 3", Recipe: &recipe,
		Sections: []Section{
			{Title: "Table 3", Tables: []artifacts.File{write(t, "table.html", tableHTML)}},
			{Title: "Figure 1", Text: pipeline.Traced{Value: "Bars.", Origins: []pipeline.Origin{{Step: "space", Output: "summary"}}}, Figures: []artifacts.File{write(t, "figure.svg", plotSVG), write(t, "f.png", "\x89PNG\r\n\x1a\nxxxx")}},
		},
	}
}

func render(t testing.TB, c Config) string {
	t.Helper()
	out, err := run(context.Background(), pipeline.NewTask(pipeline.Env{Work: t.TempDir(), Lineage: lineage}), c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := out.HTML.ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The page holds what it was given, escaped, and each link leads somewhere on
// it.
func TestPage(t *testing.T) {
	page := render(t, config(t))
	for _, want := range []string{
		"<h1>RaptorNet &amp; &lt;others&gt;</h1>", "<li><strong>one</strong> thing</li>", "<code>two</code> &lt; 3",
		tableHTML, `<text x="5" y="20">label</text>`, `src="data:image/png;base64,iVBOR`,
		"epochs: 3 → &lt;4&gt;", "1 min 23 s", "1 ran, 1 cached, 4.0 s", `<p class="from">From <a href="#step-space">space</a></p>`, `<span id="line-small.hcl-2">  source = &#34;shapes&#34;`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("two elements have the id %s", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !ids[m[1]] && !strings.HasPrefix(m[1], "line-") { // the test's recipe has but three lines
			t.Errorf("nothing has the id %s", m[1])
		}
	}
}

// A version writes what it wrote.
func TestGolden(t *testing.T) {
	out, err := run(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir(), Lineage: lineage}), config(t))
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.Golden(t, Stage, map[string]any{"small": out})
}

// The page needs nothing but itself.
func TestSelfContained(t *testing.T) {
	page := render(t, config(t))
	page = strings.ReplaceAll(page, "http://www.w3.org/2000/svg", "")
	for _, bad := range []string{"http:", "https:", "@import", "url("} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

// Mistakes are answered with the attribute.
func TestMistakes(t *testing.T) {
	text := write(t, "a.txt", "text")
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{Title: "x"}, "sections: a report needs sections"},
		{Config{Sections: []Section{{Title: "s"}}}, "title: is empty"},
		{Config{Title: "x", Sections: []Section{{}}}, "sections[0].title: is empty"},
		{Config{Title: "x", Sections: []Section{{Title: "s", Tables: []artifacts.File{text}}}}, "sections[0].tables[0]: is not a table"},
		{Config{Title: "x", Sections: []Section{{Title: "s", Figures: []artifacts.File{text}}}}, "sections[0].figures[0]: is not a picture (text/plain"},
		{Config{Title: "x", Sections: []Section{{Title: "s"}}, Recipe: &artifacts.File{Path: t.TempDir()}}, "recipe: the directory has no *.hcl"},
	} {
		err := Stage.CheckConfig(test.config)
		if err == nil {
			_, err = newPage(t.Context(), test.config, nil)
		}
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// Steps stand in columns behind what they need, instances as one box, and no
// two boxes share a place.
func TestGraph(t *testing.T) {
	columns := layOut(join(lineage()))
	var got []string
	for _, c := range columns {
		var names []string
		rows := map[int]bool{}
		for _, n := range c {
			if n.name != "" {
				names = append(names, n.name)
			}
			if rows[n.row] {
				t.Errorf("two boxes in row %d", n.row)
			}
			rows[n.row] = true
			for _, from := range n.in {
				if from.column != n.column-1 {
					t.Errorf("an edge to %q crosses columns", n.name)
				}
			}
		}
		got = append(got, strings.Join(names, " "))
	}
	if want := "images space|supernet|net|table3"; strings.Join(got, "|") != want {
		t.Errorf("columns %q, want %s", got, want)
	}
}

// Text is set as it is meant, and never becomes markup of its own.
func TestMarkup(t *testing.T) {
	for text, want := range map[string]string{
		"a\nb\n\nc":      "<p>a b</p>\n<p>c</p>\n",
		"a\n- b\n- c\nd": "<p>a</p>\n<ul>\n<li>b</li>\n<li>c</li>\n</ul>\n<p>d</p>\n",
		"<b> & `x<y`":    "<p>&lt;b&gt; &amp; <code>x&lt;y</code></p>\n",
		"":               "",
	} {
		if got := string(markup(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzMarkup(f *testing.F) {
	f.Add("- **a** `b`\n\n<script>")
	f.Fuzz(func(t *testing.T, text string) {
		out := string(markup(text))
		for _, tag := range []string{"p", "ul", "li", "strong", "code"} {
			if strings.Count(out, "<"+tag+">") != strings.Count(out, "</"+tag+">") {
				t.Fatalf("%q: unbalanced %s in %q", text, tag, out)
			}
			out = strings.NewReplacer("<"+tag+">", "", "</"+tag+">", "").Replace(out)
		}
		if strings.ContainsAny(out, "<>") {
			t.Fatalf("%q: markup left in %q", text, out)
		}
	})
}

func BenchmarkPage(b *testing.B) {
	c := config(b)
	for b.Loop() {
		if _, err := newPage(b.Context(), c, lineage()); err != nil {
			b.Fatal(err)
		}
	}
}

// A time is rounded before its unit is chosen.
func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		999 * time.Millisecond: "999 ms", 1240 * time.Millisecond: "1.2 s", 59940 * time.Millisecond: "59.9 s",
		59960 * time.Millisecond: "1 min 00 s", time.Hour - 10*time.Millisecond: "1 h 00 min",
	} {
		if got := took(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}
