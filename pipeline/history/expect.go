package history

import (
	"cmp"
	"math"
	"slices"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Expectation says what steps are likely to take, by what they took before.
type Expectation struct {
	steps  map[string]Cost   // by ID: the last time
	stages map[string][]Cost // by stage: all times
}

// mostLearnt is how many runs in which something ran are looked at.
const mostLearnt = 5

// Expect learns from a recipe's last runs. Where none can be read it expects nothing.
func Expect(s *store.Store, recipe string) *Expectation {
	e := &Expectation{make(map[string]Cost), make(map[string][]Cost)}
	runs, err := List(s, recipe)
	if err != nil {
		return e
	}
	learnt := 0
	for sum := range runs {
		if sum.Done == 0 {
			continue
		}
		if r, err := Read(s, sum.ID); err == nil {
			e.learn(r)
		}
		if learnt++; learnt == mostLearnt {
			break
		}
	}
	for _, all := range e.stages {
		slices.SortFunc(all, func(a, b Cost) int { return cmp.Compare(a.Elapsed, b.Elapsed) })
	}
	return e
}

// learn takes what a run's steps took. Runs come the newest first, so that the first
// time of a step is its last. A step that went on from a checkpoint did a part of its work.
func (e *Expectation) learn(r *Run) {
	for _, s := range r.Steps {
		if s.Type != pipeline.StepDone || s.Resumed {
			continue
		}
		cost := s.Cost()
		if _, known := e.steps[s.ID]; !known {
			e.steps[s.ID] = cost
		}
		e.stages[s.Stage] = append(e.stages[s.Stage], cost)
	}
}

// Step returns what a step took last, or else its stage's step that took the median time; ok
// is false where nothing is known of either.
func (e *Expectation) Step(id, stage string) (c Cost, ok bool) {
	if c, ok = e.steps[id]; ok {
		return c, true
	}
	if all := e.stages[stage]; len(all) > 0 {
		return all[len(all)/2], true
	}
	return Cost{}, false
}

// Plan estimates how long a plan will take to run, and at what cost. jobs says how many steps run
// side by side at each place; a place that is not in it has room for all. The time is that of the
// longest chain of steps, or of a place's steps divided by its jobs, whichever is longer; the cost
// is the sum of all. Both leave out steps without a history, of which unknown is the number.
func (e *Expectation) Plan(p *pipeline.Plan, jobs map[string]int) (total time.Duration, cost Cost, unknown int) {
	ends := make(map[string]time.Duration, len(p.Steps))
	sums := map[string]time.Duration{}
	for _, s := range p.Steps {
		if s.Verdict == pipeline.Cached {
			continue
		}
		c, ok := e.Step(s.ID, s.Stage.Name)
		if !ok {
			unknown++
		}
		var ready time.Duration
		for _, dep := range s.Deps {
			ready = max(ready, ends[dep])
		}
		ends[s.ID] = ready + c.Elapsed
		sums[s.Place] += c.Elapsed
		total, cost = max(total, ends[s.ID]), cost.Plus(c)
	}
	for place, n := range jobs {
		total = max(total, time.Duration(math.Ceil(float64(sums[place])/float64(n))))
	}
	return total, cost, unknown
}
