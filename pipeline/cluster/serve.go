package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// The exit codes of a job: what it has said is what counts, but sites count failures.
const (
	exitDone   = 0
	exitFailed = 1
)

// ExitStopped is the exit code of a job that was told to stop, and is to be started again: EX_TEMPFAIL.
const ExitStopped = 75

// Serve performs the errand at path+".job" on a node, and returns its exit code. An error says
// that it could not even say how that went.
//
// SIGTERM stops the stage, which writes its checkpoint. So does SIGUSR1, which says that the
// time limit is near: the job is then put back into the queue by again, if that can be done.
func Serve(ctx context.Context, s *store.Store, stages []*pipeline.Stage, path string, again func() error) (code int, err error) {
	var e errand
	if err := readJSON(path+".job", &e); err != nil {
		return exitFailed, err
	}
	events, n, err := newEvents(path)
	if err != nil {
		return exitFailed, err
	}
	defer events.Close()
	to := apart.NewSender(events)
	if e.Job == nil {
		to.Send(apart.Last(pipeline.Result{}, nil))
		return exitDone, to.Err()
	}
	e.Job.Grace, e.Job.Fenced = e.Grace, true
	e.Job.GPUs = here(e.Job)
	if n > 0 || e.Takeover { // the attempt before may be running still, and hold the lock until it finds that it cannot write
		e.Job.Attempt = max(e.Job.Attempt, 2) // which goes on from the checkpoint, also of a step that is run again from its beginning
		if _, err := s.Checkpoint(e.Job.Action); err != nil {
			return exitFailed, err
		}
	}
	_ = os.Chdir(e.Job.Dir) // what relative paths start from; Perform says which it cannot read
	ctx, told := watchSignals(ctx)
	before, began := s.CheckpointTime(e.Job.Action), time.Now()
	teller := newTeller(to, events)
	result, err := apart.Perform(ctx, s, stages, e.Job, teller.tell)
	teller.end()
	if err != nil && ctx.Err() != nil {
		to.Send(stopped(told(), s, e.Job, before, began, again))
		return ExitStopped, errors.Join(to.Err(), events.Sync())
	}
	to.Send(apart.Last(result, err))
	if code = exitDone; err != nil {
		code = exitFailed
	}
	return code, errors.Join(to.Err(), events.Sync())
}

// here returns the GPUs of a job that are on this node, as they are numbered among those that the
// scheduler shows it. Each of several nodes has as many.
func here(job *pipeline.Job) []int {
	gpus, nodes := whole(job.Resources["gpus"]), max(1, whole(job.Resources["nodes"]))
	all := make([]int, (gpus+nodes-1)/nodes)
	for i := range all {
		all[i] = i
	}
	return all
}

// newEvents makes the file for what the element says, the nth time that it is started.
func newEvents(path string) (f *os.File, n int, err error) {
	for ; ; n++ {
		f, err = os.OpenFile(fmt.Sprintf("%s.%d.events", path, n), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, n, err
		}
	}
}

// watchSignals returns a context that ends when the scheduler wants the job to stop, and what
// tells which signal said so.
func watchSignals(parent context.Context) (ctx context.Context, told func() os.Signal) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1, os.Interrupt)
	var got os.Signal
	go func() {
		got = <-signals
		cancel()
		for range signals { // a second one changes nothing: the scheduler kills what takes too long
		}
	}()
	return ctx, func() os.Signal { <-ctx.Done(); return got }
}

// stopped says why a job was stopped, after it was put back into the queue if it should be. A
// job that has made no checkpoint since it began would never come to its end: that is a failure.
func stopped(by os.Signal, s *store.Store, job *pipeline.Job, before, began time.Time, again func() error) apart.Message {
	if by != syscall.SIGUSR1 {
		return apart.Message{Stopped: "it was told to stop"}
	}
	if s.CheckpointTime(job.Action).Equal(before) {
		return apart.Last(pipeline.Result{}, errors.New("its time limit was near, and it has kept no checkpoint to go on from: give it more time (time in the site file, or the step's timeout)"))
	}
	ran := time.Since(began).Round(time.Second)
	if err := again(); err != nil {
		return apart.Message{Stopped: fmt.Sprintf("its time limit was near after %v, and it could not be put back into the queue: %v", ran, err)}
	}
	return apart.Message{Stopped: fmt.Sprintf("its time limit was near after %v: it is back in the queue, to go on from its checkpoint", ran)}
}

// teller passes on what a stage reports to those who read a file elsewhere: progress once in a
// second, the last one always.
type teller struct {
	to   *apart.Sender
	file *os.File

	mu      sync.Mutex
	sent    time.Time       // when progress was
	waiting *pipeline.Event // progress that was held back
	synced  time.Time
	over    bool
}

func newTeller(to *apart.Sender, file *os.File) *teller { return &teller{to: to, file: file} }

const interval = time.Second

func (t *teller) tell(e pipeline.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Type != pipeline.StepProgress {
		t.send(e)
		return
	}
	wait := interval - time.Since(t.sent)
	if wait <= 0 {
		t.sent = time.Now()
		t.send(e)
		return
	}
	if t.waiting == nil {
		time.AfterFunc(wait, t.flush)
	}
	t.waiting = &e
}

func (t *teller) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting != nil && !t.over {
		t.sent = time.Now()
		t.send(*t.waiting)
	}
	t.waiting = nil
}

// end sends progress that was held back, and has nothing more sent.
func (t *teller) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting != nil {
		t.send(*t.waiting)
	}
	t.over, t.waiting = true, nil
}

func (t *teller) send(e pipeline.Event) {
	t.to.Send(apart.Message{Event: &e})
	if now := time.Now(); now.Sub(t.synced) >= interval {
		t.synced = now
		_ = t.file.Sync() // other machines see what is in a file once it has left this one
	}
}
