package cli

import (
	"fmt"
	"runtime"
	"time"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// expected is what a plan is likely to take.
type expected struct {
	*history.Expectation
	total   time.Duration
	unknown int // steps that never ran
	runs    int // steps that must run, or may have to
}

// expect asks the recipe's earlier runs how long a plan will take. Where nothing runs it
// asks nobody.
func (a *app) expect(plan *pipeline.Plan, s *store.Store) expected {
	e := expected{runs: len(plan.Steps) - plan.Count(pipeline.Cached)}
	if e.runs == 0 {
		return e
	}
	jobs := a.jobs
	if jobs == 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	e.Expectation = history.Expect(s, plan.Recipe.Name)
	e.total, e.unknown = e.Plan(plan, jobs)
	return e
}

// text says what is expected, or "" where nothing is known, or it takes no time.
func (e expected) text() string {
	switch {
	case e.runs == 0 || e.unknown == e.runs || e.total < time.Second:
		return ""
	case e.unknown > 0:
		return fmt.Sprintf("about %s, and what %s take that never ran", view.Roughly(e.total), view.Count(e.unknown, "step"))
	}
	return "about " + view.Roughly(e.total)
}

// expect adds to a plan for programs what it is likely to take.
func (doc *planJSON) expect(plan *pipeline.Plan, e expected) {
	doc.Expected = e.total.Seconds()
	for i, s := range plan.Steps {
		if s.Verdict != pipeline.Cached {
			d, _ := e.Step(s.ID, s.Stage.Name)
			doc.Steps[i].Expected = d.Seconds()
		}
	}
}
