package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Serve is the child's side: it performs the job on standard input with the store
// and one of the stages, and reports on descriptor 3 how that went. It returns an error
// if it could not report.
func Serve(ctx context.Context, s *store.Store, stages []*pipeline.Stage) error {
	syscall.CloseOnExec(events) // processes that the stage starts must not keep the runner waiting
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	to := &sender{json: json.NewEncoder(os.NewFile(events, "events"))}
	to.json.SetEscapeHTML(false)
	job, err := receive(os.Stdin)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		die() // the runner is gone
	}()
	job.Returned = func() { to.send(message{Returned: true}) }
	last := message{}
	result, err := perform(ctx, s, stages, job, func(e pipeline.Event) { to.send(message{Event: &e}) })
	if err != nil {
		last.Failure = pipeline.NewFailure(err)
	} else {
		last.Result = &result
	}
	to.send(last)
	return to.err
}

// events is the descriptor that messages are written to.
const events = 3

// receive reads the job and its secrets.
func receive(r io.Reader) (*pipeline.Job, error) {
	job, secrets := new(pipeline.Job), map[string]json.RawMessage{}
	d := json.NewDecoder(r)
	if err := d.Decode(job); errors.Is(err, io.EOF) {
		return nil, errNoJob
	} else if err != nil {
		return nil, fmt.Errorf("reading the job: %w", err)
	}
	if err := d.Decode(&secrets); err != nil {
		return nil, errors.New("reading the job's secrets failed")
	}
	job.Secrets = secrets
	return job, nil
}

func perform(ctx context.Context, s *store.Store, stages []*pipeline.Stage, job *pipeline.Job, report func(pipeline.Event)) (pipeline.Result, error) {
	if err := job.Bind(stages); err != nil {
		return pipeline.Result{}, err
	}
	job.Alone = true
	for i := range job.GPUs {
		job.GPUs[i] = i // as they are numbered among those that this process is shown
	}
	if err := limit(job.Resources["memory"]); err != nil {
		return pipeline.Result{}, fmt.Errorf("limiting the step's memory: %w", err)
	}
	return pipeline.Perform(ctx, s, job, report)
}

// sender writes messages until its first error.
type sender struct {
	mu   sync.Mutex
	json *json.Encoder
	err  error
}

func (t *sender) send(m message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = t.json.Encode(m)
	}
}

// die ends this process and its group, if it leads one as the runner's children do.
func die() {
	if syscall.Getpgrp() == os.Getpid() {
		_ = syscall.Kill(0, syscall.SIGKILL)
	}
	os.Exit(1)
}
