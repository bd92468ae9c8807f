package history

import (
	"math"
	"slices"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Expectation says how long steps are likely to take, by what they took before.
type Expectation struct {
	steps  map[string]time.Duration   // by ID: the last time
	stages map[string][]time.Duration // by stage: all times
}

// mostLearnt is how many runs in which something ran are looked at.
const mostLearnt = 5

// Expect learns from a recipe's last runs. Where none can be read it expects nothing.
func Expect(s *store.Store, recipe string) *Expectation {
	e := &Expectation{make(map[string]time.Duration), make(map[string][]time.Duration)}
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
		slices.Sort(all)
	}
	return e
}

// learn takes the times of a run's steps. Runs come the newest first, so that the first
// time of a step is its last. A step that went on from a checkpoint did a part of its work.
func (e *Expectation) learn(r *Run) {
	for _, s := range r.Steps {
		if s.Type != pipeline.StepDone || s.Resumed {
			continue
		}
		if _, known := e.steps[s.ID]; !known {
			e.steps[s.ID] = s.Elapsed
		}
		e.stages[s.Stage] = append(e.stages[s.Stage], s.Elapsed)
	}
}

// Step returns how long a step took last, or else the median of its stage's steps; ok is
// false where nothing is known of either.
func (e *Expectation) Step(id, stage string) (d time.Duration, ok bool) {
	if d, ok = e.steps[id]; ok {
		return d, true
	}
	if all := e.stages[stage]; len(all) > 0 {
		return all[len(all)/2], true
	}
	return 0, false
}

// Plan estimates how long the steps that a plan has to run will take with this number of
// jobs: the length of the longest chain of steps, or the sum of all steps divided by the
// jobs, whichever is greater. Unknown is the number of steps that have no history; the total
// leaves them out.
func (e *Expectation) Plan(p *pipeline.Plan, jobs int) (total time.Duration, unknown int) {
	ends := make(map[string]time.Duration, len(p.Steps))
	var sum, longest time.Duration
	for _, s := range p.Steps {
		if s.Verdict == pipeline.Cached {
			continue
		}
		d, ok := e.Step(s.ID, s.Stage.Name)
		if !ok {
			unknown++
		}
		var ready time.Duration
		for _, dep := range s.Deps {
			ready = max(ready, ends[dep])
		}
		ends[s.ID] = ready + d
		longest, sum = max(longest, ready+d), sum+d
	}
	return max(longest, time.Duration(math.Ceil(float64(sum)/float64(max(1, jobs))))), unknown
}
