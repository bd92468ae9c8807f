// Package cluster performs jobs on other machines, by way of a scheduler that shares them out:
// Slurm, Kubernetes, or whatever else has commands to submit a job, to ask for it and to cancel it.
//
// A job is this program once more, on a node, which performs one action with the same store:
// the nodes and this machine share its file system. The store has a directory for each batch
// of jobs that were handed in together, and some files for all:
//
//	jobs/BATCH/batch        which actions, by number, and for which executor; locked by each runner that waits
//	jobs/BATCH/lock         locked while the batch is being submitted
//	jobs/BATCH/ids          the scheduler's names of the jobs, once it has them
//	jobs/BATCH/run          the script that is started with an element's number
//	jobs/BATCH/3.job        what element 3 performs
//	jobs/BATCH/3.0.events   what it says; 3.1.events once it was started again
//	jobs/BATCH/3.log        what it prints
//	jobs/BATCH/3.cancelled  a runner has cancelled it, for others that wait for it
//	jobs/bin/               runners, by their content, for nodes to start
//	jobs/proof-EXECUTOR-…   a node has run a job, with one of these runners
//	jobs/checkpoints/ID     where to go on with an action whose node had a store of its own
//	jobs/name               what no other store is called, where jobs are known by that
//
// Where nodes do not share the file system, a [Carrier] carries the files of that directory to
// them and back, inputs and results as well.
//
// Jobs outlive the runner. One that is started again finds, by these directories, those of
// its actions that are waiting or running still, and waits for them.
//
// Whether an action is done is decided by what its performer says and by the store. What the
// scheduler says explains the rest, and is asked for rarely: one question for all jobs.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Scheduler runs scripts on other machines. Its methods may be called at the same time.
type Scheduler interface {
	// Submit hands in a batch, and returns a name for each element. Here, and of the others,
	// an error that is [ErrBusy] says that it may be tried again; the batch may have been
	// taken all the same. With that error there may be names, "" for elements that were not
	// taken: the others were.
	Submit(ctx context.Context, b *Batch) (ids []string, err error)
	// Find returns the names of a batch's elements that was handed in by a process which
	// died before it could write them down, or was not told; "" for an element that is not
	// there, and none where no element is.
	Find(ctx context.Context, b *Batch) (ids []string, err error)
	// Status returns what is known of jobs; nothing of those that the scheduler has forgotten.
	Status(ctx context.Context, ids []string) (map[string]Status, error)
	// Explain says why a job has ended without a word, or is forgotten. An ending without an
	// error says that the job waits or runs after all.
	Explain(ctx context.Context, id string, last Status) Ending
	// Cancel ends jobs, by SIGTERM at first. Of those that have ended it says nothing.
	Cancel(ctx context.Context, ids []string) error
	// Traits says what the scheduler is like.
	Traits() Traits
}

// Traits are what a scheduler is like.
type Traits struct {
	Name    string // of its jobs: "Slurm job"
	After   bool   // it can hold a batch back until another job has succeeded
	Largest int    // elements of a batch; 0 for any number
}

// ErrBusy says that a scheduler or a carrier does not do what it is asked to now, and may do so later.
var ErrBusy = errors.New("not now")

// Batch is a number of jobs that ask for the same.
type Batch struct {
	Name   string // the jobs' name for the scheduler: "eyrie-" and what no other batch has
	Dir    string // of its files, the same on all nodes
	Size   int
	Ask    Ask
	After  string   // a job that must have succeeded before; "" for none
	Script string   // what a job runs, where nodes do not see Dir; "" where they do, and run Dir/run
	Order  string   // with Script: what the runner on a node must know, in the variable [OrderVariable]
	Locked *os.File // for the command that submits to inherit: as long as it is open, the batch may be being submitted
}

// OrderVariable is the variable of the environment that has a batch's order.
const OrderVariable = "EYRIE_ORDER"

