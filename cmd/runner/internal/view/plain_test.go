package view

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"eyrie/artifacts/store/storetest"
	"eyrie/pipeline"
)

var nothing = pipeline.Define("nothing", 1, "Does nothing.", struct{}{},
	func(context.Context, *pipeline.Task, struct{}) (struct{}, error) { return struct{}{}, nil })

// planOf returns a plan of steps that all must run.
func planOf(t *testing.T, ids ...string) *pipeline.Plan {
	t.Helper()
	r := &pipeline.Recipe{Name: "test"}
	for _, id := range ids {
		r.Steps = append(r.Steps, &pipeline.Step{ID: id, Stage: nothing, Pos: "test.hcl:1",
			Attrs: func(*pipeline.Outputs) (pipeline.Attrs, error) { return nil, nil }})
	}
	p, err := pipeline.NewPlan(t.Context(), r, storetest.New(t), pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// progress returns an event of a step called train.
func progress(done float64) pipeline.Event {
	return pipeline.Event{Time: time.Now(), Type: pipeline.StepProgress, Step: "train",
		Progress: &pipeline.Progress{Done: done, Total: 200, Unit: "images", Note: "loss 0.4"}}
}

// Without a terminal, a step that takes long is announced, then heard of every
// ten seconds, with its rate and the time that is left.
func TestPlainIsNeverSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		v := NewPlain(&out, Options{Plan: planOf(t, "train", "eval")})
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepStarted, Step: "train", Stage: "nothing",
			Reasons: []pipeline.Reason{{Attr: "epochs", Old: "2", New: "3"}}})
		for i := range 22 {
			time.Sleep(time.Second)
			v.Event(progress(float64(2 * i)))
		}
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepDone, Step: "train", Elapsed: 22})
		v.Close()
		want := `
> train  nothing  epochs: 2 → 3
  train  9%  1m31s left  18/200 images  2 images/s  loss 0.4
  train  19%  1m21s left  38/200 images  2 images/s  loss 0.4
✓ train  22 s
`
		if got := "\n" + out.String(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}

// While nothing changes, no line is repeated: it is said ever less often, and for how long.
func TestPlainDoesNotRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		v := NewPlain(&out, Options{Plan: planOf(t, "train", "eval")})
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepStarted, Step: "train", Stage: "nothing"})
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepStarted, Step: "eval", Stage: "nothing"}) // says nothing
		v.Event(progress(10))
		time.Sleep(time.Hour)
		v.Close()
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		seen := map[string]bool{}
		for _, line := range lines {
			if seen[line] {
				t.Errorf("twice: %s", line)
			}
			seen[line] = true
		}
		if len(lines) < 8 || len(lines) > 40 {
			t.Errorf("%d lines in an hour of silence:\n%s", len(lines), out.String())
		}
		if want := "  train  10/200 images  nothing new for 21 s"; !seen[want] {
			t.Errorf("there is no line %q:\n%s", want, out.String())
		}
	})
}

// The time that is left goes down with the clock, whether the work comes in small parts or
// in large ones, and whatever pauses there are between them.
func TestLeftIsSteady(t *testing.T) {
	tests := []struct {
		what  string
		done  func(second int) float64 // what is reported
		every int                      // seconds between reports
		total float64
		right func(second int) float64 // what is left
	}{
		{"a measurement of a minute", func(s int) float64 { return float64(s / 60) }, 60, 60, func(s int) float64 { return float64(3600 - s) }},
		{"a pause of 40 s in each 100 s", func(s int) float64 { return float64(s/100*60 + min(s%100, 60)) }, 1, 2160, func(s int) float64 { return float64(3600 - s) }},
	}
	for _, test := range tests {
		var tr track
		start := time.Unix(0, 0)
		before := 0.0
		for s := 0; s < 3000; s++ {
			now := start.Add(time.Duration(s) * time.Second)
			if s%test.every == 0 {
				tr.update(now, pipeline.Progress{Done: test.done(s), Total: test.total})
			}
			if s < 400 {
				before = tr.left(now)
				continue
			}
			left := tr.left(now)
			if jump := left - before; jump > 0.1*before+1 || jump < -0.1*before-1 {
				t.Errorf("%s: after %d s, %.0f s are left, and a second before %.0f s", test.what, s, left, before)
				break
			}
			if right := test.right(s); left < 0.85*right-60 || left > 1.15*right+60 {
				t.Errorf("%s: after %d s, %.0f s are left; want %.0f s", test.what, s, left, right)
				break
			}
			before = left
		}
		if len(tr.samples) > maxSamples {
			t.Errorf("%s: %d samples are kept", test.what, len(tr.samples))
		}
	}
}

