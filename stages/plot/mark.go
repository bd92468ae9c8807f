package plot

import (
	"image/color"
	"math"
	"slices"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// marks draws a series of points, a line or a front; bars are drawn by bars.
type marks struct {
	series
	marked       bool    // each point has a marker
	best, others []point // of a front
}

// maxMarked is how many points of a line get a marker; more would hide it.
const maxMarked = 24

// newMarks prepares a series. Lines are marked all or none, so that a reader does
// not look for the difference.
func newMarks(s series, lines bool) *marks {
	m := &marks{series: s, marked: s.Mark != Cloud && (s.Mark != Joined || lines)}
	if s.Mark == Front {
		m.best, m.others = front(s)
	}
	return m
}

// DataRange returns the range of the points and their intervals.
func (m *marks) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, p := range m.points {
		xmin, xmax = min(xmin, p.x.v), max(xmax, p.x.v)
		ymin, ymax = min(ymin, p.y.v), max(ymax, p.y.v)
		if r := p.xRange; r != nil {
			xmin, xmax = min(xmin, r[0]), max(xmax, r[1])
		}
		if r := p.yRange; r != nil {
			ymin, ymax = min(ymin, r[0]), max(ymax, r[1])
		}
	}
	return xmin, xmax, ymin, ymax
}

// GlyphBoxes keeps markers at the edge whole.
func (m *marks) GlyphBoxes(p *gonum.Plot) []gonum.GlyphBox {
	if !m.marked {
		return nil
	}
	r := vg.Length(m.glyph().Radius*3/2) + vg.Points(1)
	var boxes []gonum.GlyphBox
	for _, pt := range m.points {
		boxes = append(boxes, gonum.GlyphBox{
			X: p.X.Norm(pt.x.v), Y: p.Y.Norm(pt.y.v),
			Rectangle: vg.Rectangle{Min: vg.Point{X: -r, Y: -r}, Max: vg.Point{X: r, Y: r}},
		})
	}
	return boxes
}

// Plot draws the series.
func (m *marks) Plot(c draw.Canvas, p *gonum.Plot) {
	at := placer(&c, p)
	switch m.Mark {
	case Joined:
		m.band(c, at)
		strokeWithin(c, m.line(), polyline(m.points, at))
		m.whiskers(c, m.points, at)
		if m.marked {
			drawGlyphs(c, m.glyph(), m.points, at)
		}
	case Cloud:
		drawGlyphs(c, m.dots(), m.points, at)
	case Front:
		faded := m.glyph()
		faded.Color, faded.Radius = m.faded(), vg.Points(2)
		drawGlyphs(c, faded, m.others, at)
		strokeWithin(c, m.line(), m.steps(at))
		m.whiskers(c, m.best, at)
		drawGlyphs(c, m.glyph(), m.best, at)
	default:
		m.whiskers(c, m.points, at)
		drawGlyphs(c, m.glyph(), m.points, at)
	}
}

// placer returns where on the canvas a position lies.
func placer(c *draw.Canvas, p *gonum.Plot) func(x, y float64) vg.Point {
	return func(x, y float64) vg.Point { return vg.Point{X: c.X(p.X.Norm(x)), Y: c.Y(p.Y.Norm(y))} }
}

func polyline(points []point, at func(x, y float64) vg.Point) []vg.Point {
	var line []vg.Point
	for _, p := range points {
		line = append(line, at(p.x.v, p.y.v))
	}
	return line
}

// steps joins the front by stairs: between two points, what the worse x
// attains is what the better one has.
func (m *marks) steps(at func(x, y float64) vg.Point) []vg.Point {
	var line []vg.Point
	for i, p := range m.best {
		if i > 0 {
			before := m.best[i-1]
			if m.XBest == "max" {
				line = append(line, at(before.x.v, p.y.v))
			} else {
				line = append(line, at(p.x.v, before.y.v))
			}
		}
		line = append(line, at(p.x.v, p.y.v))
	}
	return line
}

func strokeWithin(c draw.Canvas, style draw.LineStyle, line []vg.Point) {
	if len(line) <= 1 {
		return
	}
	for _, l := range c.ClipLinesXY(line) {
		strokeParts(c, style, l)
	}
}

