package plot

import (
	"math"
	"slices"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// labels writes texts beside points where there is room: never over a marker, a
// line, another label, or the edge. A label without room is left out; the SVG
// shows it on hover.
type labels struct {
	all   []*marks
	lines []*across
}

// obstacles are what labels must not cover, by the cells of a grid in which they lie:
// a label looks at those near it.
type obstacles struct {
	cells map[[2]int]*cell
}

// cell is what lies, with a part of it, in a square of the figure.
type cell struct {
	boxes    []vg.Rectangle
	segments [][2]vg.Point
}

// cellSize is a little more than a label's height.
const cellSize = vg.Length(16)

// over calls f for each cell that a box lies in, until that returns false.
func (o *obstacles) over(box vg.Rectangle, f func(at [2]int) bool) {
	index := func(v vg.Length) int { return int(math.Floor(float64(v / cellSize))) }
	for x := index(box.Min.X); x <= index(box.Max.X); x++ {
		for y := index(box.Min.Y); y <= index(box.Max.Y); y++ {
			if !f([2]int{x, y}) {
				return
			}
		}
	}
}

func (o *obstacles) cell(at [2]int) *cell {
	c := o.cells[at]
	if c == nil {
		if o.cells == nil {
			o.cells = map[[2]int]*cell{}
		}
		c = new(cell)
		o.cells[at] = c
	}
	return c
}

func (o *obstacles) addBox(box vg.Rectangle) {
	o.over(box, func(at [2]int) bool {
		c := o.cell(at)
		c.boxes = append(c.boxes, box)
		return true
	})
}

// addLine adds the segments of a line, as far as they lie on the canvas.
func (o *obstacles) addLine(c draw.Canvas, line []vg.Point) {
	for i := 1; i < len(line); i++ {
		for _, l := range c.ClipLinesXY(line[i-1 : i+1]) {
			a, b := l[0], l[1]
			box := vg.Rectangle{
				Min: vg.Point{X: min(a.X, b.X), Y: min(a.Y, b.Y)},
				Max: vg.Point{X: max(a.X, b.X), Y: max(a.Y, b.Y)},
			}
			o.over(box, func(at [2]int) bool {
				x, y := vg.Length(at[0]), vg.Length(at[1])
				if crosses(a, b, vg.Rectangle{
					Min: vg.Point{X: x * cellSize, Y: y * cellSize}, Max: vg.Point{X: (x + 1) * cellSize, Y: (y + 1) * cellSize},
				}) {
					in := o.cell(at)
					in.segments = append(in.segments, [2]vg.Point{a, b})
				}
				return true
			})
		}
	}
}

// obstacles returns what is drawn of the series and the lines across.
func (l labels) obstacles(c draw.Canvas, p *gonum.Plot) *obstacles {
	at := placer(&c, p)
	o := new(obstacles)
	for _, m := range l.all {
		switch m.Mark {
		case Cloud:
			continue // labels may cover its dots
		case Joined:
			o.addLine(c, polyline(m.points, at))
		case Front:
			o.addLine(c, m.steps(at))
		}
		for _, pt := range m.points {
			if !m.marked {
				break
			}
			o.addBox(around(at(pt.x.v, pt.y.v), m.glyph().Radius))
			if r := pt.xRange; r != nil {
				o.addLine(c, []vg.Point{at(r[0], pt.y.v), at(r[1], pt.y.v)})
			}
			if r := pt.yRange; r != nil {
				o.addLine(c, []vg.Point{at(pt.x.v, r[0]), at(pt.x.v, r[1])})
			}
		}
	}
	for _, a := range l.lines {
		o.addLine(c, a.ends(c, p))
	}
	return o
}

// clear reports whether nothing lies in the box.
func (o *obstacles) clear(box vg.Rectangle) bool {
	free := true
	o.over(box, func(at [2]int) bool {
		if c := o.cells[at]; c != nil {
			free = !slices.ContainsFunc(c.boxes, func(b vg.Rectangle) bool { return overlap(box, b) }) &&
				!slices.ContainsFunc(c.segments, func(s [2]vg.Point) bool { return crosses(s[0], s[1], box) })
		}
		return free
	})
	return free
}

// crosses reports whether the segment from a to b meets the box (Liang and
// Barsky, 1984: the part of the segment within each side is cut down in turn).
func crosses(a, b vg.Point, box vg.Rectangle) bool {
	d := b.Sub(a)
	from, to := 0.0, 1.0
	for _, side := range [][2]vg.Length{
		{-d.X, a.X - box.Min.X}, {d.X, box.Max.X - a.X}, {-d.Y, a.Y - box.Min.Y}, {d.Y, box.Max.Y - a.Y},
	} {
		p, q := float64(side[0]), float64(side[1])
		switch {
		case p == 0 && q < 0:
			return false
		case p < 0:
			from = max(from, q/p)
		case p > 0:
			to = min(to, q/p)
		}
	}
	return from <= to
}

// Plot places the labels one by one.
func (l labels) Plot(c draw.Canvas, p *gonum.Plot) {
	at := placer(&c, p)
	taken := l.obstacles(c, p)
	style := lettering(8, false)
	for _, m := range l.all {
		points := m.points
		if m.Mark == Front {
			points = m.best
		}
		for _, pt := range points {
			if pt.label == "" {
				continue
			}
			if place, box, ok := room(c, style, pt.label, at(pt.x.v, pt.y.v), taken); ok {
				c.FillText(style, place, pt.label)
				taken.addBox(box)
			}
		}
	}
}

func around(p vg.Point, r vg.Length) vg.Rectangle {
	return vg.Rectangle{Min: vg.Point{X: p.X - r, Y: p.Y - r}, Max: vg.Point{X: p.X + r, Y: p.Y + r}}
}

// room finds a free place for a label at a point: right, left, above, below,
// then at the corners.
func room(c draw.Canvas, style text.Style, label string, at vg.Point, taken *obstacles) (place vg.Point, box vg.Rectangle, ok bool) {
	size := style.Rectangle(label).Size()
	half := vg.Point{X: vg.Length(size.X / 2), Y: vg.Length(size.Y / 2)}
	gap := vg.Points(5)
	for _, d := range [][2]vg.Length{{1, 0}, {-1, 0}, {0, 1}, {0, -1}, {1, 1}, {-1, 1}, {1, -1}, {-1, -1}} {
		middle := vg.Point{X: at.X + vg.Length(d[0]*(gap+half.X)), Y: at.Y + vg.Length(d[1]*(gap+half.Y))}
		box := vg.Rectangle{
			Min: vg.Point{X: middle.X - half.X, Y: middle.Y - half.Y},
			Max: vg.Point{X: middle.X + half.X, Y: middle.Y + half.Y},
		}
		if !c.Contains(box.Min) || !c.Contains(box.Max) {
			continue
		}
		if taken.clear(box) {
			descent := style.FontExtents().Descent
			return vg.Point{X: box.Min.X, Y: box.Min.Y + vg.Length(descent/2)}, box, true
		}
	}
	return vg.Point{}, vg.Rectangle{}, false
}

func overlap(a, b vg.Rectangle) bool {
	return a.Min.X < b.Max.X && b.Min.X < a.Max.X && a.Min.Y < b.Max.Y && b.Min.Y < a.Max.Y
}
