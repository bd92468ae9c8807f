package pipeline

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"eyrie/artifacts/store/storetest"
)

// guarded returns a step whose attribute x is a secret number.
func guarded(id string, s *Stage, reveal bool) *Step {
	st := step(id, s, nil)
	st.Reveal = reveal
	st.Attrs = func(*Outputs) (Attrs, error) {
		return Attrs{"x": {Value: 471108154.0, Sensitive: true, Pos: "test.hcl:" + id + ".x"}}, nil
	}
	return st
}

// A step whose results may hold a secret is refused by the plan, unless it says that they
// may be kept.
func TestRevealMustBeWritten(t *testing.T) {
	_, err := NewPlan(t.Context(), recipe(guarded("a", sum, false)), storetest.New(t), PlanOptions{})
	if err == nil || !strings.Contains(err.Error(), "test.hcl:a.x: step a: x: is sensitive") {
		t.Errorf("got %v", err)
	}
	p := plan(t, storetest.New(t), recipe(guarded("a", sum, true)))
	if !p.Step("a").Secret || !p.Outputs().Guarded("a") {
		t.Error("the output is not sensitive")
	}
}

// The output of a step is sensitive from when its attributes are known to be, while it
// is planned and in a run, cached or not; the lineage of what is behind it leaves it out.
func TestSensitiveWhileItRuns(t *testing.T) {
	store := storetest.New(t)
	a := guarded("a", sum, true)
	var guardedThen []bool
	b := step("b", sum, map[string]any{"x": ref{"a", "sum"}})
	attrs := b.Attrs
	b.Attrs = func(known *Outputs) (Attrs, error) {
		guardedThen = append(guardedThen, known.Guarded("a"))
		return attrs(known)
	}
	var lineage []Ancestor
	witness := Define("witness", 1, "", numConfig{}, func(_ context.Context, task *Task, _ numConfig) (numOutput, error) {
		lineage = task.Lineage()
		return numOutput{}, nil
	}).WithLineage()
	c := step("c", witness, map[string]any{"x": 1.0})
	c.Deps = []string{"a"}
	for range 2 {
		if run := execute(t, store, recipe(a, b, c)); run.Status != Succeeded {
			t.Fatal(run.Steps[0].Err, run.Steps[1].Err)
		}
	}
	for i, g := range guardedThen {
		if !g {
			t.Errorf("evaluation %d does not know that the output is sensitive", i)
		}
	}
	if len(lineage) != 1 || lineage[0].Output != nil || strings.Contains(string(lineage[0].Attrs), "471108154") {
		t.Errorf("the lineage shows %+v", lineage)
	}
}

// What a stage that read a secret logs, reports and complains of is not passed on, but
// that its time was over is.
func TestSecretsAreNotLogged(t *testing.T) {
	loud := Define("loud", 1, "", numConfig{}, func(ctx context.Context, task *Task, c numConfig) (numOutput, error) {
		task.Log().Warn().Float64("x", c.X).Msg("trying with 471108154")
		task.Report(Progress{Done: 1, Total: 2, Note: "with 471108154"})
		if c.Y == 0 {
			return numOutput{}, Badf("y", "goes badly with 471108154")
		}
		<-ctx.Done()
		return numOutput{}, ctx.Err()
	})
	for _, timeout := range []bool{false, true} {
		var seen []Event
		s := guarded("a", loud, true)
		if timeout {
			s.Timeout = 1
			attrs := s.Attrs
			s.Attrs = func(known *Outputs) (Attrs, error) {
				all, err := attrs(known)
				all["y"] = &Attr{Value: 1.0}
				return all, err
			}
		}
		run := execute(t, storetest.New(t), recipe(s), RunOptions{LogLevel: zerolog.DebugLevel, Observe: func(e Event) { seen = append(seen, e) }})
		b, err := json.Marshal(seen)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(b) + run.Steps[0].Err.Error(); strings.Contains(text, "471108154") || !strings.Contains(text, "not shown") {
			t.Errorf("told: %s", text)
		}
		if got := strings.Contains(run.Steps[0].Err.Error(), "stopped after its timeout"); got != timeout {
			t.Errorf("timeout %v: %v", timeout, run.Steps[0].Err)
		}
	}
}

// What a step has cost that sees a secret tells no sizes: they may be the secret's.
func TestDiscreetUsage(t *testing.T) {
	u := Usage{Elapsed: 1, CPUs: 2, Measured: Whole, CPU: 3, Memory: 4, Read: 5, Written: 6, Inputs: 7, Outputs: 8}
	if got, want := *discreet(Event{Usage: &u}).Usage, (Usage{Elapsed: 1, CPUs: 2, Measured: Whole, CPU: 3, Memory: 4}); got != want || u.Read != 5 {
		t.Errorf("%+v of %+v", got, u)
	}
}
