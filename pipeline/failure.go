package pipeline

import (
	"errors"
	"fmt"
	"time"

	"eyrie/pipeline/mistake"
)

// CrashError says that an attempt ended other than by the stage's return.
type CrashError struct {
	Reason string // one line: "the stage panicked: …"
	Panic  bool   // a mistake in the stage: another attempt would end likewise
	Stuck  bool   // it was told to stop, and did not: it is still running
	Stack  string // for the journal; "" where there is none
}

func (e *CrashError) Error() string { return e.Reason }

// PanicError returns the error of a stage that panicked.
func PanicError(value, stack string) *CrashError {
	return &CrashError{Reason: "the stage panicked: " + value + " (a mistake in the stage; the stack is in the run's journal)", Panic: true, Stack: stack}
}

// crashOf returns how an attempt crashed; the zero CrashError where it did not.
func crashOf(err error) CrashError {
	var crash *CrashError
	if errors.As(err, &crash) {
		return *crash
	}
	return CrashError{}
}

// TimeoutError says that an attempt took longer than it may.
type TimeoutError time.Duration

func (e TimeoutError) Error() string {
	return fmt.Sprintf("stopped after its timeout of %v", time.Duration(e))
}

// Failure is an attempt's error in a form that crosses processes. What is kept of
// an error is what a run does with it: its text, the attribute that it is about,
// and whether it was a crash.
type Failure struct {
	Message string `json:"message"`
	Path    string `json:"path,omitempty"` // of the mistake; Message is then what is wrong there
	Crash   bool   `json:"crash,omitempty"`
	Panic   bool   `json:"panic,omitempty"`
	Stack   string `json:"stack,omitempty"`

	Timeout time.Duration `json:"timeout,omitempty"` // that was over, ns; 0 where it was not
}

// NewFailure describes an error, which must not be nil.
func NewFailure(err error) *Failure {
	if crash := (*CrashError)(nil); errors.As(err, &crash) {
		return &Failure{Message: err.Error(), Crash: true, Panic: crash.Panic, Stack: crash.Stack}
	}
	if timeout := TimeoutError(0); errors.As(err, &timeout) {
		return &Failure{Message: err.Error(), Timeout: time.Duration(timeout)}
	}
	if all := mistake.Of(err); len(all) == 1 && len(all[0].Path) > 0 {
		return &Failure{Message: all[0].Err.Error(), Path: all[0].Path.String()}
	}
	return &Failure{Message: err.Error()}
}

// Err returns the error that was described.
func (f *Failure) Err() error {
	switch {
	case f.Crash:
		return &CrashError{Reason: f.Message, Panic: f.Panic, Stack: f.Stack}
	case f.Timeout > 0:
		return TimeoutError(f.Timeout)
	case f.Path != "":
		return &mistake.Mistake{Path: mistake.Parse(f.Path), Err: errors.New(f.Message)}
	}
	return errors.New(f.Message)
}
