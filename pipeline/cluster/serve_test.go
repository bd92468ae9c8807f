package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

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
