package pipeline

import (
	"strings"
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
