// Package plot is the stage that draws figures: points with intervals, lines,
// bars, clouds and Pareto fronts, as SVG and PNG. Series differ in the shape of
// their markers and dashes as well as in colours, which colour-blind readers can
// tell apart. Equal input gives equal bytes.
package plot

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// Stage is the plot stage.
var Stage = pipeline.Define("plot", 7,
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
	Mark      string          `json:"mark,omitempty" oneof:"points,line,bars,front,cloud" doc:"how the points are drawn: points (the default), line, bars, front, or cloud"`
	Rows      []pipeline.Row  `json:"rows,omitempty" doc:"the points: objects that hold x and y"`
	File      *artifacts.File `json:"file" doc:"the points instead from a CSV file, whose first line names the columns"`
	Like      pipeline.Traced `json:"like,omitzero" doc:"of a file: a value of the same kind and step as its y, which the file itself cannot tell: stage.net.top1"`
	X         string          `json:"x" doc:"key of the horizontal position: a name, or a path such as \"best.latency\"; texts make a category each"`
	Y         string          `json:"y" doc:"key of the vertical position"`
	XInterval string          `json:"x_interval,omitempty" doc:"key of a list [low, high] around x"`
	YInterval string          `json:"y_interval,omitempty" doc:"key of a list [low, high] around y; around a line it is drawn as a band"`
	Label     string          `json:"label,omitempty" doc:"key of a text to write beside each point, where there is room"`
	XBest     string          `json:"x_best,omitempty" oneof:"min,max" doc:"front: which x is better; min by default"`
	YBest     string          `json:"y_best,omitempty" oneof:"min,max" doc:"front: which y is better; max by default"`
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

// Validate checks what can be told without the data.
func (c Config) Validate() error {
	if len(c.Series) == 0 {
		return pipeline.Badf("series", `a figure needs something to draw: series = [{ rows = …, x = "latency", y = "accuracy" }]`)
	}
	for i, s := range c.Series {
		at := fmt.Sprintf("series[%d]", i)
		switch {
		case s.X == "" || s.Y == "":
			return pipeline.Badf(at, "x and y must name the values to draw")
		case s.File != nil && len(s.Rows) > 0:
			return pipeline.Badf(at, "write either rows or file, not both")
		case s.File == nil && s.Like.Value != nil:
			return pipeline.Badf(at, "like belongs to file: the values of rows know where they came from")
		case s.Mark != "front" && (s.XBest != "" || s.YBest != ""):
			return pipeline.Badf(at, `x_best and y_best belong to mark = "front"`)
		case s.Mark == "bars" && (s.XInterval != "" || c.X.Log):
			return pipeline.Badf(at, "bars stand on categories: they have no x_interval, and their x axis is not logarithmic")
		case s.Mark == "cloud" && (s.XInterval != "" || s.YInterval != "" || s.Label != ""):
			return pipeline.Badf(at, "a cloud's dots have neither intervals nor labels")
		}
	}
	if err := cmp.Or(c.X.validate("x"), c.Y.validate("y")); err != nil {
		return err
	}
	if i := slices.IndexFunc(c.Lines, func(l Line) bool { _, ok := l.At.Value.(float64); return !ok }); i >= 0 {
		return pipeline.Badf(fmt.Sprintf("lines[%d].at", i), "must be a number, not %s", c.Lines[i].At)
	}
	return nil
}

// validate checks where the axis of this name begins.
func (a Axis) validate(name string) error {
	switch {
	case a.Min == nil:
		return nil
	case a.Max != nil && *a.Min >= *a.Max:
		return pipeline.Badf(name+".min", "%v is not below max, %v", *a.Min, *a.Max)
	case a.Log && *a.Min <= 0:
		return pipeline.Badf(name+".min", "a logarithmic axis has only positive numbers, not %v", *a.Min)
	}
	return nil
}

func run(ctx context.Context, c Config) (Output, error) {
	if err := c.Validate(); err != nil {
		return Output{}, err
	}
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
		b, err := f.draw()
		if err != nil {
			return out, err
		}
		path := pipeline.Path(ctx, f.name)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			return out, err
		}
		*f.file = artifacts.Local(path)
	}
	return out, nil
}
