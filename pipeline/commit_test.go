package pipeline

import (
	"context"
	"errors"
	"sync"
	"testing"

	"eyrie/artifacts/store/storetest"
)

// slowDisk is an executor whose first job commits until a second one has started.
type slowDisk struct {
	Executor
	mu      sync.Mutex
	jobs    int
	started chan struct{}
	fail    error
}

func (x *slowDisk) Perform(ctx context.Context, job *Job, report func(Event)) (Result, error) {
	x.mu.Lock()
	x.jobs++
	n := x.jobs
	x.mu.Unlock()
	if n > 1 {
		close(x.started)
		return x.Executor.Perform(ctx, job, report)
	}
	if job.Committing(); x.fail != nil {
		return Result{}, x.fail
	}
	<-x.started
	job.Committing = nil
	return x.Executor.Perform(ctx, job, report)
}

// A step that only waits for the disk keeps neither a job slot nor a resource from the
// next one.
func TestCommittingStepLetsOthersRun(t *testing.T) {
	store := storetest.New(t)
	a, b := step("a", sum, map[string]any{"x": 1.0}), step("b", sum, map[string]any{"x": 2.0})
	a.Resources, b.Resources = map[string]float64{"gpus": 1}, map[string]float64{"gpus": 1}
	x := &slowDisk{Executor: InProcess(store), started: make(chan struct{})}
	run := execute(t, store, recipe(a, b), RunOptions{Jobs: 1, Resources: map[string]float64{"gpus": 1}, Executor: x})
	if run.Status != Succeeded {
		t.Errorf("%v, %v", run.Steps[0].Err, run.Steps[1].Err)
	}
}

// Where the store fails after a step has given back what it was granted, there is no
// further attempt: another step may have that now.
func TestNoAttemptAfterCommitting(t *testing.T) {
	store := storetest.New(t)
	a := step("a", sum, map[string]any{"x": 1.0})
	a.Retries = 3
	x := &slowDisk{Executor: InProcess(store), fail: errors.New("disk full")}
	run := execute(t, store, recipe(a), RunOptions{Executor: x})
	if run.Status != Failed || x.jobs != 1 {
		t.Errorf("%s after %d attempts", run.Status, x.jobs)
	}
}
