package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl/site"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/command"
	"eyrie/pipeline/cluster/kubernetes"
	"eyrie/pipeline/cluster/slurm"
	"eyrie/pipeline/mistake"
)

// route gives each step of a recipe its place: the first executor of the site file that takes it.
func (a *app) route(recipe *pipeline.Recipe) {
	if a.there == nil {
		return
	}
	for _, s := range recipe.Steps {
		i := slices.IndexFunc(a.there.Executors, func(e site.Executor) bool { return e.Take(s) })
		if i >= 0 && a.there.Executors[i].Kind != site.Local {
			s.Place = a.there.Executors[i].Name
		}
	}
}

// elsewhere is what performs the steps that are not for this machine.
type elsewhere struct {
	places    map[string]pipeline.Place
	executors []*cluster.Executor
}

// live returns how many jobs there are.
func (e *elsewhere) live() (n int) {
	for _, x := range e.executors {
		n += x.Live()
	}
	return n
}

// places makes what performs the steps that are not for this machine.
func (a *app) places(kept *store.Store, dir string, tell func(string)) (*elsewhere, error) {
	all := &elsewhere{places: map[string]pipeline.Place{}}
	if a.there == nil {
		return all, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for i := range a.there.Executors {
		e := &a.there.Executors[i]
		if e.Kind == site.Local {
			continue
		}
		carrier, err := a.carrier(e, kept)
		if err != nil {
			return nil, err
		}
		x := &cluster.Executor{Name: e.Name, Store: kept, Dir: dir, Scheduler: scheduler(e, dir), Carrier: carrier, Program: e.Runner, Setup: e.Setup, Time: e.Time, Tell: tell}
		all.executors = append(all.executors, x)
		all.places[e.Name] = pipeline.Place{Jobs: e.Jobs, Executor: x}
	}
	return all, nil
}

// usable asks the executors for which a plan has steps whether they would take them: what is wrong
// there would else be told when the steps before them are done. One that is busy or away is
// waited for later.
func (a *app) usable(ctx context.Context, plan *pipeline.Plan, tell func(string)) error {
	if a.there == nil {
		return nil
	}
	defer busy(tell, "asking executors …")()
	var mistakes []error
	for i := range a.there.Executors {
		e := &a.there.Executors[i]
		asks := asksAt(plan, e)
		if len(asks) == 0 {
			continue
		}
		brief, cancel := context.WithTimeout(ctx, 20*time.Second)
		_, err := ask(brief, e, asks...)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil && !errors.Is(err, cluster.ErrBusy) {
			mistakes = append(mistakes, fmt.Errorf("%s: executor %q: %w; nothing was run (runner site checks it, --site %s does without)", e.Pos(""), e.Name, err, noSite))
		}
	}
	return errors.Join(mistakes...)
}

// asksAt returns what the steps that a plan has for an executor ask for, each once, and some of
// them where there are many: each takes a command to try.
func asksAt(plan *pipeline.Plan, e *site.Executor) (asks []cluster.Ask) {
	const most = 8
	for _, s := range plan.Steps {
		if s.Place != e.Name || s.Verdict == pipeline.Cached {
			continue
		}
		if ask := cluster.Asks(s.Resources, e.Time); len(asks) < most && !slices.Contains(asks, ask) {
			asks = append(asks, ask)
		}
	}
	return asks
}

// What becomes of jobs on other machines when a run is interrupted; the first is the default.
const askInterrupt, cancelInterrupt, leaveInterrupt = "ask", "cancel", "leave"

var onInterrupts = []string{askInterrupt, cancelInterrupt, leaveInterrupt}

// leave reports whether jobs on other machines are left running when a signal interrupts the
// run. Where a connection is lost nobody can be asked, and nothing is to be lost with it.
func (r *runner) leave(got os.Signal, jobs int, sig *signals) bool {
	if jobs == 0 || r.onInterrupt == cancelInterrupt {
		return false
	}
	if got == syscall.SIGHUP || r.onInterrupt == leaveInterrupt {
		return true
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return false
	}
	for in := bufio.NewScanner(os.Stdin); ; {
		sig.notice(fmt.Sprintf("%s elsewhere: cancel %s, or leave %[2]s running for the next run to find? c or l:", view.Count(jobs, "job"), them(jobs)))
		if !in.Scan() {
			return true
		}
		switch strings.ToLower(strings.TrimSpace(in.Text())) {
		case "c", "cancel":
			return false
		case "l", "leave":
			return true
		}
	}
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func scheduler(e *site.Executor, store string) cluster.Scheduler {
	switch e.Kind {
	case site.Kubernetes:
		return kubernetes.New(pods(e, store))
	case site.Command:
		return &command.Scheduler{Submitting: e.Submit, Asking: e.Status, Cancelling: e.Cancel}
	}
	return slurmOf(e)
}

func slurmOf(e *site.Executor) *slurm.Scheduler {
	return slurm.New(slurm.Scheduler{Partition: e.Partition, Account: e.Account, QOS: e.QOS, Constraint: e.Constraint, GRES: e.GRES, Extra: e.Extra})
}

// accept says why a step cannot run at its place.
func (a *app) accept(s *pipeline.Planned) error {
	i := slices.IndexFunc(a.there.Executors, func(e site.Executor) bool { return e.Name == s.Place })
	e := &a.there.Executors[i]
	for _, name := range slices.Sorted(maps.Keys(s.Attrs)) {
		if s.Attrs[name].Sensitive {
			return cluster.Withheld(e.Name, s.ID, name)
		}
	}
	return grants(e, s.Resources)
}

// grants reports what a step asks for that a scheduler knows nothing of.
func grants(e *site.Executor, asks map[string]float64) error {
	wrong := func(format string, args ...any) error { return mistake.At("resources", format, args...) }
	for _, name := range slices.Sorted(maps.Keys(asks)) {
		if !slices.Contains(site.Grants, name) {
			return wrong("asks for %s, which executor %q (%s) cannot give: let this machine run the step, by executor \"local\" before it, or leave %s out", name, e.Name, e.Pos(""), name)
		}
	}
	n := asks["nodes"]
	if n > 1 && e.Kind == site.Kubernetes {
		return wrong("asks for %v nodes, and executor %q (%s) gives one pod to a job: leave nodes out, or let Slurm run the step", n, e.Name, e.Pos(""))
	}
	if gpus := asks["gpus"]; n > 1 && gpus > 0 && int(gpus)%int(n) != 0 {
		return wrong("asks for %v GPUs on %v nodes: write a multiple of %v", gpus, n, n)
	}
	return nil
}
