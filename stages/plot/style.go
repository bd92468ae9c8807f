package plot

import (
	"image/color"

	weight "golang.org/x/image/font"
	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// palette begins with the colours of Okabe and Ito (Color Universal Design, 2008)
// that stand out at 3:1 or more (WCAG 1.4.11) from a white page as from a dark
// one, where black becomes the text's colour; the others are chosen likewise.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xb2, 0xff}, // blue
	{0xd5, 0x5e, 0x00, 0xff}, // vermillion
	{0x00, 0x9e, 0x73, 0xff}, // bluish green
	{0x00, 0x00, 0x00, 0xff}, // black
	{0xb8, 0x52, 0x94, 0xff}, // reddish purple
	{0x99, 0x77, 0x00, 0xff}, // ochre
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
	return draw.GlyphStyle{Color: s.color(), Radius: vg.Points(3.2), Shape: shapes[s.index%len(shapes)]}
}

// dots are the markers of a cloud.
func (s series) dots() draw.GlyphStyle {
	c := s.color()
	c.A = 0x80
	return draw.GlyphStyle{Color: c, Radius: vg.Points(1.3), Shape: dot{}}
}

func (s series) line() draw.LineStyle {
	return draw.LineStyle{Color: s.color(), Width: vg.Points(1.5), Dashes: dashes[s.index%len(dashes)]}
}

// faded is the colour of bands and of what stays in the background.
func (s series) faded() color.NRGBA {
	c := s.color()
	c.A = 0x60
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
