package history

import (
	"context"
	"strings"
	"testing"
	"time"

	"eyrie/pipeline"
)

// What is to run takes as long as its longest chain, or as all of it takes on the jobs that
// there are; what never ran is counted, not guessed.
func TestExpectation(t *testing.T) {
	s, _ := open(t)
	stage := pipeline.Define("other", 1, "Gives.", config{}, func(_ context.Context, _ *pipeline.Task, c config) (config, error) { return c, nil })
	r := &pipeline.Recipe{Name: "a"}
	for _, step := range []struct {
		id    string
		deps  []string
		stage *pipeline.Stage
	}{{"a", nil, give}, {"b", []string{"a"}, give}, {"c", []string{"b"}, give}, {"d", nil, give}, {"e", nil, stage}} {
		r.Steps = append(r.Steps, &pipeline.Step{ID: step.id, Stage: step.stage, Deps: step.deps, Attrs: func(*pipeline.Outputs) (pipeline.Attrs, error) {
			return pipeline.Attrs{"value": {Value: 1.}}, nil
		}})
	}
	p, err := pipeline.NewPlan(t.Context(), r, s, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	took := func(d time.Duration, gpu float64) Cost {
		return Cost{Elapsed: d, CPU: Amount{Value: float64(2 * d)}, GPU: Amount{Value: gpu}}
	}
	e := &Expectation{
		map[string]Cost{"a": took(10, 1), "b": took(20, 0), "c": {Elapsed: 30, CPU: Amount{Value: 60, Most: true}}},
		map[string][]Cost{"give": {took(5, 0), took(7, 3), took(100, 0)}},
	}
	for _, test := range []struct {
		jobs map[string]int
		far  string // the steps that run elsewhere
		want time.Duration
	}{
		{map[string]int{"": 1}, "", 67},
		{map[string]int{"": 2}, "", 60},
		{map[string]int{"": 8}, "", 60},
		{map[string]int{"": 1}, "d", 60}, // where there is room for all
		{map[string]int{"": 8, "far": 1}, "abcd", 67},
	} {
		for _, s := range p.Steps {
			s.Place = ""
			if strings.Contains(test.far, s.ID) {
				s.Place = "far"
			}
		}
		got, cost, unknown := e.Plan(p, test.jobs)
		if got != test.want || unknown != 1 {
			t.Errorf("on %v jobs: %d, %d unknown; want %d, 1", test.jobs, got, unknown, test.want)
		}
		if cost.CPU != (Amount{Value: 134, Most: true}) || cost.GPU != (Amount{Value: 4}) {
			t.Errorf("on %v jobs it costs %+v, %+v", test.jobs, cost.CPU, cost.GPU)
		}
	}
	id := execute(t, s, recipe("b", 1, 2))
	run, err := Read(s, id)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := Expect(s, "b").Step("s0", "give"); !ok || c.Elapsed != run.Step("s0").Elapsed || !c.CPU.Most {
		t.Errorf("s0 is expected to take %+v, %v; it took %v", c, ok, run.Step("s0").Elapsed)
	}
	if _, ok := Expect(s, "c").Step("s0", "give"); ok {
		t.Error("another recipe's steps are expected")
	}
}
