package table

import (
	"html/template"
	"strings"

	"eyrie/pipeline"
)

// fragment is a figure for a page. Numbers carry data-value, to sort by, the
// kinds as classes, a link to the step that they came from (see
// [pipeline.Anchor]), and all their origins, which show on hover.
var fragment = template.Must(template.New("table").Parse(`<figure class="table">
{{- if or .Title .Caption}}
<figcaption>{{with .Title}}<strong>{{.}}</strong>{{end}}{{if and .Title .Caption}} {{end}}{{.Caption}}</figcaption>
{{- end}}
<table>
<thead>
{{- if .Groups}}
<tr>{{range .Groups}}<th{{if gt .Columns 1}} colspan="{{.Columns}}"{{end}} class="group">{{.Title}}</th>{{end}}</tr>
{{- end}}
<tr>{{range .Heads}}<th scope="col"{{with .Class}} class="{{.}}"{{end}}>{{.Text}}{{with .Mark}}<sup>{{.}}</sup>{{end}}</th>{{end}}</tr>
</thead>
<tbody>
{{- range .Rows}}
<tr>{{range .}}<td{{with .Class}} class="{{.}}"{{end}}{{with .Value}} data-value="{{.}}"{{end}}{{with .Hover}} title="{{.}}"{{end}}>{{if .Link}}<a href="{{.Link}}">{{end}}{{if .Best}}<b>{{.Text}}</b>{{else}}{{.Text}}{{end}}{{if .Link}}</a>{{end}}{{with .Mark}}<sup>{{.}}</sup>{{end}}</td>{{end}}</tr>
{{- end}}
</tbody>
</table>
{{- with .Legend}}
<p class="legend">{{range $i, $e := .}}{{if $i}}, {{end}}{{with $e.Letter}}<sup>{{.}}</sup> {{end}}{{$e.Text}}{{end}}</p>
{{- end}}
{{- range .Notes}}
<p class="note">{{.}}</p>
{{- end}}
</figure>
`))

type htmlHead struct{ Text, Mark, Class string }

type htmlCell struct {
	Text, Mark, Class, Value, Link, Hover string
	Best                                  bool
}

type htmlSpan struct {
	Title   string
	Columns int
}

type htmlEntry struct{ Letter, Text string }

// html writes the fragment.
func (g *grid) html() string {
	page := struct {
		Title, Caption string
		Groups         []htmlSpan
		Heads          []htmlHead
		Rows           [][]htmlCell
		Legend         []htmlEntry
		Notes          []string
	}{Title: g.title, Caption: g.caption, Notes: g.notes}
	grouped := false
	for _, s := range g.spans() {
		grouped = grouped || s.title != ""
		page.Groups = append(page.Groups, htmlSpan{s.title, s.columns})
	}
	if !grouped {
		page.Groups = nil
	}
	for _, h := range g.heads {
		page.Heads = append(page.Heads, htmlHead{h.title, h.mark, side(h)})
	}
	for _, row := range g.rows {
		var line []htmlCell
		for i, c := range row {
			line = append(line, c.html(g.heads[i]))
		}
		page.Rows = append(page.Rows, line)
	}
	for _, e := range g.legend {
		page.Legend = append(page.Legend, htmlEntry{e.letter, e.text})
	}
	var b strings.Builder
	if err := fragment.Execute(&b, page); err != nil {
		panic(err) // a mistake in the template
	}
	return b.String()
}

func side(h head) string {
	if h.right {
		return "number"
	}
	return ""
}

func (c cell) html(h head) htmlCell {
	out := htmlCell{Text: c.text, Mark: c.mark, Class: side(h), Best: c.best}
	if c.number != nil {
		out.Value = c.plain()
	}
	if len(c.kinds) == 0 && c.number == nil { // no number, nor a list of them
		return out
	}
	for _, k := range c.kinds {
		out.Class = strings.TrimSpace(out.Class + " " + string(k))
	}
	var hover []string
	for _, o := range c.origins {
		hover = append(hover, o.String())
		if o.Step != "" && out.Link == "" {
			out.Link = "#" + pipeline.Anchor(o.Step)
		}
	}
	out.Hover = strings.Join(hover, "\n")
	return out
}
