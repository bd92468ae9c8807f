package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// worker does one step of a run: it has an executor perform its action until that
// succeeds. It shares no state with the run: it sends messages, the last of which
// says how the step ended.
type worker struct {
	store    *store.Store
	observed *Observations
	executor Executor
	backoff  time.Duration
	logLevel zerolog.Level
	grace    time.Duration
	step     int // index in the plan
	planned  *Planned
	attrs    Attrs
	granted  grant
	lineage  []Ancestor
	deps     []*Ended // the steps that it needs, where what they made may lie behind the store
	lastName string
	run      string
	inputs   map[string]artifacts.File // of the action, once it is known
	reads    []artifacts.File          // likewise: what other steps made
	send     chan<- message

	committing bool   // what was granted is another step's by now
	used       *Usage // by the last attempt; nil where none has begun
}

func (w *worker) work(ctx context.Context) {
	begin := time.Now()
	ended, err := w.do(ctx)
	e := Event{Action: ended.Record.Action.String(), Elapsed: time.Since(begin).Seconds(), Usage: w.used}
	if ended.Record.Action.IsZero() {
		e.Action = ""
	}
	if err != nil {
		ended.Type = StepFailed
		if ctx.Err() != nil && !crashOf(err).Panic {
			ended.Type = StepStopped
			ended.Left = w.planned.Place != "" && errors.Is(err, ErrDetached)
			e.Left = ended.Left
		}
		placed := w.place(err)
		ended.Err, e.Pos, e.Error = placed, placed.Pos, placed.reason()
		if !secret(w.planned.Stage, w.attrs) {
			e.Stack = crashOf(err).Stack
		}
	}
	if ended.Type == StepCached { // no event told of its start
		e.Deps, e.Sources = w.planned.Deps, sources(w.attrs, w.inputs)
	}
	if n := w.store.Arrived(slices.Concat(w.reads, ended.Record.Objects)); n > 0 {
		w.event(Event{Type: StepMoved, Fetched: n})
	}
	w.send <- message{step: w.step, event: e, ended: ended}
}

// place names the step and the line of the attribute at fault, or else of the
// step, unless the error already does.
func (w *worker) place(err error) *StepError {
	var placed *StepError
	if errors.As(err, &placed) {
		return placed
	}
	all := mistake.Of(err)
	if len(all) == 1 && len(all[0].Path) > 0 {
		if secret(w.planned.Stage, w.attrs) { // what a stage finds out while it runs may follow from it
			all[0] = w.planned.Stage.hidden(all[0])
		}
		return attrError(w.planned.Step, w.attrs, all[0])
	}
	if timeout := TimeoutError(0); secret(w.planned.Stage, w.attrs) && !errors.As(err, &timeout) && !crashOf(err).Stuck {
		err = errHidden
	}
	return stepError("", w.planned.Step, "", err)
}

// event sends an event about the step.
func (w *worker) event(e Event) {
	e.Step = w.planned.ID
	w.send <- message{step: w.step, event: e}
}

// do brings the step's action to its end: found in the store, done by another process
// in the meantime, or performed for this run.
func (w *worker) do(ctx context.Context) (*Ended, error) {
	ended := &Ended{Planned: w.planned, Type: StepCached}
	a := w.planned.action
	if a == nil {
		var err error
		if a, err = newAction(ctx, w.observed, w.planned.Step, w.attrs); err != nil {
			return ended, err
		}
	}
	w.inputs, w.reads = a.inputs, a.files()
	a.notePlaces(w.store)
	ended.Record = store.Record{Action: a.id, Preimage: a.preimage, Step: w.planned.ID, Run: w.run}
	found := errors.New("to be run again")
	if !w.planned.rerun { // what is there needs no executor
		var r store.Record
		if r, found = w.store.Claim(ctx, a.id); found == nil {
			ended.Record = r
		} else if !errors.Is(found, store.ErrNotFound) {
			return ended, found
		}
	}
	if found != nil {
		if err := ready(w.planned.Step, w.attrs, a.config, nil); err != nil {
			return ended, err
		}
		if err := w.bring(ctx, a); err != nil {
			return ended, err
		}
		result, err := w.attempts(ctx, a, ended)
		if err != nil {
			return ended, err
		}
		ended.Record = result.Record
		if !result.Found {
			ended.Type = StepDone
			w.share(result.Record)
		}
	}
	return ended, w.store.SetLast(w.lastName, a.id)
}