// maxStroke is how many points are stroked at once. What rasterises a path searches
// all of it that crosses a row of pixels for each further piece: 4,000 points took 12 s.
const maxStroke = 400

// strokeParts strokes a line part by part. Dashes go on where the part before ended.
func strokeParts(c draw.Canvas, style draw.LineStyle, line []vg.Point) {
	period := vg.Length(0)
	for _, d := range style.Dashes {
		period += d
	}
	for len(line) > 1 {
		part := line[:min(len(line), maxStroke)]
		c.StrokeLines(style, part)
		if line = line[len(part)-1:]; period > 0 {
			length := style.DashOffs
			for i := 1; i < len(part); i++ {
				d := part[i].Sub(part[i-1])
				length += vg.Length(math.Sqrt(float64(d.X*d.X) + float64(d.Y*d.Y)))
			}
			style.DashOffs = vg.Length(math.Mod(float64(length), float64(period)))
		}
	}
}

func drawGlyphs(c draw.Canvas, style draw.GlyphStyle, points []point, at func(x, y float64) vg.Point) {
	for _, p := range points {
		c.DrawGlyph(style, at(p.x.v, p.y.v))
	}
}

// band fills the intervals around a line.
func (m *marks) band(c draw.Canvas, at func(x, y float64) vg.Point) {
	var low, high []vg.Point
	for _, p := range m.points {
		if p.yRange != nil {
			low, high = append(low, at(p.x.v, p.yRange[0])), append(high, at(p.x.v, p.yRange[1]))
		}
	}
	if len(low) > 1 {
		slices.Reverse(high)
		c.FillPolygon(m.faded(), c.ClipPolygonXY(append(low, high...)))
	}
}

// whiskers draws the intervals around points.
func (m *marks) whiskers(c draw.Canvas, points []point, at func(x, y float64) vg.Point) {
	style := draw.LineStyle{Color: m.color(), Width: vg.Points(0.8)}
	cap := vg.Points(2)
	for _, p := range points {
		if r := p.xRange; r != nil {
			a, b := at(r[0], p.y.v), at(r[1], p.y.v)
			strokeWithin(c, style, []vg.Point{a, b})
			for _, end := range []vg.Point{a, b} {
				strokeWithin(c, style, []vg.Point{{X: end.X, Y: end.Y - cap}, {X: end.X, Y: end.Y + cap}})
			}
		}
		if r := p.yRange; r != nil && m.Mark != Joined { // a line has a band
			a, b := at(p.x.v, r[0]), at(p.x.v, r[1])
			strokeWithin(c, style, []vg.Point{a, b})
			for _, end := range []vg.Point{a, b} {
				strokeWithin(c, style, []vg.Point{{X: end.X - cap, Y: end.Y}, {X: end.X + cap, Y: end.Y}})
			}
		}
	}
}

// Thumbnail draws the mark for the legend.
func (m *marks) Thumbnail(c *draw.Canvas) {
	if m.Mark == Joined || m.Mark == Front {
		c.StrokeLine2(m.line(), c.Min.X, c.Center().Y, c.Max.X, c.Center().Y)
	}
	switch {
	case m.Mark == Cloud:
		r := c.Rectangle.Size().Y / 3
		for _, d := range []vg.Point{{X: -r, Y: r / 2}, {X: 0, Y: -r}, {X: r, Y: r}} {
			c.DrawGlyph(m.dots(), c.Center().Add(d))
		}
	case m.marked:
		c.DrawGlyph(m.glyph(), c.Center())
	}
}

// bars draws a series of bars: the i-th of n beside each other on a category.
type bars struct {
	series
	i, n int
}

// width is the part of a category's room that its bars take together.
const barsWidth = 0.8

// DataRange includes zero, where bars begin.
func (b *bars) DataRange() (xmin, xmax, ymin, ymax float64) {
	m := marks{series: b.series}
	xmin, xmax, ymin, ymax = m.DataRange()
	return xmin - 0.5, xmax + 0.5, min(0, ymin), max(0, ymax)
}

