package isolate

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
	"eyrie/pipeline/executortest"
)

// The test binary is also the process of a step, in which this variable names the
// store.
const storeVariable = "ISOLATE_TEST_STORE"

func TestMain(m *testing.M) {
	dir := os.Getenv(storeVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := store.Open(dir)
	if err == nil {
		err = Serve(context.Background(), s, executortest.Stages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = s.Close()
	os.Exit(0)
}

func TestExecutor(t *testing.T) {
	executortest.Run(t, executortest.Subject{Apart: true, New: func(_ *testing.T, s *store.Store, dir string) pipeline.Executor {
		return &Executor{Store: s, Command: func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), storeVariable+"="+dir)
			return cmd
		}}
	}})
}

// The timeout is the stage's: a process that takes longer to store what the stage
// made is left alone.
func TestStoringIsNoPartOfTheTimeout(t *testing.T) {
	for _, returned := range []bool{false, true} {
		c := &child{cmd: exec.Command("sleep", "0.3"), job: &pipeline.Job{Timeout: time.Millisecond}, started: newGate(), returned: newGate()}
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := c.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if returned {
			c.returned.open()
		}
		c.started.open()
		ended, watched := make(chan struct{}), make(chan error, 1)
		go func() { watched <- c.watch(t.Context(), 50*time.Millisecond, ended) }()
		err := c.cmd.Wait()
		close(ended)
		if killed := <-watched; (err == nil) != returned || (killed == nil) != returned {
			t.Errorf("the stage has returned: %v; killed: %v, %v", returned, killed, err)
		}
	}
}

// A child that has ended is listened to until it has said everything, however slow
// whoever takes its events is; silence afterwards is not waited for.
func TestSlowListener(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() // held open, as by a process that left the group
	const events = 4
	go func() {
		for range events { // too much for the pipe and the decoder's buffer
			fmt.Fprintf(w, `{"event":{"event":"step-progress","error":"%s"}}`, strings.Repeat("x", 80<<10))
		}
		fmt.Fprintln(w, `{"result":{"record":{},"found":true}}`)
	}()
	heard := 0
	c := &child{cmd: exec.Command("true"), job: &pipeline.Job{}, events: r, log: &apart.Output{}, started: newGate(), returned: newGate(),
		report: func(pipeline.Event) {
			heard++
			time.Sleep(patience / 3)
		}}
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.stdin, err = os.Open(os.DevNull); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if killed := c.wait(t.Context(), 0); killed != nil || heard != events || c.last.Result == nil || !c.last.Result.Found {
		t.Errorf("killed %v, %d events, last %+v", killed, heard, c.last)
	}
}
