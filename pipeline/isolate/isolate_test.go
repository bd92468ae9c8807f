package isolate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
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

// What is no Go program's last words is the log's, in lines; a line without an end
// is told at the end, and one that is too long in parts.
func TestOutput(t *testing.T) {
	var lines []string
	o := &output{level: zerolog.InfoLevel, report: func(e pipeline.Event) { lines = append(lines, string(e.Log)) }}
	for _, s := range []string{"on", "e\n\ntwo \"2\"\npan", "ic: boom\n\ngoroutine 1", " [running]:\n"} {
		fmt.Fprint(o, s)
	}
	want := `[{"level":"info","message":"one"} {"level":"info","message":"two \"2\""}]`
	if got := fmt.Sprint(lines); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(o.end(true)); got != "panic: boom\n\ngoroutine 1 [running]:\n" {
		t.Errorf("last words %q", got)
	}
	fmt.Fprint(o, strings.Repeat("x", 2*longestWords))
	if n := len(o.end(true)); n != longestWords {
		t.Errorf("%d bytes of last words", n)
	}
	lines = nil
	fine := &output{level: zerolog.InfoLevel, report: o.report}
	fmt.Fprint(fine, strings.Repeat("y", longestLine+1))
	fmt.Fprint(fine, "runtime: 3 s\nno end")
	if fine.end(false) != nil || len(lines) != 3 || !strings.Contains(lines[1], `"runtime: 3 s"`) || !strings.Contains(lines[2], `"no end"`) {
		t.Errorf("%d lines: %.80s", len(lines), lines)
	}
}

// What a Go program says when it crashes becomes one line for the step.
func TestExplain(t *testing.T) {
	tests := []struct {
		words  string
		memory float64
		want   string
		panics bool
	}{
		{"panic: boom\n\ngoroutine 1 [running]:\n", 0, "the stage panicked: boom (", true},
		{"runtime: out of memory: cannot allocate 4194304-byte block\nfatal error: out of memory\n", 0, "it ran out of memory", false},
		{"fatal error: runtime: cannot allocate memory\n", 3 << 19, "it ran out of memory (its resources.memory is 1.5 MiB)", false},
		{"runtime/cgo: pthread_create failed: Resource temporarily unavailable\nSIGABRT: abort\n", 1 << 20, "it ran out of memory (", false},
		{"runtime/cgo: pthread_create failed: Resource temporarily unavailable\n", 0, "the step's process crashed: runtime/cgo: pthread", false},
		{"fatal error: all goroutines are asleep - deadlock!\n", 1 << 20, "the step's process crashed: fatal error: all goroutines", false},
	}
	for _, test := range tests {
		c := &child{job: &pipeline.Job{Resources: map[string]float64{"memory": test.memory}}}
		err := c.explain([]byte(test.words))
		var crash *pipeline.CrashError
		if !errors.As(err, &crash) || !strings.HasPrefix(crash.Reason, test.want) || crash.Panic != test.panics || crash.Stack != test.words {
			t.Errorf("%q: %+v", test.words, crash)
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
	c := &child{cmd: exec.Command("true"), job: &pipeline.Job{}, events: r, log: &output{}, started: newGate(), returned: newGate(),
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
