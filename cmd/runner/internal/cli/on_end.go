package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"eyrie/pipeline"
)

// notify runs the command that is to be run when a run has ended. After one in which nothing
// had to run there is nothing to tell: so it can be used in a loop.
func (r *runner) notify(plan *pipeline.Plan, run *pipeline.Run, elapsed time.Duration) {
	if r.onEnd == "" || plan.AllCached() {
		return
	}
	counts := map[pipeline.EventType]int{}
	for _, s := range run.Steps {
		counts[s.Type]++
	}
	cmd := exec.Command("sh", "-c", r.onEnd)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // standard output is the run's own
	cmd.Env = append(os.Environ(),
		"EYRIE_RUN="+run.ID, "EYRIE_STATUS="+string(run.Status), "EYRIE_RECIPE="+r.recipe,
		"EYRIE_ELAPSED="+strconv.FormatFloat(elapsed.Seconds(), 'f', 3, 64))
	for _, c := range []struct {
		name string
		of   pipeline.EventType
	}{{"DONE", pipeline.StepDone}, {"CACHED", pipeline.StepCached}, {"FAILED", pipeline.StepFailed}, {"STOPPED", pipeline.StepStopped}, {"SKIPPED", pipeline.StepSkipped}} {
		cmd.Env = append(cmd.Env, fmt.Sprintf("EYRIE_%s=%d", c.name, counts[c.of]))
	}
	if err := cmd.Run(); err != nil {
		r.notice(fmt.Sprintf("warning: the command of --on-end failed: %v", err))
	}
}
