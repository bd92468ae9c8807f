package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// worker does one step of a run. It shares no state with the run: it sends
// messages, the last of which says how the step ended.
type worker struct {
	store    *store.Store
	opt      RunOptions
	step     int // index in the plan
	planned  *Planned
	attrs    map[string]Attr
	lastName string
	run      string
	send     chan<- message
}

// panicError is a stage's panic, with its stack for the log.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string {
	return fmt.Sprintf("the stage panicked: %v (a mistake in the stage; the stack is in the run's journal)", e.value)
}

var errTimeout = errors.New("timeout")

func (w *worker) work(ctx context.Context) {
	begin := time.Now()
	ended, err := w.do(ctx)
	e := Event{Action: ended.Record.Action.String(), Elapsed: time.Since(begin).Seconds()}
	if ended.Record.Action.IsZero() {
		e.Action = ""
	}
	if err != nil {
		ended.Type = StepFailed
		if ctx.Err() != nil && !isPanic(err) {
			ended.Type = StepStopped
		}
		placed := w.place(err)
		ended.Err, e.Pos, e.Error = placed, placed.Pos, placed.reason()
		var p *panicError
		if errors.As(err, &p) {
			e.Stack = p.stack
		}
	}
	w.send <- message{step: w.step, event: e, ended: ended}
}

func isPanic(err error) bool {
	var p *panicError
	return errors.As(err, &p)
}

// place names the step and the line of the attribute at fault, or else of the
// step, unless the error already does.
func (w *worker) place(err error) *StepError {
	var placed *StepError
	if errors.As(err, &placed) {
		return placed
	}
	all := mistake.Of(err)
	if len(all) == 1 {
		return attrError(w.planned.Step, w.attrs, all[0])
	}
	if secret(w.attrs) {
		err = errSecret
	}
	return stepError("", w.planned.Step, "", err)
}

// event sends an event about the step.
func (w *worker) event(e Event) {
	e.Step = w.planned.ID
	w.send <- message{step: w.step, event: e}
}

// do brings the step's action to its end: found in the store, done by
// somebody else in the meantime, or run here.
func (w *worker) do(ctx context.Context) (*Ended, error) {
	ended := &Ended{Planned: w.planned, Type: StepCached}
	a := w.planned.action
	if a == nil {
		var err error
		if a, err = newAction(ctx, w.store, w.planned.Step, w.attrs); err != nil {
			return ended, err
		}
	}
	ended.Record.Action = a.id
	hit := func() (bool, error) {
		if w.planned.rerun {
			return false, nil
		}
		r, err := w.store.Lookup(ctx, a.id)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil
		} else if err != nil {
			return false, err
		}
		ended.Record = r
		return true, w.store.SetLast(w.lastName, a.id)
	}
	if ok, err := hit(); ok || err != nil {
		return ended, err
	}
	unlock, err := w.store.Lock(ctx, a.id, func(holder string) {
		w.event(Event{Type: StepWaiting, Action: a.id.String(), Holder: holder})
	})
	if err != nil {
		return ended, err
	}
	defer unlock()
	if ok, err := hit(); ok || err != nil {
		return ended, err
	}
	ended.Type = StepDone
	ended.Record, err = w.perform(ctx, a, ended)
	return ended, err
}

// perform runs the action, holding its lock, and records the result.
func (w *worker) perform(ctx context.Context, a *action, ended *Ended) (store.Record, error) {
	r := store.Record{Action: a.id, Preimage: a.preimage, Step: w.planned.ID, Run: w.run, Started: time.Now().UTC()}
	if w.planned.rerun {
		if err := w.store.DropCheckpoint(a.id); err != nil {
			return r, err
		}
	}
	ended.Because = w.planned.Reasons
	if w.planned.Verdict == Unknown {
		ended.Because = because(ctx, w.store, w.lastName, a)
	}
	w.event(Event{Type: StepStarted, Stage: w.planned.Stage.Name, Pos: w.planned.Pos, Action: a.id.String(),
		Reasons: ended.Because, Resumed: w.store.HasCheckpoint(a.id)})
	output, err := w.attempts(ctx, a, &r)
	if err != nil {
		return r, err
	}
	r.Output, r.Elapsed = output, time.Since(r.Started)
	if err := a.unchanged(ctx, w.store); err != nil {
		return r, err
	}
	// What is done is kept, also when the run was interrupted meanwhile.
	if err := w.store.Record(context.WithoutCancel(ctx), r); err != nil {
		return r, err
	}
	if err := w.store.SetLast(w.lastName, a.id); err != nil {
		return r, err
	}
	return r, w.store.DropCheckpoint(a.id)
}

