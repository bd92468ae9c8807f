package plot

import (
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"eyrie/pipeline/float"
)

// shape is a filled marker with a rim in the page's colour, so that markers that
// cover each other can still be told apart: the corners of a polygon for a radius of
// 1, or none for a circle.
type shape []vg.Point

// shapes are as many as do not divide the palette, so that combinations of shape
// and colour come round late. All have about the same area.
var shapes = []draw.GlyphDrawer{
	shape{},
	polygon(3, 1.4, math.Pi/2),  // a triangle
	polygon(4, 1.2, math.Pi/4),  // a square
	polygon(4, 1.3, 0),          // a diamond
	polygon(3, 1.4, -math.Pi/2), // a triangle on its tip
	star(4, 1.5, 0.5, math.Pi/4),
	star(5, 1.6, 0.7, math.Pi/2),
}

// polygon is regular, its first corner at this angle.
func polygon(n int, radius, angle float64) shape { return star(n, radius, 0, angle) }

// star has n tips and as many corners between them, none where inner is 0.
func star(n int, outer, inner, angle float64) (s shape) {
	for i := range n {
		at := func(r, turn float64) vg.Point {
			a := angle + float64(2*math.Pi*(float64(i)+turn)/float64(n))
			return vg.Point{X: vg.Length(r * float.Cos(a)), Y: vg.Length(r * float.Sin(a))}
		}
		s = append(s, at(outer, 0))
		if inner > 0 {
			s = append(s, at(inner, 0.5))
		}
	}
	return s
}

// DrawGlyph draws the rim, then the marker on it.
func (s shape) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	var p vg.Path
	if len(s) == 0 {
		p = circle(at, style.Radius)
	}
	for i, corner := range s {
		corner = at.Add(corner.Scale(style.Radius))
		if i == 0 {
			p.Move(corner)
		} else {
			p.Line(corner)
		}
	}
	p.Close()
	c.SetLineStyle(draw.LineStyle{Color: white, Width: vg.Points(1.4)})
	c.Stroke(p)
	c.SetColor(style.Color)
	c.Fill(p)
}

// dot is a small marker without a rim, for clouds of them.
type dot struct{}

// DrawGlyph fills a circle.
func (dot) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	c.SetColor(style.Color)
	p := circle(at, style.Radius)
	p.Close()
	c.Fill(p)
}

func circle(at vg.Point, radius vg.Length) (p vg.Path) {
	p.Move(vg.Point{X: at.X + radius, Y: at.Y})
	p.Arc(at, radius, 0, 2*math.Pi)
	return p
}
