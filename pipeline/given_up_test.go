package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts/store/storetest"
)

// A stage that was given up and runs on can write neither to its work directory nor to
// its checkpoint, where the next attempt may be at work; what it wrote before is there.
func TestGivenUpStageFindsNothing(t *testing.T) {
	store := storetest.New(t)
	release, wrote := make(chan struct{}), make(chan error, 2)
	mule := Define("mule", 1, "", numConfig{}, func(_ context.Context, task *Task, _ numConfig) (numOutput, error) {
		saved := filepath.Join(task.Checkpoint(), "saved")
		if b, err := os.ReadFile(saved); err == nil {
			return numOutput{Parity: string(b)}, nil
		}
		if err := os.WriteFile(saved, []byte("before"), 0o666); err != nil {
			return numOutput{}, err
		}
		<-release
		wrote <- os.WriteFile(saved, []byte("after"), 0o666)
		wrote <- os.WriteFile(task.Path("made"), nil, 0o666)
		return numOutput{}, nil
	})
	s := step("a", mule, map[string]any{"x": 1.0})
	s.Timeout = 10 * time.Millisecond
	run := execute(t, store, recipe(s), RunOptions{Grace: 10 * time.Millisecond})
	if err := run.Steps[0].Err; run.Status != Failed || !strings.Contains(err.Error(), "it did not stop within 10ms, and was given up") {
		t.Fatal(err)
	}
	close(release)
	for range 2 {
		if err := <-wrote; err == nil {
			t.Error("it wrote where the next attempt may be")
		}
	}
	s.Timeout = 0
	if run := execute(t, store, recipe(s)); run.Status != Succeeded || !strings.Contains(string(run.Steps[0].Record.Output), "before") {
		t.Errorf("the next attempt: %v, %s", run.Steps[0].Err, run.Steps[0].Record.Output)
	}
}
