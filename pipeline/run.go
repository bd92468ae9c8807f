package pipeline

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/process"
)

// Status is how a run, or a step in it, ended.
type Status string

// The ways to end.
const (
	Succeeded   Status = "succeeded"   // every step is done or cached
	Failed      Status = "failed"      // at least one step failed
	Interrupted Status = "interrupted" // the context was cancelled
)

// Run is what happened.
type Run struct {
	ID     string
	Status Status
	Steps  []*Ended // in the plan's order

	// Values are the recipe's outputs as far as they are known, and Mistakes what was wrong
	// with others.
	Values   []OutputValue
	Mistakes error

	// NoJournal is why the journal is missing or not whole. It is set only
	// where nothing had to run: otherwise it is Execute's error.
	NoJournal error

	byID    map[string]*Ended
	outputs Outputs // of the steps that are done or cached
}

// Ended is how one step of a run ended.
type Ended struct {
	*Planned
	Type    EventType // StepCached, StepDone, StepFailed, StepStopped or StepSkipped
	Record  store.Record
	Because []Reason // of StepDone: why it ran
	Err     error    // of StepFailed
	Left    bool     // of StepStopped: its job goes on elsewhere
	After   []string // of StepSkipped: the steps that failed
}

// Known returns the output of a step that is done or cached.
func (r *Run) Known(id string) (json.RawMessage, bool) {
	return r.outputs.Known(id)
}

// Outputs returns the outputs of the steps that are done or cached.
func (r *Run) Outputs() *Outputs { return &r.outputs }

// RunOptions say how to execute a plan.
type RunOptions struct {
	Jobs      int                // how many steps run at once; 0 for one per CPU
	Resources map[string]float64 // what the machine has; "cpus" defaults to its threads
	FailFast  bool               // start nothing more after a failure
	Backoff   time.Duration      // before the first retry, doubled for each further one; 0 for 1 s
	Grace     time.Duration      // how long a stage that is told to stop may take before it is given up; 0 for as long as it likes
	LogLevel  zerolog.Level      // of the stages' logs
	Observe   func(Event)        // called by one goroutine, in order; may be nil
	Executor  Executor           // what performs the steps' jobs; nil for InProcess
	Places    map[string]Place   // where steps run that have a Place, by its name
	Noted     func()             // called when the journal says which results the plan has found; may be nil
	Header    *Header            // what the journal begins with; nil for the variables alone

	// Settle is called when no step runs any more. It waits for what was published beside them, also
	// in a run that was told to stop, and returns how many bytes were sent for an action. It may be nil.
	Settle func() (sent func(artifacts.ActionID) int64)
}

// Execute runs what the plan says must run, and what follows from it. When ctx
// is cancelled, it asks running steps to stop, and returns when they have.
// The error is a failure of the run itself, such as a store that cannot be
// written; without a Run, nothing was started. Steps' failures are in the Run.
// A run in which everything is cached needs no store that can be written.
func Execute(ctx context.Context, p *Plan, store *store.Store, opt RunOptions) (*Run, error) {
	x, err := newExecution(p, store, opt)
	if err != nil {
		return nil, err
	}
	x.dispatch(ctx)
	err = x.close()
	err = errors.Join(x.journalErr, err)
	if p.AllCached() {
		x.run.NoJournal, err = err, nil
	}
	return x.run, err
}

// execution is the state of a run. It belongs to the goroutine that called
// Execute; workers only send messages.
type execution struct {
	plan  *Plan
	store *store.Store
	opt   RunOptions
	run   *Run
	start time.Time

	here       *place               // this machine
	places     []*place             // all of them, this machine first
	at         []*place             // by step, as the plan's order
	claims     []map[string]float64 // by step
	grants     []grant              // by step: what it has while it runs
	needs      []int                // by step that is not cached: how many dependencies are not done
	dependents [][]int              // by step: those that wait for it
	committing []bool               // by step: it only waits for the disk
	stopping   bool                 // after a failure with FailFast

	messages   chan message
	journal    io.WriteCloser // nil where it could not be made and need not be
	lines      *bufio.Writer  // to the journal: written whenever the run waits for a step
	journalErr error
}

