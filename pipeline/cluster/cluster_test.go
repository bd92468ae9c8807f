package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// A line is a line, however long: a result with a large table is one.
func TestTailOfLongLines(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 3*atOnce)
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, append(append([]byte("a\n"), long...), "\nb\nhalf"...), 0o666); err != nil {
		t.Fatal(err)
	}
	f := tail{path: path}
	var all [][]byte
	for range 3 {
		all = append(all, f.lines(false)...)
	}
	all = append(all, f.lines(true)...)
	if len(all) != 4 || string(all[0]) != "a" || !bytes.Equal(all[1], long) || string(all[2]) != "b" || string(all[3]) != "half" {
		t.Errorf("%d lines", len(all))
	}
}

// However long a log is, at a job's end all of it is the step's, in whole lines; an error tells
// the last ones.
func TestLongLog(t *testing.T) {
	line := strings.Repeat("0123456789abcdef", 64)
	path := filepath.Join(t.TempDir(), "log")
	many := bytes.Repeat([]byte(line+"\n"), 2*atOnce/len(line))
	if err := os.WriteFile(path, append(many, "the end"...), 0o666); err != nil {
		t.Fatal(err)
	}
	n, last := 0, ""
	a := &attempt{log: tail{path: path}, output: &apart.Output{Report: func(e pipeline.Event) {
		n++
		last = string(e.Log)
		if !strings.Contains(last, line) && !strings.Contains(last, "the end") {
			t.Errorf("a part of a line: %s", last)
		}
	}}}
	a.print(true)
	a.output.End(false)
	if n != 2*atOnce/len(line)+1 || !strings.Contains(last, "the end") {
		t.Errorf("%d lines, the last one is %s", n, last)
	}
	if got := lastLines(path); strings.Count(got, line) != 9 || !strings.HasSuffix(got, "the end") {
		t.Error(got)
	}
}

// lossy is a scheduler that loses the first job, and whose jobs say what they have used.
type lossy struct {
	Scheduler
	jobs int
}

func (s *lossy) Traits() Traits { return Traits{Name: "job"} }

