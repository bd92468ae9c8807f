package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/store/storetest"
)

type readConfig struct {
	In artifacts.File `json:"in"`
}

type readOutput struct {
	Text string         `json:"text"`
	Copy artifacts.File `json:"copy"`
}

// reader reads a file and makes another.
var reader = Define("reader", 1, "Reads.", readConfig{}, func(_ context.Context, task *Task, c readConfig) (readOutput, error) {
	b, err := c.In.ReadFile()
	if err != nil {
		return readOutput{}, err
	}
	path := task.Path("copy")
	return readOutput{string(b), artifacts.Local(path)}, os.WriteFile(path, bytes.ToUpper(b), 0o666)
})

// stage makes a test stage of a function.
func stage(f func(context.Context, *Task) error) *Stage {
	return Define("test", 1, "Tests.", numConfig{}, func(ctx context.Context, task *Task, c numConfig) (numOutput, error) {
		return numOutput{Sum: c.X}, f(ctx, task)
	})
}

// A file that a step made is read by the next one.
func TestFilesTravelThroughTheStore(t *testing.T) {
	store := storetest.New(t)
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	run := execute(t, store, recipe(
		step("a", reader, map[string]any{"in": artifacts.Local(path)}),
		step("b", reader, map[string]any{"in": ref{"a", "copy"}})))
	output, ok := run.Known("b")
	if !ok || !strings.Contains(string(output), `"text":"HELLO"`) {
		t.Errorf("b: %s %v", output, run.Steps[1].Err)
	}
	if n := len(run.Steps[0].Record.Objects); n != 1 {
		t.Errorf("the record lists %d objects, want 1", n)
	}
}

// A stage's complaint about an attribute is placed where it was written, and a
// sensitive value is not quoted.
func TestRunErrorNamesTheAttribute(t *testing.T) {
	picky := failing(func() error { return Badf("x", "7 is not to my taste") })
	var e Event
	opt := RunOptions{Observe: func(seen Event) {
		if seen.Type == StepFailed {
			e = seen
		}
	}}
	s := step("a", picky, map[string]any{"x": 7.0})
	run := execute(t, storetest.New(t), recipe(s), opt)
	if got, want := fmt.Sprint(run.Steps[0].Err), "test.hcl:a.x: step a: x: 7 is not to my taste"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if e.Pos != "test.hcl:a.x" || e.Error != "x: 7 is not to my taste" {
		t.Errorf("the event has %q at %q", e.Error, e.Pos)
	}
	s.Reveal = true
	s.Attrs = func(*Outputs) (Attrs, error) {
		return Attrs{"x": {Value: 7.0, Sensitive: true}}, nil
	}
	run = execute(t, storetest.New(t), recipe(s), opt)
	if strings.Contains(run.Steps[0].Err.Error()+e.Error, "7") {
		t.Errorf("a sensitive value is told: %v, %s", run.Steps[0].Err, e.Error)
	}
}

// A failure skips what needs the step, and nothing else.
func TestFailureSkipsDependentsOnly(t *testing.T) {
	boom := failing(func() error { return errors.New("boom") })
	r := recipe(step("a", boom, nil), step("b", sum, map[string]any{"x": ref{"a", "sum"}}),
		step("c", sum, map[string]any{"x": ref{"b", "sum"}}), step("d", sum, map[string]any{"x": 1.0}))
	run := execute(t, storetest.New(t), r, RunOptions{Jobs: 1})
	if got, want := endings(run), "a:failed b:skipped c:skipped d:done"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if run.Status != Failed || run.Steps[0].Err.Error() != "test.hcl:a: step a: boom" || fmt.Sprint(run.Steps[2].After) != "[a]" {
		t.Errorf("%s, %v, %v", run.Status, run.Steps[0].Err, run.Steps[2].After)
	}
	run = execute(t, storetest.New(t), r, RunOptions{Jobs: 1, FailFast: true})
	if got, want := endings(run), "a:failed b:skipped c:skipped d:skipped"; got != want {
		t.Errorf("fail fast: got %s, want %s", got, want)
	}
}

