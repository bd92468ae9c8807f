package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// attempt is a job of ours, from its submission to its end.
type attempt struct {
	executor *Executor
	job      *pipeline.Job
	report   func(pipeline.Event) // called by the goroutine that waits
	packed   *pipeline.Job        // as nodes perform it that do not share the store; else nil
	takeover bool                 // an attempt before it was lost, and may be running still
	since    time.Time            // when it came, and then when it was handed in
	changed  chan struct{}        // receives when something below has changed

	// What the executor's mu guards.
	batch     *batch // nil before it is handed in
	element   int
	id        string
	status    Status
	back      bool  // it ran, and waits again
	missed    int   // how many answers in a row knew nothing of it
	err       error // that it could not be handed in
	handing   bool  // it is being handed in
	dropped   bool  // meanwhile nobody wants it any more
	detached  bool
	cancelled bool // this run wants it to end, and has left a mark that says so
	calledOff bool // the scheduler was told to end it

	// What belongs to the goroutine that waits.
	start   int // of the element, from 0, whose events are read
	events  tail
	log     tail
	output  *apart.Output
	told    bool          // that it is queued
	heard   bool          // its performer has said something, and not only that it failed
	warned  bool          // that it is stuck
	stopped string        // why the performer was told to stop, unless it has been started again
	last    apart.Message // with which the performer came to its end
	over    time.Time     // when it was first seen that nothing more is to come
	looked  time.Time     // at the store
	deaf    error         // why what it says does not arrive

	began time.Time       // when the copy that is heard began
	used  *pipeline.Usage // what it says it has used; nil before
	spent pipeline.Usage  // what copies before it had
}

// place notes where the attempt is. The caller holds the executor's mu.
func (a *attempt) place(b *batch, element int, id string) {
	a.batch, a.element, a.id, a.since = b, element, id, time.Now()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// view is what the executor knows of the attempt.
type view struct {
	dir, id string
	element int
	status  Status
	missed  int
	err     error
	since   time.Time

	back, calledOff bool
}

func (a *attempt) view() view {
	a.executor.mu.Lock()
	defer a.executor.mu.Unlock()
	v := view{id: a.id, element: a.element, status: a.status, missed: a.missed, err: a.err, since: a.since, back: a.back, calledOff: a.calledOff}
	a.back = false // which is told once
	if a.batch != nil {
		v.dir = a.batch.Dir
	}
	return v
}

// wait waits until the attempt is over, and passes on meanwhile what its performer says. A nil
// ending is a success.
func (a *attempt) wait(ctx context.Context) (pipeline.Result, *Ending) {
	a.output = &apart.Output{Level: a.job.LogLevel, Report: a.report}
	for {
		v := a.view()
		if v.err != nil {
			return pipeline.Result{}, &Ending{Err: v.err}
		}
		if v.dir != "" {
			a.follow(v)
			if result, ending, ok := a.outcome(ctx, v); ok {
				return result, ending
			}
		}
		select {
		case <-ctx.Done():
			return pipeline.Result{}, a.abandon(ctx)
		case <-a.changed:
		case <-time.After(a.executor.pause()):
		}
	}
}

// pause is how long to wait before files are looked at again: with many jobs less often, to
// spare the file system.
func (x *Executor) pause() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	return min(max(time.Duration(len(x.live))*10*time.Millisecond, 200*time.Millisecond), 5*time.Second)
}

func (x *Executor) patience() time.Duration {
	if x.Patience > 0 {
		return x.Patience
	}
	if x.Carrier != nil { // a node says what it has to say before it ends; that a result is missing is believed for 10 s
		return 12 * time.Second
	}
	return 30 * time.Second
}

// follow reads what the performer has said since.
func (a *attempt) follow(v view) {
	job := a.executor.Scheduler.Traits().Name
	if !a.told {
		a.told = true
		a.report(pipeline.Event{Type: pipeline.StepQueued, Holder: job + " " + v.id})
	}
	if advice := v.status.Stuck; advice != "" && !a.warned && (v.status.Soon || time.Since(v.since) > time.Minute) {
		a.warned = true
		a.warn(fmt.Sprintf("%s %s does not start (%s): %s", job, v.id, v.status.Reason, advice))
	}
	if v.back && a.stopped == "" {
		a.warn(fmt.Sprintf("%s %s is back in the queue (%s): its node was lost, or it was preempted", job, v.id, v.status.Reason))
	}
	a.deaf = a.executor.receive(v.dir, v.element, v.status.State == Ended || v.missed > 0)
	base := filepath.Join(v.dir, strconv.Itoa(v.element))
	a.hearAll(base)
	a.log.path = base + ".log"
	a.print(a.last.Result != nil || a.last.Failure != nil)
}

// print passes on what was printed since, at the end all of it.
func (a *attempt) print(end bool) {
	for {
		lines := a.log.lines(end)
		for _, line := range lines {
			_, _ = a.output.Write(append(line, '\n'))
		}
		if !end || len(lines) == 0 {
			return
		}
	}
}

