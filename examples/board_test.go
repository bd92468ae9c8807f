package examples_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The board in the loop is this machine: each of the networks is measured by onnxruntime,
// most are fitted to, the others are predicted, and the tables say which number is which.
func TestBoard(t *testing.T) {
	python, err := filepath.Abs("../data/python/bin/python")
	if err == nil {
		_, err = os.Stat(python)
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%v: scripts/test-needs makes it", err)
	} else if err != nil {
		t.Skipf("%v: scripts/test-needs makes it", err)
	}
	run := runner(t)
	args := []string{"board.hcl", "--store", t.TempDir(), "--var", "python=" + python, "--var", "seconds=0.01"}
	text := run(append([]string{"run", "--resource", "board=1"}, args...)...)
	if !strings.Contains(text, "held out") || !strings.Contains(text, "measured") || !strings.Contains(text, "modelled") {
		t.Errorf("the tables are not marked:\n%s", text)
	}
	rows, err := os.ReadFile(strings.TrimSpace(run(append([]string{"output", args[0], "measurements"}, args[1:]...)...)))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(rows)), "\n")
	if len(lines) != 1+34 || strings.Count(string(rows), "held out") != 4 || strings.Count(string(rows), "foreign") != 5 {
		t.Errorf("want 34 networks, of which 4 are held out and 5 foreign:\n%s", rows)
	}
	for _, line := range lines[1:] {
		if latency, err := strconv.ParseFloat(strings.Split(line, ",")[2], 64); err != nil || latency <= 0 || latency > 10 {
			t.Errorf("no latency in seconds: %s", line)
		}
	}
	// How good the predictions are hangs on how quiet the machine is, and is not asserted.
	for _, name := range []string{"heldout_rms", "foreign_rms"} {
		if rms := number(t, run, name, args); !(rms > 0) {
			t.Errorf("%s is %v", name, rms)
		}
	}
	if text := run(append([]string{"run"}, args...)...); !strings.Contains(text, "cached") || strings.Contains(text, " ran") {
		t.Errorf("the second run is not cached:\n%s", text)
	}
}