// Carrier carries jobs to nodes that do not share this machine's file system, and back what
// they say.
type Carrier interface {
	// Pack takes what a job reads to where nodes find it, and returns the job as they
	// perform it. An error that is [ErrBusy] says that it may be tried again.
	Pack(ctx context.Context, job *pipeline.Job) (*pipeline.Job, error)
	// Send takes a batch's files there, and returns what nodes must know to find them.
	Send(ctx context.Context, b *Batch) (order string, err error)
	// Receive adds to the files of an element, in its batch's directory, what it has said
	// since. Unless that is wanted now, it may wait for a better time. An error that is
	// [ErrBusy] says that there may be more.
	Receive(ctx context.Context, dir string, element int, now bool) error
	// Accept has the store find a result that a node has made.
	Accept(ctx context.Context, job *pipeline.Job, r store.Record) error
	// Remove removes what there is of a batch, other than in its directory.
	Remove(ctx context.Context, dir string) error
}

// Ask is what each job of a batch asks for.
type Ask struct {
	CPUs, GPUs, Nodes int           // 0 for what the scheduler gives by itself
	Memory            int64         // bytes
	Time              time.Duration // after which it may be ended; 0 for what the site says
}

// State is where a job is.
type State int

// The states of a job.
const (
	Unknown State = iota // the scheduler says nothing of it
	Pending
	Running
	Ended
)

// Status is what a scheduler says of a job.
type Status struct {
	State  State
	Code   string // the state in the scheduler's own words
	Reason string // why it waits, or has ended, likewise
	Node   string // where it runs
	Stuck  string // what to change, where it will not start by itself
	Soon   bool   // of Stuck: that is certain, and told at once
	Never  bool   // of Ended: it was not started, so that it can have made nothing
}

// Ending is how a job ended that did not say so itself.
type Ending struct {
	Err  error
	Lost bool // by no fault of the job: another attempt is due, and costs no retry
	Told bool // the scheduler ended it for a reason, which a job only knows as being told to stop
}

// Executor performs jobs by way of a scheduler.
type Executor struct {
	Name      string // of the executor, in the site file
	Store     *store.Store
	Dir       string // of the store, as the nodes call it
	Scheduler Scheduler
	Carrier   Carrier           // nil where the nodes share the store
	Program   string            // the runner that the nodes start; "" for a copy of this one, in the store
	Setup     []string          // lines of shell before it
	Time      time.Duration     // that a job may take where the step has no timeout; 0 for what the scheduler says
	Tell      func(text string) // receives what the user should know; may be nil
	Poll      time.Duration     // how long after a job was handed in the scheduler is asked first; 0 for 10 s
	Patience  time.Duration     // how long files may take from a node to this machine; 0 for half a minute, or 12 s with a Carrier

	mu       sync.Mutex
	tending  bool
	fresh    []*attempt                           // not submitted yet
	live     map[*attempt]bool                    // submitted
	unwanted []*attempt                           // to be cancelled
	same     map[artifacts.ActionID]chan struct{} // closed when nothing performs the action any more
	found    *found                               // jobs that runners before this one have left
	disproof error                                // why the nodes can perform no jobs, once it is known
	proving  sync.Mutex                           // held while that is found out
	probing  sync.Mutex                           // held while what the probe says is read
	probe    *batch                               // of the job that shows whether nodes can perform any; nil for none
	proved   bool                                 // a job has shown that they can
	wake     chan struct{}
	deaf     trouble   // why what jobs say did not arrive, at worst
	stuck    sync.Once // what jobs read could not be sent
}

// mostLost is how often an attempt is handed in again that was lost.
const mostLost = 4

// Perform does what [pipeline.Executor] says.
func (x *Executor) Perform(ctx context.Context, job *pipeline.Job, report func(pipeline.Event)) (pipeline.Result, error) {
	if len(job.Withheld) > 0 {
		return pipeline.Result{}, Withheld(x.Name, job.Step, job.Withheld[0])
	}
	if err := ctx.Err(); err != nil {
		return pipeline.Result{}, err
	}
	release, waited, err := x.alone(ctx, job.Action, report)
	if err != nil {
		return pipeline.Result{}, err
	}
	defer release()
	if waited && !job.Rerun {
		if r, err := x.Store.Claim(ctx, job.Action); err == nil {
			return pipeline.Result{Record: r, Found: true}, nil
		}
	}
	if x.Carrier != nil {
		return x.carried(ctx, job, report)
	}
	return x.attempts(ctx, job, report)
}