// bring fetches the action's inputs that lie behind the store: whatever an executor starts
// has the store, and not what is behind it.
func (w *worker) bring(ctx context.Context, a *action) error {
	if !w.store.Backed() {
		return nil
	}
	err := w.store.Bring(ctx, w.reads)
	if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrDamaged) {
		return err
	}
	return fmt.Errorf("%s is neither here nor to be had from a cache any more; run again: what is gone is made anew, and the rest stays: %w", w.lost(ctx), err)
}

// lost names what of the action's inputs cannot be had, by the steps that made it.
func (w *worker) lost(ctx context.Context) string {
	var by []string
	for _, f := range w.reads {
		if w.store.Holds(ctx, f) == nil {
			continue
		}
		for _, made := range w.deps {
			if slices.ContainsFunc(made.Record.Objects, func(o artifacts.File) bool { return o.Digest == f.Digest }) && !slices.Contains(by, made.ID) {
				by = append(by, made.ID)
			}
		}
	}
	if len(by) == 0 {
		return "an input"
	}
	return "the result of " + strings.Join(by, ", ")
}

// share publishes what the step has made, unless secrets may be in it.
func (w *worker) share(r store.Record) {
	if !w.planned.Secret && !secret(w.planned.Stage, w.attrs) {
		w.store.Share(r)
	}
}

// attempts has the job performed until that succeeds, at most Retries+1 times.
func (w *worker) attempts(ctx context.Context, a *action, ended *Ended) (Result, error) {
	report := w.reporter(ctx, a, ended)
	for n := 1; ; n++ {
		job, err := w.job(a, n)
		if err != nil {
			return Result{}, err
		}
		w.used = nil
		result, err := w.executor.Perform(ctx, job, report)
		if err == nil || ctx.Err() != nil || n > w.planned.Retries || w.committing || crashOf(err).Panic || crashOf(err).Stuck {
			return result, err
		}
		w.event(Event{Type: StepRetry, Attempt: n, Error: w.place(err).reason(), Usage: w.used})
		select {
		case <-time.After(w.backoff << min(n-1, 5)):
		case <-ctx.Done():
			return Result{}, err
		}
	}
}

// job is the nth attempt at the action.
func (w *worker) job(a *action, n int) (*Job, error) {
	j, err := newJob(a, w.planned.Step)
	if err != nil {
		return nil, err
	}
	j.Resources, j.GPUs, j.CPUs = maps.Clone(w.granted.amounts), w.granted.gpus, w.granted.cpus
	j.Run, j.Attempt, j.Rerun = w.run, n, w.planned.rerun
	j.Lineage, j.LogLevel, j.Grace = w.lineage, w.logLevel, w.grace
	j.Committing = w.commit
	return j, nil
}

// commit gives back what the step was granted. If the store then fails there is no further
// attempt: nothing is wrong with the stage, and there may be no room for it.
func (w *worker) commit() {
	w.committing = true
	w.send <- message{step: w.step, committing: true}
}

// reporter returns what an executor reports to: it adds what the plan knows. Only
// the first of several attempts reports that the step has started.
func (w *worker) reporter(ctx context.Context, a *action, ended *Ended) func(Event) {
	started, quiet := false, secret(w.planned.Stage, w.attrs)
	return func(e Event) {
		if quiet {
			e = discreet(e)
		}
		switch e.Type {
		case StepUsed:
			w.used = e.Usage
			return
		case StepQueued, StepWaiting:
			e.Action = a.id.String()
		case StepStarted:
			if started {
				return
			}
			started = true
			ended.Because = w.planned.Reasons
			if w.planned.Verdict == Unknown {
				ended.Because = because(ctx, w.store, w.lastName, a, w.planned.Stage)
			}
			e.Stage, e.Pos, e.Action, e.Reasons = w.planned.Stage.Name, w.planned.Pos, a.id.String(), ended.Because
			e.Deps, e.Sources = w.planned.Deps, sources(w.attrs, a.inputs)
		}
		w.event(e)
	}
}
