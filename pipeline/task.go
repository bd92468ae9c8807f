package pipeline

import (
	"context"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"eyrie/pipeline/process"
)

// Task is what a running stage may use besides its configuration: one use of it, while
// it lasts. Nothing of it is in the key, so a stage must give the same result whatever
// it is granted. Its methods may be called from several goroutines; once the stage has
// returned, what it still reports and logs is dropped.
//
// The runner makes tasks, and so does a test, with [NewTask]. The zero Task grants all
// CPUs and nothing else.
type Task struct {
	env  Env
	ends atomic.Bool                           // it was asked for the grace
	open func() (checkpoint string, err error) // makes the checkpoint's directory when a stage asks for it; nil where env names it
}

// Env is what a task is made of.
type Env struct {
	Work       string              // an empty directory for the files that the stage makes; "" for none
	Checkpoint string              // a directory that survives a kill; "" for none
	CPUs       int                 // how many threads the stage may keep busy; 0 for all
	GPUs       []int               // which GPUs are its own
	CPUSet     []int               // which processors are its own; none for any
	Grace      time.Duration       // see [Task.Grace]
	Progress   func(Progress)      // receives what is reported; may be nil
	Log        zerolog.Logger      // the zero Logger drops what is logged
	Used       func(process.Usage) // receives what programs have used; may be nil
	Lineage    func() []Ancestor   // see [Task.Lineage]; nil for none
}

// Progress is how far a stage has come.
type Progress struct {
	Done  float64 `json:"done"`
	Total float64 `json:"total,omitempty"` // 0 when unknown
	Unit  string  `json:"unit,omitempty"`  // what is counted: "images", "steps"
	Note  string  `json:"note,omitempty"`  // a few words: "phase 2/3, loss 0.41, top-1 0.87"
}

// NewTask returns a task that grants what is in env.
func NewTask(env Env) *Task { return &Task{env: env} }

// Report tells the user how far the stage has come. It is cheap, because the runner
// drops reports that follow each other too closely: call it as often as is natural.
func (t *Task) Report(p Progress) {
	if f := t.env.Progress; f != nil {
		f(p)
	}
}

// Log returns the logger whose lines become events of the run.
func (t *Task) Log() *zerolog.Logger { return &t.env.Log }

// Path returns where the stage may write a file or directory called name, to
// be returned as artifacts.Local(path).
func (t *Task) Path(name string) string {
	if t.env.Work == "" {
		panic("pipeline: the task has no work directory; in a test, set Env.Work")
	}
	return filepath.Join(t.env.Work, name)
}

// Checkpoint returns the directory in which the stage may keep what it needs
// to go on after an interruption: it is the same, with its content, when the
// same action is started again, and is removed when the action succeeds. It is
// empty, "", where nothing can be kept.
func (t *Task) Checkpoint() string {
	if t.open == nil {
		return t.env.Checkpoint
	}
	dir, err := t.open()
	if err != nil {
		t.Log().Warn().Err(err).Msg("no checkpoint can be kept")
		return ""
	}
	return dir
}

// CPUs returns how many threads the stage may keep busy.
func (t *Task) CPUs() int {
	if n := t.env.CPUs; n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}

// GPUs returns the numbers of the GPUs that are the stage's own while it runs.
func (t *Task) GPUs() []int { return t.env.GPUs }

// CPUSet returns the numbers of the processors that are the stage's own while it runs;
// none where it may use any, as many as CPUs says.
func (t *Task) CPUSet() []int { return t.env.CPUSet }

// Grace returns how long what the stage has started may go on once the context has ended;
// 0 for as long as it likes. A stage that asks ends what it started itself when the grace
// is over, so that nothing is given up: it is waited for a little longer.
func (t *Task) Grace() time.Duration {
	t.ends.Store(true)
	return t.env.Grace
}

// Each calls f(i) for all i in [0, n), on as many threads as the stage may keep busy,
// and reports how many of them have begun: p says what is counted. It ends early, with
// the context's error, when that ends.
func (t *Task) Each(ctx context.Context, n int, p Progress, f func(i int)) error {
	next := make(chan int)
	var group sync.WaitGroup
	for range min(n, t.CPUs()) {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	var err error
	for i := 0; i < n && err == nil; i++ {
		select {
		case next <- i:
			p.Done, p.Total = float64(i+1), float64(n)
			t.Report(p)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	close(next)
	group.Wait()
	return err
}

// Used says what a program has used that the stage ran, and that has ended. It is told with
// the step's cost.
func (t *Task) Used(u process.Usage) {
	if f := t.env.Used; f != nil {
		f(u)
	}
}

// Lineage returns the steps that the running step needs, directly or not, each
// after those that it needs itself. It is for reports about a run: what a stage
// makes of it, other than of its attributes, is as old as the result. It panics in
// a stage that was not defined [Stage.WithLineage].
func (t *Task) Lineage() []Ancestor {
	if f := t.env.Lineage; f != nil {
		return f()
	}
	return nil
}