// Withheld is the mistake of a step that has a sensitive attribute and is for an executor: its job
// would have the value on a disk.
func Withheld(executor, step, attribute string) *mistake.Mistake {
	return mistake.At(attribute, "it is sensitive, and a job of executor %q would have it on a disk: let this machine run the step (executor \"local\" … { steps = [%q] } in the site file, before the others)", executor, step)
}

// attempts has a job performed, again where it was lost.
func (x *Executor) attempts(ctx context.Context, job *pipeline.Job, report func(pipeline.Event)) (pipeline.Result, error) {
	var spent pipeline.Usage
	for lost := 0; ; lost++ {
		a := &attempt{executor: x, job: job, report: report, takeover: lost > 0, spent: spent, changed: make(chan struct{}, 1)}
		if err := x.pack(ctx, a); err != nil {
			return pipeline.Result{}, err
		}
		if err := x.enter(ctx, a, lost == 0 && job.Attempt <= 1); err != nil {
			return pipeline.Result{}, err
		}
		result, ending := a.wait(ctx)
		x.leave(a)
		if ending == nil {
			return result, nil
		}
		if !ending.Lost || lost == mostLost || ctx.Err() != nil {
			return pipeline.Result{}, ending.Err
		}
		a.warn(fmt.Sprintf("%v: it is handed in again", ending.Err))
		a.spend()
		spent = a.spent
	}
}

// alone waits until this run has no other job that performs the action: a second one would take
// a node's place to wait there.
func (x *Executor) alone(ctx context.Context, id artifacts.ActionID, report func(pipeline.Event)) (release func(), waited bool, err error) {
	for {
		x.mu.Lock()
		done := x.same[id]
		if done == nil {
			if x.same == nil {
				x.same = map[artifacts.ActionID]chan struct{}{}
			}
			done = make(chan struct{})
			x.same[id] = done
			x.mu.Unlock()
			return func() {
				x.mu.Lock()
				defer x.mu.Unlock()
				delete(x.same, id)
				close(done)
			}, waited, nil
		}
		x.mu.Unlock()
		if !waited {
			report(pipeline.Event{Type: pipeline.StepWaiting, Holder: "another step of this run"})
		}
		waited = true
		select {
		case <-done:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// enter takes an attempt in: it adopts a job that a runner before this one left behind, or has
// one submitted with others.
func (x *Executor) enter(ctx context.Context, a *attempt, adopt bool) error {
	found, err := x.adopt(ctx, a.job, adopt)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.live == nil {
		x.live, x.wake = map[*attempt]bool{}, make(chan struct{}, 1)
	}
	if found != nil {
		a.place(found.batch, found.element, found.id)
		x.live[a] = true
	} else {
		a.since = time.Now()
		x.fresh = append(x.fresh, a)
	}
	if !x.tending {
		x.tending = true
		go x.tend()
	}
	x.rouse()
	return nil
}

// leave forgets an attempt that is over, and its batch's files with the last one.
func (x *Executor) leave(a *attempt) {
	if a.heard {
		x.proven()
	}
	over, probe := x.drops(a)
	if over != nil {
		x.remove(over)
	}
	if probe != nil {
		x.end(probe)
	}
}

// drops forgets an attempt. It returns its batch, if that was the last one of it, and the job
// that tries a node, if nobody waits for that any more.
func (x *Executor) drops(a *attempt) (over, probe *batch) {
	x.mu.Lock()
	defer x.mu.Unlock()
	defer x.rouse()
	delete(x.live, a)
	if a.batch != nil && !a.detached {
		if a.batch.left--; a.batch.left == 0 {
			over = a.batch
		}
	}
	if len(x.fresh)+len(x.live) > 0 || a.detached {
		return over, nil
	}
	probe, x.probe = x.probe, nil
	return over, probe
}

// Live returns how many jobs of this run are waiting or running.
func (x *Executor) Live() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.fresh) + len(x.live)
}

// rouse has the executor look what there is to do. The caller holds mu.
func (x *Executor) rouse() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

func (x *Executor) tell(format string, args ...any) {
	if x.Tell != nil {
		x.Tell(fmt.Sprintf("executor %q: ", x.Name) + fmt.Sprintf(format, args...))
	}
}
