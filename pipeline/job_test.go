package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store/storetest"
)

// jobConfig has what a wire could lose: a field that is not in the key, empty ones
// with a default, texts that HTML escapes, a secret, files.
type jobConfig struct {
	Token string          `json:"token"`
	Text  string          `json:"text,omitempty"`
	Steps int             `json:"steps,omitempty"`
	Log   string          `json:"log" key:"-"`
	Any   any             `json:"any,omitempty"`
	In    *artifacts.File `json:"in"`
	More  artifacts.File  `json:"more,omitzero"`
}

// spy is an executor that shows each job to a function, as it comes out of JSON
// again, and then performs that.
type spy struct {
	Executor
	stages []*Stage
	see    func(wire []byte, job *Job)
}

func (x spy) Perform(ctx context.Context, job *Job, report func(Event)) (Result, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(job); err != nil {
		return Result{}, err
	}
	again := &Job{Secrets: job.Secrets} // handed over apart, or not at all
	if err := json.Unmarshal(b.Bytes(), again); err != nil {
		return Result{}, err
	}
	if err := again.Bind(x.stages); err != nil {
		return Result{}, err
	}
	again.Committing, job.Committing = job.Committing, nil // which is no part of the job's form in JSON
	sent := *again
	sent.Committing = nil
	if !reflect.DeepEqual(job, &sent) {
		return Result{}, fmt.Errorf("a job became another:\n%+v\n%+v", job, again)
	}
	x.see(b.Bytes(), again)
	return x.Executor.Perform(ctx, again, report)
}

// A job is whole in JSON, but for the secrets, and is performed as it was.
func TestJobRoundTrip(t *testing.T) {
	var got jobConfig
	whole := Define("whole", 2, "", jobConfig{Text: "default", Steps: 4}, func(_ context.Context, _ *Task, c jobConfig) (numOutput, error) {
		got = c
		return numOutput{}, nil
	}).WithLineage()
	store := storetest.New(t)
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	a := step("a", reader, map[string]any{"in": artifacts.Local(path)})
	s := step("b", whole, map[string]any{"token": "", "text": "", "steps": 0.0, "log": "<here>", "any": map[string]any{"n": 1.5},
		"in": artifacts.Local(path), "more": ref{"a", "copy"}})
	attrs := s.Attrs
	s.Attrs = func(known *Outputs) (Attrs, error) {
		all, err := attrs(known)
		all["token"] = &Attr{Value: "hunter2", Sensitive: true, Pos: "test.hcl:b.token"}
		return all, err
	}
	s.Reveal, s.Timeout, s.Resources = true, time.Minute, map[string]float64{"gpus": 1, "memory": 1e9}
	var wire []byte
	var job *Job
	x := spy{InProcess(store), []*Stage{whole, reader}, func(b []byte, j *Job) { wire, job = b, j }}
	run := execute(t, store, recipe(a, s), RunOptions{Executor: x, Resources: map[string]float64{"gpus": 2, "memory": 2e9}})
	if run.Status != Succeeded {
		t.Fatalf("%v %v", run.Steps[0].Err, run.Steps[1].Err)
	}
	if got.Token != "hunter2" || got.Text != "" || got.Steps != 0 || got.Log != "<here>" || filepath.Base(got.In.Path) != "in" {
		t.Errorf("the stage got %+v", got)
	}
	if b, _ := got.More.ReadFile(); string(b) != "CONTENT" {
		t.Errorf("the file from the store has %q", b)
	}
	if s := string(wire) + fmt.Sprintf("%v %+v %#v %s", job, *job, job.Secrets, job.Secrets); strings.Contains(s, "hunter2") {
		t.Errorf("the secret is written down: %s", s)
	}
	if len(job.Inputs) != 2 || job.Inputs[0].Path != path || job.Inputs[1].Path != "" {
		t.Errorf("inputs %+v", job.Inputs)
	}
	if len(job.Lineage) != 1 || job.Lineage[0].ID != "a" || fmt.Sprint(job.GPUs, job.Timeout) != "[0] 1m0s" {
		t.Errorf("lineage %+v, GPUs %v, timeout %v", job.Lineage, job.GPUs, job.Timeout)
	}
}

// A performer refuses a job that it would not perform as it was meant.
func TestJobThatIsRefused(t *testing.T) {
	store := storetest.New(t)
	p := plan(t, store, recipe(step("a", sum, map[string]any{"x": 1.0})))
	tests := []struct {
		name, want string
		change     func(*Job)
	}{
		{"another format", "the job has format 7, this runner performs format 1", func(j *Job) { j.Format = 7 }},
		{"another version", "this runner has no stage sum in version 9: it must be of the version that sent the job", func(j *Job) { j.Version = 9 }},
		{"another configuration", "was it made by another build of the runner?", func(j *Job) { j.Config = json.RawMessage(`{"x":2}`) }},
		{"an unknown attribute", `unknown field "z"`, func(j *Job) { j.Config = json.RawMessage(`{"x":1,"z":1}`) }},
		{"a lost secret", "the value of x, which is sensitive, was not handed over", func(j *Job) { j.Withheld = []string{"x"} }},
	}
	for _, test := range tests {
		j, err := newJob(p.Steps[0].action, p.Steps[0].Step)
		if err != nil {
			t.Fatal(err)
		}
		test.change(j)
		if err = j.Bind([]*Stage{sum}); err == nil {
			_, err = Perform(t.Context(), store, j, func(Event) {})
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
}

// GPUs are granted by number: whole ones to one step at a time, shares of one
// together, so that others stay whole.
func TestWhichGPUs(t *testing.T) {
	p := newPool(map[string]float64{"gpus": 3}, nil)
	claim := func(n float64) map[string]float64 { return map[string]float64{"gpus": n} }
	a, b, c := p.take(claim(0.5)), p.take(claim(1)), p.take(claim(0.5))
	if got := fmt.Sprint(a.gpus, b.gpus, c.gpus); got != "[0] [1] [0]" {
		t.Errorf("got %s", got)
	}
	p.release(a)
	if p.fits(claim(2)) || !p.fits(claim(1)) || !p.fits(claim(0.5)) {
		t.Error("half of one and one are free")
	}
	p.release(c)
	if d := p.take(claim(1.5)); !slices.Equal(d.gpus, []int{0, 2}) || p.fits(claim(0.1)) {
		t.Errorf("one and a half: %v", d.gpus)
	}
	p.release(b)
	var tenths []grant
	for range 9 {
		tenths = append(tenths, p.take(claim(0.1)))
	}
	for _, g := range tenths {
		p.release(g)
	}
	if e := p.take(claim(1)); !slices.Equal(e.gpus, []int{1}) {
		t.Errorf("after nine tenths: %v", e.gpus)
	}
}
