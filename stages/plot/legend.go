package plot

import (
	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// entry is a name in the legend with the mark that it explains.
type entry struct {
	name string
	mark gonum.Thumbnailer
}

const (
	lineThumb  = 22 // points, of lines and fronts
	markThumb  = 10 // points, of points and bars
	thumbGap   = 5  // points, between the mark and its name
	legendGap  = 16 // points, between entries
	lineHeight = 14 // points
)

// width returns the room for the entry's mark.
func (e entry) width() vg.Length {
	switch m := e.mark.(type) {
	case *bars:
		return vg.Points(markThumb)
	case *marks:
		if m.Mark != Joined && m.Mark != Front {
			return vg.Points(markThumb)
		}
	}
	return vg.Points(lineThumb)
}

// placed is an entry with its place, from the legend's upper left corner.
type placed struct {
	entry
	x, y vg.Length
}

// layLegend sets the entries in lines of at most this width, and returns the
// height that they take. The legend stands above the data, which it can
// never cover.
func layLegend(entries []entry, width vg.Length) (all []placed, height vg.Length) {
	style := lettering(9, false)
	var x, y vg.Length
	for _, e := range entries {
		thumb := e.width() + vg.Points(thumbGap)
		e.name = clip(e.name, style, width-thumb)
		w := thumb + style.Width(e.name)
		if x > 0 && x+w > width {
			x, y = 0, y+vg.Points(lineHeight)
		}
		all = append(all, placed{e, x, y})
		x += w + vg.Points(legendGap)
	}
	if len(all) > 0 {
		height = y + vg.Points(lineHeight)
	}
	return all, height
}

// drawLegend draws the entries at the top of the canvas.
func drawLegend(c draw.Canvas, all []placed) {
	style := lettering(9, false)
	style.YAlign = draw.YCenter
	for _, p := range all {
		left, top := c.Min.X+p.x, c.Max.Y-p.y
		thumb := draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: left, Y: top - vg.Points(lineHeight-3)},
			Max: vg.Point{X: left + p.width(), Y: top - vg.Points(3)},
		}}
		p.mark.Thumbnail(&thumb)
		c.FillText(style, vg.Point{X: thumb.Max.X + vg.Points(thumbGap), Y: thumb.Center().Y}, p.name)
	}
}
