package history

import (
	"context"
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
	e := &Expectation{map[string]time.Duration{"a": 10, "b": 20, "c": 30}, map[string][]time.Duration{"give": {5, 7, 100}}}
	for _, test := range []struct {
		jobs int
		want time.Duration
	}{{1, 67}, {2, 60}, {8, 60}} {
		if got, unknown := e.Plan(p, test.jobs); got != test.want || unknown != 1 {
			t.Errorf("on %d jobs: %d, %d unknown; want %d, 1", test.jobs, got, unknown, test.want)
		}
	}
	id := execute(t, s, recipe("b", 1, 2))
	run, err := Read(s, id)
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := Expect(s, "b").Step("s0", "give"); !ok || d != run.Step("s0").Elapsed {
		t.Errorf("s0 is expected to take %v, %v; it took %v", d, ok, run.Step("s0").Elapsed)
	}
	if _, ok := Expect(s, "c").Step("s0", "give"); ok {
		t.Error("another recipe's steps are expected")
	}
}
