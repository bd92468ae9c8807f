// Package process runs other programs so that nothing of them outlives its purpose:
// neither the program's end, nor the context's, nor the death of this process.
//
// A program leads a session of its own, and with that a process group, out of reach of
// the terminal. When its context ends the group gets SIGTERM and, after a grace, SIGKILL.
// What the program leaves behind when it ends is killed, too.
//
// If this process is killed, nobody is left to do that, so a watchdog does it: this
// program once more, in a session of its own, started with the first program and connected
// by a pipe, whose end says that this process is gone. A group does not hold what began a
// session itself, as daemons do. On Linux those are found by their environment, in which
// each program gets a [Cookie] that its descendants inherit: what clears its environment
// and begins a session is the one thing that escapes. Elsewhere only the group is killed.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Cookie is the environment variable by which a program's descendants are known.
const Cookie = "EYRIE_JOB"

// Program is a program to run. Its standard input is empty.
type Program struct {
	Path string
	Args []string // with its name as the first
	Dir  string
	Env  []string // all of its environment but for [Cookie]

	Line  func(line string) // receives what it writes to standard output and standard error, line by line
	Extra func(line string) // unless nil, what it writes to descriptor 3
	Hide  []string          // what no line may contain; "(sensitive)" takes its place

	// Finally, unless empty, is a command, with its path as the first element, that is run
	// if the program did not end by itself: it ends what is not the program's descendant,
	// such as a container. The watchdog runs it, too.
	Finally []string

	CPUs  []int         // the processors that it may use, where the system can say so; none for all
	Grace time.Duration // how long it may go on after SIGTERM; 0 for as long as it likes
}

// Ended is how a program ended.
type Ended struct {
	State  *os.ProcessState
	Killed bool     // it had not stopped within its grace
	Left   int      // how many processes it left behind, as far as could be seen; they were killed
	Usage  Usage    // without what it left behind, or what is not its descendant
	Tail   []string // the last lines of its output
}

// Run runs the program and returns when nothing of it is left. An error says that it
// could not be started: how it ended is not one.
func (p *Program) Run(ctx context.Context) (*Ended, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &running{program: p, cookie: guard.cookie(), exited: make(chan struct{})}
	if err := guard.begin(r); err != nil {
		return nil, fmt.Errorf("starting the process that ends programs when this one dies: %w", err)
	}
	defer guard.end(r)
	if err := r.start(); err != nil {
		return nil, err
	}
	guard.group(r)
	killed := r.watch(ctx)
	if ctx.Err() != nil {
		finish(p.Finally)
	}
	ended := &Ended{Killed: killed, Left: r.clear()}
	_ = r.cmd.Wait() // the state says how it ended
	ended.State = r.cmd.ProcessState
	ended.Usage = UsageOf(ended.State)
	ended.Usage.Part = ended.Left > 0 || len(p.Finally) > 0
	r.readers.Wait()
	ended.Tail = r.tail.lines
	return ended, nil
}

// finish runs a command that ends something, which must not take long.
func finish(command []string) {
	if len(command) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_ = exec.CommandContext(ctx, command[0], command[1:]...).Run() // most often there is nothing left to end
}

// running is a program that was started.
type running struct {
	program *Program
	cookie  string
	cmd     *exec.Cmd
	group   int           // for the watchdog, whose mu guards it; 0 until it is known
	exited  chan struct{} // closed when the process has ended; it is not reaped then
	gone    atomic.Bool   // all that could be found of it has ended
	pipes   []*os.File    // that are read
	readers sync.WaitGroup
	tail    tail
}

func (r *running) start() (err error) {
	p := r.program
	r.cmd = &exec.Cmd{Path: p.Path, Args: p.Args, Dir: p.Dir, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	r.cmd.Env = append(p.Env[:len(p.Env):len(p.Env)], Cookie+"="+r.cookie)
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			r.closePipes()
		}
	}()
	pipe := func(take func(string)) *os.File {
		read, write, e := os.Pipe()
		if e != nil {
			err = errors.Join(err, e)
			return nil
		}
		theirs, r.pipes = append(theirs, write), append(r.pipes, read)
		r.readers.Go(func() { readLines(newReader(read, &r.gone), p.Hide, take) })
		return write
	}
	output := pipe(func(line string) {
		r.tail.add(line)
		if p.Line != nil {
			p.Line(line)
		}
	})
	r.cmd.Stdout, r.cmd.Stderr = output, output
	if p.Extra != nil {
		r.cmd.ExtraFiles = []*os.File{pipe(p.Extra)}
	}
	if err != nil {
		return err
	}
	if err := startOn(r.cmd, p.CPUs); err != nil {
		return err
	}
	go func() { awaitExit(r.cmd); close(r.exited) }()
	return nil
}

// startOn starts a command that may use these processors only. A process has those of
// the thread that starts it, so that there is no time in which it has others.
func startOn(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	restore := confine(cpus)
	defer restore()
	return cmd.Start()
}

// watch waits until the process has ended, and ends it when ctx does. It returns whether
// it had to be killed.
func (r *running) watch(ctx context.Context) (killed bool) {
	select {
	case <-r.exited:
		return false
	case <-ctx.Done():
	}
	group := -r.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	_ = syscall.Kill(group, syscall.SIGCONT) // a stopped process does not hear SIGTERM
	var over <-chan time.Time
	if r.program.Grace > 0 {
		over = time.After(r.program.Grace)
	}
	select {
	case <-r.exited:
		return false
	case <-over:
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-r.exited
	return true
}

// patience is how long the pipes of a program that has ended may be held open by what
// could not be found and killed.
const patience = time.Second

// clear kills what the program has left behind, and returns how many processes these were.
func (r *running) clear() (left int) {
	left = sweep(r.cookie, r.cmd.Process.Pid, r.cmd.Process.Pid, patience/5)
	r.gone.Store(true)
	for _, f := range r.pipes {
		_ = f.SetReadDeadline(time.Now().Add(patience))
	}
	return left
}

// mostLeft is how much is read of a pipe once its program is gone, in bytes. A pipe holds
// no more, unless root has said otherwise.
const mostLeft = 1 << 20

// reader reads a pipe. Once its program is gone, what it has written is still read, and
// nothing that comes later: a process that could not be found may write for ever. Only the
// time for which there is nothing counts, because whoever takes the lines may be slow.
type reader struct {
	*os.File
	gone *atomic.Bool
	wait time.Duration // how long it may still wait once the program is gone
	most int           // how much it may still read then, in bytes
}

func newReader(f *os.File, gone *atomic.Bool) *reader {
	return &reader{File: f, gone: gone, wait: patience, most: mostLeft}
}

func (r *reader) Read(b []byte) (int, error) {
	if !r.gone.Load() {
		return r.File.Read(b)
	}
	if r.most <= 0 {
		return 0, io.EOF
	}
	began := time.Now()
	_ = r.SetReadDeadline(began.Add(r.wait))
	n, err := r.File.Read(b[:min(len(b), r.most)])
	r.wait -= time.Since(began)
	r.most -= n
	return n, err
}

func (r *running) closePipes() {
	for _, f := range r.pipes {
		_ = f.SetReadDeadline(time.Now())
	}
	r.readers.Wait()
}
