package plot

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"eyrie/pipeline"
)

// ulps returns the number n steps of the last place above v.
func ulps(v float64, n int) float64 {
	for range n {
		v = math.Nextafter(v, math.Inf(1))
	}
	return v
}

// Any numbers are drawn or refused, each as a point of its own and beside any other,
// on every axis and with every mark: with finite places, and ticks of which no two
// say the same.
func TestExtremeNumbers(t *testing.T) {
	numbers := []float64{
		0, 0.087, ulps(0.087, 1), ulps(0.087, 2), 0.087 * (1 + 1e-8), -0.087, 1, ulps(1, 1), 1e15, 1e15 + 1, -1e15, 1e16 + 2,
		1e-200, 1e-250, 1e-300, 5e-324, math.SmallestNonzeroFloat64 * 3, 1e200, 1e250, -1e250, 1e300, 1e308, math.MaxFloat64, -math.MaxFloat64,
	}
	for i, a := range numbers {
		for _, b := range numbers[i:] {
			for _, mark := range []Mark{Points, Joined, Bars, Front, Cloud} {
				for _, log := range []bool{false, true} {
					c := Config{Y: Axis{Log: log}, Width: 60, Height: 40, Series: []Series{{Mark: mark, Rows: rowsOf(1, a, 2, b), X: "x", Y: "y"}}}
					if mark != Bars {
						c.X.Log, c.Series[0].Rows = log, rowsOf(a, b, b, a)
					}
					f, err := newFigure(c)
					if err != nil {
						if fits := c.Y.fits(a) == nil && c.Y.fits(b) == nil; fits || !strings.Contains(err.Error(), "series[0]: row") {
							t.Errorf("%v, %v: %v", a, b, err)
						}
						continue
					}
					drawn(t, fmt.Sprintf("%v and %v, %s, log %v", a, b, mark, log), f)
				}
			}
		}
	}
}

// Limits of an axis, of any size and beside any data, are kept or refused.
func TestExtremeLimits(t *testing.T) {
	ends := []float64{0, 0.087, ulps(0.087, 1), 1, 3, ulps(3, 1), 1e17, -1e17, 1e300, 1e-300}
	for _, log := range []bool{false, true} {
		for _, data := range []float64{0.087, 2, 1e17} {
			for i := range len(ends) * len(ends) {
				lo, hi := &ends[i/len(ends)], &ends[i%len(ends)]
				for _, axis := range []Axis{{Log: log, Min: lo}, {Log: log, Max: hi}, {Log: log, Min: lo, Max: hi}} {
					c := Config{X: axis, Width: 60, Height: 40, Series: []Series{{Rows: rowsOf(data, 1), X: "x", Y: "y"}}}
					if err := Stage.CheckConfig(c); err != nil {
						continue
					}
					f, err := newFigure(c)
					if err != nil {
						t.Fatal(err)
					}
					what := fmt.Sprintf("%v, log %v", data, log)
					p := drawn(t, what, f)
					if axis.Min != nil && p.plot.X.Min != *axis.Min || axis.Max != nil && axis.Min == nil && p.plot.X.Max != *axis.Max {
						t.Errorf("%s: the axis goes from %v to %v", what, p.plot.X.Min, p.plot.X.Max)
					}
				}
			}
		}
	}
}

// drawn draws the figure and looks at its numbers.
func drawn(t *testing.T, what string, f *figure) *page {
	t.Helper()
	b, err := f.svg()
	if err != nil || bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
		t.Fatalf("%s: %v\n%s", what, err, b)
	}
	w, h := f.size()
	p := f.draw(draw.New(vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(20))))
	for name, ticks := range map[string][]string{
		"x": labelsOf(p.plot.X.Tick.Marker.Ticks(p.plot.X.Min, p.plot.X.Max)), "y": labelsOf(p.plot.Y.Tick.Marker.Ticks(p.plot.Y.Min, p.plot.Y.Max)),
	} {
		if n := len(ticks); n == 0 || n > maxTicks/2 || len(slices.Compact(slices.Clone(ticks))) != n {
			t.Fatalf("%s: the ticks of %s are %v", what, name, ticks)
		}
	}
	return p
}