func (s *lossy) Submit(_ context.Context, b *Batch) ([]string, error) {
	s.jobs++
	f, err := os.Create(filepath.Join(b.Dir, "0.0.events"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	to := apart.NewSender(f)
	to.Send(apart.Message{Event: &pipeline.Event{Type: pipeline.StepStarted}})
	to.Send(apart.Message{Event: &pipeline.Event{Type: pipeline.StepUsed, Usage: &pipeline.Usage{Elapsed: 10, CPU: 5, Measured: pipeline.Whole}}})
	if s.jobs > 1 {
		to.Send(apart.Last(pipeline.Result{}, errors.New("it went wrong")))
	}
	return []string{strconv.Itoa(s.jobs)}, to.Err()
}

func (s *lossy) Status(_ context.Context, ids []string) (map[string]Status, error) {
	return map[string]Status{ids[0]: {State: Ended}}, nil
}

func (s *lossy) Explain(context.Context, string, Status) Ending {
	return Ending{Err: errors.New("its node was lost"), Lost: true}
}

// What a job has cost that was lost is part of what the step has cost.
func TestCostOfLostJobs(t *testing.T) {
	dir := t.TempDir()
	kept, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	x := &Executor{Name: "test", Store: kept, Dir: dir, Scheduler: &lossy{}, Program: "/runner", Poll: time.Millisecond, Patience: time.Millisecond}
	var used *pipeline.Usage
	_, err = x.Perform(t.Context(), &pipeline.Job{Action: artifacts.NewActionID(nil)}, func(e pipeline.Event) {
		if e.Usage != nil {
			used = e.Usage
		}
	})
	if err == nil || used == nil || used.Elapsed != 20 || used.CPU != 10 || used.Measured != pipeline.Whole {
		t.Errorf("%v: %+v", err, used)
	}
}

// unsure is a scheduler whose list lacks a job of which it knows when it is asked for that one.
type unsure struct {
	lossy
	events string
}

func (s *unsure) Submit(ctx context.Context, b *Batch) ([]string, error) {
	s.events = filepath.Join(b.Dir, "0.0.events")
	return s.lossy.Submit(ctx, b)
}

func (s *unsure) Status(context.Context, []string) (map[string]Status, error) { return nil, nil }

func (s *unsure) Explain(context.Context, string, Status) Ending {
	f, err := os.OpenFile(s.events, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return Ending{Err: err}
	}
	defer f.Close()
	to := apart.NewSender(f)
	to.Send(apart.Last(pipeline.Result{}, errors.New("it came to its end")))
	return Ending{Err: to.Err()}
}

// A job is waited for as long as it waits or runs, also where a list of jobs lacks it: another one
// beside it would do the same twice.
func TestJobNotInTheList(t *testing.T) {
	dir := t.TempDir()
	kept, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	s := &unsure{}
	x := &Executor{Name: "test", Store: kept, Dir: dir, Scheduler: s, Program: "/runner", Poll: time.Millisecond, Patience: time.Millisecond}
	_, err = x.Perform(t.Context(), &pipeline.Job{Action: artifacts.NewActionID(nil)}, func(pipeline.Event) {})
	if err == nil || !strings.Contains(err.Error(), "it came to its end") || s.jobs != 1 {
		t.Errorf("%v, %d jobs", err, s.jobs)
	}
}

// A job whose node was lost may wait for minutes before it starts again: that is told, once each time.
func TestBackInTheQueue(t *testing.T) {
	var said []string
	x := &Executor{Name: "test", Scheduler: &lossy{}}
	a := &attempt{executor: x, told: true, id: "7_0", changed: make(chan struct{}, 1), output: &apart.Output{}, report: func(e pipeline.Event) { said = append(said, string(e.Log)) }}
	lost := Status{State: Pending, Reason: "BeginTime"}
	for _, s := range []Status{{State: Pending}, {State: Running}, lost, lost, {State: Running}, lost} {
		a.learn(s)
		a.follow(a.view())
		a.follow(a.view())
	}
	if len(said) != 2 || !strings.Contains(said[0], "job 7_0 is back in the queue (BeginTime)") {
		t.Errorf("%q", said)
	}
}

// slow is a scheduler that a run is interrupted in front of: it takes a job, or not, after that.
type slow struct {
	Scheduler
	asked, goOn chan struct{}
	refuses     error
}

func (s *slow) Traits() Traits { return Traits{Name: "job"} }

func (s *slow) Find(context.Context, *Batch) ([]string, error) { return nil, nil }

func (s *slow) Submit(context.Context, *Batch) ([]string, error) {
	close(s.asked)
	<-s.goOn
	if s.refuses != nil {
		return nil, s.refuses
	}
	return []string{"7_0"}, nil
}

// A run that is left while jobs are being handed in ends when they are in the queue, and says only
// of those that they go on.
func TestLeftWhileHandingIn(t *testing.T) {
	for _, refuses := range []error{nil, ErrBusy, errors.New("no")} {
		dir := t.TempDir()
		kept, err := store.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		s := &slow{asked: make(chan struct{}), goOn: make(chan struct{}), refuses: refuses}
		x := &Executor{Name: "test", Store: kept, Dir: dir, Scheduler: s, Program: "/runner", Poll: time.Hour}
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error)
		go func() {
			_, err := x.Perform(ctx, &pipeline.Job{Action: artifacts.NewActionID(nil)}, func(pipeline.Event) {})
			ended <- err
		}()
		<-s.asked
		cancel(pipeline.ErrDetached)
		close(s.goOn)
		if err := <-ended; errors.Is(err, pipeline.ErrDetached) != (refuses == nil) {
			t.Errorf("refused with %v, it says: %v", refuses, err)
		}
		if batches, err := x.batches(); err != nil || (len(batches) == 1) != (refuses == nil) {
			t.Errorf("refused with %v, %d batches are left", refuses, len(batches))
		}
	}
}

// A batch's files stay as long as a runner waits for what its jobs say.
func TestBatchOfTwoRunners(t *testing.T) {
	dir := t.TempDir()
	one, other := &batch{Batch: Batch{Dir: dir}}, &batch{Batch: Batch{Dir: dir}}
	if err := writeJSON(filepath.Join(dir, "batch"), note{}); err != nil {
		t.Fatal(err)
	}
	one.hold()
	other.hold()
	one.remove(func() {})
	if _, err := os.Stat(dir); err != nil {
		t.Error("the first has removed what the second still reads")
	}
	other.remove(func() {})
	if _, err := os.Stat(dir); err == nil {
		t.Error("the last has left the files")
	}
}

// A job that is back in the queue is cancelled before the run ends, though its performer has
// stopped; a scheduler that does not serve just then is asked again.
func TestCancelledInTheQueue(t *testing.T) {
	s := &silent{busy: 1}
	x := &Executor{Name: "test", Dir: t.TempDir(), Scheduler: s, Program: "/runner", wake: make(chan struct{}, 1), live: map[*attempt]bool{}}
	a := &attempt{executor: x, job: &pipeline.Job{}, report: func(pipeline.Event) {}, stopped: "its time limit was near", changed: make(chan struct{}, 1)}
	a.output = &apart.Output{Report: a.report}
	b, err := x.newBatch(Ask{}, []*attempt{a})
	if err != nil {
		t.Fatal(err)
	}
	b.Locked.Close()
	a.place(b, 0, "7_0")
	x.live[a], x.tending = true, true
	go x.tend()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	a.abandon(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(s.cancelled) != 1 || !a.calledOff {
		t.Errorf("the run has ended, and cancelled %v", s.cancelled)
	}
	clear(x.live)
}

// limited is a scheduler that never takes more than some jobs at once.
type limited struct {
	Scheduler
	most  int
	sizes []int
}

func (s *limited) Traits() Traits { return Traits{} }

func (s *limited) Find(context.Context, *Batch) ([]string, error) { return nil, nil }

func (s *limited) Submit(_ context.Context, b *Batch) ([]string, error) {
	if b.Size > s.most {
		return nil, ErrBusy
	}
	s.sizes = append(s.sizes, b.Size)
	return slices.Repeat([]string{"7"}, b.Size), nil
}

// A site's limit on jobs in the queue may be less than there are steps: smaller batches are
// handed in, and not the same one for ever.
func TestLimitOnJobs(t *testing.T) {
	s := &limited{most: 30}
	x := &Executor{Name: "test", Dir: t.TempDir(), Scheduler: s, Program: "/runner", wake: make(chan struct{}, 1), live: map[*attempt]bool{}}
	for range 100 {
		x.fresh = append(x.fresh, &attempt{executor: x, job: &pipeline.Job{}, changed: make(chan struct{}, 1)})
	}
	for r := new(rounds); len(x.fresh) > 0; {
		r.retry = time.Time{} // no test waits
		x.submit(r)
	}
	if sum := len(x.live); sum != 100 || len(s.sizes) > 10 {
		t.Errorf("%d jobs in batches of %v", sum, s.sizes)
	}
}

// silent is a scheduler that takes a batch and does not come to say so.
type silent struct {
	Scheduler
	down      bool
	says      error // of a batch, in place of that it may be tried again
	busy      int   // how often it does not cancel jobs before it does
	cancelled []string
}

var errDown = errors.New("nobody answers")

func (s *silent) Traits() Traits { return Traits{} }

func (s *silent) Status(context.Context, []string) (map[string]Status, error) { return nil, nil }

func (s *silent) Submit(context.Context, *Batch) ([]string, error) {
	if s.says != nil {
		return nil, s.says
	}
	return nil, errors.Join(ErrBusy, errDown)
}

func (s *silent) Find(context.Context, *Batch) ([]string, error) {
	if s.down {
		return nil, errors.Join(ErrBusy, errDown)
	}
	return []string{"7_0"}, nil
}

func (s *silent) Cancel(_ context.Context, ids []string) error {
	if s.busy--; s.busy >= 0 {
		return ErrBusy
	}
	s.cancelled = ids
	return nil
}

// A job that tries a node stays as long as others wait that may depend on it, also if a job of
// another batch shows meanwhile that nodes can perform any.
func TestProbeStays(t *testing.T) {
	s := &silent{}
	x := &Executor{Name: "test", Dir: t.TempDir(), Scheduler: s, Program: "/runner", wake: make(chan struct{}, 1)}
	probe, err := x.newBatch(Ask{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	probe.Locked.Close()
	probe.ids = []string{"1_0"}
	done, waits := &attempt{executor: x, heard: true}, &attempt{executor: x}
	x.probe, x.live = probe, map[*attempt]bool{done: true, waits: true}
	x.leave(done)
	if _, err := os.Stat(probe.Dir); err != nil || len(s.cancelled) > 0 {
		t.Errorf("%v, cancelled %v", err, s.cancelled)
	}
	if _, err := os.Stat(x.proof("/runner")); err != nil {
		t.Errorf("the next run tries a node once more: %v", err)
	}
	x.leave(waits)
	if _, err := os.Stat(probe.Dir); err == nil || len(s.cancelled) != 1 {
		t.Errorf("nobody needs it, and it is there still: cancelled %v", s.cancelled)
	}
}

// A batch that was taken is not handed in twice, though the scheduler did not come to say so; nor
// is it left in the queue by a run that fails, whatever the command that handed it in has said.
func TestTakenWithoutAWord(t *testing.T) {
	t.Run("busy", func(t *testing.T) { takenWithoutAWord(t, nil) })
	t.Run("not understood", func(t *testing.T) { takenWithoutAWord(t, errors.New("signal: killed")) })
}

func takenWithoutAWord(t *testing.T, says error) {
	s := &silent{says: says}
	x := &Executor{Name: "test", Dir: t.TempDir(), Scheduler: s, Program: "/runner"}
	handIn := func(r *rounds) (*batch, error) {
		b, err := x.newBatch(Ask{}, []*attempt{})
		if err != nil {
			t.Fatal(err)
		}
		return b, x.handIn(r, b, false)
	}
	if b, err := handIn(&rounds{}); err != nil || len(b.ids) != 1 {
		t.Errorf("it was found in the queue: %v, %v", b.ids, err)
	}
	r := &rounds{}
	s.down = true
	b, err := handIn(r)
	if !errors.Is(err, ErrBusy) || len(r.doubtful) != 1 {
		t.Fatalf("%v, %d batches in doubt", err, len(r.doubtful))
	}
	if err := x.settle(r); !errors.Is(err, ErrBusy) {
		t.Errorf("as long as nobody answers nothing is handed in: %v", err)
	}
	s.down = false
	if err := x.settle(r); err != nil || len(s.cancelled) != 1 || len(r.doubtful) > 0 {
		t.Errorf("%v, cancelled %v", err, s.cancelled)
	}
	if _, err := os.Stat(b.Dir); err == nil {
		t.Error("its files are left")
	}
}