// hearAll reads the events of all copies that were started: of one that was lost and runs
// still, what it says counts no more once there is another.
func (a *attempt) hearAll(base string) {
	for {
		a.events.path = fmt.Sprintf("%s.%d.events", base, a.start)
		for _, line := range a.events.lines(false) {
			a.hear(line)
		}
		if _, err := os.Stat(fmt.Sprintf("%s.%d.events", base, a.start+1)); err != nil {
			return
		}
		a.start++
		if !a.began.IsZero() && a.stopped == "" {
			a.warn("it was started again: its node was lost, or it was killed there")
		}
		a.spend()
		a.events, a.last, a.stopped, a.over = tail{}, apart.Message{}, "", time.Time{}
	}
}

// hear takes a line of the performer's.
func (a *attempt) hear(line []byte) {
	var m apart.Message
	if json.Unmarshal(line, &m) != nil {
		return // half a line, of a performer that was killed
	}
	a.heard = a.heard || m.Failure == nil // which the script may say, in place of a performer
	switch {
	case m.Event != nil:
		a.report(a.counted(*m.Event))
	case m.Checkpoint != nil:
		a.executor.keepCheckpoint(a.job.Action, *m.Checkpoint)
	case m.Stopped != "":
		a.stopped = m.Stopped
		a.warn(m.Stopped)
	case m.Result != nil || m.Failure != nil:
		a.last = m
	}
}

// counted adds to an event of the performer's what copies before it have used.
func (a *attempt) counted(e pipeline.Event) pipeline.Event {
	switch {
	case e.Type == pipeline.StepStarted:
		a.began, a.used = time.Now(), nil
	case e.Type == pipeline.StepUsed && e.Usage != nil:
		a.used = e.Usage
		sum := e.Usage.After(a.spent)
		e.Usage = &sum
	}
	return e
}

// spend adds what the copy has used that ran last, which may not have lived to say so.
func (a *attempt) spend() {
	if a.began.IsZero() {
		return
	}
	used := a.job.Granted(time.Since(a.began))
	if a.used != nil {
		used = *a.used
	}
	a.spent = used.After(a.spent)
	a.began, a.used = time.Time{}, nil
}

func (a *attempt) warn(text string) {
	entry, _ := json.Marshal(map[string]string{"level": "warn", "message": text}) // strings always marshal
	a.report(pipeline.Event{Type: pipeline.StepLog, Log: entry})
}

// outcome returns how the attempt has ended, if it has.
func (a *attempt) outcome(ctx context.Context, v view) (pipeline.Result, *Ending, bool) {
	switch {
	case a.last.Failure != nil:
		a.output.End(false)
		return pipeline.Result{}, &Ending{Err: a.last.Failure.Err()}, true
	case a.last.Result != nil:
		if err := a.executor.accept(ctx, a.job, a.last.Result.Record); err != nil {
			return pipeline.Result{}, &Ending{Err: err}, true
		}
		if _, err := a.executor.Store.Lookup(ctx, a.job.Action); err == nil {
			a.output.End(false)
			return *a.last.Result, nil, true
		}
		// What was written on the node is not here yet.
	case v.status.State == Ended || v.missed >= 2:
	default:
		a.over = time.Time{}
		if a.heard && a.executor.Carrier != nil { // it publishes before it says what else there is to say
			return pipeline.Result{}, nil, false
		}
		return a.found(ctx)
	}
	mute := errors.Is(a.deaf, ErrBusy) // its last word may be on the way
	if a.over.IsZero() || mute {
		a.over = time.Now()
	}
	if v.status.State == Ended && !mute && (v.status.Never || a.stopped != "" || a.cancelledElsewhere(v)) && a.last.Result == nil {
		return a.ended(ctx, v)
	}
	if a.refresh(v.dir); time.Since(a.over) < a.executor.patience() {
		return a.found(ctx)
	}
	if result, _, ok := a.found(ctx); ok {
		return result, nil, true
	}
	return a.ended(ctx, v)
}

// ended returns why an attempt is over, unless the scheduler knows better when it is asked for
// that one job: then it goes on, and all are asked for again at their time.
func (a *attempt) ended(ctx context.Context, v view) (pipeline.Result, *Ending, bool) {
	e := a.explain(ctx, v)
	if e.Err != nil {
		a.account()
		return pipeline.Result{}, e, true
	}
	a.over = time.Time{}
	a.executor.mu.Lock()
	defer a.executor.mu.Unlock()
	a.status, a.missed = Status{}, 0
	return pipeline.Result{}, nil, false
}

// account tells what a copy has used that did not live to say so.
func (a *attempt) account() {
	if a.used == nil && !a.began.IsZero() {
		a.spend()
		a.report(pipeline.Event{Type: pipeline.StepUsed, Usage: &a.spent})
	}
}