// attempts runs the stage until it succeeds, at most Retries+1 times.
func (w *worker) attempts(ctx context.Context, a *action, r *store.Record) (json.RawMessage, error) {
	for n := 1; ; n++ {
		output, err := w.attempt(ctx, a, r)
		if err == nil || ctx.Err() != nil || n > w.planned.Retries || isPanic(err) {
			return output, err
		}
		w.event(Event{Type: StepRetry, Attempt: n, Error: err.Error()})
		select {
		case <-time.After(w.opt.Backoff << min(n-1, 5)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// attempt runs the stage once and stores the files that it made.
func (w *worker) attempt(ctx context.Context, a *action, r *store.Record) (json.RawMessage, error) {
	config, err := a.fetch(ctx, w.store)
	if err != nil {
		return nil, fmt.Errorf("an input could not be read from the store (run again to make it anew): %w", err)
	}
	work, err := w.store.Temp()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	env := Env{Work: work, CPUs: int(w.planned.Resources["cpus"]), Lineage: w.lineage}
	env.open = func() (string, error) { return w.store.Checkpoint(a.id) }
	output, err := w.call(ctx, config, env)
	if err != nil {
		return nil, err
	}
	made := settable(output)
	r.Objects = nil
	err = eachFile(made, func(f *artifacts.File) error { return w.keep(ctx, f, r) })
	if err != nil {
		return nil, fmt.Errorf("storing what the stage made: %w", err)
	}
	b, err := canonical(made.Interface())
	if err != nil {
		return nil, fmt.Errorf("the stage's output is no value: %w", err)
	}
	return b, nil
}

// keep makes sure that a file of the output is in the store, and notes it.
func (w *worker) keep(ctx context.Context, f *artifacts.File, r *store.Record) (err error) {
	stored := !f.Digest.IsZero()
	if stored { // handed through from an input: in the store, unless it was a local file
		_, err := w.store.Fetch(ctx, *f)
		stored = err == nil
	}
	if !stored && f.Path != "" {
		name := filepath.Base(f.Path)
		if *f, err = w.store.Import(ctx, f.Path); err != nil {
			return err
		}
		f.Name = name
	}
	object := artifacts.File{Digest: f.Digest, Size: f.Size, Tree: f.Tree}
	if !f.Digest.IsZero() && !slices.Contains(r.Objects, object) {
		r.Objects = append(r.Objects, object)
	}
	return nil
}

// call runs the stage's function with a timeout, and turns a panic into an error.
func (w *worker) call(ctx context.Context, config any, env Env) (output any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, string(debug.Stack())}
		}
	}()
	if t := w.planned.Timeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t, errTimeout)
		defer cancel()
		defer func() {
			if err != nil && context.Cause(ctx) == errTimeout {
				err = fmt.Errorf("stopped after its timeout of %v", t)
			}
		}()
	}
	wire := &wire{w: w}
	defer wire.cut()
	env.Progress = wire.progress
	log := zerolog.New(wire).Level(w.opt.LogLevel)
	return w.planned.Stage.run(log.WithContext(With(ctx, env)), config)
}

// lineage asks the run for the steps that this one needs. The run answers as
// long as it waits for this worker.
func (w *worker) lineage() []Ancestor {
	answer := make(chan []Ancestor, 1)
	w.send <- message{step: w.step, lineage: answer}
	return <-answer
}

// wire carries what a stage reports. It is cut when the stage returns, so that
// a goroutine it left behind cannot disturb the run.
type wire struct {
	w    *worker
	mu   sync.Mutex
	down bool
	last time.Time
}

func (l *wire) progress(p Progress) {
	const interval = 100 * time.Millisecond
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.down || now.Sub(l.last) < interval && (p.Total == 0 || p.Done < p.Total) {
		return
	}
	l.last = now
	l.w.event(Event{Type: StepProgress, Progress: &p})
}

// Write takes a line of the stage's log, as JSON.
func (l *wire) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.down {
		l.w.event(Event{Type: StepLog, Log: slices.Clone(json.RawMessage(b))})
	}
	return len(b), nil
}

func (l *wire) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
}
