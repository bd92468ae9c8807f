package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// A job's GPUs are those of its node: what it starts is to be shown no number that only others have.
func TestGPUsOfTheNode(t *testing.T) {
	for _, test := range []struct {
		gpus, nodes float64
		want        []int
	}{{0, 0, nil}, {0.5, 0, []int{0}}, {3, 0, []int{0, 1, 2}}, {2, 1, []int{0, 1}}, {6, 2, []int{0, 1, 2}}, {0, 2, nil}} {
		job := &pipeline.Job{Resources: map[string]float64{"gpus": test.gpus, "nodes": test.nodes}}
		if got := here(job); !slices.Equal(got, test.want) {
			t.Errorf("%v GPUs on %v nodes: %v here", test.gpus, test.nodes, got)
		}
	}
}

// Progress is told once in a second, and the last one always, also of a stage that ends at once.
func TestTellerTellsTheLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	told := newTeller(apart.NewSender(f), f)
	for i := range 100 {
		told.tell(pipeline.Event{Type: pipeline.StepProgress, Progress: &pipeline.Progress{Done: float64(i + 1), Total: 100}})
	}
	told.end()
	b, err := os.ReadFile(path)
	if lines := strings.Split(strings.TrimSpace(string(b)), "\n"); err != nil || len(lines) > 10 || !strings.Contains(lines[len(lines)-1], `"done":100`) {
		t.Errorf("%v\n%s", err, b)
	}
}
