package cli

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"eyrie/artifacts/store"
	"eyrie/hcl/site"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/command"
	"eyrie/pipeline/cluster/slurm"
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

// places returns what performs the steps that are not for this machine.
func (a *app) places(kept *store.Store, dir string, tell func(string)) (map[string]pipeline.Place, error) {
	all := map[string]pipeline.Place{}
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
		all[e.Name] = pipeline.Place{Jobs: e.Jobs, Accept: func(s *pipeline.Step) error { return grants(e, s) }, Executor: &cluster.Executor{
			Name: e.Name, Store: kept, Dir: dir, Scheduler: scheduler(e), Program: e.Runner, Setup: e.Setup, Time: e.Time, Tell: tell,
		}}
	}
	return all, nil
}

func scheduler(e *site.Executor) cluster.Scheduler {
	if e.Kind == site.Command {
		return &command.Scheduler{Submitting: e.Submit, Asking: e.Status, Cancelling: e.Cancel}
	}
	return slurm.New(slurm.Scheduler{Partition: e.Partition, Account: e.Account, QOS: e.QOS, Constraint: e.Constraint, GRES: e.GRES, Extra: e.Extra})
}

// grants reports what a step asks for that a scheduler knows nothing of.
func grants(e *site.Executor, s *pipeline.Step) error {
	for _, name := range slices.Sorted(maps.Keys(s.Resources)) {
		switch name {
		case "cpus", "gpus", "memory", "nodes":
		default:
			return fmt.Errorf("asks for %s, which executor %q (%s) cannot give: let this machine run the step, by executor \"local\" before it, or leave %s out", name, e.Name, e.Pos(""), name)
		}
	}
	if n := s.Resources["nodes"]; n > 1 && s.Resources["gpus"] > 0 && int(s.Resources["gpus"])%int(n) != 0 {
		return fmt.Errorf("asks for %v GPUs on %v nodes: write a multiple of %v", s.Resources["gpus"], n, n)
	}
	return nil
}
