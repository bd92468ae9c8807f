// Package executortest is the conformance suite for executors: whatever performs
// jobs does so as the runner's own goroutine does.
package executortest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/store/storetest"
	"eyrie/pipeline"
)

// Subject is an executor to be tested.
type Subject struct {
	// New makes an executor whose performers have the store in the directory, which
	// the test has opened as s, and the stages of [Stages].
	New func(t *testing.T, s *store.Store, dir string) pipeline.Executor
	// Apart says that a stage cannot take the runner with it: the suite then lets
	// stages panic in a goroutine, leave the process and not stop.
	Apart bool
	// OnDisk says that a job lies on a disk before it is performed, so that one with secrets
	// is refused.
	OnDisk bool
}

// grace is what stages of the suite have to stop.
const grace = 200 * time.Millisecond

// Run tests what every executor promises.
func Run(t *testing.T, subject Subject) {
	tests := []struct {
		name string
		test func(*fixture)
		only bool // for an executor that keeps stages apart
	}{
		{"results are those of this process", sameResults, false},
		{"events arrive in order", events, false},
		{"an error keeps its attribute", mistakes, false},
		{"a panic is the step's error", panics, false},
		{"a timeout stops the stage", timeout, false},
		{"an interrupted job goes on from its checkpoint", resume, false},
		{"a failed attempt is made again", retry, false},
		{"a second performer waits, and finds the result", waits, false},
		{"what was recorded meanwhile is found", found, false},
		{"to run again is to begin anew", rerun, false},
		{"to run again and fail is to fail", rerunFails, false},
		{"a secret arrives and is written nowhere", secret, false},
		{"a stage's lineage and resources arrive", granted, false},
		{"a job that the performer does not know is refused", refused, false},
		{"nothing is reported after the end", silence, false},
		{"a panic in a goroutine costs the step alone", apart("bolt", "the stage panicked: out of reach"), true},
		{"a stage that leaves costs the step alone", apart("leave", "ended without a result"), true},
		{"a stage that does not stop is given up", stubborn, false},
		{"what an attempt has cost is told", cost, false},
		{"what an attempt has cost is told also if its process is lost", lostCost, true},
		{"what a stage prints is its log", prints, true},
	}
	for _, test := range tests {
		t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
			if test.only && !subject.Apart {
				t.Skip("this executor shares the runner's process")
			}
			dir := t.TempDir()
			s, err := store.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			test.test(&fixture{T: t, subject: subject, store: s, dir: dir, executor: subject.New(t, s, dir)})
		})
	}
}

// fixture is one test, with an empty store.
type fixture struct {
	*testing.T
	subject  Subject
	store    *store.Store
	dir      string
	executor pipeline.Executor

	mu   sync.Mutex
	seen []pipeline.Event
}

// step is a use of the stage with constant attributes.
func step(id, stage string, attrs map[string]any) *pipeline.Step {
	s := &pipeline.Step{ID: id, Pos: "test.hcl:" + id, Reveal: true}
	for _, known := range Stages {
		if known.Name == stage {
			s.Stage = known
		}
	}
	s.Attrs = func(*pipeline.Outputs) (pipeline.Attrs, error) {
		all := pipeline.Attrs{}
		for name, v := range attrs {
			all[name] = &pipeline.Attr{Value: v, Pos: s.Pos + "." + name, Sensitive: name == "token"}
		}
		return all, nil
	}
	return s
}

// after makes the step need another one, whose output named out is its attribute attr.
func after(s *pipeline.Step, dep, attr, out string) *pipeline.Step {
	s.Deps = []string{dep}
	attrs := s.Attrs
	s.Attrs = func(known *pipeline.Outputs) (pipeline.Attrs, error) {
		all, err := attrs(known)
		output, ok := known.Known(dep)
		if err != nil || !ok {
			all[attr] = &pipeline.Attr{Unknown: []string{dep}}
			return all, err
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(output, &fields); err != nil {
			return nil, err
		}
		var f artifacts.File
		err = json.Unmarshal(fields[out], &f)
		all[attr] = &pipeline.Attr{Value: f}
		return all, err
	}
	return s
}

// execute runs the steps, which must not fail as a run.
func (f *fixture) execute(s *store.Store, opt pipeline.RunOptions, steps ...*pipeline.Step) *pipeline.Run {
	f.Helper()
	plan, err := pipeline.NewPlan(f.Context(), &pipeline.Recipe{Name: "test", Steps: steps}, s, pipeline.PlanOptions{})
	if err != nil {
		f.Fatal(err)
	}
	return f.carryOut(plan, s, opt)
}

func (f *fixture) carryOut(plan *pipeline.Plan, s *store.Store, opt pipeline.RunOptions) *pipeline.Run {
	f.Helper()
	opt.Observe = func(e pipeline.Event) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen = append(f.seen, e)
	}
	run, err := pipeline.Execute(f.Context(), plan, s, opt)
	if err != nil {
		f.Fatal(err)
	}
	return run
}

