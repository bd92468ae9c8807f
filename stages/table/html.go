package table

import (
	"html/template"
	"slices"
	"strings"

	"eyrie/pipeline"
)

// fragment is a figure for a page. Numbers carry data-value, to sort by, the
// kinds as classes, a link to the step that they came from (see
// [pipeline.Anchor]), and all their origins, which show on hover; those without
// a step can be reached by the keyboard, too. In a table of words each cell names
// its column, for pages too narrow for columns; other tables scroll there.
var fragment = template.Must(template.New("table").Parse(`<figure class="table{{if .Words}} words{{end}}">
{{- if or .Title .Caption}}
<figcaption>{{with .Title}}<strong>{{.}}</strong>{{end}}{{if and .Title .Caption}} {{end}}{{.Caption}}</figcaption>
{{- end}}
<div class="wide"><table>
<thead>
{{- if .Groups}}
<tr>{{range .Groups}}{{if .Title}}<th scope="colgroup"{{if gt .Columns 1}} colspan="{{.Columns}}"{{end}} class="group">{{.Title}}</th>{{else}}<td></td>{{end}}{{end}}</tr>
{{- end}}
<tr>{{range .Heads}}<th scope="col"{{with .Class}} class="{{.}}"{{end}}>{{.Text}}{{with .Mark}}<sup>{{.}}</sup>{{end}}</th>{{end}}</tr>
</thead>
<tbody>
{{- range .Rows}}
<tr>{{range .}}<td{{with .Class}} class="{{.}}"{{end}}{{with .Head}} data-head="{{.}}"{{end}}{{with .Value}} data-value="{{.}}"{{end}}{{with .Hover}} title="{{.}}"{{end}}{{if .Stop}} tabindex="0"{{end}}>{{if .Link}}<a href="{{.Link}}">{{end}}{{if .Best}}<b>{{.Text}}</b>{{else}}{{.Text}}{{end}}{{with .Interval}}<small>{{.}}</small>{{end}}{{if .Link}}</a>{{end}}{{with .Mark}}<sup>{{.}}</sup>{{end}}</td>{{end}}</tr>
{{- end}}
</tbody>
</table></div>
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
	Text, Interval, Mark, Class, Head, Value, Link, Hover string
	Best                                                  bool
	Stop                                                  bool // of the keyboard, as a link is
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
		Words          bool
	}{Title: g.title, Caption: g.caption, Notes: g.notes, Words: g.words()}
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
			cell := c.html(g.heads[i])
			if page.Words {
				cell.Head = g.heads[i].title
			}
			line = append(line, cell)
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

// words reports whether no column holds numbers.
func (g *grid) words() bool {
	return !slices.ContainsFunc(g.heads, func(h head) bool { return h.right })
}

func side(h head) string {
	if h.right {
		return "number"
	}
	return ""
}

func (c cell) html(h head) htmlCell {
	out := htmlCell{Text: c.text, Interval: c.interval, Mark: c.mark, Class: side(h), Best: c.best}
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
	out.Stop = out.Link == "" && len(c.kinds) > 0 && c.kinds[0] != pipeline.Given
	return out
}
