package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/nas/unit"
	"eyrie/pipeline"
)

func (a *app) verifyCommand() *cobra.Command {
	var repair bool
	cmd := &cobra.Command{
		Use:   "verify [RECIPE]",
		Short: "Read everything in the store again, and repair what is damaged with --repair",
		Long: `Read every object and every record in the store again, whatever is known of them, and
report what is damaged or missing, and which steps made it. What is damaged, and what is
no file, is moved into quarantine/ in the store: it is missing from then on, and never a
result.

With --repair the steps of the recipe whose results are not whole are run again, and no
others but what they need. What cannot be repaired is told: results of other recipes or of
an earlier state of this one, and what somebody adopted.

The exit code is 0 if everything is whole, or was repaired, and 1 otherwise.`,
		Example: `  runner verify
  runner verify paper.hcl --repair`,
		Args:              exactly("[RECIPE]"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			if repair && len(args) == 0 {
				return invalidf("--repair: want the recipe whose steps are to be run again: runner verify RECIPE --repair")
			}
			return a.verify(cmd.Context(), args, repair)
		},
	}
	cmd.Flags().BoolVar(&repair, "repair", false, "run the steps again whose results are not whole")
	return cmd
}

func (a *app) verify(ctx context.Context, args []string, repair bool) error {
	kept, err := a.past(strings.Join(args, ""))
	if err != nil {
		return err
	}
	defer kept.Close()
	kept.Back(nil) // it is about what is here
	flaws, checked, err := a.examine(ctx, kept.Store)
	if err != nil {
		return err
	}
	if err := a.reportFlaws(kept.dir, flaws, checked); err != nil || len(flaws) == 0 {
		return err
	}
	if !repair {
		return reported(exitNo)
	}
	return a.repair(ctx, args[0], kept.Store, flaws)
}

// examine verifies the store, and tells how far it is where that takes long.
func (a *app) examine(ctx context.Context, kept *store.Store) ([]*store.Flaw, store.Checked, error) {
	var text atomic.Value
	text.Store("listing what is in the store")
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		t := time.NewTicker(2 * time.Second)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				a.hint(text.Load().(string) + " …")
			case <-stop:
				return
			}
		}
	}()
	return kept.Verify(ctx, func(done, all store.Checked) {
		if done.Objects%64 == 0 {
			text.Store(fmt.Sprintf("read %s of %s, %s", unit.Bytes(done.Bytes), unit.Bytes(all.Bytes), view.Count(done.Objects, "object")))
		}
	})
}

// verifiedJSON is what verify found.
type verifiedJSON struct {
	Objects int        `json:"objects"`
	Records int        `json:"records"`
	Bytes   int64      `json:"bytes"`
	Flaws   []flawJSON `json:"flaws"`
}

// flawJSON is something that is damaged or missing.
type flawJSON struct {
	Kind       store.Kind `json:"kind"`
	Path       string     `json:"path"`
	Problem    string     `json:"problem"`
	Quarantine string     `json:"quarantine,omitempty"` // where it is now, in the store
	Error      string     `json:"error,omitempty"`      // why it was not moved there
	Steps      []string   `json:"steps,omitempty"`
	Actions    []string   `json:"actions,omitempty"`
}

func newFlawJSON(f *store.Flaw) flawJSON {
	j := flawJSON{Kind: f.Kind, Path: f.Path, Problem: f.Problem, Quarantine: f.Moved, Steps: f.Steps}
	for _, id := range f.Actions {
		j.Actions = append(j.Actions, id.String())
	}
	if f.NotMoved != nil {
		j.Error = f.NotMoved.Error()
	}
	return j
}

