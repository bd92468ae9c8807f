package plot

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"

	"eyrie/pipeline"
)

// maxHover is how many points of a series get a text; more make a cloud, which has
// none.
const maxHover = 2000

// annotate adds to an SVG of this height a name for screen readers, fonts to fall
// back on, and over each point an invisible mark with a title, which browsers
// show on hover. A click leads to the step that the point came from.
func (f *figure) annotate(svg []byte, pg *page, height vg.Length) []byte {
	svg = bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	name := f.Title
	if name == "" {
		name = f.Y.title("") + " against " + f.X.title("")
	}
	svg = bytes.Replace(svg, []byte("<svg "), []byte(`<svg role="img" aria-label="`+escape(name)+`" `), 1)
	var b bytes.Buffer
	f.hover(&b, pg, height)
	end := bytes.LastIndex(svg, []byte("</svg>"))
	return append(append(append([]byte{}, svg[:end]...), b.Bytes()...), svg[end:]...)
}

func (f *figure) hover(b *bytes.Buffer, pg *page, height vg.Length) {
	b.WriteString("<g fill-opacity=\"0\">\n")
	for _, m := range pg.marks {
		at := placer(&pg.data, pg.plot)
		if m.Mark == Cloud || len(m.points) > maxHover {
			continue
		}
		for _, p := range m.points {
			c := at(p.x.v, p.y.v)
			if !pg.data.Contains(c) {
				continue
			}
			fmt.Fprintf(b, "%s<circle cx=\"%.1f\" cy=\"%.1f\" r=\"6\"><title>%s</title></circle>%s\n",
				begin(p), c.X.Points(), (height - c.Y).Points(), escape(f.tell(m.series, p)), end(p))
		}
	}
	for _, s := range pg.bars {
		for _, p := range s.points {
			r := s.rect(p, &pg.data, pg.plot)
			fmt.Fprintf(b, "%s<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%s</title></rect>%s\n",
				begin(p), r.Min.X.Points(), (height - r.Max.Y).Points(), r.Size().X.Points(), r.Size().Y.Points(), escape(f.tell(s.series, p)), end(p))
		}
	}
	b.WriteString("</g>\n")
}

// step returns the step that the point's y, or else its x, came from.
func (p point) step() string {
	for _, o := range append(slices.Clip(p.y.origins), p.x.origins...) {
		if o.Step != "" {
			return o.Step
		}
	}
	return ""
}

// begin and end put a point's mark into a link to the step that it came from.
func begin(p point) string {
	if p.step() == "" {
		return ""
	}
	return `<a href="#` + pipeline.Anchor(p.step()) + `">`
}

func end(p point) string {
	if p.step() == "" {
		return ""
	}
	return "</a>"
}

// tell describes a point: its names, its values, and where they came from.
func (f *figure) tell(s series, p point) string {
	var lines []string
	for _, name := range []string{s.Name, p.label, p.category} {
		if name != "" {
			lines = append(lines, name)
		}
	}
	if p.category == "" {
		lines = append(lines, coordinate(f.X, s.X, p.x, p.xRange))
	}
	return strings.Join(append(lines, coordinate(f.Y, s.Y, p.y, p.yRange)), "\n")
}

func coordinate(a Axis, key string, v value, r *[2]float64) string {
	name := a.Title
	if name == "" {
		name = key
	}
	text := name + ": " + short(v.v)
	if r != nil {
		text += " [" + short(r[0]) + ", " + short(r[1]) + "]"
	}
	text = strings.TrimSpace(text + " " + a.Unit)
	for _, o := range v.origins {
		text += "\n  " + o.String()
	}
	return text
}

// short writes a number with four significant digits.
func short(v float64) string {
	v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	return tickText(v)
}

func escape(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a Builder takes everything
	}
	return b.String()
}
