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

// WriteCurve writes loss and accuracies over the steps, as CSV and as SVG.
func (t *Training) WriteCurve(csvPath, svgPath string) error {
	if err := t.curve.writeCSV(csvPath); err != nil {
		return err
	}
	return t.curve.writeSVG(svgPath)
}

func (c *curve) writeCSV(path string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Write([]string{"step", "epoch", "phase", "rate", "loss", "top1_train", "top1_largest", "top1_smallest"})
	f := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
	for _, p := range c.Points {
		w.Write([]string{strconv.Itoa(p.Step), f(p.Epoch), p.Phase, f(p.Rate), f(p.Loss), f(p.Train), f(p.Largest), f(p.Smallest)})
	}
	w.Flush()
	return os.WriteFile(path, b.Bytes(), 0o666)
}

// writeSVG draws the accuracies over the epochs.
func (c *curve) writeSVG(path string) error {
	p := plot.New()
	p.Title.Text = "Supernet training"
	p.X.Label.Text, p.Y.Label.Text = "epoch", "top-1"
	p.Legend.Top = false
	for i, line := range []struct {
		name string
		y    func(point) float64
	}{
		{"training images", func(p point) float64 { return p.Train }},
		{"largest subnet, test", func(p point) float64 { return p.Largest }},
		{"smallest subnet, test", func(p point) float64 { return p.Smallest }},
	} {
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
