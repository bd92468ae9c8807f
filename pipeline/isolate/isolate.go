// Package isolate performs each job in a process of its own, so that a stage that
// panics in a goroutine, runs out of memory or does not stop costs its step and
// nothing else.
//
// The process is this program again, which calls [Serve]. They speak over two
// pipes: the job, and behind it its secrets, on the child's standard input, and
// what happens as lines of JSON on descriptor 3. Standard output and standard
// error are the stage's, and become its log.
//
// The runner never closes the standard input: when it ends, the runner is gone,
// however it went, and the child kills its own process group. Linux could do that
// for us with Pdeathsig, and must not: it kills the child alone, before that can
// take along the processes that its stage started.
package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
	"eyrie/pipeline/process"
)

// Executor performs each job in a child process.
type Executor struct {
	Store   *store.Store     // where the children put their records; Command opens the same one
	Command func() *exec.Cmd // makes the command of a child, which calls Serve
}

// child is one process, as the runner sees it.
type child struct {
	cmd    *exec.Cmd
	job    *pipeline.Job
	stdin  *os.File
	events *os.File
	log    *apart.Output

	mu       sync.Mutex
	report   func(pipeline.Event) // nil once Perform returns
	gone     atomic.Bool          // the process has ended
	started  gate                 // the stage runs
	began    time.Time            // when it said so
	told     bool                 // it has said what the attempt has cost
	returned gate                 // it does no longer
	last     apart.Message        // read when events has ended
	crash    []byte               // the last words of one that did not say how it ended
}

// gate is a channel that is closed once.
type gate struct {
	once   sync.Once
	opened chan struct{}
}

func newGate() gate { return gate{opened: make(chan struct{})} }

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }

// Perform does what [pipeline.Executor] says.
func (x *Executor) Perform(ctx context.Context, job *pipeline.Job, report func(pipeline.Event)) (pipeline.Result, error) {
	if err := ctx.Err(); err != nil {
		return pipeline.Result{}, err
	}
	c := &child{cmd: x.Command(), job: job, report: report, started: newGate(), returned: newGate()}
	defer c.mute()
	c.log = &apart.Output{Level: job.LogLevel, Report: c.event}
	if err := c.start(); err != nil {
		return pipeline.Result{}, fmt.Errorf("starting a process for the step: %w", err)
	}
	killed := c.wait(ctx, job.Grace)
	return x.outcome(ctx, c, killed)
}

