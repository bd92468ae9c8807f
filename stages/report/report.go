// Package report is the stage that makes a page of a run: one HTML file that
// needs no network, with tables, figures, the recipe, and the steps behind
// them. Every number links to the step that it came from.
package report

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"os"
	"strings"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the report stage.
var Stage = pipeline.Define("report", 5,
	`Makes one HTML page of tables, figures and text.

The page needs no network and no other file. Tables can be sorted; numbers and
points show where they came from, on hover, by a tap or by the keyboard, and link
to the step, whose verdict, time, attributes and outputs the page lists beside a
drawing of the graph. So do texts that steps yield. The verdicts are those of the
run that made the page.`,
	Config{}, run).WithLineage()

// Config is what a recipe may write in the block.
type Config struct {
	Title    string          `json:"title" doc:"the page's title"`
	Text     string          `json:"text,omitempty" doc:"an introduction; text may have paragraphs, lines that begin with \"- \", **bold**, and code in backquotes"`
	Sections []Section       `json:"sections" doc:"the page's sections, in order"`
	Recipe   *artifacts.File `json:"recipe" doc:"the recipe's file or directory, to show at the end: path.file"`
}

// Section is a part of the page under a heading.
type Section struct {
	Title   string           `json:"title" doc:"the heading"`
	Text    pipeline.Traced  `json:"text,omitzero" doc:"text below the heading; what a step wrote leads to it"`
	Tables  []artifacts.File `json:"tables,omitempty" is:"file" doc:"tables, as the html that the table stage yields"`
	Figures []artifacts.File `json:"figures,omitempty" is:"file" doc:"figures: SVG, which is shown in the page's colours, or PNG or JPEG"`
}

// Output is what the block's references yield.
type Output struct {
	HTML artifacts.File `json:"html" doc:"the page"`
}

// Check reports missing titles, and texts that are not text.
func (c Config) Check(r *mistake.Report) {
	if r.Knows("title") && c.Title == "" {
		r.At("title").Badf("is empty")
	}
	if r.Knows("sections") && len(c.Sections) == 0 {
		r.At("sections").Badf(`a report needs sections: sections = [{ title = "Table 3", tables = [stage.table3.html] }]`)
	}
	for i, s := range c.Sections {
		in := r.At("sections", i)
		if in.Knows("title") && s.Title == "" {
			in.At("title").Badf("is empty")
		}
		if _, ok := s.Text.Value.(string); in.Knows("text") && !ok && s.Text.Value != nil {
			in.At("text").Badf("is %s, not a text", s.Text)
		}
	}
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	p, err := newPage(ctx, c, task.Lineage())
	if err != nil {
		return Output{}, err
	}
	path := task.Path("report.html")
	return Output{HTML: artifacts.Local(path)}, writePage(ctx, path, p)
}

// writePage makes a file of the page.
func writePage(ctx context.Context, path string, p *page) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := bufio.NewWriterSize(stoppable{ctx, f}, 1<<20)
	if err := pageTemplate.Execute(b, p); err != nil {
		return err
	}
	return b.Flush()
}

// stoppable is a writer that fails when the context has ended.
type stoppable struct {
	ctx context.Context
	io.Writer
}

func (w stoppable) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(b)
}

// table returns a table's HTML as it is.
func table(f artifacts.File) (template.HTML, error) {
	b, err := f.ReadFile()
	if err != nil {
		return "", err
	}
	if !bytes.HasPrefix(b, []byte("<figure")) {
		return "", fmt.Errorf("is not a table: give the html of a table step")
	}
	return template.HTML(b), nil
}

// figure returns a picture for the page: SVG as it is, others as data.
func figure(f artifacts.File) (template.HTML, error) {
	b, err := f.ReadFile()
	if err != nil {
		return "", err
	}
	if at := bytes.Index(b, []byte("<svg")); at >= 0 && at < 500 {
		return template.HTML(b[at:]), nil
	}
	kind := http.DetectContentType(b)
	if !strings.HasPrefix(kind, "image/") {
		return "", fmt.Errorf("is not a picture (%s): give the svg or png of a plot step", kind)
	}
	data := base64.StdEncoding.EncodeToString(b)
	return template.HTML(`<img alt="" src="data:` + kind + `;base64,` + data + `">`), nil
}