// A step that is over at once gets one line, which tells all.
func TestPlainJoinsStartAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		v := NewPlain(&out, Options{Plan: planOf(t, "a")})
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepStarted, Step: "a", Stage: "nothing", Reasons: []pipeline.Reason{{Why: "asked for"}}})
		time.Sleep(100 * time.Millisecond)
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepDone, Step: "a", Elapsed: 0.1})
		v.Close()
		if got, want := out.String(), "✓ a  100 ms  nothing  asked for\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// What a stage logs is shown behind its name; a warning is marked.
func TestLogLines(t *testing.T) {
	tests := []struct{ raw, want string }{
		{`{"level":"info","message":"resuming at step 3 of 9"}`, "resuming at step 3 of 9"},
		{`{"level":"warn","message":"loss is high","loss":7.5,"epoch":2}`, "warning: loss is high  epoch=2  loss=7.5"},
		{`not JSON`, "not JSON"},
	}
	var l lines
	for _, test := range tests {
		if got := LogLine(l.Style, json.RawMessage(test.raw)); got != test.want {
			t.Errorf("%s: got %q, want %q", test.raw, got, test.want)
		}
	}
}

// The rate follows a stage into its next phase, and is not told while nobody can know.
func TestRate(t *testing.T) {
	var tr track
	start := time.Unix(0, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	tr.update(at(0), pipeline.Progress{Done: 0, Total: 10})
	if r := tr.rate(); r != 0 {
		t.Errorf("after one report: %g, want 0", r)
	}
	for i := range 100 { // 1 a second, then 5 a second
		done := float64(i)
		if i > 50 {
			done = 50 + 5*float64(i-50)
		}
		tr.update(at(float64(i)), pipeline.Progress{Done: done, Total: 1000})
	}
	if r := tr.rate(); r < 4.9 || r > 5 {
		t.Errorf("after it got faster: %g, want some 5", r)
	}
	tr.update(at(101), pipeline.Progress{Done: 1, Total: 7, Unit: "epochs"})
	tr.update(at(103), pipeline.Progress{Done: 2, Total: 7, Unit: "epochs"})
	if r := tr.rate(); r != 0.5 {
		t.Errorf("in the next phase: %g, want 0.5", r)
	}
}

// Times are told as people do.
func TestDuration(t *testing.T) {
	tests := []struct {
		d    time.Duration
		want string
	}{
		{0, "0 ms"}, {30 * time.Millisecond, "30 ms"}, {1500 * time.Millisecond, "1.5 s"}, {59900 * time.Millisecond, "59 s"},
		{9940 * time.Millisecond, "9.9 s"}, {9960 * time.Millisecond, "10 s"}, {10900 * time.Millisecond, "10 s"},
		{60 * time.Second, "1m00s"}, {3599 * time.Second, "59m59s"}, {2*time.Hour + 5*time.Minute, "2h05m"},
	}
	for _, test := range tests {
		if got := Duration(test.d); got != test.want {
			t.Errorf("%v: got %s, want %s", test.d, got, test.want)
		}
	}
}

// A step that waits for another run is heard of, too.
func TestPlainWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		v := NewPlain(&out, Options{Plan: planOf(t, "train")})
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepWaiting, Step: "train", Holder: "process 7"})
		time.Sleep(11 * time.Second)
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepStarted, Step: "train", Stage: "nothing"})
		time.Sleep(time.Second)
		v.Event(pipeline.Event{Time: time.Now(), Type: pipeline.StepDone, Step: "train", Elapsed: 1})
		v.Close()
		want := `
  train  waits for process 7, which does the same
  train  10 s  waits for process 7, which does the same
> train  nothing
✓ train  1.0 s
`
		if got := "\n" + out.String(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}