// A step whose attributes turn out to be mistaken has failed: with FailFast
// nothing more starts, else what does not need it goes on.
func TestMistakeThatShowsLate(t *testing.T) {
	a := step("a", sum, map[string]any{"x": 1.0})
	b, c := step("b", sum, map[string]any{"x": ref{"a", "sum"}}), step("c", sum, map[string]any{"x": ref{"a", "sum"}, "y": 1.0})
	attrs := b.Attrs
	b.Attrs = func(known *Outputs) (Attrs, error) {
		if _, ok := known.Known("a"); ok {
			return nil, errors.New("test.hcl:b: mistaken")
		}
		return attrs(known)
	}
	for fast, want := range map[bool]string{true: "a:done b:failed c:skipped", false: "a:done b:failed c:done"} {
		if got := endings(execute(t, storetest.New(t), recipe(a, b, c), RunOptions{Jobs: 1, FailFast: fast})); got != want {
			t.Errorf("fail fast %v: got %s, want %s", fast, got, want)
		}
	}
}

// A step behind a cached one is started once.
func TestStepBehindACachedOne(t *testing.T) {
	store := storetest.New(t)
	a := step("a", sum, map[string]any{"x": 1.0})
	execute(t, store, recipe(a))
	var started []string
	observe := func(e Event) {
		if e.Type == StepStarted || e.Type == StepWaiting {
			started = append(started, e.Step)
		}
	}
	run := execute(t, store, recipe(a, step("b", sum, map[string]any{"x": ref{"a", "sum"}, "y": 2.0})), RunOptions{Jobs: 2, Observe: observe})
	if got := endings(run) + fmt.Sprint(started); got != "a:cached b:done[b]" {
		t.Errorf("got %s", got)
	}
}

// A failed step leaves no record: it is run again next time.
func TestFailureIsNotCached(t *testing.T) {
	store := storetest.New(t)
	calls := 0
	r := recipe(step("a", failing(func() error { calls++; return errors.New("boom") }), nil))
	execute(t, store, r)
	execute(t, store, r)
	if calls != 2 {
		t.Errorf("%d calls, want 2", calls)
	}
}

// Retries end with the first success, and start with an empty work directory.
func TestRetry(t *testing.T) {
	calls := 0
	s := step("a", stage(func(ctx context.Context, task *Task) error {
		if calls++; calls < 3 {
			return errors.Join(errors.New("not yet"), os.WriteFile(task.Path("rest"), nil, 0o666))
		}
		if _, err := os.Stat(task.Path("rest")); err == nil {
			t.Error("the work directory holds a failed attempt's file")
		}
		return nil
	}), nil)
	s.Retries = 1
	if got := endings(execute(t, storetest.New(t), recipe(s), RunOptions{Backoff: 1})); got != "a:failed" {
		t.Errorf("one retry: %s", got)
	}
	calls, s.Retries = 0, 2
	if got := endings(execute(t, storetest.New(t), recipe(s), RunOptions{Backoff: 1})); got != "a:done" {
		t.Errorf("two retries: %s", got)
	}
}

func TestTimeout(t *testing.T) {
	s := step("a", stage(func(ctx context.Context, _ *Task) error { <-ctx.Done(); return ctx.Err() }), nil)
	s.Timeout = time.Millisecond
	run := execute(t, storetest.New(t), recipe(s))
	if run.Status != Failed || !strings.HasSuffix(run.Steps[0].Err.Error(), "stopped after its timeout of 1ms") {
		t.Errorf("%s, %v", run.Status, run.Steps[0].Err)
	}
}

// A panic is the step's error; its stack is in the journal, not in the message.
func TestPanicIsTheStepsError(t *testing.T) {
	var stack string
	s := step("a", stage(func(context.Context, *Task) error { panic("oops") }), nil)
	s.Retries = 5
	run := execute(t, storetest.New(t), recipe(s), RunOptions{Observe: func(e Event) { stack += e.Stack }})
	msg := run.Steps[0].Err.Error()
	if run.Status != Failed || !strings.Contains(msg, "the stage panicked: oops") || strings.Contains(msg, "goroutine") {
		t.Errorf("%s: %s", run.Status, msg)
	}
	if !strings.Contains(stack, "run_test.go") {
		t.Errorf("the stack does not lead to the panic: %s", stack)
	}
}

