package plot

import (
	"image/color"

	weight "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	gonum "gonum.org/v1/plot"
)

// palette is that of Okabe and Ito (Color Universal Design, 2008), without its
// yellow, which is too light on white; neighbours also differ in lightness.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xe6, 0x9f, 0x00, 0xff}, // orange
	{0x00, 0x9e, 0x73, 0xff}, // bluish green
	{0xd5, 0x5e, 0x00, 0xff}, // vermillion
	{0xcc, 0x79, 0xa7, 0xff}, // reddish purple
	{0x56, 0xb4, 0xe9, 0xff}, // sky blue
	{0x00, 0x00, 0x00, 0xff}, // black
}

// shapes are as many as do not divide the palette, so that combinations of
// shape and colour come round late.
var shapes = []draw.GlyphDrawer{
	draw.CircleGlyph{}, draw.PyramidGlyph{}, draw.BoxGlyph{}, draw.CrossGlyph{},
	draw.RingGlyph{}, draw.TriangleGlyph{}, draw.SquareGlyph{}, draw.PlusGlyph{},
}

var dashes = [][]vg.Length{
	nil,
	{vg.Points(6), vg.Points(3)},
	{vg.Points(2), vg.Points(2)},
	{vg.Points(8), vg.Points(2), vg.Points(2), vg.Points(2)},
}

var (
	white = color.NRGBA{0xff, 0xff, 0xff, 0xff}
	ink   = color.NRGBA{0, 0, 0, 0xff}
	rule  = color.NRGBA{0xdd, 0xdd, 0xdd, 0xff} // of the grid
)

func (s series) color() color.NRGBA { return palette[s.index%len(palette)] }

func (s series) glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.color(), Radius: vg.Points(3), Shape: shapes[s.index%len(shapes)]}
}

func (s series) line() draw.LineStyle {
	return draw.LineStyle{Color: s.color(), Width: vg.Points(1.5), Dashes: dashes[s.index%len(dashes)]}
}

// faded is the colour of bands and of dominated points.
func (s series) faded() color.NRGBA {
	c := s.color()
	c.A = 0x50
	return c
}

// lettering returns the style of text of this size.
func lettering(points float64, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(points)}
	if bold {
		f.Weight = weight.WeightBold
	}
	return text.Style{Color: ink, Font: f, Handler: gonum.DefaultTextHandler}
}
