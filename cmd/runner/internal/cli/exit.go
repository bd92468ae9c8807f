package cli

import (
	"context"
	"errors"
	"fmt"

	"eyrie/pipeline"
)

// The exit codes; see exitCodes for their meaning.
const (
	exitOK          = 0
	exitNo          = 1
	exitInvalid     = 2
	exitTrouble     = 3
	exitFrozen      = 4
	exitInterrupted = 130
)

// exitCodes is the text of "runner help exit-codes".
const exitCodes = `The exit code tells how a command ended:

  0    success
  1    no: a step failed, or an output cannot be made of the results; with fmt
       --check, a file is not formatted; with output, a value is not known yet; with
       verify, something is damaged or missing, or could not be repaired
  2    the recipe or the command line is wrong; nothing was run or written
  3    trouble outside the recipe: the store or a file cannot be read or written, or a
       cache of the site file refuses what it is asked
  4    with run --frozen: a step has no result; nothing was run
  130  interrupted (Ctrl-C, TERM, or the output's reader has gone)
`

// exitError is an error with the exit code that it leads to.
type exitError struct {
	code int
	err  error // nil when it has been reported
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// reported ends the command with a code; the reason has been printed.
func reported(code int) error { return &exitError{code, nil} }

// invalid says that the recipe or the command line is wrong.
func invalid(err error) error { return &exitError{exitInvalid, err} }

// invalidf is invalid with a formatted message.
func invalidf(format string, args ...any) error { return invalid(fmt.Errorf(format, args...)) }

// exitCode returns the code that an error leads to.
func exitCode(err error) int {
	var exit *exitError
	var step *pipeline.StepError
	var none *pipeline.NoStepError
	var cycle *pipeline.CycleError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &step), errors.As(err, &none), errors.As(err, &cycle):
		return exitInvalid
	}
	return exitTrouble
}
