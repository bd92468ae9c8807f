package plot

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

func rowsOf(xy ...float64) []pipeline.Row {
	var rows []pipeline.Row
	for i := 0; i < len(xy); i += 2 {
		rows = append(rows, pipeline.Row{"x": {Value: xy[i]}, "y": {Value: xy[i+1]}})
	}
	return rows
}

// A front holds exactly the points that no other dominates, in every direction.
func TestFront(t *testing.T) {
	rows := rowsOf(1, 1, 2, 3, 3, 2, 4, 4, 2, 3)
	for _, test := range []struct {
		xBest, yBest string
		want         []float64 // x of the best
	}{
		{"", "", []float64{1, 2, 2, 4}},
		{"max", "max", []float64{4}},
		{"max", "min", []float64{1, 3, 4}},
		{"min", "min", []float64{1}},
	} {
		points, err := resolve(Series{Mark: "front", Rows: rows, X: "x", Y: "y"}, Axis{}, Axis{})
		if err != nil {
			t.Fatal(err)
		}
		best, others := front(series{Series: Series{XBest: test.xBest, YBest: test.yBest}, points: points})
		var got []float64
		for _, p := range best {
			got = append(got, p.x.v)
		}
		if !slices.Equal(got, test.want) || len(best)+len(others) != len(rows) {
			t.Errorf("x %q, y %q: best at %v, want %v", test.xBest, test.yBest, got, test.want)
		}
	}
}

