package cli

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"eyrie/cmd/runner/internal/view"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

func (a *app) runsCommand() *cobra.Command {
	var status string
	var most int
	cmd := &cobra.Command{
		Use:   "runs [RECIPE]",
		Short: "List the runs there were, the newest first",
		Long: `List the runs of a recipe, or without one all in the store of this directory, the newest
first: when each began, how it ended, how many of its steps ran, were cached and failed,
how long it took, and the variables that were given another value than their default.

A run that goes on is running; one whose process ended without a word was killed: run
again to go on from its checkpoints.`,
		Example: `  runner runs paper.hcl
  runner runs paper.hcl --status failed -n 3`,
		Args:              exactly("[RECIPE]"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(_ *cobra.Command, args []string) error {
			if status != "" && !slices.Contains(history.Statuses, pipeline.Status(status)) {
				return invalidf("--status %q: want %s", status, statusNames())
			}
			if most < 0 {
				return invalidf("-n %d: want a number of runs, or 0 for all", most)
			}
			p, err := a.past(strings.Join(args, ""))
			if err != nil {
				return err
			}
			defer p.Close()
			return a.runs(p, pipeline.Status(status), most)
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "only runs with this status: "+statusNames())
	cmd.Flags().IntVarP(&most, "number", "n", 20, "list at most `n` runs; 0 for all")
	return cmd
}

func statusNames() string {
	names := make([]string, len(history.Statuses))
	for i, s := range history.Statuses {
		names[i] = string(s)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// runs lists the runs with a status, or all where it is "".
func (a *app) runs(p *past, status pipeline.Status, most int) error {
	all, err := history.List(p.Store, p.recipe)
	if err != nil {
		return err
	}
	rows := [][]string{{"RUN", "STARTED", "STATUS", "RECIPE", "RAN", "CACHED", "FAILED", "TOOK", "VARIABLES"}}
	more := false
	n := 0
	for r := range all {
		if status != "" && r.Status != status {
			continue
		}
		if more = most > 0 && n == most; more {
			break
		}
		n++
		if !a.json {
			rows = append(rows, runRow(r))
		} else if err := a.print("run", newRunJSON(r)); err != nil {
			return err
		}
	}
	switch {
	case a.json:
	case n == 0:
		say(a.out, "no runs")
	default:
		a.table(rows, 4, 5, 6, 7)
		if more {
			say(a.out, "… and older ones: -n 0 lists all")
		}
	}
	return nil
}

// runRow is a line of the list. Of a run that goes on, how long it has gone on for counts.
func runRow(r *history.Summary) []string {
	took := r.Elapsed()
	if r.Status == history.Running {
		took = time.Since(r.Started)
	}
	var vars []string
	for _, v := range r.Changed() {
		vars = append(vars, v.Name+"="+view.Cut(variableText(v), 24))
	}
	return []string{r.ID, when(r.Started), string(r.Status), r.Recipe, strconv.Itoa(r.Done), strconv.Itoa(r.Cached),
		strconv.Itoa(r.Failed), view.Duration(took), view.Cut(strings.Join(vars, " "), 80)}
}

// runJSON is a run for programs.
type runJSON struct {
	Run     string           `json:"run"`
	Recipe  string           `json:"recipe"`
	Status  pipeline.Status  `json:"status"`
	Started time.Time        `json:"started"`
	Ended   *time.Time       `json:"ended,omitempty"` // not of a run that goes on
	Elapsed float64          `json:"elapsed"`         // s
	Steps   int              `json:"steps"`
	Done    int              `json:"done"`
	Cached  int              `json:"cached"`
	Failed  int              `json:"failed"`
	Stopped int              `json:"stopped"`
	Skipped int              `json:"skipped"`
	Header  *pipeline.Header `json:"header,omitempty"`
}

func newRunJSON(r *history.Summary) runJSON {
	j := runJSON{r.ID, r.Recipe, r.Status, r.Started, &r.Ended, r.Elapsed().Seconds(), r.Steps, r.Done, r.Cached, r.Failed, r.Stopped, r.Skipped, r.Header}
	if r.Status == history.Running {
		j.Ended, j.Elapsed = nil, time.Since(r.Started).Seconds()
	}
	return j
}
