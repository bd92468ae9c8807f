package pipeline

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// The zero Task grants the CPUs and nothing else: what is reported and logged is
// dropped, and only a file has no place.
func TestZeroTask(t *testing.T) {
	var task Task
	task.Report(Progress{Done: 1})
	task.Log().Warn().Msg("nobody listens")
	if task.CPUs() < 1 || task.GPUs() != nil || task.Checkpoint() != "" || task.Lineage() != nil {
		t.Errorf("%d CPUs, GPUs %v, checkpoint %q, lineage %v", task.CPUs(), task.GPUs(), task.Checkpoint(), task.Lineage())
	}
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "Env.Work") {
			t.Errorf("Path panicked with %q, want what a test must set", s)
		}
	}()
	task.Path("x")
}

// Each calls its function once for each number, reports all of them, and ends when its
// context does.
func TestEach(t *testing.T) {
	var last Progress
	task := NewTask(Env{CPUs: 3, Progress: func(p Progress) { last = p }})
	calls := make([]int, 20)
	if err := task.Each(t.Context(), len(calls), Progress{Unit: "calls"}, func(i int) { calls[i]++ }); err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(calls, func(n int) bool { return n != 1 }) || last != (Progress{Done: 20, Total: 20, Unit: "calls"}) {
		t.Errorf("called %v times, the last report is %+v", calls, last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var begun atomic.Int32
	err := task.Each(ctx, 1000, Progress{}, func(int) { begun.Add(1); cancel() })
	if err != context.Canceled || begun.Load() == 1000 {
		t.Errorf("%v after %d calls", err, begun.Load())
	}
}
