package plot

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"eyrie/pipeline"
	"eyrie/pipeline/float"
	"eyrie/pipeline/sheet"
)

// figure is a Config whose points have been resolved.
type figure struct {
	Config
	all            []series
	lines          []*across
	categories     []string // of x; nil where x is a number
	xKinds, yKinds string   // where all series share them
	shareX, shareY bool
}

func newFigure(c Config) (*figure, error) {
	f := &figure{Config: c}
	for i, s := range c.Series {
		points, err := resolve(s, c.X, c.Y)
		if err != nil {
			return nil, pipeline.Badf(fmt.Sprintf("series[%d]", i), "%w", err)
		}
		for _, part := range split(series{Series: s, points: points}) {
			part.index = len(f.all)
			f.all = append(f.all, part)
		}
	}
	if err := f.categorise(); err != nil {
		return nil, err
	}
	for i, l := range c.Lines {
		axis := c.Y
		if l.Axis == "x" {
			axis = c.X
		}
		v, err := number("at", l.At, axis)
		if err != nil {
			return nil, pipeline.Badf(fmt.Sprintf("lines[%d]", i), "%w", err)
		}
		f.lines = append(f.lines, newAcross(l, v.v, i))
	}
	f.xKinds, f.shareX = f.shared(xOf)
	f.yKinds, f.shareY = f.shared(yOf)
	return f, nil
}

// categorise numbers the texts of x in the order in which they appear.
func (f *figure) categorise() error {
	number := map[string]int{}
	texts, numbers := -1, -1
	for i, s := range f.all {
		for j := range s.points {
			p := &s.points[j]
			if p.category == "" {
				numbers = i
				continue
			}
			texts = i
			if _, ok := number[p.category]; !ok {
				number[p.category] = len(f.categories)
				f.categories = append(f.categories, p.category)
			}
			p.x.v = float64(number[p.category])
		}
	}
	if texts >= 0 && numbers >= 0 {
		return pipeline.Badf("series", "%q has texts for x and %q has numbers: one axis cannot show both", f.all[texts].X, f.all[numbers].X)
	}
	if texts >= 0 && f.X.Log {
		return pipeline.Badf("x.log", "x holds texts, such as %q", f.categories[0])
	}
	return nil
}

// shared returns the kinds of a coordinate where all series that say any
// agree.
func (f *figure) shared(coordinate func(point) value) (kinds string, ok bool) {
	for _, s := range f.all {
		k := kindsOf(s.points, coordinate)
		if k == "" {
			continue
		}
		if kinds != "" && k != kinds {
			return "", false
		}
		kinds = k
	}
	return kinds, true
}

// whole reports whether all values of a coordinate are whole numbers.
func (f *figure) whole(coordinate func(point) value) bool {
	for _, s := range f.all {
		if slices.ContainsFunc(s.points, func(p point) bool { v := coordinate(p).v; return v != math.Trunc(v) }) {
			return false
		}
	}
	return true
}

// points returns how many points are drawn.
func (f *figure) points() (n int) {
	for _, s := range f.all {
		n += len(s.points)
	}
	return n
}

// legendName returns the series' name with the kinds that the axes do not say.
func (f *figure) legendName(s series) string {
	const given = string(pipeline.Given) // goes without saying
	x, y := kindsOf(s.points, xOf), kindsOf(s.points, yOf)
	if f.shareX || x == given {
		x = ""
	}
	if f.shareY || y == given {
		y = ""
	}
	note := y
	switch {
	case x == "" || x == y:
	case y == "":
		note = f.X.name("x") + " " + x
	default:
		note = f.X.name("x") + " " + x + ", " + f.Y.name("y") + " " + y
	}
	if note != "" && s.Name != "" {
		return s.Name + " (" + note + ")"
	}
	return s.Name + note
}

// page is a figure laid out on a canvas.
type page struct {
	plot  *gonum.Plot
	data  draw.Canvas // where the points are
	marks []*marks
	bars  []*bars
}

func (f *figure) size() (w, h vg.Length) {
	return vg.Length(f.Width) * vg.Millimeter, vg.Length(f.Height) * vg.Millimeter
}

