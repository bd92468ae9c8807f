package cli

import (
	"context"
	"strings"
	"testing"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
)

type point struct {
	X float64 `json:"x" doc:"to the right"`
	Y float64 `json:"y"`
}

type plane struct {
	Origin point   `json:"origin" doc:"where it begins"`
	Points []point `json:"points"`
	Frame  struct {
		Inner struct {
			Corner struct {
				Colour string `json:"colour"`
			} `json:"corner"`
		} `json:"inner"`
	} `json:"frame"`
}

type drawn struct {
	Corner point `json:"corner" doc:"where it ends"`
}

// Of objects that are alike, one is described and the others refer to it; what
// is deep within others is only named; all of it is there in full.
func TestFieldWriter(t *testing.T) {
	run := func(context.Context, *pipeline.Task, plane) (drawn, error) { return drawn{}, nil }
	s := pipeline.Define("draw", 1, "Draws.", plane{}, run)
	write := func(full bool) (string, bool) {
		var b strings.Builder
		f := &fieldWriter{w: &b, width: 88, full: full, config: true, described: map[string]string{}, style: view.Style{}}
		f.write(s.Config.Fields, "")
		f.config = false
		f.write(s.Output.Fields, "")
		return b.String(), f.short
	}
	want := `  origin  object, required
      where it begins
  origin.x  number, required  # to the right
  origin.y  number, required
  points  list of object, required; like attribute origin
  frame  object, required
  frame.inner  object, required
  frame.inner.corner  object, required; {colour}
  corner  object; like attribute origin
      where it ends
`
	if got, short := write(false); got != want || !short {
		t.Errorf("short=%t:\n%s\nwant\n%s", short, got, want)
	}
	got, short := write(true)
	for _, line := range []string{"  points[].x  number, required  # to the right\n", "  frame.inner.corner.colour  string, required\n", "  corner.y  number\n"} {
		if !strings.Contains(got, line) || short {
			t.Errorf("short=%t: in full there is no %q:\n%s", short, line, got)
		}
	}
}
