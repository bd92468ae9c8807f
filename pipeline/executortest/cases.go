package executortest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// interrupt runs the steps, and cancels the run when it sees the event.
func (f *fixture) interrupt(at pipeline.EventType, steps ...*pipeline.Step) *pipeline.Run {
	f.Helper()
	plan, err := pipeline.NewPlan(f.Context(), &pipeline.Recipe{Name: "test", Steps: steps}, f.store, pipeline.PlanOptions{})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	run, err := pipeline.Execute(ctx, plan, f.store, pipeline.RunOptions{Executor: f.executor, Grace: grace, Observe: func(e pipeline.Event) {
		if e.Type == at {
			cancel()
		}
	}})
	if err != nil {
		f.Fatal(err)
	}
	return run
}

func resume(f *fixture) {
	if got := endings(f.interrupt(pipeline.StepProgress, step("a", "resume", nil))); got != "a:stopped" {
		f.Fatalf("interrupted: %s", got)
	}
	run := f.perform(step("a", "resume", nil))
	resumed := false
	for _, e := range f.seen {
		resumed = resumed || e.Resumed
	}
	if endings(run) != "a:done" || !resumed {
		f.Errorf("%s, resumed %v: %v", endings(run), resumed, run.Steps[0].Err)
	}
	if f.store.HasCheckpoint(run.Steps[0].Record.Action) {
		f.Error("the checkpoint outlived the success")
	}
}

func retry(f *fixture) {
	s := step("a", "flaky", map[string]any{"tries": filepath.Join(f.TempDir(), "tries")})
	s.Retries = 2
	if got := endings(f.perform(s)); got != "a:done" || f.types() != "started retry retry done" {
		f.Errorf("%s after %s", got, f.types())
	}
}

// Two runs, each with an executor of its own, as two runners have.
func waits(f *fixture) {
	tries := filepath.Join(f.TempDir(), "tries")
	attrs := map[string]any{"tries": tries, "seconds": 0.3}
	var wait sync.WaitGroup
	runs := make([]*pipeline.Run, 2)
	for i := range runs {
		wait.Go(func() {
			plan, err := pipeline.NewPlan(f.Context(), &pipeline.Recipe{Name: "test", Steps: []*pipeline.Step{step("a", "once", attrs)}}, f.store, pipeline.PlanOptions{})
			if err == nil {
				runs[i], err = pipeline.Execute(f.Context(), plan, f.store, pipeline.RunOptions{Executor: f.subject.New(f.T, f.store, f.dir)})
			}
			if err != nil {
				f.Error(err)
			}
		})
	}
	wait.Wait()
	if f.Failed() {
		return
	}
	got := []string{endings(runs[0]), endings(runs[1])}
	if b, _ := os.ReadFile(tries); string(b) != "x" || strings.Join(got, " ") != "a:done a:cached" && strings.Join(got, " ") != "a:cached a:done" {
		f.Errorf("%s, and the stage ran as often as %q has letters", got, b)
	}
}

// jobOf returns a step's job, as the executor gets it.
func (f *fixture) jobOf(s *pipeline.Step) *pipeline.Job {
	f.Helper()
	var job *pipeline.Job
	x := spy(func(j *pipeline.Job) { job = j })
	f.execute(f.store, pipeline.RunOptions{Executor: x}, s)
	return job
}

// spy is an executor that fails every job, and shows it.
type spy func(*pipeline.Job)

func (x spy) Perform(_ context.Context, job *pipeline.Job, _ func(pipeline.Event)) (pipeline.Result, error) {
	x(job)
	return pipeline.Result{}, errNo
}

func found(f *fixture) {
	job := f.jobOf(step("a", "chatty", nil))
	for i, want := range []bool{false, true} {
		if r, err := f.executor.Perform(f.Context(), job, func(pipeline.Event) {}); err != nil || r.Found != want || r.Record.Action != job.Action {
			f.Errorf("time %d: %+v, %v", i+1, r, err)
		}
	}
}

func rerun(f *fixture) {
	f.interrupt(pipeline.StepProgress, step("a", "resume", nil))
	job := f.jobOf(step("a", "resume", nil))
	job.Rerun = true
	ctx, cancel := context.WithTimeout(f.Context(), time.Minute)
	defer cancel()
	_, err := f.executor.Perform(ctx, job, func(e pipeline.Event) {
		if e.Resumed {
			f.Error("it went on from a checkpoint")
		}
		if e.Type == pipeline.StepProgress { // as at the beginning
			cancel()
		}
	})
	if err == nil {
		f.Error("it ended, as from a checkpoint")
	}
}

func rerunFails(f *fixture) {
	tries := filepath.Join(f.TempDir(), "tries")
	if err := os.WriteFile(tries, []byte("xx"), 0o666); err != nil {
		f.Fatal(err)
	}
	job := f.jobOf(step("a", "flaky", map[string]any{"tries": tries}))
	if _, err := f.executor.Perform(f.Context(), job, func(pipeline.Event) {}); err != nil {
		f.Fatal(err)
	}
	job.Rerun, job.Run = true, "the next"
	if err := os.Remove(tries); err != nil {
		f.Fatal(err)
	}
	if r, err := f.executor.Perform(f.Context(), job, func(pipeline.Event) {}); err == nil {
		f.Errorf("the result that was there before was taken: %+v", r)
	}
}