// Points of two kinds never look alike: they become two series, each with its
// kind in the legend; where all agree, the axis says it once.
func TestKindsDiffer(t *testing.T) {
	rows := []pipeline.Row{
		{"x": num(1, pipeline.Modelled), "y": num(1, pipeline.Measured)},
		{"x": num(2, pipeline.Modelled), "y": num(2, pipeline.Published)},
	}
	f, err := newFigure(Config{Series: []Series{{Name: "net", Rows: rows, X: "x", Y: "y"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.all) != 2 || f.legendName(f.all[0]) != "net (measured)" || f.legendName(f.all[1]) != "net (published)" {
		t.Errorf("%d series, the first %q", len(f.all), f.legendName(f.all[0]))
	}
	if got := f.X.title(f.xKinds); got != "modelled" {
		t.Errorf("x axis: %q", got)
	}
	if f.all[0].index == f.all[1].index {
		t.Error("both look alike")
	}
}

// Missing values leave out their point, and mistakes are told with the series
// and the row.
func TestResolve(t *testing.T) {
	f, err := newFigure(Config{Series: []Series{{Rows: append(rowsOf(1, 2), pipeline.Row{"x": {}, "y": {Value: 1.0}}), X: "x", Y: "y"}}})
	if err != nil || f.points() != 1 {
		t.Errorf("%v, %d points, want 1", err, f.points())
	}
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{Series: []Series{{Rows: rowsOf(1, 2), X: "x", Y: "z"}}}, `series[0]: no row has "z"; row 0 has x, y`},
		{Config{Series: []Series{{Rows: []pipeline.Row{{"x": {Value: 1.0}, "y": {Value: "fast"}}}, X: "x", Y: "y"}}}, `series[0]: row 0: "y" is "fast", not a number`},
		{Config{Y: Axis{Log: true}, Series: []Series{{Rows: rowsOf(1, 2, 3, 0), X: "x", Y: "y"}}}, `series[0]: row 1: "y" is 0, and a logarithmic axis has only positive numbers`},
		{Config{Series: []Series{{Rows: rowsOf(1, 2), X: "x", Y: "y", YInterval: "x"}}}, `series[0]: row 0: "x" is the number 1, not a list [low, high]`},
		{Config{Series: []Series{
			{Rows: rowsOf(1, 2), X: "x", Y: "y"},
			{Rows: []pipeline.Row{{"name": {Value: "a"}, "y": {Value: 1.0}}}, X: "name", Y: "y"},
		}}, `series: "name" has texts for x and "x" has numbers`},
	} {
		if _, err := newFigure(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// A CSV file is drawn like rows.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "curve.csv")
	if err := os.WriteFile(path, []byte("step,loss,top1\n1,2.5,\n2,1.5,0.5\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	file := artifacts.Local(path)
	f, err := newFigure(Config{Series: []Series{{File: &file, X: "step", Y: "loss", Mark: "line"}, {File: &file, X: "step", Y: "top1"}}})
	if err != nil || len(f.all[0].points) != 2 || len(f.all[1].points) != 1 {
		t.Errorf("%v, %+v", err, f)
	}
}

// A file as a spreadsheet writes it is drawn, too; one that could be misread is a mistake
// with its line.
func TestFileOfSpreadsheet(t *testing.T) {
	tests := []struct{ text, want string }{
		{"\ufeffstep, loss\r\n1, 2.5\r\n2,1.5\r\n", ""},
		{"step,loss,step\n1,2,3\n", `file: curve.csv:1: column "step" is there twice`},
		{"step;loss\n1;2,5\n", "file: curve.csv:1: the cells have semicolons between them"},
		{"step,loss\n1,2\n2\n", "file: curve.csv:3: 1 cell where line 1 names 2 columns"},
		{"step,loss\n\n1,2\n2,NaN\n", `curve.csv:4: "loss" is "NaN", not a number`},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "curve.csv")
		if err := os.WriteFile(path, []byte(test.text), 0o666); err != nil {
			t.Fatal(err)
		}
		file := artifacts.Local(path)
		f, err := newFigure(Config{Series: []Series{{File: &file, X: "step", Y: "loss"}}})
		switch {
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%q: %v, want %s", test.text, err, test.want)
		case test.want == "" && (err != nil || len(f.all[0].points) != 2):
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

// A file's numbers are of the kind and step of the value that they are said to
// be like; of which of its outputs, nobody knows.
func TestLike(t *testing.T) {
	path := filepath.Join(t.TempDir(), "curve.csv")
	if err := os.WriteFile(path, []byte("step,top1\n1,0.5\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	file := artifacts.Local(path)
	f, err := newFigure(Config{Series: []Series{{File: &file, X: "step", Y: "top1", Like: num(0.9, pipeline.Measured)}}})
	if err != nil || f.yKinds != "measured" || f.all[0].points[0].step() != "step" {
		t.Errorf("%v, %q, %+v", err, f.yKinds, f.all[0].points)
	}
}

// A cloud is a background: its dots say nothing on hover, and many of them
// leave the other series their texts.
func TestCloud(t *testing.T) {
	xy := make([]float64, 2*maxHover+2)
	for i := range xy {
		xy[i] = float64(i % 97)
	}
	f, err := newFigure(Config{Width: 100, Height: 60, Series: []Series{
		{Name: "all", Mark: "cloud", Rows: rowsOf(xy...), X: "x", Y: "y"},
		{Name: "best", Rows: rowsOf(50, 90), X: "x", Y: "y"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.svg()
	if err != nil || strings.Count(string(b), "<title>") != 1 || !strings.Contains(string(b), "<title>best&#xA;x: 50&#xA;y: 90</title>") {
		t.Errorf("%v, %d texts", err, strings.Count(string(b), "<title>"))
	}
}

// Every colour stands out from white paper by 3:1 (WCAG 2, 1.4.11).
func TestPalette(t *testing.T) {
	linear := func(c uint8) float64 {
		if v := float64(c) / 255; v > 0.04045 {
			return math.Pow((v+0.055)/1.055, 2.4)
		} else {
			return v / 12.92
		}
	}
	for _, c := range palette {
		luminance := 0.2126*linear(c.R) + 0.7152*linear(c.G) + 0.0722*linear(c.B)
		if contrast := 1.05 / (luminance + 0.05); contrast < 3 {
			t.Errorf("%v has a contrast of %.2f", c, contrast)
		}
	}
}

// What cannot be drawn is refused before anything runs.
func TestValidate(t *testing.T) {
	one, two := 1.0, 2.0
	ok := Series{X: "x", Y: "y"}
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{}, "series: a figure needs something to draw"},
		{Config{Series: []Series{{X: "x"}}}, "series[0].y: must name"},
		{Config{Series: []Series{{X: "x", Y: "y", XBest: "min"}}}, "series[0]: x_best and y_best belong to"},
		{Config{Series: []Series{{X: "x", Y: "y", Mark: "bars", XInterval: "i"}}}, "series[0]: bars stand on categories"},
		{Config{Series: []Series{{X: "x", Y: "y", Mark: "cloud", Label: "n"}}}, "series[0]: a cloud's dots have neither"},
		{Config{Series: []Series{{X: "x", Y: "y", Like: num(1, pipeline.Measured)}}}, "series[0].like: belongs to file"},
		{Config{Series: []Series{ok}, X: Axis{Min: &two, Max: &one}}, "x.min: 2 is not below max, 1"},
		{Config{Series: []Series{ok}, X: Axis{Min: &two, Max: &one}, Y: Axis{Min: &two, Max: &one}}, "x.min: 2 is not below max, 1"},
		{Config{Series: []Series{ok}, Y: Axis{Min: &two, Max: &one}}, "y.min: 2 is not below max, 1"},
		{Config{Series: []Series{ok}, Lines: []Line{{At: pipeline.Traced{Value: "x"}}}}, `lines[0].at: must be a number, not "x"`},
		{figure1(), ""}, {figure2(), ""}, {curves(), ""},
	} {
		err := Stage.CheckConfig(test.config)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}

// Figures with nothing, one point, one value, or limits beyond the data are
// drawn, too.
func TestOddFigures(t *testing.T) {
	ten := 10.0
	for name, config := range map[string]Config{
		"nothing":   {Series: []Series{{X: "x", Y: "y"}}},
		"log":       {X: Axis{Log: true}, Y: Axis{Log: true}, Series: []Series{{X: "x", Y: "y"}}},
		"one point": {Series: []Series{{Rows: rowsOf(3, 4), X: "x", Y: "y", Mark: "front"}}},
		"log point": {X: Axis{Log: true}, Y: Axis{Log: true}, Series: []Series{{Rows: rowsOf(3, 4), X: "x", Y: "y"}}},
		"flat":      {Series: []Series{{Rows: rowsOf(1, 0, 2, 0), X: "x", Y: "y", Mark: "line"}}},
		"log bars":  {Y: Axis{Log: true}, Series: []Series{{Rows: rowsOf(1, 5, 2, 500), X: "x", Y: "y", Mark: "bars"}}},
		"negative":  {Series: []Series{{Rows: rowsOf(1, -5, 2, 5), X: "x", Y: "y", Mark: "bars"}}},
		"beyond":    {X: Axis{Min: &ten}, Y: Axis{Max: new(float64)}, Series: []Series{{Rows: rowsOf(1, 2, 3, 4), X: "x", Y: "y"}}},
		"texts":     {X: Axis{Title: strings.Repeat("long", 99)}, Series: []Series{{Mark: "bars", Rows: []pipeline.Row{{"x": {Value: ""}, "y": {Value: 1.0}}}, X: "x", Y: "y"}}},
		"huge":      {Series: []Series{{Rows: rowsOf(1e-300, 1e300, 1e300, -1e300), X: "x", Y: "y"}}},
	} {
		config.Width, config.Height = 60, 40
		f, err := newFigure(config)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b, err := f.svg(); err != nil || bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}

// The SVG tells each point's values and origins, in words safe for XML.
func TestHover(t *testing.T) {
	rows := []pipeline.Row{{"x": num(0.0301234, pipeline.Modelled), "y": {Value: 2.0}, "n": {Value: "a<b"}}}
	f, err := newFigure(Config{
		X: Axis{Title: "latency", Unit: "ms", Scale: 1000}, Width: 100, Height: 60,
		Series: []Series{{Name: "net & co", Rows: rows, X: "x", Y: "y", Label: "n"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.svg()
	if err != nil {
		t.Fatal(err)
	}
	want := "<title>net &amp; co&#xA;a&lt;b&#xA;latency: 30.12 ms&#xA;  modelled: step.value&#xA;y: 2</title>"
	if !strings.Contains(string(b), want) {
		t.Errorf("no %s in\n%s", want, b)
	}
}

// Labels keep clear of what is drawn.
func TestCrosses(t *testing.T) {
	box := vg.Rectangle{Min: vg.Point{X: 1, Y: 1}, Max: vg.Point{X: 3, Y: 2}}
	for _, test := range []struct {
		a, b vg.Point
		want bool
	}{
		{vg.Point{X: 0, Y: 0}, vg.Point{X: 4, Y: 3}, true},
		{vg.Point{X: 2, Y: 1.5}, vg.Point{X: 2.1, Y: 1.5}, true},
		{vg.Point{X: 0, Y: 1.5}, vg.Point{X: 0.9, Y: 1.5}, false},
		{vg.Point{X: 0, Y: 3}, vg.Point{X: 4, Y: 3}, false},
		{vg.Point{X: 0, Y: 1.5}, vg.Point{X: 1.5, Y: 3}, false},
		{vg.Point{X: 2, Y: 0}, vg.Point{X: 2, Y: 9}, true},
	} {
		if got := crosses(test.a, test.b, box); got != test.want {
			t.Errorf("%v to %v: %v", test.a, test.b, got)
		}
	}
}

// A text takes no more room than it is given; what is cut says so.
func TestWrap(t *testing.T) {
	style := lettering(10, false)
	for _, test := range []struct {
		text string
		want string
	}{
		{"one two", "one two"},
		{"one two three four", "one two\nthree four"},
		{"one two three four five six", "one two\nthree fo…"},
		{"internationalisation", "internat…"},
		{"", ""},
	} {
		if got := wrap(test.text, style, vg.Points(45), 2); got != test.want {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

// Ticks are round numbers, some four to seven of them.
func TestTicks(t *testing.T) {
	for _, r := range [][2]float64{{0, 1}, {-1, 1200}, {83, 89.1}, {0.001, 0.0017}, {-3e6, 9e6}} {
		var labels []string
		for _, tick := range linearTicks(r[0], r[1]) {
			labels = append(labels, tick.Label)
		}
		if n := len(labels); n < 3 || n > 7 || slices.Contains(labels, "-0") {
			t.Errorf("%v: %v", r, labels)
		}
	}
	if ticks := wholeTicks(0.9, 4.1); len(ticks) != 4 || ticks[0].Label != "1" {
		t.Errorf("epochs: %v", ticks)
	}
	var labels []string
	for _, tick := range logTicks(0.15, 3.5) {
		if tick.Label != "" {
			labels = append(labels, tick.Label)
		}
	}
	if want := []string{"0.2", "0.5", "1", "2"}; !slices.Equal(labels, want) {
		t.Errorf("%v, want %v", labels, want)
	}
}