// perform runs the steps with the executor.
func (f *fixture) perform(steps ...*pipeline.Step) *pipeline.Run {
	f.Helper()
	return f.execute(f.store, pipeline.RunOptions{Executor: f.executor, Backoff: time.Millisecond, Grace: grace}, steps...)
}

// endings describes how the steps ended.
func endings(run *pipeline.Run) string {
	var all []string
	for _, s := range run.Steps {
		all = append(all, s.ID+":"+strings.TrimPrefix(string(s.Type), "step-"))
	}
	return strings.Join(all, " ")
}

// fails checks that the run's only step failed for this reason.
func (f *fixture) fails(run *pipeline.Run, reason string) {
	f.Helper()
	if err := run.Steps[0].Err; run.Status != pipeline.Failed || err == nil || !strings.Contains(err.Error(), reason) {
		f.Errorf("%s: %v; want %s", run.Status, err, reason)
	}
}

// types describes the events of steps that were seen.
func (f *fixture) types() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, e := range f.seen {
		if e.Step != "" && e.Type != pipeline.StepQueued {
			all = append(all, strings.TrimPrefix(string(e.Type), "step-"))
		}
	}
	return strings.Join(all, " ")
}

// input writes a file that a recipe could name.
func (f *fixture) input(text string) artifacts.File {
	path := f.TempDir() + "/in"
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		f.Fatal(err)
	}
	return artifacts.Local(path)
}

func sameResults(f *fixture) {
	in := f.input("some <text> & more")
	steps := func() []*pipeline.Step {
		return []*pipeline.Step{step("a", "copy", map[string]any{"in": in, "note": "<&>"}), after(step("b", "copy", nil), "a", "in", "file"),
			after(step("c", "copy", map[string]any{"tree": true}), "b", "in", "file")}
	}
	here := storetest.New(f.T)
	want, got := f.execute(here, pipeline.RunOptions{}, steps()...), f.perform(steps()...)
	if endings(got) != "a:done b:done c:done" {
		f.Fatalf("%s: %v", endings(got), got.Steps[0].Err)
	}
	for i, w := range want.Steps {
		g := got.Steps[i].Record
		if g.Action != w.Record.Action || string(g.Output) != string(w.Record.Output) || fmt.Sprint(g.Objects) != fmt.Sprint(w.Record.Objects) ||
			string(g.Preimage) != string(w.Record.Preimage) || g.Step != w.ID || g.Run != got.ID {
			f.Errorf("step %s:\n%+v\nwant\n%+v", w.ID, g, w.Record)
		}
		if kept, err := f.store.Lookup(f.Context(), g.Action); err != nil || string(kept.Output) != string(g.Output) {
			f.Errorf("step %s: the store has %s, %v", w.ID, kept.Output, err)
		}
	}
	if again := f.perform(steps()...); endings(again) != "a:cached b:cached c:cached" {
		f.Errorf("again: %s", endings(again))
	}
}

func events(f *fixture) {
	f.perform(step("a", "chatty", nil))
	if got := f.types(); got != "started log progress log done" {
		f.Errorf("got %s", got)
	}
	for _, e := range f.seen {
		switch {
		case e.Type == pipeline.StepStarted && (e.Stage != "chatty" || e.Pos != "test.hcl:a" || e.Action == "" || fmt.Sprint(e.Reasons) != "[no result yet]"):
			f.Errorf("started: %+v", e)
		case e.Type == pipeline.StepProgress && *e.Progress != pipeline.Progress{Done: 1, Total: 2, Unit: "steps", Note: "half"}:
			f.Errorf("progress: %+v", e.Progress)
		case e.Type == pipeline.StepLog && !strings.Contains(string(e.Log), `"level":"info"`):
			f.Errorf("log: %s", e.Log)
		}
	}
}

func mistakes(f *fixture) {
	run := f.perform(step("a", "picky", map[string]any{"x": 7.0}))
	if got, want := fmt.Sprint(run.Steps[0].Err), "test.hcl:a.x: step a: x: 7 is not to my taste"; got != want {
		f.Errorf("got %s, want %s", got, want)
	}
	run = f.perform(step("a", "picky", map[string]any{"token": "hunter2"}))
	if got := fmt.Sprint(run.Steps[0].Err); strings.Contains(got, "hunter2") || !strings.HasPrefix(got, "test.hcl:a.token: ") {
		f.Errorf("of a sensitive attribute: %s", got)
	}
}

func panics(f *fixture) {
	s := step("a", "panic", nil)
	s.Retries = 3
	run := f.perform(s)
	f.fails(run, "the stage panicked: out of luck (a mistake in the stage;")
	last := f.seen[len(f.seen)-2]
	if !strings.Contains(last.Stack, "stages.go") || strings.Contains(run.Steps[0].Err.Error(), "goroutine") || f.types() != "started failed" {
		f.Errorf("%s; the stack:\n%s", f.types(), last.Stack)
	}
}

func timeout(f *fixture) {
	s := step("a", "wait", nil)
	s.Timeout = 50 * time.Millisecond
	f.fails(f.perform(s), "stopped after its timeout of 50ms")
}

var errNo = errors.New("no")