// found looks now and then whether the result is in the store, whoever has made it.
func (a *attempt) found(ctx context.Context) (pipeline.Result, *Ending, bool) {
	if a.job.Rerun || time.Since(a.looked) < 5*a.executor.pause() {
		return pipeline.Result{}, nil, false
	}
	a.looked = time.Now()
	r, err := a.executor.Store.Lookup(ctx, a.job.Action)
	if err != nil {
		return pipeline.Result{}, nil, false
	}
	return pipeline.Result{Record: r, Found: r.Run != a.job.Run || !a.heard}, nil, true
}

// refresh has a network file system ask its server what is in a directory.
func (a *attempt) refresh(dir string) {
	if f, err := os.Open(dir); err == nil {
		_, _ = f.Readdirnames(-1)
		f.Close()
	}
}

// explain says why an attempt is over that did not say so itself; without an error it is not.
func (a *attempt) explain(ctx context.Context, v view) *Ending {
	job := a.executor.Scheduler.Traits().Name
	if a.last.Result != nil {
		return &Ending{Err: fmt.Errorf("%s %s has made a result that cannot be seen from here; %s", job, v.id, a.executor.doubt())}
	}
	a.print(true)
	if crash := a.output.End(true); crash != nil {
		return &Ending{Err: apart.Explain(crash, a.job)}
	}
	if a.cancelledElsewhere(v) {
		return &Ending{Err: fmt.Errorf("%s %s was cancelled by another run, which waited for it as well", job, v.id), Lost: true}
	}
	if a.stopped != "" && v.status.Code == "CANCELLED" {
		return &Ending{Err: fmt.Errorf("%s %s was cancelled, and not by this run", job, v.id)}
	}
	if err := a.executor.disproved(ctx); err != nil && a.stopped == "" {
		return &Ending{Err: err}
	}
	if a.heard && v.status.State == Pending {
		v.status.State = Running // which it was since the scheduler was asked
	}
	e := a.executor.Scheduler.Explain(ctx, v.id, v.status)
	if e.Err == nil {
		return &e
	}
	if a.stopped != "" && !e.Told {
		return &Ending{Err: fmt.Errorf("%s %s: %s", job, v.id, a.stopped), Lost: true}
	}
	if a.executor.Carrier != nil && !a.heard && !e.Lost && !e.Told && !v.status.Never {
		e.Err = fmt.Errorf("%w, and has said nothing (%s)", e.Err, a.executor.doubt())
	}
	e.Err = fmt.Errorf("%w%s", e.Err, lastLines(a.log.path))
	if a.deaf != nil {
		e.Err = fmt.Errorf("%w; what it has said could not be read: %w", e.Err, a.deaf)
	}
	return &e
}

// cancelledElsewhere reports whether another run has cancelled the job. Its mark is gone with
// the batch's files, where that run thought that nobody else waited for them.
func (a *attempt) cancelledElsewhere(v view) bool {
	if a.executor.marked(a) {
		return false
	}
	if _, err := os.Stat(cancelMark(v.dir, v.element)); err == nil {
		return true
	}
	_, err := os.Stat(v.dir)
	return errors.Is(err, fs.ErrNotExist) && v.status.Code == "CANCELLED"
}

// abandon ends the job, or leaves it to itself if the run is to be detached from it, and
// returns the run's error: [pipeline.ErrDetached] only where there is a job that goes on.
func (a *attempt) abandon(ctx context.Context) *Ending {
	x := a.executor
	x.mu.Lock()
	a.detached = errors.Is(context.Cause(ctx), pipeline.ErrDetached)
	x.drop(a)
	x.mu.Unlock()
	there := a.wasHandedIn() // also for one that is left: this process must live until it is in the queue
	switch {
	case !a.detached && there:
		a.awaitEnd()
	case a.detached && !there:
		return &Ending{Err: ctx.Err()}
	}
	return &Ending{Err: context.Cause(ctx)}
}

// wasHandedIn reports whether there is a job, once it is known: one that is being handed in
// while the run ends would be left in the queue.
func (a *attempt) wasHandedIn() bool {
	for {
		a.executor.mu.Lock()
		handing, there := a.handing, a.batch != nil
		a.executor.mu.Unlock()
		if !handing {
			return there
		}
		select {
		case <-a.changed:
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// awaitEnd waits until a job that nobody wants has ended, so that its checkpoint is whole. Whoever
// cancels it may be busy with a scheduler that does not answer. That it has stopped says enough
// only once the scheduler knows: it may be back in the queue.
func (a *attempt) awaitEnd() {
	slack := a.job.Grace + time.Minute
	deadline, counted := time.Now().Add(command+slack), false
	for time.Now().Before(deadline) {
		v := a.view()
		a.follow(v)
		if a.last.Failure != nil || a.last.Result != nil || v.status.State == Ended || v.missed > 0 || a.stopped != "" && v.calledOff {
			return
		}
		if v.calledOff && !counted {
			deadline, counted = time.Now().Add(slack), true
		}
		select {
		case <-a.changed:
		case <-time.After(200 * time.Millisecond):
		}
	}
	if counted {
		a.executor.tell("job %s was cancelled and has not ended yet", a.view().id)
	} else {
		a.executor.tell("job %s could not be cancelled, and may go on", a.view().id)
	}
}