func (a *app) reportFlaws(dir string, flaws []*store.Flaw, checked store.Checked) error {
	if a.json {
		doc := verifiedJSON{checked.Objects, checked.Records, checked.Bytes, make([]flawJSON, len(flaws))}
		for i, f := range flaws {
			doc.Flaws[i] = newFlawJSON(f)
		}
		return a.print("verified", doc)
	}
	y := a.style(a.out)
	const most = 50
	for _, f := range flaws[:min(len(flaws), most)] {
		say(a.out, "%s %s: %s%s", y.Red("✗"), f.Path, f.Problem, flawOf(f))
		if f.NotMoved != nil {
			say(a.out, "  it could not be moved into quarantine: %v", f.NotMoved)
		}
	}
	if n := len(flaws) - most; n > 0 {
		say(a.out, "and %s more", humanize.Comma(int64(n)))
	}
	text := "all whole"
	if len(flaws) > 0 {
		text = view.Count(len(flaws), "thing") + " damaged or missing"
	}
	say(a.out, "%s: %s, %s, %s read: %s", dir, view.Count(checked.Records, "result"), view.Count(checked.Objects, "object"), unit.Bytes(checked.Bytes), text)
	return nil
}

// flawOf says whose result is not whole.
func flawOf(f *store.Flaw) string {
	steps := slices.Clone(f.Steps)
	slices.Sort(steps)
	switch steps = slices.Compact(steps); {
	case len(steps) > 0:
		return ", of " + view.Few(steps, ", ")
	case len(f.Actions) == 0:
		return ", of no result"
	}
	return ""
}

// repair runs the steps of a recipe again whose results are not whole, and reports what it
// could not make again.
func (a *app) repair(ctx context.Context, path string, kept *store.Store, flaws []*store.Flaw) error {
	broken := map[artifacts.ActionID]bool{}
	for _, f := range flaws {
		for _, id := range f.Actions {
			broken[id] = true
		}
	}
	a.site = noSite // what was found damaged here is made here
	recipe, err := a.load(path)
	if err != nil {
		return err
	}
	targets, err := a.brokenSteps(ctx, recipe, kept, broken)
	if err != nil {
		return err
	}
	if len(targets) > 0 {
		if !a.json {
			say(a.out, "")
		}
		r := &runner{app: a, recipe: path, plan: pipeline.PlanOptions{Targets: targets}, opt: pipeline.RunOptions{LogLevel: a.level(), Grace: 30 * time.Second}, quiet: true}
		if err := r.run(ctx); err != nil {
			return err
		}
	}
	return a.unrepaired(ctx, path, kept, broken)
}

// brokenSteps returns the steps of a recipe whose results are not whole: now, or before what
// they need was found missing.
func (a *app) brokenSteps(ctx context.Context, recipe *pipeline.Recipe, kept *store.Store, broken map[artifacts.ActionID]bool) ([]string, error) {
	plan, err := a.plan(ctx, recipe, kept, pipeline.PlanOptions{})
	if err != nil {
		return nil, err
	}
	var targets []string
	for _, s := range plan.Steps {
		id := s.Action
		if s.Verdict == pipeline.Unknown {
			if id, err = kept.Last(recipe.LastName(s.ID)); err != nil {
				continue
			}
		}
		if r, _ := kept.Lookup(ctx, id); broken[id] && s.Verdict != pipeline.Cached && r.Adopted == nil {
			targets = append(targets, s.ID)
		}
	}
	return targets, nil
}

// unrepaired reports the results that are not whole still.
func (a *app) unrepaired(ctx context.Context, path string, kept *store.Store, broken map[artifacts.ActionID]bool) error {
	var lines []string
	repaired := 0
	for id := range broken {
		r, err := kept.Lookup(ctx, id)
		switch {
		case err == nil:
			repaired++
		case r.Adopted != nil:
			lines = append(lines, fmt.Sprintf("%s was adopted from %s: adopt it again", r.Step, view.Few(r.Adopted.From, ", ")))
		case r.Step != "":
			lines = append(lines, fmt.Sprintf("%s of run %s is no result of %s as it is now", r.Step, r.Run, path))
		default:
			lines = append(lines, fmt.Sprintf("the record of action %s tells no step any more, and %s needs no such result", id.String()[:12], path))
		}
	}
	slices.Sort(lines)
	if a.json {
		if err := a.print("repaired", map[string]any{"repaired": repaired, "lost": lines}); err != nil {
			return err
		}
	} else {
		say(a.out, "%s made again", view.Count(repaired, "result"))
	}
	if len(lines) > 0 {
		return &exitError{exitNo, errors.New("not repaired:\n  " + strings.Join(lines, "\n  "))}
	}
	return nil
}