// Not every Go value is a JSON value.
func TestOutputMustBeAValue(t *testing.T) {
	nan := Define("nan", 1, "", numConfig{}, func(context.Context, *Task, numConfig) (numOutput, error) {
		return numOutput{Sum: math.NaN()}, nil
	})
	run := execute(t, storetest.New(t), recipe(step("a", nan, nil)))
	if run.Status != Failed || !strings.Contains(run.Steps[0].Err.Error(), "output is not a value") {
		t.Errorf("%s, %v", run.Status, run.Steps[0].Err)
	}
}

// An interrupted stage stops, nothing new starts, and its checkpoint is there
// when it is started again, as the plan says; after success it is gone.
func TestInterruptAndResume(t *testing.T) {
	store := storetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var checkpoint string
	r := recipe(step("a", stage(func(ctx context.Context, task *Task) error {
		checkpoint = task.Checkpoint()
		path := filepath.Join(checkpoint, "state")
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		cancel()
		<-ctx.Done()
		return errors.Join(ctx.Err(), os.WriteFile(path, nil, 0o666))
	}), nil), step("b", sum, map[string]any{"x": ref{"a", "sum"}}), step("c", echo, map[string]any{"text": "c"}))
	var last Event
	run, err := Execute(ctx, plan(t, store, r), store, RunOptions{Jobs: 1, Observe: func(e Event) { last = e }})
	if err != nil {
		t.Fatal(err)
	}
	if last.Stopped != 1 || last.Skipped != 2 {
		t.Errorf("%d stopped, %d skipped", last.Stopped, last.Skipped)
	}
	if got := endings(run); run.Status != Interrupted || got != "a:stopped b:skipped c:skipped" {
		t.Errorf("interrupted: %s, %s", run.Status, got)
	}
	if p := plan(t, store, r); !p.Steps[0].Resumes || p.Steps[2].Resumes {
		t.Errorf("the plan: a resumes: %v, c: %v", p.Steps[0].Resumes, p.Steps[2].Resumes)
	}
	resumed := false
	run = execute(t, store, r, RunOptions{Observe: func(e Event) { resumed = resumed || e.Resumed }})
	if got := endings(run); got != "a:done b:done c:done" || !resumed {
		t.Errorf("resumed %v: %s", resumed, got)
	}
	if _, err := os.Stat(checkpoint); err == nil {
		t.Error("the checkpoint outlived the success")
	}
}

// At most Jobs steps run at once, and no more than the resources allow.
func TestJobsAndResources(t *testing.T) {
	tests := []struct {
		jobs int
		gpus float64
		each float64
		most int32
	}{{3, 0, 0, 3}, {1, 0, 0, 1}, {4, 2, 1, 2}, {4, 3, 2, 1}}
	for _, test := range tests {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			var now, peak atomic.Int32
			busy := stage(func(context.Context, *Task) error {
				n := now.Add(1)
				for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
				}
				time.Sleep(5 * time.Millisecond)
				now.Add(-1)
				return nil
			})
			var steps []*Step
			for i := range 8 {
				s := step(fmt.Sprint("s", i), busy, map[string]any{"x": float64(i)})
				if test.each > 0 {
					s.Resources = map[string]float64{"gpus": test.each}
				}
				steps = append(steps, s)
			}
			run := execute(t, storetest.New(t), recipe(steps...), RunOptions{Jobs: test.jobs, Resources: map[string]float64{"gpus": test.gpus}})
			if run.Status != Succeeded || peak.Load() > test.most {
				t.Errorf("%s with %d at once, want at most %d", run.Status, peak.Load(), test.most)
			}
		})
	}
}

// A step that asks for more than there is is refused before anything runs.
func TestResourcesThatAreNotThere(t *testing.T) {
	store := storetest.New(t)
	s := step("a", sum, nil)
	s.Resources = map[string]float64{"gpus": 1}
	_, err := Execute(t.Context(), plan(t, store, recipe(s)), store, RunOptions{})
	if err == nil || !strings.Contains(err.Error(), "test.hcl:a: step a: resources: asks for gpus = 1, this run has 0") {
		t.Errorf("got %v", err)
	}
	s.Resources = map[string]float64{"cpus": 1e6}
	_, err = Execute(t.Context(), plan(t, store, recipe(s)), store, RunOptions{Resources: map[string]float64{"cpus": 64}})
	if err == nil || !strings.Contains(err.Error(), "asks for cpus = 1000000, this run has 64 (say what the machine has with --resource cpus=1000000 or, in the site file, machine { resources = { cpus = 1000000 } })") {
		t.Errorf("got %v", err)
	}
	if got := endings(execute(t, store, recipe(s), RunOptions{Resources: map[string]float64{"cpus": 1e6}})); got != "a:done" {
		t.Errorf("got %s", got)
	}
}

