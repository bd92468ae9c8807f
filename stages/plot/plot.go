// Package plot is the stage that draws figures: points with intervals, lines,
// bars, clouds and Pareto fronts, as SVG and PNG. Series differ in the shape of
// their markers and dashes as well as in colours, which colour-blind readers can
// tell apart. Equal input gives equal bytes.
package plot

import (
	"context"
	"os"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the plot stage.
var Stage = pipeline.Define("plot", 9,
	`Draws a figure as SVG and PNG.

Each series takes rows (objects, as table does), or a CSV file, and the keys of
its x and y: its points are drawn as markers, a line, bars, a front (the points
that no other dominates, joined by steps), or a cloud (small dots, for a
background of many). Whether numbers were measured,
modelled, predicted or published is said on the axis where all series agree, and
in the legend where they differ. In the SVG each point shows its values and
where they came from.`,
	Config{Width: 120, Height: 90}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Title  string   `json:"title,omitempty" doc:"what the figure shows, in a line"`
	X      Axis     `json:"x,omitzero" doc:"the horizontal axis"`
	Y      Axis     `json:"y,omitzero" doc:"the vertical axis"`
	Series []Series `json:"series" doc:"what is drawn, in the order of the legend"`
	Lines  []Line   `json:"lines,omitempty" doc:"lines across the figure, such as a limit"`
	Width  float64  `json:"width" min:"40" max:"1000" doc:"width in millimetres"`
	Height float64  `json:"height" min:"30" max:"1000" doc:"height in millimetres"`
}

// Axis is an axis of the figure.
type Axis struct {
	Title string   `json:"title,omitempty" doc:"what the axis shows"`
	Unit  string   `json:"unit,omitempty" doc:"unit of the numbers as shown: \"ms\""`
	Scale float64  `json:"scale,omitempty" doc:"numbers are multiplied by this: 1000 shows seconds as milliseconds"`
	Log   bool     `json:"log,omitempty" doc:"a logarithmic axis"`
	Min   *float64 `json:"min" doc:"the axis begins here, in the unit shown; at the data by default"`
	Max   *float64 `json:"max" doc:"the axis ends here, in the unit shown"`
}

// Series is a set of points that are drawn alike.
type Series struct {
	Name      string          `json:"name,omitempty" doc:"name in the legend"`
	Mark      Mark            `json:"mark,omitempty" doc:"how the points are drawn: points (the default), line, bars, front, or cloud"`
	Rows      []pipeline.Row  `json:"rows,omitempty" doc:"the points: objects that hold x and y"`
	File      *artifacts.File `json:"file" is:"file" doc:"the points instead from a CSV file, whose first line names the columns"`
	Like      pipeline.Traced `json:"like,omitzero" doc:"of a file: a value of the same kind and step as its y, which the file itself cannot tell: stage.net.top1"`
	X         string          `json:"x" doc:"key of the horizontal position: a name, or a path such as \"best.latency\"; texts make a category each"`
	Y         string          `json:"y" doc:"key of the vertical position"`
	XInterval string          `json:"x_interval,omitempty" doc:"key of a list [low, high] around x"`
	YInterval string          `json:"y_interval,omitempty" doc:"key of a list [low, high] around y; around a line it is drawn as a band"`
	Label     string          `json:"label,omitempty" doc:"key of a text to write beside each point, where there is room"`
	XBest     string          `json:"x_best,omitempty" oneof:"min,max" doc:"front: which x is better; min by default"`
	YBest     string          `json:"y_best,omitempty" oneof:"min,max" doc:"front: which y is better; max by default"`
}

// Mark is how the points of a series are drawn; as Points where none is written.
type Mark string

// The marks.
const (
	Points Mark = "points"
	Joined Mark = "line"
	Bars   Mark = "bars"
	Front  Mark = "front"
	Cloud  Mark = "cloud"
)

// Choices returns the marks.
func (Mark) Choices() []string {
	return []string{string(Points), string(Joined), string(Bars), string(Front), string(Cloud)}
}

// Line is a line across the figure.
type Line struct {
	Name string          `json:"name" doc:"name in the legend"`
	Axis string          `json:"axis,omitempty" oneof:"x,y" doc:"the axis that the line crosses; y by default"`
	At   pipeline.Traced `json:"at" doc:"where it crosses the axis, before the axis' scale"`
}

// Output is what the block's references yield.
type Output struct {
	SVG    artifacts.File `json:"svg" doc:"the figure as SVG, for pages and paper"`
	PNG    artifacts.File `json:"png" doc:"the figure as PNG, at 192 dots per inch"`
	CSV    artifacts.File `json:"csv" doc:"the points that are drawn, and the kinds of their numbers"`
	Points int            `json:"points" doc:"number of points drawn"`
}

// Check reports series that cannot be drawn, axes without extent, and lines at no number.
func (c Config) Check(r *mistake.Report) {
	if r.Knows("series") && len(c.Series) == 0 {
		r.At("series").Badf(`a figure needs something to draw: series = [{ rows = …, x = "latency", y = "accuracy" }]`)
	}
	for i, s := range c.Series {
		s.check(r.At("series", i), r.Knows("x.log") && c.X.Log)
	}
	c.X.check(r.At("x"))
	c.Y.check(r.At("y"))
	for i, l := range c.Lines {
		if _, ok := l.At.Value.(float64); r.At("lines", i).Knows("at") && !ok {
			r.At("lines", i, "at").Badf("must be a number, not %s", l.At)
		}
	}
}

// check reports what does not go together in a series.
func (s Series) check(r *mistake.Report, logX bool) {
	switch {
	case r.Knows("x") && s.X == "":
		r.At("x").Badf("must name the values to draw")
	case r.Knows("y") && s.Y == "":
		r.At("y").Badf("must name the values to draw")
	}
	for _, key := range []struct{ name, key string }{{"x", s.X}, {"y", s.Y}, {"x_interval", s.XInterval}, {"y_interval", s.YInterval}, {"label", s.Label}} {
		if key.key != "" {
			pipeline.CheckKey(r.At(key.name), r.At("rows"), s.Rows, key.key)
		}
	}
	switch {
	case s.File != nil && len(s.Rows) > 0:
		r.Badf("write either rows or file, not both")
	case r.Knows("file", "like") && s.File == nil && s.Like.Value != nil:
		r.At("like").Badf("belongs to file: the values of rows know where they came from")
	}
	if !r.Knows("mark") {
		return
	}
	switch {
	case s.Mark != Front && (s.XBest != "" || s.YBest != ""):
		r.Badf("x_best and y_best belong to mark = %q", Front)
	case s.Mark == Bars && (s.XInterval != "" || logX):
		r.Badf("bars stand on categories: they have no x_interval, and their x axis is not logarithmic")
	case s.Mark == Cloud && (s.XInterval != "" || s.YInterval != "" || s.Label != ""):
		r.Badf("a cloud's dots have neither intervals nor labels")
	}
}

// check reports where an axis cannot begin or end.
func (a Axis) check(r *mistake.Report) {
	for _, end := range []struct {
		name string
		at   *float64
	}{{"min", a.Min}, {"max", a.Max}} {
		if end.at == nil || !r.Knows(end.name, "log") {
			continue
		}
		if err := a.fits(*end.at); err != nil {
			r.At(end.name).Badf("%w", err)
		}
	}
	switch {
	case a.Min == nil || a.Max == nil || !r.Knows("min", "max"):
	case *a.Min >= *a.Max:
		r.At("min").Badf("%v is not below max, %v", *a.Min, *a.Max)
	case tooClose(*a.Min, *a.Max):
		r.At("min").Badf("%v is so close to max, %v, that no labels between them could be told apart", *a.Min, *a.Max)
	}
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	fig, err := newFigure(c)
	if err != nil {
		return Output{}, err
	}
	out := Output{Points: fig.points()}
	for _, f := range []struct {
		file *artifacts.File
		name string
		draw func() ([]byte, error)
	}{
		{&out.SVG, "figure.svg", fig.svg},
		{&out.PNG, "figure.png", fig.png},
		{&out.CSV, "figure.csv", fig.csv},
	} {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		b, err := f.draw()
		if err != nil {
			return out, err
		}
		path := task.Path(f.name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			return out, err
		}
		*f.file = artifacts.Local(path)
	}
	return out, nil
}