func secret(f *fixture) {
	run := f.perform(step("a", "secret", map[string]any{"token": "hunter2"}))
	if f.subject.OnDisk {
		f.fails(run, "token")
	} else if !strings.Contains(string(run.Steps[0].Record.Output), `"length":7`) {
		f.Errorf("%s, %v", run.Steps[0].Record.Output, run.Steps[0].Err)
	}
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "hunter2") {
			f.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		f.Error(err)
	}
}

func granted(f *fixture) {
	s := step("b", "ask", nil)
	s.Deps = []string{"a"}
	s.Resources = map[string]float64{"gpus": 2, "cpus": 1}
	run := f.execute(f.store, pipeline.RunOptions{Executor: f.executor, Resources: map[string]float64{"gpus": 2}}, step("a", "chatty", nil), s)
	if got, want := string(run.Steps[1].Record.Output), `{"lineage":["a"],"gpus":[0,1],"cpus":1}`; got != want {
		f.Errorf("got %s, want %s (%v)", got, want, run.Steps[1].Err)
	}
}

func refused(f *fixture) {
	job := f.jobOf(step("a", "chatty", nil))
	job.Config = []byte(`{"x":1}`)
	if _, err := f.executor.Perform(f.Context(), job, func(pipeline.Event) {}); err == nil {
		f.Error("a job with another action's configuration was performed")
	}
}

func silence(f *fixture) {
	job := f.jobOf(step("a", "babbling", nil))
	var mu sync.Mutex
	over := false
	_, err := f.executor.Perform(f.Context(), job, func(e pipeline.Event) {
		mu.Lock()
		defer mu.Unlock()
		if over {
			f.Errorf("after the end: %s %s", e.Type, e.Log)
		}
	})
	mu.Lock()
	over = true
	mu.Unlock()
	if err != nil {
		f.Error(err)
	}
	time.Sleep(50 * time.Millisecond)
}

func apart(stage, reason string) func(*fixture) {
	return func(f *fixture) {
		run := f.perform(step("a", stage, nil), step("b", "chatty", nil))
		f.fails(run, reason)
		if endings(run) != "a:failed b:done" {
			f.Error(endings(run))
		}
	}
}

// The stage never returns by itself: the run ends only because the stage is given up.
func stubborn(f *fixture) {
	s := step("a", "stubborn", nil)
	s.Timeout = 50 * time.Millisecond
	s.Retries = 3 // which are not made where it is running still
	run := f.perform(s)
	f.fails(run, "stopped after its timeout of 50ms; it did not stop within")
	if _, err := f.store.Lookup(f.Context(), run.Steps[0].Record.Action); !errors.Is(err, store.ErrNotFound) {
		f.Errorf("something of it is kept: %v", err)
	}
	if got := endings(f.interrupt(pipeline.StepProgress, step("a", "stubborn", nil))); got != "a:stopped" {
		f.Errorf("interrupted: %s", got)
	}
}

func prints(f *fixture) {
	run := f.perform(step("a", "print", nil))
	var all []string
	for _, e := range f.seen {
		if e.Type == pipeline.StepLog {
			all = append(all, string(e.Log))
		}
	}
	if got := fmt.Sprint(all); !strings.Contains(got, "to standard output") || !strings.Contains(got, "to standard error") || endings(run) != "a:done" {
		f.Errorf("%s: %s", endings(run), got)
	}
}

// Every attempt that began tells what it has cost. Where a process performs one job alone
// that is measured; else it is what the job was granted.
func cost(f *fixture) {
	const seconds, memory = 0.2, 64 << 20
	s := step("a", "burn", map[string]any{"seconds": seconds, "memory": float64(memory), "in": f.input("some text")})
	s.Resources = map[string]float64{"cpus": 1}
	fails := step("b", "burn", map[string]any{"seconds": 0.001, "memory": 1., "in": f.input("more"), "fail": true})
	fails.Retries = 1
	if got := endings(f.perform(s, fails)); got != "a:done b:failed" {
		f.Fatal(got)
	}
	told := map[string]int{}
	for _, e := range f.seen {
		u := e.Usage
		if u == nil {
			continue
		}
		told[e.Step+string(e.Type)]++
		if whole := u.Measured == pipeline.Whole; whole != f.subject.Apart || u.CPUs < 1 || u.Elapsed <= 0 || e.Step == "a" && u.CPUs != 1 {
			f.Errorf("%s %s: %+v", e.Step, e.Type, u)
		}
		if e.Step == "a" && f.subject.Apart && (u.CPU < seconds || u.Memory < memory) {
			f.Errorf("measured: %+v", u)
		}
		if e.Step == "a" && (u.Inputs != int64(len("some text")) || u.Outputs != 1000) {
			f.Errorf("moved: %+v", u)
		}
	}
	if want := map[string]int{"astep-done": 1, "bstep-retry": 1, "bstep-failed": 1}; !maps.Equal(told, want) {
		f.Errorf("told %v, want %v", told, want)
	}
}

// A process that is lost could not say what it has used; the executor does.
func lostCost(f *fixture) {
	f.perform(step("a", "leave", nil))
	var used *pipeline.Usage
	for _, e := range f.seen {
		if e.Type == pipeline.StepFailed {
			used = e.Usage
		}
	}
	if used == nil || used.Measured == pipeline.Whole || used.CPUs < 1 {
		f.Errorf("%+v", used)
	}
}
