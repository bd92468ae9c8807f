package pipeline

import (
	"context"
	"errors"

	"eyrie/artifacts/store"
)

// Executor performs jobs: in this process, in one of its own for each, on
// another machine. Package executortest is its conformance suite.
type Executor interface {
	// Perform makes one attempt at a job, wherever it chooses, with what [Perform]
	// does there. When it returns the lock is free, and the record is in the store or
	// will never be; nothing of the attempt is running any more, other than a stage
	// that was given up and cannot be killed.
	//
	// When ctx is cancelled it tells the stage to stop, gives it the job's grace to
	// write its checkpoint, and returns an error.
	//
	// It calls report for each event, StepQueued, StepWaiting, StepStarted,
	// StepProgress, StepLog, StepMoved and StepUsed, one call at a time and none after it has returned. The caller
	// adds what it knows itself: the step, its place and its reasons.
	//
	// Perform reports StepUsed for an attempt that has begun, also for one that fails. An
	// executor whose performer did not live to do so reports what it knows itself; of several
	// the last one counts.
	//
	// An error that is a [mistake.Mistake] is about an attribute. One that is a
	// *[CrashError] says that the stage did not return.
	Perform(ctx context.Context, job *Job, report func(Event)) (Result, error)
}

// ErrDetached is the cause of a context that ends because the run is left, and not because
// what it started is to stop: jobs elsewhere go on, and a later run finds them.
var ErrDetached = errors.New("the run was left; its jobs go on elsewhere")

// Result is how an attempt ended well.
type Result struct {
	Record store.Record `json:"record"`          // which is in the store
	Found  bool         `json:"found,omitempty"` // another process made it while the job waited for the lock
}

// InProcess returns the executor that runs stages as goroutines of this process.
// It costs nothing, and what it cannot hold is a stage that takes the process with
// it: that panics in a goroutine of its own or takes all memory. One that does not stop is
// given up, and goes on for as long as this process does.
func InProcess(s *store.Store) Executor { return inProcess{s} }

type inProcess struct{ store *store.Store }

func (x inProcess) Perform(ctx context.Context, job *Job, report func(Event)) (Result, error) {
	return Perform(ctx, x.store, job, report)
}
