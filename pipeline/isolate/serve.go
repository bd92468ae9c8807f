package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// Serve is the child's side: it performs the job on standard input with the store
// and one of the stages, and reports on descriptor 3 how that went. It returns an error
// if it could not report.
func Serve(ctx context.Context, s *store.Store, stages []*pipeline.Stage) error {
	syscall.CloseOnExec(events) // processes that the stage starts must not keep the runner waiting
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	to := apart.NewSender(os.NewFile(events, "events"))
	job, err := receive(os.Stdin)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		die() // the runner is gone
	}()
	job.Returned = func() { to.Send(apart.Message{Returned: true}) }
	to.Send(apart.Last(apart.Perform(ctx, s, stages, job, func(e pipeline.Event) { to.Send(apart.Message{Event: &e}) })))
	return to.Err()
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

// die ends this process and its group, if it leads one as the runner's children do.
func die() {
	if syscall.Getpgrp() == os.Getpid() {
		_ = syscall.Kill(0, syscall.SIGKILL)
	}
	os.Exit(1)
}
