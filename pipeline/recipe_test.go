package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// ref stands in a test recipe for a field of another step's output.
type ref struct{ step, field string }

// step makes a step by hand, as the hcl room would from a block.
func step(id string, stage *Stage, attrs map[string]any) *Step {
	s := &Step{ID: id, Stage: stage, Pos: "test.hcl:" + id}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if r, ok := attrs[name].(ref); ok && !slices.Contains(s.Deps, r.step) {
			s.Deps = append(s.Deps, r.step)
		}
	}
	s.Attrs = func(known *Outputs) (Attrs, error) {
		evaluated := make(Attrs)
		for name, v := range attrs {
			a := &Attr{Value: v, Pos: "test.hcl:" + id + "." + name}
			if r, ok := v.(ref); ok {
				output, ok := known.Known(r.step)
				if !ok {
					a.Unknown, a.Value, a.Parts = []string{r.step}, nil, []mistake.Path{mistake.Parse(name)}
				} else if err := lookUp(output, r.field, &a.Value); err != nil {
					return nil, err
				}
			}
			evaluated[name] = a
		}
		return evaluated, nil
	}
	return s
}

func lookUp(output json.RawMessage, field string, v *any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(output, &fields); err != nil {
		return err
	}
	err := json.Unmarshal(fields[field], v)
	*v = withFiles(*v)
	return err
}

// withFiles returns a tree with files for their handles.
func withFiles(tree any) any {
	if f, ok := artifacts.FileIn(tree); ok {
		return f
	}
	if object, ok := tree.(map[string]any); ok {
		for name, v := range object {
			object[name] = withFiles(v)
		}
	}
	return tree
}

func recipe(steps ...*Step) *Recipe { return &Recipe{Name: "test.hcl", Steps: steps} }

// plan makes a plan or fails the test.
func plan(t testing.TB, store *store.Store, r *Recipe, opt ...PlanOptions) *Plan {
	t.Helper()
	p, err := NewPlan(t.Context(), r, store, append(opt, PlanOptions{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// execute plans and runs, failing the test only where the run itself fails.
func execute(t testing.TB, store *store.Store, r *Recipe, opt ...RunOptions) *Run {
	t.Helper()
	run, err := Execute(t.Context(), plan(t, store, r), store, append(opt, RunOptions{})[0])
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// endings renders how the steps of a run ended: "a:done b:cached".
func endings(r *Run) string {
	var s []string
	for _, e := range r.Steps {
		s = append(s, e.ID+":"+strings.TrimPrefix(string(e.Type), "step-"))
	}
	return strings.Join(s, " ")
}

// verdicts renders a plan: "a:cached b:run c:unknown".
func verdicts(p *Plan) string {
	var s []string
	for _, e := range p.Steps {
		s = append(s, e.ID+":"+string(e.Verdict))
	}
	return strings.Join(s, " ")
}

// numConfig and numOutput are the schema of the test stages below.
type numConfig struct {
	X     float64 `json:"x,omitempty"`
	Y     float64 `json:"y,omitempty"`
	Quiet bool    `json:"quiet,omitempty" key:"-"`
}

type numOutput struct {
	Sum    float64 `json:"sum" provenance:"measured"`
	Parity string  `json:"parity"`
}

// sum adds; its parity is the early cutoff's touchstone.
var sum = Define("sum", 1, "Adds.", numConfig{}, func(_ context.Context, _ *Task, c numConfig) (numOutput, error) {
	s := c.X + c.Y
	return numOutput{s, []string{"even", "odd"}[int(s)&1]}, nil
})

// echo returns what it is given.
var echo = Define("echo", 1, "Repeats.", struct {
	Text string `json:"text"`
}{}, func(_ context.Context, _ *Task, c struct {
	Text string `json:"text"`
}) (struct {
	Text string `json:"text"`
}, error) {
	return c, nil
})

// failing fails as long as its function does.
func failing(f func() error) *Stage {
	return Define("failing", 1, "Fails.", numConfig{}, func(context.Context, *Task, numConfig) (numOutput, error) {
		return numOutput{}, f()
	})
}

func chain(n int) []*Step {
	steps := []*Step{step("s0", sum, map[string]any{"x": 1.0})}
	for i := 1; i < n; i++ {
		steps = append(steps, step(fmt.Sprint("s", i), sum, map[string]any{"x": ref{fmt.Sprint("s", i-1), "sum"}, "y": 1.0}))
	}
	return steps
}
