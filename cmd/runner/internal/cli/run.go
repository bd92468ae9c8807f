package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl/site"
	"eyrie/pipeline"
	"eyrie/pipeline/isolate"
)

func (a *app) runCommand() *cobra.Command {
	var opt pipeline.PlanOptions
	var failFast, watch bool
	var resources []string
	var isolated bool
	var grace time.Duration
	var frozen bool
	var onEnd, planned, onInterrupt string
	cmd := &cobra.Command{
		Use:   "run RECIPE",
		Short: "Run what has no result yet, and print the recipe's outputs",
		Long: `Run what has no result yet, and print the recipe's outputs.

With --frozen nothing is run: if anything has no result, the command lists what, and
why, and ends with exit code 4. It reads the store and needs not write to it, so that CI
can check a recipe against results that were made elsewhere.

The command of --on-end is run by sh -c, also after a failure or an interruption, with
these variables in its environment: EYRIE_RUN, EYRIE_STATUS (succeeded, failed or
interrupted), EYRIE_RECIPE, EYRIE_ELAPSED (in seconds), and the numbers of steps as
EYRIE_DONE, EYRIE_CACHED, EYRIE_FAILED, EYRIE_STOPPED and EYRIE_SKIPPED. What it prints
goes to the standard error; that it fails is a warning.`,
		Example: `  runner run paper.hcl --var epochs=3
  runner run paper.hcl --target train -j4
  runner run paper.hcl --frozen --store /mnt/results
  runner run paper.hcl --on-end 'notify-send "$EYRIE_RECIPE $EYRIE_STATUS"'`,
		Args:              exactly("RECIPE"),
		ValidArgsFunction: completeRecipeOnly,
		RunE: func(cmd *cobra.Command, args []string) error {
			has, err := parseResources(resources)
			if err != nil {
				return err
			}
			if !slices.Contains(onInterrupts, onInterrupt) {
				return invalidf("--on-interrupt %q: want one of %s", onInterrupt, strings.Join(onInterrupts, ", "))
			}
			if grace < 0 {
				return invalidf("--grace %v: want a time that is not negative", grace)
			}
			var saved *savedPlan
			if planned != "" {
				if len(opt.Targets)+len(opt.Rerun) > 0 {
					return invalidf("--plan excludes --target and --rerun: the plan has its own")
				}
				if saved, err = loadPlan(planned); err != nil {
					return err
				}
				opt.Targets, opt.Rerun = saved.Targets, saved.Rerun
			}
			r := &runner{app: a, saved: saved, recipe: args[0], plan: opt, isolated: isolated, frozen: frozen, onEnd: onEnd, onInterrupt: onInterrupt, has: has, opt: pipeline.RunOptions{
				Grace:    max(grace, 1), // 0 is for ever
				FailFast: failFast, LogLevel: a.level(),
			}}
			if !frozen {
				r.plan.Accept = a.accept
			}
			if watch && planned != "" {
				return invalidf("--watch and --plan exclude each other: what was planned once changes")
			}
			if watch {
				return r.watch(cmd.Context())
			}
			return r.run(cmd.Context())
		},
	}
	a.planFlags(cmd, &opt)
	cmd.Flags().BoolVar(&failFast, "fail-fast", false, "start nothing more after a failure")
	cmd.Flags().BoolVar(&isolated, "isolate", false, "run each step in a process of its own, so that one that crashes, takes all memory or does not stop fails alone")
	cmd.Flags().DurationVar(&grace, "grace", 30*time.Second, "how long a step that is told to stop (by its timeout, Ctrl-C, SIGTERM) may take for that, before it is given up; with --isolate it is killed then")
	cmd.Flags().BoolVar(&frozen, "frozen", false, "run nothing: what has no result is an error, with exit code 4")
	cmd.Flags().BoolVar(&watch, "watch", false, "run again whenever a file changes that the recipe is written in, reads or names, until Ctrl-C")
	cmd.Flags().StringVar(&onInterrupt, "on-interrupt", onInterrupts[0], "what becomes of jobs on other machines when the run is interrupted: `ask` (on a terminal; else they are cancelled), cancel, or leave them running for the next run to find")
	cmd.Flags().StringVar(&planned, "plan", "", "do exactly what this `file` of plan --out says, or nothing where anything has changed")
	cmd.Flags().StringVar(&onEnd, "on-end", "", "a `command` for the shell that is run when the run has ended, however it did, unless nothing had to run; see above")
	cmd.Flags().StringArrayVar(&resources, "resource", nil, "what this machine has, as `name=amount`, such as gpus=1, where the site file does not say it; may be repeated")
	return cmd
}

