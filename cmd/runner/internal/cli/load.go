package cli

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl"
	"eyrie/pipeline"
)

// load reads the recipe at path and prints what is wrong with it.
func (a *app) load(path string) (*pipeline.Recipe, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, invalidf("there is no recipe %s", path)
	} else if err != nil {
		return nil, err
	}
	vars := make(map[string]string, len(a.vars))
	for _, v := range a.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, invalidf("--var %q: want name=value", v)
		}
		vars[name] = value
	}
	a.reads = newReads()
	recipe, diags := hcl.Load(path, hcl.Options{Stages: a.stages, Vars: vars, VarFiles: a.varFiles, Environ: os.Environ(), Files: a.reads})
	a.diagnose(a.err, a.paper(a.err), diags)
	if diags.HasErrors() {
		return nil, reported(exitInvalid)
	}
	return recipe, nil
}

// paper is what text is written on.
type paper struct {
	style view.Style
	width int // columns; 0 for no wrapping
}

// paper returns what w is.
func (a *app) paper(w io.Writer) paper {
	p := paper{style: a.style(w)}
	if f, ok := w.(*os.File); ok {
		p.width, _, _ = term.GetSize(int(f.Fd())) // 0 where it is no terminal
	}
	return p
}

// diagnose prints diagnostics with the text at fault, or with --json a line for each.
func (a *app) diagnose(w io.Writer, p paper, diags hcl.Diagnostics) {
	diags = diags.Brief()
	if a.json {
		for _, d := range diags.All() {
			_ = a.print("diagnostic", d)
		}
		return
	}
	_ = diags.Write(w, p.width, p.style.Colour)
}

// storeDir returns where the store is that goes with the recipe at path.
func (a *app) storeDir(path string) string {
	if a.store != "" {
		return a.store
	}
	return filepath.Join(recipeDir(path), ".eyrie")
}

// recipeDir returns the directory of the recipe at path.
func recipeDir(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return path
	}
	return filepath.Dir(path)
}

// prepare loads the recipe, opens its store, which the caller closes, and makes
// a plan. Where that takes long, as large inputs are hashed, it tells so.
func (a *app) prepare(ctx context.Context, path string, opt pipeline.PlanOptions, tell func(text string)) (*pipeline.Plan, *store.Store, error) {
	return a.prepareWith(ctx, path, tell, func(recipe *pipeline.Recipe, store *store.Store) (*pipeline.Plan, error) {
		return a.plan(ctx, recipe, store, opt)
	})
}

// prepareWith is prepare with another way to make the plan.
func (a *app) prepareWith(ctx context.Context, path string, tell func(text string), make func(*pipeline.Recipe, *store.Store) (*pipeline.Plan, error)) (*pipeline.Plan, *store.Store, error) {
	defer busy(tell, path+": planning …")()
	defer collectLate()()
	recipe, err := a.load(path)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.openStore(ctx, path, tell)
	if err != nil {
		return nil, nil, err
	}
	a.route(recipe)
	plan, err := make(recipe, store)
	if err != nil {
		_ = store.Close()
		return nil, nil, err
	}
	return plan, store, nil
}

// hint tells people something that is no result.
func (a *app) hint(text string) {
	if !a.json {
		say(a.err, "%s", text)
	}
}

// busy tells a text after a fifth of a second, before anybody wonders, and every ten seconds with the time,
// until it is told to stop.
func busy(tell func(string), text string) (stop func()) {
	return busyWith(tell, func() string { return text })
}

// busyWith is busy for a text that changes.
func busyWith(tell func(string), text func() string) (stop func()) {
	stopped := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		select {
		case <-time.After(200 * time.Millisecond):
			tell(text())
		case <-stopped:
			return
		}
		start := time.Now()
		t := time.NewTicker(10 * time.Second)
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				tell(text() + " " + view.Duration(now.Sub(start)))
			case <-stopped:
				return
			}
		}
	})
	return func() { close(stopped); wait.Wait() }
}

// plan makes a plan, evaluates the outputs as far as known, and prints all
// mistakes that this brings to light.
func (a *app) plan(ctx context.Context, recipe *pipeline.Recipe, store *store.Store, opt pipeline.PlanOptions) (*pipeline.Plan, error) {
	var err error
	if opt.Targets, err = stepNames(recipe, opt.Targets, "--target"); err != nil {
		return nil, err
	}
	if opt.Rerun, err = stepNames(recipe, opt.Rerun, "--rerun"); err != nil {
		return nil, err
	}
	plan, err := pipeline.NewPlan(ctx, recipe, store, opt)
	if err == nil {
		_, err = recipe.Values(plan.Outputs())
	}
	return a.made(ctx, plan, err)
}

// made returns a plan, or prints all mistakes that kept it from being made.
func (a *app) made(ctx context.Context, plan *pipeline.Plan, err error) (*pipeline.Plan, error) {
	if err == nil || ctx.Err() != nil {
		return plan, err
	}
	a.complain(err)
	return nil, reported(planCode(err))
}

// planCode returns the exit code for a plan that could not be made: the
// recipe's fault, unless something could not be read.
func planCode(err error) int {
	var path *fs.PathError
	if errors.As(err, &path) {
		return exitTrouble
	}
	return exitInvalid
}

// collectLate has garbage collected when there is much of it, until the function that it returns
// is called. A plan makes little else at first than what stays, and was held up by collections of
// a small heap. What is allocated and not touched takes no memory, and the collector counts it:
// the heap may grow by 34 MiB and by 70 % of what is in use until it is collected.
func collectLate() (stop func()) {
	unused := make([]byte, 48<<20)
	before := debug.SetGCPercent(70)
	return func() {
		debug.SetGCPercent(before)
		runtime.KeepAlive(unused)
	}
}
