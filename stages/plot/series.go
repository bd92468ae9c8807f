package plot

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"eyrie/nas/search"
	"eyrie/pipeline"
	"eyrie/pipeline/sheet"
)

// series is a Series whose points have been resolved.
type series struct {
	Series
	points []point
	index  int // among all, for colour and shape
}

// point is a point in the units shown.
type point struct {
	x, y           value
	xRange, yRange *[2]float64
	label          string
	category       string // the text of x, where it is one
}

// value is a number with its origins.
type value struct {
	v       float64
	origins []pipeline.Origin
}

func (v value) kinds() string { return pipeline.JoinKinds(pipeline.Kinds(v.origins)) }

// resolve finds the points of the series. What is missing or null leaves out
// its point, but a key that no row has is a mistake.
func resolve(s Series, x, y Axis) ([]point, error) {
	rows, place := s.Rows, func(row int, err error) error { return fmt.Errorf("row %d: %w", row, err) }
	if s.File != nil {
		table, err := sheet.Read(*s.File)
		if err != nil {
			return nil, fmt.Errorf("file: %w", err)
		}
		rows = rowsOfFile(table)
		place = func(row int, err error) error { return table.Errorf(table.Rows[row].Line, "%w", err) }
	}
	var points []point
	found := map[string]bool{}
	for i, row := range rows {
		p, ok, err := makePoint(s, row, x, y, found)
		if err != nil {
			return nil, place(i, err)
		}
		if ok {
			p.y.origins = append(p.y.origins, s.like()...)
			points = append(points, p)
		}
	}
	for _, key := range []string{s.X, s.Y, s.XInterval, s.YInterval, s.Label} {
		if key != "" && len(rows) > 0 && !found[key] {
			return nil, fmt.Errorf("no row has %q; row 0 has %s", key, strings.Join(rows[0].Keys(), ", "))
		}
	}
	if s.Mark == Joined || s.Mark == Front {
		slices.SortStableFunc(points, func(a, b point) int {
			if a.category != "" || b.category != "" {
				return 0 // in the order of the rows
			}
			return compare(a.x.v, b.x.v)
		})
	}
	return points, nil
}

// like returns the origins that a file's numbers share.
func (s Series) like() []pipeline.Origin {
	var origins []pipeline.Origin
	for _, o := range s.Like.Origins {
		if o = (pipeline.Origin{Kind: o.Kind, Step: o.Step, Source: o.Source}); !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	return origins
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func makePoint(s Series, row pipeline.Row, x, y Axis, found map[string]bool) (p point, ok bool, err error) {
	get := func(key string) (pipeline.Traced, bool) {
		v, there, lookErr := row.Lookup(key)
		found[key] = found[key] || there
		if lookErr != nil && err == nil {
			err = lookErr
		}
		return v, there && v.Value != nil
	}
	xv, hasX := get(s.X)
	yv, hasY := get(s.Y)
	if err != nil || !hasX || !hasY {
		return p, false, err
	}
	if text, isText := xv.Value.(string); isText {
		p.category = cmp.Or(text, "–")
	} else if p.x, err = number(s.X, xv, x); err != nil {
		return p, false, err
	} else if s.Mark == Bars {
		p.category = tickText(p.x.v)
	}
	if p.y, err = number(s.Y, yv, y); err != nil {
		return p, false, err
	}
	if v, there := get(s.XInterval); s.XInterval != "" && there {
		if p.xRange, err = interval(s.XInterval, v, x); err != nil {
			return p, false, err
		}
	}
	if v, there := get(s.YInterval); s.YInterval != "" && there {
		if p.yRange, err = interval(s.YInterval, v, y); err != nil {
			return p, false, err
		}
	}
	if v, there := get(s.Label); s.Label != "" && there {
		switch text := v.Value.(type) {
		case string:
			p.label = text
		case float64:
			p.label = tickText(text)
		default:
			return p, false, fmt.Errorf("%q is %s, not a text or number", s.Label, v)
		}
	}
	return p, true, err
}

// number scales a number for its axis.
func number(key string, v pipeline.Traced, a Axis) (value, error) {
	f, ok := v.Value.(float64)
	if !ok {
		return value{}, fmt.Errorf("%q is %s, not a number", key, v)
	}
	if a.Scale != 0 {
		f *= a.Scale
	}
	if err := a.fits(f); err != nil {
		return value{}, fmt.Errorf("%q %w", key, err)
	}
	return value{f, v.Origins}, nil
}

func interval(key string, v pipeline.Traced, a Axis) (*[2]float64, error) {
	ends, ok := v.Value.([]any)
	if !ok || len(ends) != 2 {
		return nil, fmt.Errorf("%q is %s, not a list [low, high]", key, v)
	}
	low, err := number(key, pipeline.Traced{Value: ends[0]}, a)
	if err != nil {
		return nil, err
	}
	high, err := number(key, pipeline.Traced{Value: ends[1]}, a)
	if err != nil {
		return nil, err
	}
	return &[2]float64{min(low.v, high.v), max(low.v, high.v)}, nil
}

// rowsOfFile makes rows of a file's: cells that are numbers become numbers, empty ones
// are missing.
func rowsOfFile(table *sheet.Sheet) []pipeline.Row {
	rows := make([]pipeline.Row, len(table.Rows))
	for i, r := range table.Rows {
		rows[i] = make(pipeline.Row, len(r.Cells))
		for c, text := range r.Cells {
			rows[i][table.Columns[c]] = cellValue(strings.TrimSpace(text))
		}
	}
	return rows
}

// cellValue returns the value of a cell: a number, a text, or nothing.
func cellValue(text string) pipeline.Traced {
	switch v, err := strconv.ParseFloat(text, 64); {
	case text == "":
		return pipeline.Traced{}
	case err == nil && !math.IsNaN(v) && !math.IsInf(v, 0):
		return pipeline.Traced{Value: v}
	}
	return pipeline.Traced{Value: text}
}

// split makes a series of its own for each kind of number, where a series of
// separate marks mixes them, so that a reader can tell which is which.
func split(s series) []series {
	if s.Mark == Joined || s.Mark == Front {
		return []series{s}
	}
	var parts []series
	at := map[[2]string]int{}
	for _, p := range s.points {
		key := [2]string{p.x.kinds(), p.y.kinds()}
		i, ok := at[key]
		if !ok {
			i = len(parts)
			at[key] = i
			parts = append(parts, series{Series: s.Series})
		}
		parts[i].points = append(parts[i].points, p)
	}
	if len(parts) == 0 {
		return []series{s}
	}
	return parts
}

// kindsOf returns the kinds of one coordinate of the points.
func kindsOf(points []point, coordinate func(point) value) string {
	var origins []pipeline.Origin
	for _, p := range points {
		origins = append(origins, coordinate(p).origins...)
	}
	return pipeline.JoinKinds(pipeline.Kinds(origins))
}

func xOf(p point) value { return p.x }
func yOf(p point) value { return p.y }

// front parts the points into those that no other dominates, by growing x, and
// the others.
func front(s series) (best, others []point) {
	x, y := -1.0, 1.0 // signs that make larger the better
	if s.XBest == "max" {
		x = 1
	}
	if s.YBest == "min" {
		y = -1
	}
	at := make([][]float64, len(s.points))
	for i, p := range s.points {
		at[i] = []float64{x * p.x.v, y * p.y.v}
	}
	front := search.Front(at)
	for i, p := range s.points {
		if _, ok := slices.BinarySearch(front, i); ok {
			best = append(best, p)
		} else {
			others = append(others, p)
		}
	}
	return best, others
}
