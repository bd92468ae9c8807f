package cli

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"eyrie/artifacts/store"
	"eyrie/artifacts/tree"
	"eyrie/cmd/runner/internal/view"
	"eyrie/nas/unit"
	"eyrie/pipeline"
)

// mostPlans is how often a plan is made anew because something of it turned out to be
// damaged where it is kept. Each finds all that is damaged, so two are nearly always enough.
const mostPlans = 10

// fetchInputs fetches what a run of a plan will read, so that a result that is not whole where a
// team keeps it is a miss before anything runs. It returns the plan, made anew where there was
// such a result.
func (a *app) fetchInputs(ctx context.Context, plan *pipeline.Plan, s *store.Store, opt pipeline.PlanOptions) (*pipeline.Plan, error) {
	for n := 1; ctx.Err() == nil; n++ {
		err := plan.Bring(ctx, s)
		if err == nil {
			break
		}
		if n == mostPlans || !isLost(err) {
			return nil, fmt.Errorf("fetching what the run reads: %w", err)
		}
		if plan, err = a.plan(ctx, plan.Recipe, s, opt); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// fetching is busy for what is fetched into a store: it says how much has come.
func fetching(tell func(string), text string, s *store.Store) (stop func()) {
	return busyWith(tell, func() string {
		if n := s.Fetched(); n > 0 {
			return fmt.Sprintf("%s, %s so far …", text, unit.Bytes(n))
		}
		return text + " …"
	})
}

// isLost reports whether an artifact is missing or damaged, here and wherever else it was looked for.
func isLost(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged)
}

func (a *app) pushCommand() *cobra.Command {
	var opt pipeline.PlanOptions
	cmd := &cobra.Command{
		Use:   "push RECIPE",
		Short: "Publish the results that a recipe's steps have",
		Long: `Publish the results that a recipe's steps have, to each cache of the site file whose mode is
read-write. What is there is not sent again. A run in that mode publishes what it makes; this
is for what was made before, or elsewhere. Results of steps with sensitive attributes are
not published.`,
		Example: `  runner push paper.hcl
  runner push paper.hcl --target train`,
		Args:              exactly("RECIPE"),
		ValidArgsFunction: completeRecipeOnly,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.push(cmd.Context(), args[0], opt) },
	}
	a.targetFlag(cmd, &opt)
	return cmd
}

func (a *app) push(ctx context.Context, path string, opt pipeline.PlanOptions) error {
	plan, kept, err := a.prepare(ctx, path, opt, a.hint)
	if err != nil {
		return err
	}
	defer kept.Close()
	if a.cache == nil || !a.cache.Writes() {
		return invalidf("there is nowhere to push to: the site file has no cache with mode = \"read-write\", or none that can be reached; see runner site")
	}
	left, lost := 0, 0
	for _, s := range plan.Steps {
		switch {
		case s.Verdict != pipeline.Cached:
			left++
		case s.Sensitive():
		default:
			err := kept.Bring(ctx, s.Record.Objects)
			switch {
			case isLost(err):
				lost++
			case err != nil:
				return err
			default:
				kept.Share(*s.Record)
			}
		}
	}
	p := a.waitPublished(ctx, a.hint)
	a.reportPublished(p, a.hint)
	if !a.json && p.Sent+p.There+p.Failed == 0 {
		say(a.out, "there is nothing to publish")
	}
	a.withoutResult(left)
	if lost > 0 {
		a.hint(fmt.Sprintf("%s not whole: files are missing or damaged, and the steps will run", view.Count(lost, "result")))
	}
	if n := p.Failed + lost; n > 0 {
		return &exitError{exitTrouble, fmt.Errorf("%s not published", view.Count(n, "result"))}
	}
	return ctx.Err()
}

func (a *app) withoutResult(n int) {
	if n > 0 {
		a.hint(fmt.Sprintf("%s %s no result yet", view.Count(n, "step"), have(n)))
	}
}

// pulledJSON is what pull did.
type pulledJSON struct {
	Fetched int64 `json:"fetched"` // results
	Here    int64 `json:"here"`    // results that were here
	Lost    int64 `json:"lost"`    // results of which something is missing or damaged
	Missing int   `json:"missing"` // steps that have no result
}

func (a *app) pullCommand() *cobra.Command {
	var opt pipeline.PlanOptions
	cmd := &cobra.Command{
		Use:   "pull RECIPE",
		Short: "Fetch the results that others have published for a recipe's steps",
		Long: `Fetch the results that others have published for a recipe's steps, with all their files, as
before a journey. A run fetches by itself what it reads, and no more.`,
		Example: `  runner pull paper.hcl
  runner pull paper.hcl --target deploy`,
		Args:              exactly("RECIPE"),
		ValidArgsFunction: completeRecipeOnly,
		RunE:              func(cmd *cobra.Command, args []string) error { return a.pull(cmd.Context(), args[0], opt) },
	}
	a.targetFlag(cmd, &opt)
	return cmd
}

func (a *app) targetFlag(cmd *cobra.Command, opt *pipeline.PlanOptions) {
	cmd.Flags().StringArrayVar(&opt.Targets, "target", nil, "only this `step` and what it needs, such as train, each[a] or found*; may be repeated")
}

func (a *app) pull(ctx context.Context, path string, opt pipeline.PlanOptions) error {
	plan, kept, err := a.prepare(ctx, path, opt, a.hint)
	if err != nil {
		return err
	}
	defer kept.Close()
	if a.cache == nil {
		return invalidf("there is nowhere to pull from: no site file names a cache; see runner site")
	}
	if a.cache.Places() == 0 {
		return &exitError{exitTrouble, errors.New("nothing was fetched: no cache can be reached; see runner site")}
	}
	done := fetching(a.hint, "fetching", kept)
	doc, err := a.fetch(ctx, kept, plan)
	done()
	if err != nil {
		return err
	}
	if err := a.sayPulled(doc); err != nil {
		return err
	}
	if lost := a.cache.Lost(); lost != "" {
		return &exitError{exitTrouble, fmt.Errorf("perhaps not all was fetched: %s", lost)}
	}
	return nil
}

func (a *app) sayPulled(doc pulledJSON) error {
	if a.json {
		return a.print("pulled", doc)
	}
	say(a.out, "%s fetched, %d here already", view.Count(int(doc.Fetched), "result"), doc.Here)
	if doc.Lost > 0 {
		a.hint(fmt.Sprintf("%s not whole where they are kept: their steps will run", view.Count(int(doc.Lost), "result")))
	}
	a.withoutResult(doc.Missing)
	return nil
}

// fetch makes the results that a plan has found the store's own.
func (a *app) fetch(ctx context.Context, kept *store.Store, plan *pipeline.Plan) (pulledJSON, error) {
	var fetched, here, lost atomic.Int64
	err := tree.Each(ctx, len(plan.Steps), func(ctx context.Context, i int) error {
		s := plan.Steps[i]
		if s.Verdict != pipeline.Cached {
			return nil
		}
		is, err := kept.Own(ctx, s.Action)
		if err != nil || is {
			here.Add(1)
			return err
		}
		switch err := kept.Keep(ctx, *s.Record); {
		case isLost(err):
			lost.Add(1)
			return nil
		case err != nil:
			return err
		}
		fetched.Add(1)
		return nil
	})
	missing := len(plan.Steps) - plan.Count(pipeline.Cached)
	return pulledJSON{fetched.Load(), here.Load(), lost.Load(), missing}, err
}
