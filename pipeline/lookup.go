package pipeline

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"

	"eyrie/artifacts/store"
)

// lookups makes the actions of steps and looks them up in the store, several at a time. What is
// found is noted by the goroutine that plans, which alone touches the plan: before it evaluates
// a step it waits for those that the step needs.
type lookups struct {
	plan  *Plan
	store *store.Store

	todo  chan *lookup
	found chan *lookup
	open  int // that were begun and not noted
	wait  sync.WaitGroup

	over map[*string]int // by where a list of dependencies begins: how many of it were awaited
	errs []error         // by step, in the plan's order
}

// mostAsked is how many steps are looked up at a time where that waits for a network: a
// thousand lookups take as long as sixteen that wait for each other.
const mostAsked = 64

// lookup is a step whose attributes are all known, and what the store says of it.
type lookup struct {
	step   int // its place in the plan
	j      *Planned
	record store.Record
	missed bool
	err    error
}

func newLookups(ctx context.Context, p *Plan, kept *store.Store) *lookups {
	workers := runtime.GOMAXPROCS(0)
	if kept.Backed() {
		workers = max(workers, mostAsked)
	}
	l := &lookups{plan: p, store: kept, todo: make(chan *lookup, 4*workers), found: make(chan *lookup, 4*workers), over: make(map[*string]int)}
	for range workers {
		l.wait.Go(func() {
			for x := range l.todo {
				x.err = l.look(ctx, x)
				l.found <- x
			}
		})
	}
	return l
}

// look makes the step's action and looks it up.
func (l *lookups) look(ctx context.Context, x *lookup) (err error) {
	j := x.j
	if j.action, err = newAction(ctx, l.plan.observed, j.Step, j.Attrs); err != nil {
		return err
	}
	j.Action = j.action.id
	x.record, err = l.store.Lookup(ctx, j.Action)
	switch {
	case j.rerun:
		j.Reasons = []Reason{{Why: "asked for"}}
		return nil
	case errors.Is(err, store.ErrNotFound):
		x.missed = true
		j.Reasons = because(ctx, l.store, l.plan.Recipe.LastName(j.ID), j.action, j.Stage)
		j.Resumes = l.store.HasCheckpoint(j.Action)
		return nil
	case err != nil:
		return stepError(j.Pos, j.Step, "", err)
	}
	x.record.Preimage, x.record.Output = j.action.preimage, bytes.Clone(x.record.Output) // and not the text that it was read of
	return nil
}

// begin has the step at a place in the plan looked up.
func (l *lookups) begin(step int, j *Planned) {
	j.awaited = true
	l.open++
	for x := (&lookup{step: step, j: j}); ; {
		select {
		case l.todo <- x:
			return
		case found := <-l.found:
			l.note(found)
		}
	}
}

// await waits until steps that the plan has were looked up. A list of steps that many others
// need counts once.
func (l *lookups) await(steps []string) {
	if len(steps) == 0 || l.open == 0 || l.over[&steps[0]] >= len(steps) {
		return
	}
	for _, id := range steps {
		for j := l.plan.byID[id]; j != nil && j.awaited; {
			l.note(<-l.found)
		}
	}
	l.over[&steps[0]] = len(steps)
}

// note gives a step that was looked up its verdict.
func (l *lookups) note(x *lookup) {
	l.open--
	j, p := x.j, l.plan
	j.awaited = false
	switch {
	case x.err != nil:
		l.fail(x.step, x.err)
	case x.missed || j.rerun:
		j.Verdict = MustRun
		p.foresee(j)
		if err := ready(j.Step, j.Attrs, j.action.config, nil); err != nil {
			l.fail(x.step, err)
		}
	default:
		j.Verdict, j.Record = Cached, &x.record
		p.outputs.take(j.ID, &x.record)
	}
}

// fail notes a mistake in the step at a place in the plan.
func (l *lookups) fail(step int, err error) {
	for len(l.errs) <= step {
		l.errs = append(l.errs, nil)
	}
	l.errs[step] = err
	j := l.plan.Steps[step]
	*j = Planned{Step: j.Step, Verdict: Unknown}
}

// end waits for all, and returns the mistakes in the plan's order.
func (l *lookups) end() []error {
	for l.open > 0 {
		l.note(<-l.found)
	}
	close(l.todo)
	l.wait.Wait()
	var all []error
	for _, err := range l.errs {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}
