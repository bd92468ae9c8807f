package cli

import (
	"cmp"
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
	cost    history.Cost
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
	e.Expectation = history.Expect(s, plan.Recipe.Name)
	e.total, e.cost, e.unknown = e.Plan(plan, a.jobsAt())
	return e
}

// jobsAt returns how many steps run at once at each place that has a limit.
func (a *app) jobsAt() map[string]int {
	here, _ := a.machine(nil)
	jobs := map[string]int{"": cmp.Or(here, runtime.GOMAXPROCS(0))}
	if a.there != nil {
		for _, e := range a.there.Executors {
			if e.Jobs > 0 {
				jobs[e.Name] = e.Jobs
			}
		}
	}
	return jobs
}

// text says what is expected, or "" where nothing is known, or it takes no time.
func (e expected) text() string {
	switch {
	case e.runs == 0 || e.unknown == e.runs || e.total < time.Second:
		return ""
	case e.unknown == 1:
		return fmt.Sprintf("about %s, and what 1 step takes that never ran", e.price())
	case e.unknown > 0:
		return fmt.Sprintf("about %s, and what %s take that never ran", e.price(), view.Count(e.unknown, "step"))
	}
	return "about " + e.price()
}

// price words the time, and what it costs where that is worth a word: "3 min, 1.5 CPU hours,
// 0.35 GPU hours".
func (e expected) price() string {
	const least = 0.05 // h
	text := view.Roughly(e.total)
	for _, part := range []struct {
		seconds history.Amount
		unit    string
	}{{e.cost.CPU, "CPU"}, {e.cost.GPU, "GPU"}} {
		if hours := part.seconds.Value / 3600; hours >= least {
			text += fmt.Sprintf(", %s%s %s hours", boundWord(part.seconds), view.Number(hours), part.unit)
		}
	}
	return text
}

// boundWord says how an amount is to be read: "at most " where only what was granted is known.
func boundWord(a history.Amount) string {
	switch {
	case a.Least && a.Most:
		return "roughly "
	case a.Least:
		return "at least "
	case a.Most:
		return "at most "
	}
	return ""
}

// priceJSON is what something is likely to cost.
type priceJSON struct {
	CPU history.Amount `json:"cpu"` // s
	GPU history.Amount `json:"gpu"` // s
}

// expect adds to a plan for programs what it is likely to take.
func (doc *planJSON) expect(plan *pipeline.Plan, e expected) {
	if doc.Expected = e.total.Seconds(); e.runs > 0 {
		doc.Cost, doc.NeverRan = &priceJSON{e.cost.CPU, e.cost.GPU}, e.unknown
	}
	for i, s := range plan.Steps {
		if s.Verdict != pipeline.Cached {
			if c, ok := e.Step(s.ID, s.Stage.Name); ok {
				doc.Steps[i].Expected, doc.Steps[i].Cost = c.Elapsed.Seconds(), &priceJSON{c.CPU, c.GPU}
			}
		}
	}
}
