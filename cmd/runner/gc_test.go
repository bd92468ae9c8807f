package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fanRecipe has results that its variables leave behind, and steps whose actions are known
// only when others have run.
const fanRecipe = `
variable "seed" { default = 0 }

stage "write" "part" {
  for_each = { for i in range(12) : "p${i}" => i }
  text     = "part ${each.value} of ${var.seed}"
}

stage "read" "copy" {
  for_each = stage.part
  file     = each.value.file
}

output "texts" { value = [for c in stage.copy : c.text] }
`

// While gc removes everything that it may, again and again, runs that need other things
// find or make whatever they need: none fails, and none has a wrong output. A result grows
// old enough to go before its turn comes again.
func TestCollectBesideRuns(t *testing.T) {
	dir := t.TempDir()
	recipe := filepath.Join(dir, "fan.hcl")
	if err := os.WriteFile(recipe, []byte(fanRecipe), 0o666); err != nil {
		t.Fatal(err)
	}
	runner := func(args ...string) string {
		cmd := exec.Command("runner", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	runner("run", "fan.hcl")
	var over atomic.Bool
	collected := make(chan int)
	go func() {
		n := 0
		for !over.Load() {
			n += strings.Count(runner("gc", "--yes", "--days", "0", "--grace", "2s"), "freed ")
		}
		collected <- n
	}()
	long := 15 * time.Second
	if testing.Short() {
		long = 6 * time.Second
	}
	const turn = 300 * time.Millisecond // of a seed: fourteen take longer than the grace, however fast runs are
	for round, begin := 0, time.Now(); time.Since(begin) < long && !t.Failed(); round++ {
		seed := int(time.Since(begin)/turn) % 14
		out := runner("run", "fan.hcl", "--var", fmt.Sprint("seed=", seed))
		for i := range 12 {
			if want := fmt.Sprintf("part %d of %d", i, seed); !strings.Contains(out, want) {
				t.Errorf("round %d lacks %q:\n%s", round, want, out)
			}
		}
	}
	over.Store(true)
	if n := <-collected; n == 0 {
		t.Error("nothing was ever removed: the test shows nothing")
	} else {
		t.Logf("something was removed %d times", n)
	}
	runner("verify", "fan.hcl")
}