// mostCommitting is how many steps may wait for the disk beside those that run. The disk
// makes what they made last together; each holds some files open.
const mostCommitting = 64

// message is what a worker sends: an event, that the step only waits for the disk from
// now on, or, as its last one, how the step ended.
type message struct {
	step       int
	event      Event
	committing bool
	ended      *Ended
}

func newExecution(p *Plan, store *store.Store, opt RunOptions) (*execution, error) {
	if opt.Jobs <= 0 {
		opt.Jobs = runtime.GOMAXPROCS(0)
	}
	if opt.Backoff <= 0 {
		opt.Backoff = time.Second
	}
	if opt.Executor == nil {
		opt.Executor = InProcess(store)
	}
	total := map[string]float64{"cpus": float64(runtime.GOMAXPROCS(0))}
	for name, n := range opt.Resources {
		total[name] = n
	}
	x := &execution{
		plan: p, store: store, opt: opt, start: time.Now(),
		here:       &place{Place: Place{Executor: opt.Executor, Jobs: opt.Jobs}, pool: newPool(total, process.CPUs())},
		at:         make([]*place, len(p.Steps)),
		run:        &Run{ID: newRunID(), Steps: make([]*Ended, len(p.Steps)), byID: make(map[string]*Ended, len(p.Steps))},
		claims:     make([]map[string]float64, len(p.Steps)),
		grants:     make([]grant, len(p.Steps)),
		needs:      make([]int, len(p.Steps)),
		committing: make([]bool, len(p.Steps)),
		dependents: make([][]int, len(p.Steps)),
		messages:   make(chan message, 64),
	}
	x.run.outputs.base = &p.outputs // which no run changes
	known := x.open(opt.Places)
	index := make(map[string]int, len(p.Steps))
	var refused []error
	for i, s := range p.Steps {
		index[s.ID] = i
		if s.Verdict == Cached { // it waits for nothing
			continue
		}
		for _, d := range s.Deps {
			x.needs[i]++
			x.dependents[index[d]] = append(x.dependents[index[d]], i)
		}
		x.at[i] = known[s.Place]
		if x.at[i] == nil {
			return nil, fmt.Errorf("step %s runs at %q, and there is no such place: a mistake of the runner", s.ID, s.Place)
		}
		var err error
		x.claims[i], err = x.at[i].claim(s.Step)
		refused = append(refused, err)
	}
	if err := errors.Join(refused...); err != nil {
		return nil, err
	}
	if x.journal, x.journalErr = store.Journal(x.run.ID); x.journalErr != nil && !p.AllCached() {
		return nil, x.journalErr
	}
	x.lines = bufio.NewWriterSize(journalWriter{x}, 1<<16)
	return x, nil
}

// newRunID returns an ID that sorts by time.
func newRunID() string {
	var b [3]byte
	rand.Read(b[:])
	return time.Now().UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(b[:])
}

// journalWriter writes to the journal until its first error, which it keeps.
type journalWriter struct{ x *execution }

func (w journalWriter) Write(b []byte) (int, error) {
	if w.x.journalErr == nil {
		_, w.x.journalErr = w.x.journal.Write(b)
	}
	return len(b), nil
}

func (x *execution) close() error {
	x.flush()
	if x.journal == nil {
		return nil
	}
	return x.journal.Close()
}

// flush writes the events so far to the journal. Its error is that of journalErr.
func (x *execution) flush() { _ = x.lines.Flush() }

