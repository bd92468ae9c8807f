package apart

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"eyrie/pipeline"
)

// What is no Go program's last words is the log's, in lines; a line without an end
// is told at the end, and one that is too long in parts.
func TestOutput(t *testing.T) {
	var lines []string
	o := &Output{Level: zerolog.InfoLevel, Report: func(e pipeline.Event) { lines = append(lines, string(e.Log)) }}
	for _, s := range []string{"on", "e\n\ntwo \"2\"\npan", "ic: boom\n\ngoroutine 1", " [running]:\n"} {
		fmt.Fprint(o, s)
	}
	want := `[{"level":"info","message":"one"} {"level":"info","message":"two \"2\""}]`
	if got := fmt.Sprint(lines); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(o.End(true)); got != "panic: boom\n\ngoroutine 1 [running]:\n" {
		t.Errorf("last words %q", got)
	}
	fmt.Fprint(o, strings.Repeat("x", 2*longestWords))
	if n := len(o.End(true)); n != longestWords {
		t.Errorf("%d bytes of last words", n)
	}
	lines = nil
	fine := &Output{Level: zerolog.InfoLevel, Report: o.Report}
	fmt.Fprint(fine, strings.Repeat("y", longestLine+1))
	fmt.Fprint(fine, "runtime: 3 s\nno end")
	if fine.End(false) != nil || len(lines) != 3 || !strings.Contains(lines[1], `"runtime: 3 s"`) || !strings.Contains(lines[2], `"no end"`) {
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
		err := Explain([]byte(test.words), &pipeline.Job{Resources: map[string]float64{"memory": test.memory}})
		var crash *pipeline.CrashError
		if !errors.As(err, &crash) || !strings.HasPrefix(crash.Reason, test.want) || crash.Panic != test.panics || crash.Stack != test.words {
			t.Errorf("%q: %+v", test.words, crash)
		}
	}
}
