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
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// Perform makes one attempt at a job in this process. It takes the action's lock,
// looks whether another process has done it meanwhile, runs the stage with a work
// directory and a checkpoint directory of the store, imports the files that it
// made, and writes the record last. What the stage reads is a snapshot: whatever happens
// to the files that the recipe names, a result belongs to the content in its key. A job
// that was decoded must be bound to its stage.
func Perform(ctx context.Context, s *store.Store, job *Job, report func(Event)) (Result, error) {
	config, preimage, err := job.config()
	if err != nil {
		return Result{}, err
	}
	unlock, err := s.Lock(ctx, job.Action, func(holder string) { report(Event{Type: StepWaiting, Holder: holder}) })
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if !job.Rerun {
		if r, err := s.Claim(ctx, job.Action); err == nil {
			return Result{r, true}, nil
		} else if !errors.Is(err, store.ErrNotFound) {
			return Result{}, err
		}
	} else if job.Attempt <= 1 { // a further attempt goes on from the one before
		if err := s.DropCheckpoint(job.Action); err != nil {
			return Result{}, err
		}
	}
	report(Event{Type: StepStarted, Resumed: s.HasCheckpoint(job.Action)})
	p := &performer{store: s, job: job, report: report, made: s.Batch()}
	defer p.made.Close()
	p.record = store.Record{Action: job.Action, Preimage: preimage, Step: job.Step, Run: job.Run, Started: time.Now().UTC()}
	defer func(began time.Time) { report(Event{Type: StepUsed, Usage: p.usage(began)}) }(time.Now())
	err = p.perform(ctx, config)
	if job.Fenced && err != nil {
		return p.fenced(ctx, err)
	} else if err != nil {
		return Result{}, err
	}
	return Result{Record: p.record}, nil
}

// fenced is how an attempt ended with an error beside which another one may have begun.
func (p *performer) fenced(ctx context.Context, err error) (Result, error) {
	if r, e := p.store.Claim(context.WithoutCancel(ctx), p.job.Action); e == nil && (!p.job.Rerun || r.Run == p.job.Run) { // what was there before is not what a rerun makes
		return Result{r, true}, nil
	}
	if p.taken != "" && !p.store.Took(p.taken) {
		err = fmt.Errorf("another attempt at the step has begun, and this one may write no more: %w", err)
	}
	return Result{}, err
}

// performer is one attempt.
type performer struct {
	store  *store.Store
	job    *Job
	report func(Event)
	record store.Record
	made   *store.Batch // what the record refers to
	work   string       // where the stage makes files; "" before it runs

	programs ledger // what those have used that the stage ran

	mu    sync.Mutex // a stage that was given up may still ask for its checkpoint
	links string     // to the checkpoint and the inputs; "" before there is one
	seen  string     // what of the checkpoint is the attempt's; "" for all
	taken string     // the checkpoint's directory; "" before it is taken
	over  bool       // the attempt has ended
}

// Names in an attempt's directory of links. It and the work directory are gone when the
// attempt ends: a stage that was given up and runs on finds neither, so that it cannot
// write beside the next attempt.
const checkpointName, inputsName = "checkpoint", "inputs"

var errOver = errors.New("the attempt has ended")

// checkpoint takes the action's checkpoint, and returns a link to its directory.
func (p *performer) checkpoint() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return "", errOver
	}
	if err := p.own(); err != nil {
		return "", err
	}
	dir := filepath.Join(p.taken, p.seen)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	return p.link(dir, checkpointName)
}

// own takes the action's checkpoint, unless the attempt has.
func (p *performer) own() (err error) {
	if p.taken == "" {
		p.taken, err = p.store.Checkpoint(p.job.Action)
	}
	return err
}

// checkpointLink returns where the link to the checkpoint is, if there is one.
func (p *performer) checkpointLink() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return filepath.Join(p.links, checkpointName)
}

// link makes a link to what is at the path to, under a name of the attempt's own.
func (p *performer) link(to string, name ...string) (link string, err error) {
	if p.links == "" {
		if p.links, err = p.store.Temp(); err != nil {
			return "", err
		}
	}
	link = filepath.Join(p.links, filepath.Join(name...))
	if to, err = filepath.Abs(to); err != nil {
		return "", err
	}
	return link, errors.Join(os.MkdirAll(filepath.Dir(link), 0o777), os.Symlink(to, link))
}