// level returns what of the stages' logs is shown.
func (a *app) level() zerolog.Level {
	level, _ := zerolog.ParseLevel(a.logLevel) // checkFlags has seen to it
	return level
}

func parseResources(flags []string) (map[string]float64, error) {
	has := make(map[string]float64, len(flags))
	for _, f := range flags {
		name, amount, ok := strings.Cut(f, "=")
		n, err := strconv.ParseFloat(amount, 64)
		if !ok || name == "" || err != nil || !(n >= 0) || math.IsInf(n, 0) { // NaN is no amount, either
			return nil, invalidf("--resource %q: want name=amount, such as gpus=1", f)
		}
		if name == "gpus" && n > site.MostGPUs {
			return nil, invalidf("--resource %q: want at most %d GPUs", f, site.MostGPUs)
		}
		has[name] = n
	}
	return has, nil
}

// runner is one use of the command run.
type runner struct {
	*app
	recipe      string
	plan        pipeline.PlanOptions
	opt         pipeline.RunOptions
	isolated    bool
	has         map[string]float64 // of --resource
	frozen      bool               // a miss is an error
	quiet       bool               // no outputs are printed
	style       view.Style
	expected    time.Duration  // what it is likely to take; 0 where nobody knows
	onEnd       string         // a command
	onInterrupt string         // one of onInterrupts
	made        *pipeline.Plan // once there is one
	inputs      []string       // that are watched beside what the recipe reads
	saved       *savedPlan     // that must still hold; nil for none
}

// run plans, executes and sums up.
func (r *runner) run(parent context.Context) error {
	r.style = r.app.style(r.out)
	sig := watchSignals(parent, r.notice)
	defer sig.close()
	terminal := terminalOf(r.out)
	r.out = sig.guard(r.out)

	git := gitOf(sig.ctx, recipeDir(r.recipe), r.storeDir(r.recipe))
	plan, store, release, err := r.hold(sig)
	if err != nil {
		return err
	}
	defer store.Close()
	defer release()
	r.made = plan
	if err := r.admit(plan); err != nil {
		return err
	}
	r.opt.Jobs, r.opt.Resources = r.machine(r.has)
	r.opt.Noted = release
	r.opt.Header = r.header(plan, git)
	if r.isolated {
		r.opt.Executor = &isolate.Executor{Store: store, Command: performer(r.storeDir(r.recipe))}
	}
	if err := r.usable(sig.ctx, plan, r.notice); err != nil {
		return err
	}
	elsewhere, err := r.places(store, r.storeDir(r.recipe), func(text string) {
		if !sig.notice(text) {
			r.notice(text)
		}
	})
	if err != nil {
		return err
	}
	if r.opt.Places = elsewhere.places; len(r.opt.Places) > 0 {
		sig.leave = func(got os.Signal) bool { return r.leave(got, elsewhere.live(), sig) }
	}
	r.announce(plan, store)
	start := time.Now()
	v := r.view(plan, terminal)
	sig.showOn(v)
	r.opt.Observe = func(e pipeline.Event) {
		v.Event(e)
		if e.Type == pipeline.StepFailed && !r.json {
			r.failed(v, e.Err)
		}
	}
	var published team.Published
	if r.cache != nil {
		r.opt.Settle = func() func(artifacts.ActionID) int64 {
			sig.settle()
			published = r.settle(sig.ctx, func(text string) { sig.notice(text) })
			return r.cache.Sent
		}
	}
	run, err := pipeline.Execute(sig.ctx, plan, store, r.opt)
	sig.showOn(nil)
	v.Close()
	if run == nil && exitCode(err) == exitTrouble {
		return fmt.Errorf("nothing was run, as the store %s cannot be written: %w; name another one with --store", r.storeDir(r.recipe), err)
	} else if run == nil {
		return err
	}
	if run.NoJournal != nil {
		r.notice("the run leaves no journal, as the store cannot be written: " + run.NoJournal.Error())
	}
	if r.cache != nil {
		r.reportPublished(published, r.notice)
	}
	sum := &summary{app: r.app, style: r.style, plan: plan, run: run, store: store, files: r.publisher(r.recipe, store), quiet: r.quiet, elapsed: time.Since(start)}
	end := sum.write(sig.ctx)
	r.notify(plan, run, sum.elapsed)
	if err = errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("the store: %w", err)
	}
	return end
}