// rect returns the corners of a point's bar.
func (b *bars) rect(pt point, c *draw.Canvas, p *gonum.Plot) vg.Rectangle {
	left := pt.x.v - barsWidth/2 + barsWidth*float64(b.i)/float64(b.n)
	right := left + barsWidth/float64(b.n)
	foot := max(p.Y.Min, min(0, p.Y.Max))
	at := placer(c, p)
	lo, hi := at(left, min(foot, pt.y.v)), at(right, max(foot, pt.y.v))
	lo.Y, hi.Y = max(lo.Y, c.Min.Y), min(hi.Y, c.Max.Y)
	return vg.Rectangle{Min: lo, Max: hi}
}

// Plot draws the bars.
func (b *bars) Plot(c draw.Canvas, p *gonum.Plot) {
	for _, pt := range b.points {
		r := b.rect(pt, &c, p)
		c.FillPolygon(b.color(), []vg.Point{r.Min, {X: r.Max.X, Y: r.Min.Y}, r.Max, {X: r.Min.X, Y: r.Max.Y}})
		if pt.yRange == nil {
			continue
		}
		at := placer(&c, p)
		middle := (r.Min.X + r.Max.X) / 2
		low, high := at(0, pt.yRange[0]).Y, at(0, pt.yRange[1]).Y
		strokeWithin(c, draw.LineStyle{Color: ink, Width: vg.Points(0.8)}, []vg.Point{{X: middle, Y: low}, {X: middle, Y: high}})
	}
}

// Thumbnail draws a filled box for the legend.
func (b *bars) Thumbnail(c *draw.Canvas) {
	mid, half := c.Center(), vg.Length((c.Max.Y-c.Min.Y)/2)
	c.FillPolygon(b.color(), []vg.Point{
		{X: mid.X - half, Y: mid.Y - half}, {X: mid.X + half, Y: mid.Y - half},
		{X: mid.X + half, Y: mid.Y + half}, {X: mid.X - half, Y: mid.Y + half},
	})
}

// across is a line across the figure.
type across struct {
	Line
	v     float64
	style draw.LineStyle
}

func newAcross(l Line, v float64, index int) *across {
	return &across{l, v, draw.LineStyle{Color: color.NRGBA{0, 0, 0, 0xff}, Width: vg.Points(1.2), Dashes: dashes[1+index%(len(dashes)-1)]}}
}

// DataRange keeps the line in sight.
func (a *across) DataRange() (xmin, xmax, ymin, ymax float64) {
	if a.Axis == "x" {
		return a.v, a.v, math.Inf(1), math.Inf(-1)
	}
	return math.Inf(1), math.Inf(-1), a.v, a.v
}

// ends returns where the line begins and ends.
func (a *across) ends(c draw.Canvas, p *gonum.Plot) []vg.Point {
	if a.Axis == "x" {
		x := c.X(p.X.Norm(a.v))
		return []vg.Point{{X: x, Y: c.Min.Y}, {X: x, Y: c.Max.Y}}
	}
	y := c.Y(p.Y.Norm(a.v))
	return []vg.Point{{X: c.Min.X, Y: y}, {X: c.Max.X, Y: y}}
}

// Plot draws the line.
func (a *across) Plot(c draw.Canvas, p *gonum.Plot) { strokeWithin(c, a.style, a.ends(c, p)) }

// Thumbnail draws the line for the legend.
func (a *across) Thumbnail(c *draw.Canvas) {
	c.StrokeLine2(a.style, c.Min.X, c.Center().Y, c.Max.X, c.Center().Y)
}

// gridLines are drawn at the labelled ticks.
type gridLines struct{ vertical bool }

// Plot draws the grid.
func (g gridLines) Plot(c draw.Canvas, p *gonum.Plot) {
	style := draw.LineStyle{Color: rule, Width: vg.Points(0.5)}
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if y := c.Y(p.Y.Norm(t.Value)); !t.IsMinor() {
			strokeWithin(c, style, []vg.Point{{X: c.Min.X, Y: y}, {X: c.Max.X, Y: y}})
		}
	}
	if !g.vertical {
		return
	}
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if x := c.X(p.X.Norm(t.Value)); !t.IsMinor() {
			strokeWithin(c, style, []vg.Point{{X: x, Y: c.Min.Y}, {X: x, Y: c.Max.Y}})
		}
	}
}