// clean removes the attempt's directories.
func (p *performer) clean() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	for _, dir := range []string{p.work, p.links} {
		if dir != "" {
			p.store.Discard(dir)
		}
	}
}

func (p *performer) perform(ctx context.Context, config any) (err error) {
	defer p.clean()
	if p.job.Fenced {
		if err := p.own(); err != nil {
			return err
		}
	}
	output, err := p.output(ctx, config)
	if err != nil {
		return err
	}
	release, err := p.store.Hold(ctx) // objects that are there stay until the record needs them
	if err != nil {
		return err
	}
	defer release()
	r := &p.record
	if r.Output, err = p.keepAll(ctx, output); err != nil {
		return err
	}
	r.Elapsed = time.Since(r.Started)
	if p.job.Committing != nil {
		p.job.Committing()
	}
	// What is done is kept, also when the run was interrupted meanwhile.
	if err := p.made.Commit(context.WithoutCancel(ctx), *r); err != nil {
		return err
	}
	return p.store.DropCheckpoint(r.Action)
}

// output runs the stage.
func (p *performer) output(ctx context.Context, config any) (any, error) {
	config, in, err := p.inputs(ctx, config)
	if err != nil {
		return nil, err
	}
	output, err := p.call(ctx, config, in)
	if checkpoint := p.checkpointLink(); err != nil && store.Obstructed(checkpoint, err) { // what it holds are files of the stage's own
		p.store.Discard(p.work)
		p.taken = ""
		if err := errors.Join(p.store.DropCheckpoint(p.job.Action), os.Remove(checkpoint)); err != nil {
			return nil, err
		}
		output, err = p.call(ctx, config, in)
	}
	if err != nil {
		return nil, in.named(err)
	}
	return output, in.unchanged(ctx, p.store)
}

// inputs makes the files in a configuration readable.
func (p *performer) inputs(ctx context.Context, config any) (any, *inputs, error) {
	release, err := p.store.Hold(ctx) // what is in the store stays until there are links to it
	if err != nil {
		return nil, nil, err
	}
	defer release()
	in, err := p.snapshot(ctx, references(config))
	if err != nil {
		return nil, nil, err
	}
	p.seen = in.seen()
	if config, err = in.into(ctx, p.store, config); err != nil {
		return nil, nil, fmt.Errorf("an input could not be read from the store (run again to make it anew): %w", err)
	}
	return config, in, nil
}

// keepAll takes the files that the stage made, and returns its output as it is recorded.
func (p *performer) keepAll(ctx context.Context, output any) (json.RawMessage, error) {
	made := settable(output)
	if err := eachFile(made, func(f *artifacts.File) error { return p.keep(ctx, f) }); err != nil {
		return nil, fmt.Errorf("storing what the stage made: %w", err)
	}
	b, err := canonical(made.Interface())
	if err != nil {
		return nil, fmt.Errorf("the stage's output is not a value: %w", err)
	}
	return b, nil
}

// keep makes sure that a file of the output is in the store, and notes it.
func (p *performer) keep(ctx context.Context, f *artifacts.File) error {
	object, err := p.object(ctx, f)
	if err != nil {
		return err
	}
	if !f.Digest.IsZero() && !slices.Contains(p.record.Objects, object) {
		p.record.Objects = append(p.record.Objects, object)
	}
	return nil
}

// object returns a file of the output as the record refers to it: one that was handed through,
// or one that the stage made, which is imported.
func (p *performer) object(ctx context.Context, f *artifacts.File) (object artifacts.File, err error) {
	if !f.Digest.IsZero() {
		if object, err = p.made.Keep(ctx, *f); err == nil {
			return object, nil
		}
	}
	if f.Path == "" {
		return artifacts.File{Digest: f.Digest, Size: f.Size, Tree: f.Tree}, nil
	}
	name := filepath.Base(f.Path)
	if *f, err = p.made.Import(ctx, f.Path); err != nil {
		return object, err
	}
	object = *f
	f.Name = name
	return object, nil
}

