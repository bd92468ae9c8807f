package train

import (
	"bytes"
	"encoding/csv"
	"image/color"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"eyrie/nas/nn"
)

// point is a row of the curve.
type point struct {
	Step     int     `json:"step"`
	Epoch    float64 `json:"epoch"`
	Phase    string  `json:"phase"`
	Rate     float64 `json:"rate"`
	Loss     float64 `json:"loss"`     // of the step's first subnet, mean since the row before
	Train    float64 `json:"train"`    // its top-1 on the training images, mean since the row before
	Largest  float64 `json:"largest"`  // top-1 of the largest subnet on some test images
	Smallest float64 `json:"smallest"` // and of the smallest
	Network  float64 `json:"network"`  // and of the network, where one alone is trained
}

// curve is how loss and accuracies went.
type curve struct {
	Points  []point `json:"points"`
	Steps   int     `json:"steps"` // since the last point
	Images  int     `json:"images"`
	Loss    float64 `json:"loss"`    // summed over the steps
	Correct int     `json:"correct"` // summed over the images
}

// add counts a step and its images.
func (c *curve) add(r nn.Result, images int) {
	c.Steps++
	c.Images += images
	c.Loss += r.Loss
	c.Correct += r.Correct
}

// point returns the point for the steps since the last one.
func (c *curve) point(step int, epoch float64, phase string, rate float64) point {
	loss, train := c.recent()
	return point{Step: step, Epoch: epoch, Phase: phase, Rate: rate, Loss: loss, Train: train}
}

// push appends a point, and counts from zero.
func (c *curve) push(p point) { *c = curve{Points: append(c.Points, p)} }

// recent returns mean loss and top-1 of the steps since the last point, or of
// those before it right after it.
func (c *curve) recent() (loss, top1 float64) {
	if c.Steps > 0 {
		return c.Loss / float64(c.Steps), float64(c.Correct) / float64(c.Images)
	}
	if p := c.last(); p != nil {
		return p.Loss, p.Train
	}
	return 0, 0
}

// last returns the last point, or nil.
func (c *curve) last() *point {
	if len(c.Points) == 0 {
		return nil
	}
	return &c.Points[len(c.Points)-1]
}

// line is an accuracy over the steps.
type line struct {
	column, name string
	y            func(point) float64
}

// lines returns the accuracies that the curve of the training has.
func (t *Training) lines() []line {
	lines := []line{{"top1_train", "training images", func(p point) float64 { return p.Train }}}
	if t.Network != nil {
		return append(lines, line{"top1_test", "test images", func(p point) float64 { return p.Network }})
	}
	return append(lines,
		line{"top1_largest", "largest subnet, test", func(p point) float64 { return p.Largest }},
		line{"top1_smallest", "smallest subnet, test", func(p point) float64 { return p.Smallest }})
}

// WriteCurve writes loss and accuracies over the steps, as CSV and as SVG.
func (t *Training) WriteCurve(csvPath, svgPath string) error {
	if err := t.curve.writeCSV(csvPath, t.lines()); err != nil {
		return err
	}
	title := "Supernet training"
	if t.Network != nil {
		title = "Training of one network"
	}
	return t.curve.writeSVG(svgPath, title, t.lines())
}

func (c *curve) writeCSV(path string, lines []line) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	header := []string{"step", "epoch", "phase", "rate", "loss"}
	for _, l := range lines {
		header = append(header, l.column)
	}
	w.Write(header)
	f := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	for _, p := range c.Points {
		row := []string{strconv.Itoa(p.Step), f(p.Epoch), p.Phase, f(p.Rate), f(p.Loss)}
		for _, l := range lines {
			row = append(row, f(l.y(p)))
		}
		w.Write(row)
	}
	w.Flush()
	return os.WriteFile(path, b.Bytes(), 0o666)
}

// writeSVG draws the accuracies over the epochs.
func (c *curve) writeSVG(path, title string, lines []line) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text, p.Y.Label.Text = "epoch", "top-1"
	p.Legend.Top = false
	for i, line := range lines {
		xy := make(plotter.XYs, len(c.Points))
		measured := false
		for j, pt := range c.Points {
			xy[j] = plotter.XY{X: pt.Epoch, Y: line.y(pt)}
			measured = measured || xy[j].Y > 0
		}
		if !measured { // curve_images = 0
			continue
		}
		l, err := plotter.NewLine(xy)
		if err != nil {
			return err
		}
		l.Color = colours[i]
		p.Add(l)
		p.Legend.Add(line.name, l)
	}
	return p.Save(14*vg.Centimeter, 9*vg.Centimeter, path)
}

// colours of the lines, which readers can tell apart who do not see red and green
// (Okabe and Ito).
var colours = []color.Color{
	color.RGBA{0x99, 0x99, 0x99, 0xff},
	color.RGBA{0x00, 0x72, 0xb2, 0xff},
	color.RGBA{0xd5, 0x5e, 0x00, 0xff},
}
