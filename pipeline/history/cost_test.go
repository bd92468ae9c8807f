package history

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"eyrie/pipeline"
)

// A sum says how all of its parts are known: what was not measured makes it a bound.
func TestAmounts(t *testing.T) {
	measured, granted, part := Amount{Value: 2}, Amount{Value: 3, Most: true}, Amount{Value: 5, Least: true}
	for _, test := range []struct {
		got  Amount
		want string
	}{
		{measured.Plus(measured), `{"value":4,"how":"measured"}`},
		{measured.Plus(granted), `{"value":5,"how":"granted"}`},
		{measured.Plus(part), `{"value":7,"how":"at least"}`},
		{granted.Plus(part), `{"value":8,"how":"roughly"}`},
		{unknown.Plus(measured), `{"value":2,"how":"at least"}`},
		{unknown.Plus(unknown), `{"how":"unknown"}`},
		{Amount{}, `{"value":0,"how":"measured"}`},
		{granted.Max(measured), `{"value":3,"how":"granted"}`},
	} {
		if b, err := json.Marshal(test.got); err != nil || string(b) != test.want {
			t.Errorf("%+v is %s, %v; want %s", test.got, b, err, test.want)
		}
	}
}

// A step costs what all of its attempts do, those that failed, too. What an attempt has not
// told is unknown, and never nothing.
func TestCost(t *testing.T) {
	whole := &pipeline.Usage{Elapsed: 10, CPUs: 2, GPUs: 4, Measured: pipeline.Whole, CPU: 15, Memory: 1 << 20, Read: 7, Written: 8, Inputs: 100, Outputs: 50}
	granted := &pipeline.Usage{Elapsed: 1, CPUs: 2, GPUs: .5, Inputs: 100}
	part := &pipeline.Usage{Elapsed: 3, CPUs: 1, Measured: pipeline.Part, CPU: 2}
	for _, test := range []struct {
		name   string
		step   Step
		cpu    Amount
		gpu    Amount
		memory Amount
		inputs float64
		tries  int
	}{
		{"measured", Step{Type: pipeline.StepDone, Usage: whole}, Amount{Value: 15}, Amount{Value: 40}, Amount{Value: 1 << 20}, 100, 1},
		{"granted", Step{Type: pipeline.StepFailed, Usage: granted}, Amount{Value: 2, Most: true}, Amount{Value: .5}, unknown, 100, 1},
		{"in part", Step{Type: pipeline.StepStopped, Usage: part}, Amount{Value: 2, Least: true}, Amount{}, unknown, 0, 1},
		{"with attempts", Step{Type: pipeline.StepDone, Usage: whole, Attempts: []Attempt{{Usage: granted}, {Usage: whole}}},
			Amount{Value: 32, Most: true}, Amount{Value: 80.5}, Amount{Value: 1 << 20, Least: true}, 300, 3},
		{"with an attempt of an earlier version", Step{Type: pipeline.StepDone, Usage: whole, Attempts: []Attempt{{}}},
			Amount{Value: 15, Least: true}, Amount{Value: 40, Least: true}, Amount{Value: 1 << 20, Least: true}, 100, 2},
		{"killed with the runner", Step{Type: pipeline.StepStarted, Started: time.Now()}, unknown, unknown, unknown, 0, 1},
		{"cached", Step{Type: pipeline.StepCached}, Amount{}, Amount{}, Amount{}, 0, 0},
		{"skipped", Step{Type: pipeline.StepSkipped}, Amount{}, Amount{}, Amount{}, 0, 0},
	} {
		c := test.step.Cost()
		if c.CPU != test.cpu || c.GPU != test.gpu || c.Memory != test.memory || c.Inputs.Value != test.inputs || c.Attempts != test.tries {
			t.Errorf("%s: %+v", test.name, c)
		}
	}
}

// What was moved is told as it was, and as a bound while it may become more; of a run that did not tell
// it is unknown.
func TestMoved(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		name          string
		backed        *bool
		status        pipeline.Status
		step          pipeline.EventType
		fetched, sent Amount
	}{
		{"over", &yes, pipeline.Succeeded, pipeline.StepDone, Amount{Value: 3}, Amount{Value: 5}},
		{"while it publishes", &yes, Running, pipeline.StepDone, Amount{Value: 3}, Amount{Value: 5, Least: true}},
		{"killed", &yes, Killed, pipeline.StepStarted, Amount{Value: 3, Least: true}, Amount{Value: 5, Least: true}},
		{"interrupted", &yes, pipeline.Interrupted, pipeline.StepStopped, Amount{Value: 3}, Amount{Value: 5}},
		{"without a cache", &no, Killed, pipeline.StepStarted, Amount{Value: 3}, Amount{Value: 5}},
		{"by an earlier version", nil, pipeline.Succeeded, pipeline.StepDone, Amount{Value: 3, Least: true}, Amount{Value: 5, Least: true}},
	} {
		run := &Summary{Status: test.status, Header: &pipeline.Header{Backed: test.backed}}
		s := Step{run: run, Type: test.step}
		s.add(pipeline.Event{Type: pipeline.StepMoved, Fetched: 3, Sent: 1})
		s.add(pipeline.Event{Type: pipeline.StepMoved, Sent: 4})
		if c := s.Cost(); c.Fetched != test.fetched || c.Sent != test.sent || s.Type != test.step {
			t.Errorf("%s: %+v, %+v", test.name, c.Fetched, c.Sent)
		}
	}
}

// What each attempt has cost is in the journal, of those that failed and of those in which a
// stage shares the runner's process: there what it was granted is known, and no more.
func TestUsageIsKept(t *testing.T) {
	s, _ := open(t)
	r := recipe("a", 1, -1)
	r.Steps[1].Retries = 1
	r.Steps[1].Resources = map[string]float64{"cpus": 1}
	run, err := Read(s, execute(t, s, r))
	if err != nil {
		t.Fatal(err)
	}
	done, failed := run.Step("s0"), run.Step("s1")
	if u := done.Usage; u == nil || u.CPUs < 1 || u.Measured != pipeline.Nothing || u.Elapsed <= 0 {
		t.Errorf("done: %+v", u)
	}
	if len(failed.Attempts) != 1 || failed.Attempts[0].Usage == nil || failed.Usage == nil || failed.Usage.CPUs != 1 {
		t.Errorf("failed: %+v, %+v", failed.Attempts, failed.Usage)
	}
	c := failed.Cost()
	if want := failed.Usage.Elapsed + failed.Attempts[0].Usage.Elapsed; c.Attempts != 2 || !c.CPU.Most || math.Abs(c.CPU.Value-want) > 1e-9 {
		t.Errorf("failed: %+v, of %v s", c, want)
	}
}