// draw draws the figure: title, legend, then the axes and the data in what is
// left.
func (f *figure) draw(c draw.Canvas) *page {
	pg := &page{plot: gonum.New()}
	c.FillPolygon(white, []vg.Point{c.Min, {X: c.Max.X, Y: c.Min.Y}, c.Max, {X: c.Min.X, Y: c.Max.Y}})
	c = draw.Crop(c, vg.Points(8), -vg.Points(10), vg.Points(6), -vg.Points(8))
	width := c.Max.X - c.Min.X
	if f.Title != "" {
		style := lettering(11, true)
		style.YAlign = text.YTop
		title := wrap(f.Title, style, width, 3)
		c.FillText(style, vg.Point{X: c.Min.X, Y: c.Max.Y}, title)
		c.Max.Y -= style.Rectangle(title).Size().Y + vg.Points(8)
	}
	entries := f.add(pg)
	legend, height := layLegend(entries, width)
	drawLegend(c, legend)
	if height > 0 {
		c.Max.Y -= height + vg.Points(6)
	}
	f.axes(pg.plot, c)
	pg.data = pg.plot.DataCanvas(c)
	pg.plot.Draw(c)
	return pg
}

// add adds everything to the plot and returns the legend's entries. A single
// series needs a legend only where it says what the axes do not.
func (f *figure) add(pg *page) []entry {
	p := pg.plot
	p.BackgroundColor = nil
	p.Add(gridLines{vertical: f.categories == nil})
	nbars, markLines := 0, true
	for _, s := range f.all {
		if s.Mark == Bars {
			nbars++
		}
		markLines = markLines && (s.Mark != Joined || len(s.points) <= maxMarked)
	}
	var entries []entry
	for _, s := range f.all {
		var thumb gonum.Thumbnailer
		if s.Mark == Bars {
			b := &bars{series: s, i: len(pg.bars), n: nbars}
			pg.bars, thumb = append(pg.bars, b), b
			p.Add(b)
		} else {
			m := newMarks(s, markLines)
			pg.marks, thumb = append(pg.marks, m), m
			p.Add(m)
		}
		if name := f.legendName(s); name != "" {
			entries = append(entries, entry{name, thumb})
		}
	}
	for _, l := range f.lines {
		p.Add(l)
		name := l.Name
		if k := pipeline.JoinKinds(pipeline.Kinds(l.At.Origins)); k != "" && k != "given" && k != f.lineKinds(l) {
			name += " (" + k + ")"
		}
		entries = append(entries, entry{name, l})
	}
	p.Add(labels{pg.marks, f.lines})
	return entries
}

// lineKinds returns the kinds that the axis of a line says.
func (f *figure) lineKinds(l *across) string {
	if l.Axis == "x" {
		return f.xKinds
	}
	return f.yKinds
}

// axes sets ranges, ticks and titles for a plot that fills the canvas.
func (f *figure) axes(p *gonum.Plot, c draw.Canvas) {
	for _, a := range []struct {
		axis   *gonum.Axis
		config Axis
		kinds  string
		whole  bool
		length vg.Length
	}{
		{&p.X, f.X, f.xKinds, f.whole(xOf), c.Max.X - c.Min.X},
		{&p.Y, f.Y, f.yKinds, f.whole(yOf), c.Max.Y - c.Min.Y},
	} {
		a.axis.Label.TextStyle.Font = lettering(10, false).Font
		a.axis.Tick.Label.Font = lettering(9, false).Font
		a.axis.Width, a.axis.Tick.Width = vg.Points(0.8), vg.Points(0.8)
		a.axis.Label.Text = wrap(a.config.title(a.kinds), a.axis.Label.TextStyle, a.length*9/10, 2)
		a.axis.Label.Padding, a.axis.Padding = vg.Points(4), 0
		a.axis.Tick.Marker = gonum.TickerFunc(linearTicks)
		if a.whole {
			a.axis.Tick.Marker = gonum.TickerFunc(wholeTicks)
		}
		setRange(a.axis, a.config)
		if a.config.Log {
			a.axis.Scale, a.axis.Tick.Marker = gonum.LogScale{}, gonum.TickerFunc(logTicks)
		}
	}
	if f.categories != nil {
		f.nameCategories(p, c)
	}
}

