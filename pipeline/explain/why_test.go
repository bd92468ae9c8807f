package explain

import (
	"encoding/json"
	"fmt"
	"testing"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// sweep is a moment at which the steps a0, a1, … yielded x[0], x[1], … and a table had what
// row makes of each in a row. It counts in asked how often steps are asked for.
func sweep(t *testing.T, x []float64, row func(float64) float64, asked *int) Moment {
	t.Helper()
	rows := make([]float64, len(x))
	var sources []pipeline.Source
	for i := range x {
		rows[i] = row(x[i])
		sources = append(sources, pipeline.Source{Attr: "rows", Step: fmt.Sprintf("a%d", i), Output: "x"})
	}
	state := func(attribute string, value any) *State {
		preimage, err := json.Marshal(map[string]any{"stage": "s", "attributes": map[string]any{attribute: value}})
		if err != nil {
			t.Fatal(err)
		}
		return &State{Stage: "s", Action: artifacts.NewActionID(preimage), Preimage: preimage}
	}
	return func(id string) *State {
		*asked++
		if id == "table" {
			s := state("rows", rows)
			s.Sources = sources
			return s
		}
		var i int
		if _, err := fmt.Sscanf(id, "a%d", &i); err != nil || i >= len(x) {
			return nil
		}
		s := state("seed", x[i])
		s.Output = json.RawMessage(fmt.Sprintf(`{"x":%g}`, x[i]))
		return s
	}
}

// A row that changed just as one of the outputs did came from that one; where none did so,
// all outputs are told, once. Steps are not asked for again for each row.
func TestSourcesOfRows(t *testing.T) {
	old, new := []float64{1, 2, 3, 4}, []float64{10, 2, 30, 40}
	for _, test := range []struct {
		what string
		row  func(float64) float64
		want string
	}{
		{"as they are", func(x float64) float64 { return x }, "rows[0] from a0; rows[2] from a2; rows[3] from a3; "},
		{"calculated", func(x float64) float64 { return 1000 * x }, "rows[0] from a0 a2 a3; rows[2] as rows[0]; rows[3] as rows[0]; "},
	} {
		asked := 0
		why := Steps(t.Context(), nil, sweep(t, old, test.row, &asked), sweep(t, new, test.row, &asked), "table")
		got := ""
		for _, c := range why.Changes {
			got += c.Attr
			for i, e := range c.From {
				if i == 0 {
					got += " from"
				}
				got += " " + e.Step
			}
			if c.As != "" {
				got += " as " + c.As
			}
			got += "; "
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
		if most := 2 * (len(old) + 1); asked > most {
			t.Errorf("%s: asked for steps %d times, want at most %d", test.what, asked, most)
		}
	}
}

// A long explanation says of which steps it tells nothing.
func TestLongExplanation(t *testing.T) {
	old, new := make([]float64, mostSteps+10), make([]float64, mostSteps+10)
	for i := range old {
		old[i], new[i] = float64(i), float64(-i-1)
	}
	row, asked := func(x float64) float64 { return x }, 0
	why := Steps(t.Context(), nil, sweep(t, old, row, &asked), sweep(t, new, row, &asked), "table")
	last := why.Changes[len(why.Changes)-1].From[0].Why
	if first := why.Changes[0].From[0].Why; first.Further || len(first.Changes) != 1 || !last.Further || last.Again || len(last.Changes) != 0 {
		t.Errorf("the first step: %+v; the last: %+v", first, last)
	}
}