// dispatch is the run's only loop.
func (x *execution) dispatch(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x.emit(Event{Type: RunStarted, Recipe: x.plan.Recipe.Name, Steps: len(x.plan.Steps), Header: x.header()})
	if texts := x.plan.Recipe.texts(); len(texts) > 0 {
		x.note(Event{Type: RunRecipe, Files: texts})
	}
	for i, s := range x.plan.Steps {
		if s.Verdict != Cached && x.needs[i] == 0 {
			x.queue(i)
		}
	}
	for i, s := range x.plan.Steps {
		if s.Verdict == Cached { // which queues what waited for it alone
			s.action.notePlaces(x.store)
			if n := x.store.Arrived(s.Record.Objects); n > 0 {
				x.emit(Event{Type: StepMoved, Step: s.ID, Fetched: n})
			}
			e := Event{Action: s.Action.String()}
			if s.Record.Step != s.ID { // the journal of the run that did it tells of another step
				e.Deps, e.Sources = s.Deps, s.Sources()
			}
			x.end(i, &Ended{Planned: s, Type: StepCached, Record: *s.Record}, e)
		}
	}
	if x.opt.Noted != nil {
		x.flush()
		x.opt.Noted()
	}
	for {
		x.launch(ctx)
		if !x.busy() {
			x.failReady(ctx)
			break
		}
		if len(x.messages) == 0 {
			x.flush()
		}
		switch m := <-x.messages; {
		case m.committing:
			x.free(m.step)
			x.committing[m.step] = true
			x.at[m.step].waiting++
		case m.ended == nil:
			x.emit(m.event)
		case x.committing[m.step]:
			x.at[m.step].waiting--
			x.end(m.step, m.ended, m.event)
		default:
			x.free(m.step)
			x.end(m.step, m.ended, m.event)
		}
	}
	x.settle()
	x.finish(ctx)
}

// settle waits for what was published beside the steps, and notes what that has sent.
func (x *execution) settle() {
	if x.opt.Settle == nil {
		return
	}
	x.flush()
	sent := x.opt.Settle()
	for _, ended := range x.run.Steps {
		if ended == nil || ended.Record.Action.IsZero() {
			continue
		}
		if n := sent(ended.Record.Action); n > 0 {
			x.emit(Event{Type: StepMoved, Step: ended.ID, Sent: n})
		}
	}
}

// free takes back what a step was granted.
func (x *execution) free(i int) {
	x.at[i].running--
	x.at[i].release(x.grants[i])
}

// failReady fails the steps that are ready though nothing runs any more and nothing
// stops the run: whatever keeps them from starting must not look like success.
func (x *execution) failReady(ctx context.Context) {
	if ctx.Err() != nil || x.stopping {
		return
	}
	for _, at := range x.places {
		for len(at.ready) > 0 {
			i := at.ready[0]
			at.ready = at.ready[1:]
			s := x.plan.Steps[i]
			err := stepError(s.Pos, s.Step, "resources", errors.New("there is never room for the step, though the machine has what it asks for: a mistake of the runner"))
			x.end(i, &Ended{Planned: s, Type: StepFailed, Err: err}, Event{Pos: s.Pos, Error: err.Error()})
		}
	}
}

// launch starts, in the plan's order, every ready step that there is room for at its place.
func (x *execution) launch(ctx context.Context) {
	for _, at := range x.places {
		for k := 0; k < len(at.ready) && at.running < at.Jobs && at.waiting < mostCommitting; {
			if ctx.Err() != nil || x.stopping {
				return
			}
			i := at.ready[k]
			if !at.fits(x.claims[i]) {
				k++
				continue
			}
			at.ready = append(at.ready[:k], at.ready[k+1:]...)
			x.startStep(ctx, i)
		}
	}
}

func (x *execution) startStep(ctx context.Context, i int) {
	s := x.plan.Steps[i]
	attrs := s.Attrs
	if s.action == nil {
		var err error
		if attrs, err = s.Step.Attrs(&x.run.outputs); err == nil {
			err = mayKeep(s.Step, attrs)
		}
		if err != nil {
			x.end(i, &Ended{Planned: s, Type: StepFailed, Err: err}, Event{Pos: s.Pos, Error: err.Error()})
			return
		}
		s.Secret = s.Secret || revealing(s.Stage, attrs) != ""
	}
	at := x.at[i]
	at.running++
	x.grants[i] = at.take(x.claims[i])
	w := &worker{store: x.store, observed: x.plan.observed, executor: at.Executor, backoff: x.opt.Backoff, logLevel: x.opt.LogLevel, grace: x.opt.Grace,
		step: i, planned: s, attrs: attrs, granted: x.grants[i], lastName: x.plan.Recipe.LastName(s.ID), run: x.run.ID, send: x.messages}
	if x.store.Backed() {
		for _, d := range s.Deps { // which have ended, so that nothing changes them any more
			w.deps = append(w.deps, x.run.byID[d])
		}
	}
	if s.Stage.lineage {
		w.lineage = x.lineage(i)
	}
	go w.work(ctx)
}