// call runs the stage's function with a timeout. A stage that is told to stop and does
// not within the job's grace is given up: it runs on, as nothing can end a goroutine,
// but its reports are dropped, and nothing that it makes is kept.
func (p *performer) call(ctx context.Context, config any, in *inputs) (output any, err error) {
	if p.work, err = p.store.Temp(); err != nil {
		return nil, err
	}
	timeout := errors.New("timeout")
	if t := p.job.Timeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t, timeout)
		defer cancel()
	}
	if p.job.Returned != nil {
		defer p.job.Returned()
	}
	wire := &wire{report: p.report, names: in.inLog}
	defer wire.cut()
	task := p.task(wire)
	returned := make(chan struct{})
	var result func() (any, error)
	go func() {
		defer close(returned)
		output, err := p.guarded(ctx, task, config)
		result = func() (any, error) { return output, err }
	}()
	stuck := !p.await(ctx, task, returned)
	switch timedOut := context.Cause(ctx) == timeout; {
	case stuck && timedOut:
		return nil, &CrashError{Reason: fmt.Sprintf("%v; it did not stop %s, and was given up", TimeoutError(p.job.Timeout), Within(p.job.Grace)), Stuck: true}
	case stuck:
		return nil, &CrashError{Reason: fmt.Sprintf("told to stop, it did not %s, and was given up", Within(p.job.Grace)), Stuck: true}
	}
	if output, err = result(); err != nil && context.Cause(ctx) == timeout && !crashOf(err).Panic {
		err = TimeoutError(p.job.Timeout)
	}
	return output, err
}

// await waits until the stage has returned, and reports whether it has before it must
// be given up.
func (p *performer) await(ctx context.Context, task *Task, returned <-chan struct{}) bool {
	select {
	case <-returned:
		return true
	case <-ctx.Done():
	}
	var over <-chan time.Time
	if grace := p.job.Grace; grace > 0 {
		if task.ends.Load() {
			grace += reaping
		}
		over = time.After(grace)
	}
	select {
	case <-returned:
		return true
	case <-over:
		return false
	}
}

// reaping is how long a stage is waited for that kills what it started when the grace is over.
const reaping = 10 * time.Second

// guarded runs the stage's function and turns a panic into an error.
func (p *performer) guarded(ctx context.Context, task *Task, config any) (output any, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = PanicError(fmt.Sprint(v), string(debug.Stack()))
		}
	}()
	return p.job.stage.run(ctx, task, config)
}

// Within says how long a grace is.
func Within(grace time.Duration) string {
	if grace < time.Millisecond {
		return "at once"
	}
	return "within " + grace.String()
}

// task is what the stage may use.
func (p *performer) task(wire *wire) *Task {
	t := NewTask(Env{
		Work: p.work, CPUs: int(p.job.Resources["cpus"]), GPUs: p.job.GPUs,
		CPUSet: p.job.CPUs, Grace: p.job.Grace,
		Progress: wire.progress, Log: zerolog.New(wire).Level(p.job.LogLevel),
		Used: p.programs.add,
		Lineage: func() []Ancestor {
			if !p.job.stage.lineage {
				panic("pipeline: the stage " + p.job.Stage + " asks for its lineage, and is not defined with WithLineage")
			}
			return p.job.Lineage
		},
	})
	t.open = sync.OnceValues(p.checkpoint)
	return t
}

// wire carries what a stage reports. It is cut when the stage returns, so that
// a goroutine it left behind cannot disturb the run.
type wire struct {
	report func(Event)
	names  *strings.Replacer // of input files in a log
	mu     sync.Mutex
	down   bool
	last   time.Time
	lines  int // of the log, so far
	left   int // of them that were left out
	size   int // of the log, in bytes
}

// mostLines is how many lines of a stage's log are kept, and mostLogged how many bytes. A
// program that prints without end would fill the disk with its journal, and the run would do
// nothing but write it.
const mostLines, mostLogged = 50_000, 16 << 20

func (l *wire) progress(p Progress) {
	const interval = 100 * time.Millisecond
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.down || now.Sub(l.last) < interval && (p.Total == 0 || p.Done < p.Total) {
		return
	}
	l.last = now
	l.report(Event{Type: StepProgress, Progress: &p})
}

// Write takes a line of the stage's log, as JSON.
func (l *wire) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines++
	l.size += len(b)
	if l.lines > mostLines || l.size > mostLogged {
		l.left++
	} else if !l.down {
		l.report(Event{Type: StepLog, Log: json.RawMessage(l.names.Replace(string(b)))})
	}
	return len(b), nil
}

func (l *wire) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left > 0 && !l.down {
		l.report(Event{Type: StepLog, Log: json.RawMessage(fmt.Sprintf(`{"level":"warn","message":"%d more lines of the log are left out"}`, l.left))})
	}
	l.down = true
}