// admit fails unless a run may do what the plan says.
func (r *runner) admit(plan *pipeline.Plan) error {
	if r.saved != nil {
		if err := r.saved.check(plan); err != nil {
			return err
		}
	}
	if r.frozen {
		return r.missing(plan)
	}
	return nil
}

// announce tells people what the run will do, and what that is likely to take.
func (r *runner) announce(plan *pipeline.Plan, s *store.Store) {
	if r.json {
		return
	}
	text, e := tally(plan), r.expect(plan, s)
	if more := e.text(); more != "" {
		text += "; " + more
	}
	if e.unknown == 0 {
		r.expected = e.total
	}
	say(r.out, "%s: %s", r.recipe, text)
}

// machine returns how many steps may run at once on this machine, 0 for one per CPU, and what
// they may take of it: by flags, or else by the site file.
func (a *app) machine(has map[string]float64) (jobs int, resources map[string]float64) {
	if a.there == nil {
		return a.jobs, has
	}
	resources = maps.Clone(a.there.Machine.Resources)
	if resources == nil {
		resources = map[string]float64{}
	}
	maps.Copy(resources, has)
	return cmp.Or(a.jobs, a.there.Machine.Jobs), resources
}

// hold prepares the run, and keeps gc from what the plan finds until release is called.
func (r *runner) hold(sig *signals) (plan *pipeline.Plan, kept *store.Store, release func(), err error) {
	release = func() {}
	ctx := sig.ctx
	tell := func(text string) { // also in the middle of the run
		if !sig.notice(text) {
			r.notice(text)
		}
	}
	plan, kept, err = r.prepareWith(ctx, r.recipe, tell, func(recipe *pipeline.Recipe, s *store.Store) (*pipeline.Plan, error) {
		if release, err = s.Hold(ctx); err != nil {
			return nil, err
		}
		return r.app.plan(ctx, recipe, s, r.plan)
	})
	if err != nil {
		release()
		return nil, nil, release, err
	}
	done := fetching(tell, r.recipe+": fetching what the run reads", kept)
	plan, err = r.fetchInputs(ctx, plan, kept, r.plan)
	done()
	if err != nil {
		release()
		_ = kept.Close()
	}
	return plan, kept, release, err
}

// missing reports the steps of a frozen run that have no result.
func (r *runner) missing(plan *pipeline.Plan) error {
	n := len(plan.Steps) - plan.Count(pipeline.Cached)
	if n == 0 {
		return nil
	}
	if r.json {
		if err := r.print("plan", planDocument(plan)); err != nil {
			return err
		}
	} else {
		writeMissing(r.out, r.style, plan)
	}
	return &exitError{exitFrozen, fmt.Errorf("--frozen: %s of %d %s no result in %s; nothing was run", view.Count(n, "step"), len(plan.Steps), have(n), r.storeDir(r.recipe))}
}

func have(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// view returns what shows the run.
func (r *runner) view(plan *pipeline.Plan, terminal *os.File) view.View {
	opt := view.Options{Plan: plan, Style: r.style, Verbose: r.verbose, Expected: r.expected}
	switch {
	case r.json:
		return view.NewStream(r.out)
	case terminal != nil:
		return view.NewLive(terminal, opt)
	}
	return view.NewPlain(r.out, opt)
}

// failed prints a step's failure as soon as there is one, and only then: a long run goes
// on with other steps.
func (r *runner) failed(v view.View, err error) {
	if _, live := v.(*view.Live); !live || terminalOf(r.err) == nil {
		r.complain(err)
		return
	}
	var text strings.Builder
	r.complainTo(&text, r.paper(r.err), err)
	v.Notice(strings.TrimSuffix(text.String(), "\n"))
}

// notice says something while there is no view.
func (r *runner) notice(text string) {
	if r.json {
		view.NewStream(r.out).Notice(text)
	} else {
		say(r.err, "%s", text)
	}
}

// terminalOf returns the terminal that w is, if it can move its cursor.
func terminalOf(w io.Writer) *os.File {
	f, _ := w.(*os.File)
	if o, ok := w.(*stdout); ok {
		f = o.File
	}
	if f == nil || !view.CanRedraw(f) {
		return nil
	}
	return f
}