// end notes how a step ended, and what follows for its dependents.
func (x *execution) end(i int, ended *Ended, e Event) {
	x.run.Steps[i] = ended
	x.run.byID[ended.ID] = ended
	if ended.Secret {
		x.run.outputs.Guard(ended.ID)
	}
	if ended.Verdict != Cached && (ended.Type == StepDone || ended.Type == StepCached) {
		x.run.outputs.take(ended.ID, &ended.Record)
	}
	x.stopping = x.stopping || ended.Type == StepFailed && x.opt.FailFast
	e.Type, e.Step, e.After, e.Err, e.Secret = ended.Type, ended.ID, ended.After, ended.Err, ended.Secret
	x.emit(e)
	for _, d := range x.dependents[i] {
		if x.run.Steps[d] != nil || x.plan.Steps[d].Verdict == Cached {
			continue
		}
		switch ended.Type {
		case StepCached, StepDone:
			if x.needs[d]--; x.needs[d] == 0 {
				x.queue(d)
			}
		case StepFailed:
			x.skip(d, ended.ID)
		}
	}
}

// skip ends everything behind a failed step, without recursion.
func (x *execution) skip(first int, failed string) {
	stack := []int{first}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if x.run.Steps[i] != nil || x.plan.Steps[i].Verdict == Cached {
			continue
		}
		s := x.plan.Steps[i]
		x.run.Steps[i] = &Ended{Planned: s, Type: StepSkipped, After: []string{failed}}
		x.run.byID[s.ID] = x.run.Steps[i]
		x.emit(Event{Type: StepSkipped, Step: s.ID, After: []string{failed}})
		stack = append(stack, x.dependents[i]...)
	}
}

// queue adds a step to the ready ones of its place, keeping the plan's order.
func (x *execution) queue(i int) {
	at := x.at[i]
	k := len(at.ready)
	for k > 0 && at.ready[k-1] > i {
		k--
	}
	at.ready = append(at.ready, 0)
	copy(at.ready[k+1:], at.ready[k:])
	at.ready[k] = i
}

// finish ends the steps that never started, and the run.
func (x *execution) finish(ctx context.Context) {
	e := Event{Type: RunFinished, Elapsed: time.Since(x.start).Seconds()}
	for i, s := range x.plan.Steps {
		if x.run.Steps[i] == nil {
			x.end(i, &Ended{Planned: s, Type: StepSkipped}, Event{})
		}
		switch x.run.Steps[i].Type {
		case StepDone:
			e.Done++
		case StepCached:
			e.Cached++
		case StepFailed:
			e.Failed++
		case StepStopped:
			e.Stopped++
		case StepSkipped:
			e.Skipped++
		}
	}
	switch {
	case e.Stopped > 0 || (ctx.Err() != nil && e.Skipped > 0):
		e.Status = Interrupted
	case e.Failed > 0:
		e.Status = Failed
	default:
		e.Status = Succeeded
	}
	x.run.Status = e.Status
	x.values()
	x.emit(e)
}

// values evaluates the recipe's outputs, and notes them in the journal.
func (x *execution) values() {
	x.run.Values, x.run.Mistakes = x.plan.Recipe.Values(&x.run.outputs)
	if len(x.run.Values) == 0 {
		return
	}
	values := make([]OutputNote, len(x.run.Values))
	for i := range x.run.Values {
		values[i] = x.run.Values[i].note()
	}
	x.note(Event{Type: RunOutputs, Values: values})
}

// emit completes an event, writes it to the journal and shows it.
func (x *execution) emit(e Event) {
	x.complete(&e)
	if e.Type != StepProgress {
		_, _ = x.lines.Write(e.line()) // which keeps the error
	}
	if x.opt.Observe != nil {
		x.opt.Observe(e)
	}
}

// note writes an event to the journal alone.
func (x *execution) note(e Event) {
	x.complete(&e)
	_, _ = x.lines.Write(e.line())
}

func (x *execution) complete(e *Event) {
	e.Version, e.Time, e.Run = EventVersion, time.Now().UTC(), x.run.ID
}
