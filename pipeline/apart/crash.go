package apart

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"eyrie/pipeline"
)

// Explain returns what a Go program's last words mean that crashed while it performed a job.
func Explain(crash []byte, job *pipeline.Job) error {
	first, _, _ := bytes.Cut(crash, []byte("\n"))
	what, value, _ := strings.Cut(string(first), ": ")
	if what == "panic" {
		return pipeline.PanicError(value, string(crash))
	}
	if m := job.Resources["memory"]; outOfMemory(crash, m > 0) {
		reason := "it ran out of memory"
		if m > 0 {
			reason += fmt.Sprintf(" (its resources.memory is %.4g MiB)", m/(1<<20))
		}
		return &pipeline.CrashError{Reason: reason, Stack: string(crash)}
	}
	return &pipeline.CrashError{Reason: "the step's process crashed: " + string(first), Stack: string(crash)}
}

// outOfMemory reports whether the last words are about memory. A process at its
// limit can also lack it for a thread's stack, and then speaks of threads.
func outOfMemory(words []byte, limited bool) bool {
	about := []string{"out of memory", "cannot allocate memory"}
	if limited {
		about = append(about, "pthread_create failed", "failed to create new OS thread")
	}
	return slices.ContainsFunc(about, func(s string) bool { return bytes.Contains(words, []byte(s)) })
}