// start starts the process and hands it the job.
func (c *child) start() error {
	stdin, job, err := os.Pipe()
	if err != nil {
		return err
	}
	defer stdin.Close()
	events, theirs, err := os.Pipe()
	if err != nil {
		job.Close()
		return err
	}
	defer theirs.Close()
	c.stdin, c.events = job, events
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = stdin, c.log, c.log
	c.cmd.ExtraFiles = []*os.File{theirs} // descriptor 3
	c.cmd.Dir = c.job.Dir
	c.cmd.Env = append(c.cmd.Environ(), process.Visible(c.job.GPUs, os.Getenv)...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // also out of Ctrl-C's reach: the runner passes it on
	c.cmd.WaitDelay = time.Second                           // for what the stage left behind with our pipes open
	if err := c.cmd.Start(); err != nil {
		job.Close()
		events.Close()
		return err
	}
	go c.hand()
	return nil
}

// hand writes the job and its secrets. Neither is an error here: a child that does
// not read them says so, or has died.
func (c *child) hand() {
	e := json.NewEncoder(c.stdin)
	e.SetEscapeHTML(false) // what is in the job must stay as it is, to the byte
	_ = e.Encode(c.job)
	_ = e.Encode(map[string]json.RawMessage(c.job.Secrets))
}

// wait waits for the end of the process and of its group, and returns why it was
// killed, if it was.
func (c *child) wait(ctx context.Context, grace time.Duration) (killed error) {
	read := make(chan struct{})
	go func() { c.read(); close(read) }()
	ended := make(chan struct{})
	watched := make(chan error, 1)
	go func() { watched <- c.watch(ctx, grace, ended) }()
	_ = c.cmd.Wait() // the process's state says how it ended
	close(ended)
	killed = <-watched
	c.kill() // what is left of its group
	c.stdin.Close()
	c.gone.Store(true)
	_ = c.events.SetReadDeadline(time.Now().Add(patience))
	<-read
	c.events.Close()
	c.crash = c.log.End(c.last == apart.Message{})
	c.tell()
	return killed
}

// watch ends the process when ctx is cancelled or its time is over: it asks it to stop,
// waits for as long as grace, and kills it. The stage keeps its timeout
// itself, so that it has as long to stop as after a signal.
func (c *child) watch(ctx context.Context, grace time.Duration, ended <-chan struct{}) error {
	started, over := c.started.opened, (<-chan time.Time)(nil)
	for {
		select {
		case <-ended:
			return nil
		case <-started: // waiting for the lock is no part of the timeout
			started = nil
			if c.job.Timeout > 0 {
				t := time.NewTimer(c.job.Timeout + grace)
				defer t.Stop()
				over = t.C
			}
		case <-c.returned.opened: // nor is storing what it made
			return c.stop(ctx, grace, ended)
		case <-over:
			c.kill()
			return fmt.Errorf("%w; it did not stop %s, and was killed", pipeline.TimeoutError(c.job.Timeout), pipeline.Within(grace))
		case <-ctx.Done():
			return c.stop(ctx, grace, ended)
		}
	}
}

// stop waits until ctx is cancelled and then ends the process.
func (c *child) stop(ctx context.Context, grace time.Duration, ended <-chan struct{}) error {
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // the child alone: it knows how what it started wants to be stopped
	select {
	case <-ended:
		return nil
	case <-time.After(grace):
		c.kill()
		return fmt.Errorf("did not stop within %v after it was told to, and was killed", grace)
	}
}

// kill kills the process's group. The group's number is not given to another one
// as long as anything of it is left, and where nothing is, there is nothing to kill.
func (c *child) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

// patience is how long a child that has ended may be silent before nobody listens any
// more: a process that left its group may keep the pipe open.
const patience = time.Second

// listener reads what a child says. Once it has ended, patience begins anew with each
// read: whoever takes the events may be slow, and what the child said last is still there.
type listener struct{ c *child }

func (r listener) Read(b []byte) (int, error) {
	if r.c.gone.Load() {
		_ = r.c.events.SetReadDeadline(time.Now().Add(patience))
	}
	return r.c.events.Read(b)
}

// read passes on what the child says until it says no more.
func (c *child) read() {
	d := json.NewDecoder(listener{c})
	for {
		var m apart.Message
		if err := d.Decode(&m); err != nil {
			return
		}
		switch {
		case m.Event != nil:
			c.event(*m.Event)
			switch m.Event.Type {
			case pipeline.StepStarted:
				c.began = time.Now()
				c.started.open()
			case pipeline.StepUsed:
				c.told = true
			}
		case m.Returned:
			c.returned.open()
		default:
			c.last = m
		}
	}
}

// tell tells what an attempt has cost whose process did not live to say so. Nobody has waited
// for what the process had started, so that this is not all.
func (c *child) tell() {
	if c.told || c.began.IsZero() {
		return
	}
	used := c.job.Granted(time.Since(c.began))
	used.Measure(process.UsageOf(c.cmd.ProcessState), pipeline.Part)
	c.event(pipeline.Event{Type: pipeline.StepUsed, Usage: &used})
}

func (c *child) event(e pipeline.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.report != nil {
		c.report(e)
	}
}

func (c *child) mute() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report = nil
}

// outcome returns how the attempt ended.
func (x *Executor) outcome(ctx context.Context, c *child, killed error) (pipeline.Result, error) {
	switch {
	case c.last.Result != nil:
		return *c.last.Result, nil
	case c.last.Failure != nil:
		return pipeline.Result{}, c.last.Failure.Err()
	}
	if !c.job.Rerun { // it may have died between its record and its last words
		if r, err := x.Store.Lookup(context.WithoutCancel(ctx), c.job.Action); err == nil {
			return pipeline.Result{Record: r}, nil
		}
	}
	if killed != nil {
		return pipeline.Result{}, killed
	}
	if c.crash != nil {
		return pipeline.Result{}, apart.Explain(c.crash, c.job)
	}
	reason := fmt.Sprintf("the step's process ended without a result (%v)", c.cmd.ProcessState)
	if s, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() && s.Signal() == syscall.SIGKILL {
		reason = "the step's process was killed, as a system does that runs out of memory"
	}
	return pipeline.Result{}, &pipeline.CrashError{Reason: reason}
}

var errNoJob = errors.New("no job came: this command is for the runner to start")