// setRange fits the axis to what was added to the plot, with a little air, and
// to the recipe's limits.
func setRange(a *gonum.Axis, c Axis) {
	if math.IsInf(a.Min, 0) || math.IsInf(a.Max, 0) { // nothing to draw
		a.Min, a.Max = 0, 1
		if c.Log {
			a.Min, a.Max = 1, 10
		}
	}
	if c.Log {
		if a.Min <= 0 { // bars
			a.Min = a.Max / 2
		}
		a.Min, a.Max = spread(a.Min, a.Max, true)
		air := float.Exp(0.03 * (float.Log(a.Max) - float.Log(a.Min)))
		a.Min, a.Max = a.Min/air, a.Max*air
	} else if tooClose(a.Min, a.Max) {
		a.Min, a.Max = spread(a.Min, a.Max, false)
	} else {
		air := float64(0.04 * (a.Max - a.Min))
		if a.Min != 0 {
			a.Min -= air
		}
		if a.Max != 0 {
			a.Max += air
		}
	}
	if c.Min != nil {
		a.Min = *c.Min
	}
	if c.Max != nil {
		a.Max = *c.Max
	}
	switch { // a limit beyond the data, or at its end
	case a.Min < a.Max && !tooClose(a.Min, a.Max):
	case c.Min != nil:
		a.Max = a.Min + math.Abs(a.Min) + 1
	case c.Log:
		a.Min = a.Max / 2
	default:
		a.Min = a.Max - math.Abs(a.Max) - 1
	}
}

// nameCategories writes the texts of x below the axis, slanted where they would
// meet.
func (f *figure) nameCategories(p *gonum.Plot, c draw.Canvas) {
	style := p.X.Tick.Label
	room := (c.Max.X - c.Min.X) * 85 / 100 / vg.Length(len(f.categories))
	longest := vg.Length(0)
	for _, name := range f.categories {
		longest = max(longest, style.Width(name))
	}
	ticks := make([]gonum.Tick, len(f.categories))
	for i, name := range f.categories {
		ticks[i] = gonum.Tick{Value: float64(i), Label: clip(name, style, vg.Points(110))}
	}
	p.X.Tick.Marker = gonum.ConstantTicks(ticks)
	p.X.Tick.Color, p.X.Tick.Length = white, vg.Points(3) // the bars show where their names belong
	p.X.Min, p.X.Max = -0.5, float64(len(f.categories))-0.5
	if longest > room*95/100 {
		p.X.Tick.Label.Rotation = math.Pi / 4
		if room < vg.Points(13) || longest > vg.Points(60) { // else the first would leave the page
			p.X.Tick.Label.Rotation = math.Pi / 2
		}
		p.X.Tick.Length = vg.Points(8)
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = text.XRight, text.YCenter
	}
}

// png draws the figure at 192 dots per inch.
func (f *figure) png() ([]byte, error) {
	w, h := f.size()
	canvas := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(192))
	f.draw(draw.New(canvas))
	var b bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(&b)
	return b.Bytes(), err
}

// svg draws the figure with texts that show on hover.
func (f *figure) svg() ([]byte, error) {
	w, h := f.size()
	canvas := vgsvg.NewWith(vgsvg.UseWH(w, h))
	pg := f.draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return f.annotate(b.Bytes(), pg, h), nil
}

// csv lists the points.
func (f *figure) csv() ([]byte, error) {
	rows := [][]string{{"series", "x", "y", "x low", "x high", "y low", "y high", "label", "x provenance", "y provenance"}}
	ends := func(r *[2]float64) (low, high string) {
		if r == nil {
			return "", ""
		}
		return sheet.Number(r[0]), sheet.Number(r[1])
	}
	for _, s := range f.all {
		for _, p := range s.points {
			x := sheet.Number(p.x.v)
			if p.category != "" {
				x = sheet.Text(p.category)
			}
			xlo, xhi := ends(p.xRange)
			ylo, yhi := ends(p.yRange)
			rows = append(rows, []string{sheet.Text(s.Name), x, sheet.Number(p.y.v), xlo, xhi, ylo, yhi, sheet.Text(p.label), p.x.kinds(), p.y.kinds()})
		}
	}
	return sheet.Format(rows), nil
}