// Two runs of one recipe on one store do each action once.
func TestConcurrentRunsDoAnActionOnce(t *testing.T) {
	store := storetest.New(t)
	var calls atomic.Int32
	r := recipe(step("a", stage(func(context.Context, *Task) error {
		calls.Add(1)
		time.Sleep(20 * time.Millisecond)
		return nil
	}), nil))
	var wg sync.WaitGroup
	for range 4 {
		p := plan(t, store, r)
		wg.Go(func() {
			if run, err := Execute(t.Context(), p, store, RunOptions{}); err != nil || run.Status != Succeeded {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d calls, want 1", calls.Load())
	}
}

// The journal and the observer see the same stream, every line is JSON, and an
// Event survives the way through zerolog.
func TestEventsThroughZerolog(t *testing.T) {
	store := storetest.New(t)
	var buf bytes.Buffer
	var seen []Event
	log := zerolog.New(&buf)
	chatty := stage(func(_ context.Context, task *Task) error {
		task.Log().Info().Int("step", 3).Msg("resuming")
		task.Log().Debug().Msg("hidden")
		task.Report(Progress{Done: 1, Total: 2, Unit: "steps", Note: "half"})
		return errors.New("no")
	})
	execute(t, store, recipe(step("a", chatty, nil), step("b", sum, map[string]any{"x": ref{"a", "sum"}})),
		RunOptions{LogLevel: zerolog.InfoLevel, Observe: func(e Event) { seen = append(seen, e); log.Log().EmbedObject(e).Send() }})
	var types []string
	d := json.NewDecoder(&buf)
	for i := 0; ; i++ {
		var e Event
		if err := d.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		types = append(types, string(e.Type))
		a, _ := json.Marshal(e)
		b, _ := json.Marshal(seen[i])
		if string(a) != string(b) {
			t.Errorf("an event became another:\n%s\n%s", b, a)
		}
	}
	want := "[run-started step-started step-log step-progress step-failed step-skipped run-finished]"
	if got := fmt.Sprint(types); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// Results are the same for any number of workers.
func TestResultsDoNotDependOnJobs(t *testing.T) {
	var want string
	for _, jobs := range []int{1, 2, 8} {
		run := execute(t, storetest.New(t), recipe(chain(20)...), RunOptions{Jobs: jobs})
		var got []string
		for _, s := range run.Steps {
			got = append(got, s.ID, s.Record.Action.String(), string(s.Record.Output))
		}
		if s := fmt.Sprint(got); want == "" {
			want = s
		} else if s != want {
			t.Errorf("jobs=%d gave other results", jobs)
		}
	}
}

// Where everything is cached a store that cannot be written will do; where
// something has to run, nothing is started.
func TestReadOnlyStore(t *testing.T) {
	dir := t.TempDir()
	kept, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	r := recipe(chain(3)...)
	runs := filepath.Join(dir, "runs")
	unwritable := func() error { return os.Symlink("/dev/fd", runs) } // where no journal can be made
	if err := unwritable(); err != nil {
		t.Fatal(err)
	}
	if run, err := Execute(t.Context(), plan(t, kept, r), kept, RunOptions{}); run != nil || err == nil {
		t.Errorf("something to run: %v, %v", run, err)
	}
	if err := os.Remove(runs); err != nil {
		t.Fatal(err)
	}
	execute(t, kept, r)
	if err := errors.Join(os.RemoveAll(runs), unwritable()); err != nil {
		t.Fatal(err)
	}
	run, err := Execute(t.Context(), plan(t, kept, r), kept, RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := endings(run); run.Status != Succeeded || got != "s0:cached s1:cached s2:cached" || run.NoJournal == nil {
		t.Errorf("%s, %s, journal %v", run.Status, got, run.NoJournal)
	}
}
