package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

//go:embed page.html
var pageHTML string

//go:embed page.css
var pageCSS string

//go:embed page.js
var pageJS string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is what the template shows.
type page struct {
	Title    string
	Text     template.HTML
	Sections []section
	Graph    template.HTML
	Steps    []step
	Recipe   []source
	Style    template.CSS
	Script   template.JS
	Policy   string // nothing is loaded, and no other script than ours runs
}

type section struct {
	ID, Title       string
	Text            template.HTML
	From            []link // the steps that wrote the text
	Tables, Figures []template.HTML
}

// step is the card of a step.
type step struct {
	ID, Anchor, Stage, Pos, Line, Verdict, Took, Run, Action string
	Version                                                  int
	Cached                                                   bool
	Because                                                  []string
	Needs                                                    []link
	Attrs, Output                                            string
}

type link struct{ Name, Anchor string }

// source is a file of the recipe.
type source struct {
	Name  string
	Lines []line
}

type line struct{ ID, Text string }

func newPage(ctx context.Context, c Config, lineage []pipeline.Ancestor) (*page, error) {
	sum := sha256.Sum256([]byte(pageJS))
	p := &page{
		Title: c.Title, Text: markup(c.Text), Style: template.CSS(pageCSS), Script: template.JS(pageJS),
		Policy: "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
	}
	for i, s := range c.Sections {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		text, _ := s.Text.Value.(string)
		sec := section{ID: fmt.Sprintf("section-%d", i+1), Title: s.Title, Text: markup(text), From: from(s.Text, lineage)}
		for k, f := range s.Tables {
			html, err := table(f)
			if err != nil {
				return nil, pipeline.Badf(fmt.Sprintf("sections[%d].tables[%d]", i, k), "%w", err)
			}
			sec.Tables = append(sec.Tables, html)
		}
		for k, f := range s.Figures {
			html, err := figure(f)
			if err != nil {
				return nil, pipeline.Badf(fmt.Sprintf("sections[%d].figures[%d]", i, k), "%w", err)
			}
			sec.Figures = append(sec.Figures, html)
		}
		p.Sections = append(p.Sections, sec)
	}
	for _, a := range lineage {
		p.Steps = append(p.Steps, newStep(a))
	}
	p.Graph = drawGraph(lineage)
	var err error
	if c.Recipe != nil {
		if p.Recipe, err = readRecipe(*c.Recipe); err != nil {
			return nil, pipeline.Badf("recipe", "%w", err)
		}
	}
	return p, nil
}

// from returns the steps that a text came from, of those on the page.
func from(text pipeline.Traced, lineage []pipeline.Ancestor) []link {
	var steps []link
	for _, a := range lineage {
		if slices.ContainsFunc(text.Origins, func(o pipeline.Origin) bool { return o.Step == a.ID }) {
			steps = append(steps, link{a.ID, pipeline.Anchor(a.ID)})
		}
	}
	return steps
}

func newStep(a pipeline.Ancestor) step {
	s := step{
		ID: a.ID, Anchor: pipeline.Anchor(a.ID), Stage: a.Stage, Version: a.Version, Pos: a.Pos, Line: lineAnchor(a.Pos),
		Cached: a.Cached, Verdict: verdict(a), Took: took(a.Elapsed), Run: a.Run, Action: a.Action.String(),
		Attrs: pretty(a.Attrs), Output: pretty(a.Output),
	}
	for _, r := range a.Because {
		s.Because = append(s.Because, r.String())
	}
	for _, d := range a.Deps {
		s.Needs = append(s.Needs, link{d, pipeline.Anchor(d)})
	}
	return s
}

func verdict(a pipeline.Ancestor) string {
	switch {
	case !a.Finished:
		return "not finished"
	case a.Adopted != nil:
		return "adopted"
	case a.Cached:
		return "cached"
	}
	return "ran"
}

// took writes a time as people say it.
func took(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(100 * time.Millisecond) // as it is written
	}
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", d/time.Minute, d/time.Second%60)
	}
	return fmt.Sprintf("%d h %02d min", d/time.Hour, d/time.Minute%60)
}

// mostJSON bounds what a card shows of a value, in bytes.
const mostJSON = 4000

// pretty indents JSON and cuts it to a length that can be read.
func pretty(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return string(raw)
	}
	s := b.String()
	if len(s) <= mostJSON {
		return s
	}
	cut := mostJSON
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s\n… and %d bytes more", s[:cut], len(s)-cut)
}

// lineAnchor returns the fragment of the recipe's line at a position.
func lineAnchor(pos string) string {
	name, number, ok := strings.Cut(pos, ":")
	if !ok {
		return ""
	}
	number, _, _ = strings.Cut(number, ",")
	return "line-" + filepath.Base(name) + "-" + number
}

// readRecipe reads the recipe's file, or the *.hcl files of its directory.
func readRecipe(f artifacts.File) ([]source, error) {
	st, err := os.Stat(f.Path)
	if err != nil {
		return nil, err
	}
	paths := []string{f.Path}
	if st.IsDir() {
		if paths, err = fs.Glob(os.DirFS(f.Path), "*.hcl"); err != nil || len(paths) == 0 {
			return nil, errors.Join(errors.New("the directory has no *.hcl"), err)
		}
		for i := range paths {
			paths[i] = filepath.Join(f.Path, paths[i])
		}
	}
	var all []source
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		s := source{Name: filepath.Base(path)}
		for i, text := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
			s.Lines = append(s.Lines, line{fmt.Sprintf("line-%s-%d", s.Name, i+1), text})
		}
		all = append(all, s)
	}
	return all, nil
}
