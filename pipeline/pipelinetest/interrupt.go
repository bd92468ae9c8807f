package pipelinetest

import (
	"context"
	"errors"
	"testing"

	"eyrie/pipeline"
)

// mostInterruptions is after how many a step counts as one that does not get on.
const mostInterruptions = 60

// Interrupted has a step run in the same directories again and again, and cancels it each time
// after some reports of progress, until it ends before. It returns the output, and how often the
// step was cancelled. After the nth time it calls between, unless that is nil, with the directory
// of the checkpoint.
func Interrupted[T any](
	t *testing.T, reports int, run func(context.Context, *pipeline.Task) (T, error), between func(n int, checkpoint string),
) (out T, n int) {
	t.Helper()
	env := pipeline.Env{Work: t.TempDir(), Checkpoint: t.TempDir()}
	for {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		env.Progress = func(pipeline.Progress) {
			if seen++; seen > reports {
				cancel()
			}
		}
		out, err := run(ctx, pipeline.NewTask(env))
		cancel()
		if err == nil {
			return out, n
		}
		if n++; !errors.Is(err, context.Canceled) || n > mostInterruptions {
			t.Fatalf("after %d interruptions: %v", n, err)
		}
		if between != nil {
			between(n, env.Checkpoint)
		}
	}
}