func labelsOf(ticks []gonum.Tick) (labels []string) {
	for _, tick := range ticks {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	return labels
}

// Parts of a line are stroked as the whole is, dashes and all.
func TestStrokedInParts(t *testing.T) {
	line := make([]vg.Point, 3*maxStroke)
	for i := range line {
		line[i] = vg.Point{X: vg.Length(i) / 12, Y: 30 + vg.Length(20*math.Sin(float64(i)/70))}
	}
	image := func(stroke func(c draw.Canvas, style draw.LineStyle)) []byte {
		canvas := vgimg.NewWith(vgimg.UseWH(100, 60), vgimg.UseDPI(96))
		stroke(draw.New(canvas), draw.LineStyle{Color: ink, Width: vg.Points(1.5), Dashes: []vg.Length{4, 3}})
		var b bytes.Buffer
		for y := range canvas.Image().Bounds().Dy() {
			for x := range canvas.Image().Bounds().Dx() {
				_, _, _, a := canvas.Image().At(x, y).RGBA()
				r, _, _, _ := canvas.Image().At(x, y).RGBA()
				b.WriteByte(byte((a - r) >> 8))
			}
		}
		return b.Bytes()
	}
	whole := image(func(c draw.Canvas, style draw.LineStyle) { c.StrokeLines(style, line) })
	parts := image(func(c draw.Canvas, style draw.LineStyle) { strokeParts(c, style, line) })
	differ := 0
	for i := range whole {
		if d := int(whole[i]) - int(parts[i]); d < -40 || d > 40 {
			differ++
		}
	}
	if differ > 40 { // of some 900 that are inked: at the joints
		t.Errorf("%d pixels differ", differ)
	}
}

// The front is what brute force finds, with ties and duplicates, in every direction.
func TestFrontIsWhatNoneDominates(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := series{Series: Series{XBest: []string{"min", "max"}[random.IntN(2)], YBest: []string{"min", "max"}[random.IntN(2)]}}
		for range random.IntN(12) {
			s.points = append(s.points, point{x: value{v: float64(random.IntN(5))}, y: value{v: float64(random.IntN(5))}, label: fmt.Sprint(len(s.points))})
		}
		better := func(a, b float64, best string) float64 {
			if best == "max" {
				return a - b
			}
			return b - a
		}
		var want []string
		for _, p := range s.points {
			if !slices.ContainsFunc(s.points, func(q point) bool {
				dx, dy := better(q.x.v, p.x.v, s.XBest), better(q.y.v, p.y.v, s.YBest)
				return dx >= 0 && dy >= 0 && dx+dy > 0
			}) {
				want = append(want, p.label)
			}
		}
		best, others := front(s)
		var got []string
		for _, p := range best {
			got = append(got, p.label)
		}
		if !slices.Equal(got, want) || len(best)+len(others) != len(s.points) {
			t.Fatalf("%+v: front %v, want %v", s, got, want)
		}
	}
}

// BenchmarkFigure draws many points, with and without labels: twice as many take
// twice the time.
func BenchmarkFigure(b *testing.B) {
	for _, bench := range []struct {
		mark  Mark
		label string
		n     int
	}{{"line", "", 4000}, {"line", "", 8000}, {"points", "n", 4000}, {"points", "n", 8000}, {"front", "", 4000}, {"front", "", 8000}} {
		random := rand.New(rand.NewPCG(1, 2))
		var rows []pipeline.Row
		for i := range bench.n {
			rows = append(rows, pipeline.Row{"x": {Value: float64(i)}, "y": {Value: random.Float64()}, "n": {Value: fmt.Sprint(i)}})
		}
		b.Run(fmt.Sprintf("mark=%s/labels=%v/points=%d", bench.mark, bench.label != "", bench.n), func(b *testing.B) {
			for b.Loop() {
				f, err := newFigure(Config{Width: 120, Height: 80, Series: []Series{{Mark: bench.mark, Rows: rows, X: "x", Y: "y", Label: bench.label}}})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.png(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
