// Package evolve is the stage that searches a space for the best subnet within
// limits, and says how far from the true optimum it ended.
package evolve

import (
	"context"
	"fmt"
	"math"
	"slices"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/raptor"
	"eyrie/nas/torch"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is the evolve stage.
var Stage = pipeline.Define("evolve", 6,
	`Searches a space of subnets for the best within limits on a platform.

objective = "macs" (the paper's) needs no training: the most MACs within the
limits. "accuracy" measures every candidate with the supernet's weights, on
training images that train-supernet held out; "predicted" asks a predictor of
train-predictor instead, and lets the best measure candidates compete on those
images at last. With a supernet and a dataset, the best (and as many of the front
as measure says) are measured on the test images, which nothing was chosen by.

strategy = "paper": population, the best share of which breeds, half of the
children by mutation and half by crossover. "regularized" (Real et al. 2019) and
"random" search as many candidates; "nsga2" seeks the whole front of the objective
and the costs named in against; "exact" takes the true optimum, where it can be found,
and tries nothing else. No candidate is tried twice. The same seed gives
the same result on any number of threads, and after an interruption.

The output gap is the distance to the true optimum, which is found exactly where
the objective is MACs or the prediction of a ridge regression, under limits on
latency, energy and memory; limits on parameters and MACs are left out of that
optimum, which says whether it is within them (optimum.within) or only a bound. The
output coverage compares the front of nsga2 to the true front in the same way.`,
	defaults, run)

// defaults are the paper's search.
var defaults = Config{
	Objective: MACs, Strategy: Paper, Against: []Cost{Latency}, Name: "subnet",
	Population: 100, Iterations: 500, Parents: 0.25, Mutation: 0.5, MutateResolution: 0.5, MutateChoice: 0.1,
	Measure: 1, Calibration: 2000, Choice: backend.Choice{Arithmetic: nn.Auto}, Seed: 1,
}

// Config is what a recipe may write in the block.
type Config struct {
	Platform  raptor.Platform   `json:"platform" doc:"the NPU that the limits are on"`
	Plausible []raptor.Platform `json:"plausible,omitempty" doc:"platforms that are as likely, such as stage.x.plausible of a calibrate step: the optimum's figures get intervals over the optimum on each"`
	Limit     Limit             `json:"limit,omitzero" doc:"what a subnet may cost"`
	Supernet  *artifacts.File   `json:"supernet" is:"file" doc:"weights of a trained supernet: its subnets are searched, and can be measured"`
	Dataset   *data.Set         `json:"dataset" doc:"images to measure subnets on"`
	Predictor *artifacts.File   `json:"predictor" is:"file" doc:"objective predicted: what predicts accuracy"`
	Space     *arch.Space       `json:"space" doc:"the space to search where there is neither supernet nor predictor"`
	Objective Objective         `json:"objective" doc:"what makes a subnet better"`
	Against   []Cost            `json:"against" doc:"nsga2: the costs that the front trades the objective against"`

	Strategy         Strategy `json:"strategy" doc:"how to search"`
	Population       int      `json:"population" min:"2" max:"100000" doc:"candidates in an iteration"`
	Iterations       int      `json:"iterations" min:"0" max:"1000000" doc:"iterations after the first, random one"`
	Parents          float64  `json:"parents" min:"0" max:"1" doc:"paper: share of the population that survives and breeds; regularized: that competes to breed"`
	Mutation         float64  `json:"mutation" min:"0" max:"1" doc:"share of the children made by mutation; the others by crossover"`
	MutateResolution float64  `json:"mutate_resolution" min:"0" max:"1" doc:"probability that a mutation draws the resolution anew"`
	MutateChoice     float64  `json:"mutate_choice" min:"0" max:"1" doc:"probability that a mutation draws a depth, or a block's expansion and kernel, anew"`
	Seed             uint32   `json:"seed" doc:"of the random choices"`

	Resolutions []int `json:"resolutions,omitempty" min:"1" doc:"search only these of the space's resolutions"`
	Measure     int   `json:"measure" min:"0" max:"10000" doc:"how many of the front's candidates, the best among them, to measure at last"`
	Holdout     int   `json:"holdout,omitempty" min:"0" doc:"objective accuracy: the holdout of train-supernet: how many training images it did not train on, for candidates to be measured on"`
	Calibration int   `json:"calibration" min:"1" doc:"training images from which a subnet's batch normalisation is estimated before it is measured"`
	backend.Choice
	Name string `json:"name" doc:"what to call the subnets found"`
}

// Objective is what makes a subnet better.
type Objective string

// The objectives.
const (
	MACs      Objective = "macs"      // the paper's
	Accuracy  Objective = "accuracy"  // measured on images held out of training
	Predicted Objective = "predicted" // accuracy as a predictor estimates it
)

// Choices returns the objectives.
func (Objective) Choices() []string {
	return []string{string(MACs), string(Accuracy), string(Predicted)}
}

// Strategy is how a space is searched.
type Strategy string

// The strategies.
const (
	Paper       Strategy = "paper"
	Regularized Strategy = "regularized"
	Random      Strategy = "random"
	NSGA2       Strategy = "nsga2"
	Exact       Strategy = "exact" // the optimum itself
)

// Choices returns the strategies.
func (Strategy) Choices() []string {
	return []string{string(Paper), string(Regularized), string(Random), string(NSGA2), string(Exact)}
}

// Cost is what a front may trade the objective against.
type Cost string

// The costs.
const (
	Latency Cost = "latency"
	Energy  Cost = "energy"
	Memory  Cost = "memory"
	Params  Cost = "params"
)

// Choices returns the costs.
func (Cost) Choices() []string {
	return []string{string(Latency), string(Energy), string(Memory), string(Params)}
}

// of returns the cost that c names.
func (c Cost) of(all costs) float64 {
	switch c {
	case Latency:
		return all.Latency
	case Energy:
		return all.Energy
	case Memory:
		return float64(all.PeakMemory)
	case Params:
		return float64(all.Params)
	}
	panic("evolve: no cost " + string(c))
}

// Limit is what a subnet may cost; what is not written is not limited.
type Limit struct {
	Latency float64 `json:"latency,omitempty" min:"1e-9" unit:"s" doc:"time of one inference"`
	Energy  float64 `json:"energy,omitempty" min:"1e-12" unit:"J" doc:"energy of one inference"`
	Memory  int     `json:"memory,omitempty" min:"1" unit:"bytes" doc:"local memory occupied"`
	Params  int64   `json:"params,omitempty" min:"1" doc:"parameters"`
	MACs    int64   `json:"macs,omitempty" min:"1" doc:"multiply-accumulate operations"`
}

// Output is what the block's references yield.
type Output struct {
	Best      Candidate     `json:"best" doc:"the best subnet within the limits, flat, as a row of a table"`
	Front     []Candidate   `json:"front" doc:"the candidates that no other one beats in both the objective and what it costs, by latency"`
	Network   arch.Spec     `json:"network" doc:"the best subnet as other stages take it"`
	Optimum   *Optimum      `json:"optimum" doc:"the best subnet of all, where it can be found exactly; else null"`
	Gap       *float64      `json:"gap" provenance:"modelled" doc:"1 − objective of the search's best / that of the optimum; null where there is none"`
	Coverage  *float64      `json:"coverage" provenance:"modelled" doc:"nsga2 against latency alone: hypervolume of the front found / that of the true front; null elsewhere, and where that is not known or covers nothing"`
	History   []Progress    `json:"history" doc:"how the search converged: an entry whenever it found a better candidate, and the end"`
	Evaluated int           `json:"evaluated" doc:"candidates whose cost was computed"`
	Measured  int           `json:"measured" doc:"measurements of accuracy"`
	Torch     *torch.Report `json:"torch,omitempty" doc:"what has measured, with backend torch"`
}

// Candidate is a subnet and its figures.
type Candidate struct {
	Name       string      `json:"name" doc:"the name attribute"`
	Resolution int         `json:"resolution" provenance:"given" doc:"input size in pixels"`
	Latency    float64     `json:"latency" unit:"s" provenance:"modelled" doc:"time of one inference"`
	Energy     float64     `json:"energy" unit:"J" provenance:"modelled" doc:"of one inference"`
	Mu         float64     `json:"mu" provenance:"modelled" doc:"NPU cycles / SYS cycles"`
	MACs       int64       `json:"macs" provenance:"modelled" doc:"multiply-accumulate operations"`
	Params     int64       `json:"params" provenance:"modelled" doc:"parameters"`
	Memory     int         `json:"memory" unit:"bytes" provenance:"modelled" doc:"most local memory occupied"`
	Top1       *float64    `json:"top1" provenance:"measured" doc:"accuracy with the supernet's weights, in 0 … 1; null where it was not measured"`
	Predicted  *float64    `json:"predicted" provenance:"predicted" doc:"accuracy by the predictor; null without one"`
	Subnet     arch.Subnet `json:"subnet" doc:"its resolution and blocks"`
}

// Optimum is the best subnet of all, with which a search is compared.
type Optimum struct {
	MACs         int64       `json:"macs" provenance:"modelled" doc:"of the best subnet of all"`
	Predicted    *float64    `json:"predicted" provenance:"predicted" doc:"its accuracy by the predictor; null without one"`
	Latency      float64     `json:"latency" unit:"s" provenance:"modelled" doc:"its latency"`
	Mu           float64     `json:"mu" provenance:"modelled" doc:"its NPU cycles / SYS cycles"`
	NPUCycles    float64     `json:"npu_cycles" unit:"cycles" provenance:"modelled" doc:"its cycles that compute"`
	MuInterval   []float64   `json:"mu_interval" provenance:"modelled" doc:"least and greatest μ of the optima on the plausible platforms; null without these"`
	MACsInterval []float64   `json:"macs_interval" provenance:"modelled" doc:"least and greatest MACs of them"`
	Within       bool        `json:"within" doc:"it meets the limits on parameters and MACs, too; else the gap is to a bound that may be out of reach"`
	Subnet       arch.Subnet `json:"subnet" doc:"that subnet"`
}

// Progress is a point of a search's convergence. Its best is given in one field,
// which depends on the objective.
type Progress struct {
	Evaluated int      `json:"evaluated" doc:"candidates so far"`
	MACs      *float64 `json:"macs" provenance:"modelled" doc:"of the best of them within the limits; null for other objectives"`
	Top1      *float64 `json:"top1" provenance:"measured" doc:"of the best of them, on images held out of training; null for other objectives"`
	Predicted *float64 `json:"predicted" provenance:"predicted" doc:"top-1 of the best of them by the predictor; null for other objectives"`
	Gap       *float64 `json:"gap" provenance:"modelled" doc:"distance to the optimum, where it is known"`
}

// Check reports what the attributes' own limits do not: mistakes of the platform and the
// space, searches that are too large or have no parents, and an objective without what it
// needs.
func (c Config) Check(r *mistake.Report) {
	c.Platform.Check(r.At("platform"))
	if r.Knows("parents") && c.Parents <= 0 {
		r.At("parents").Badf("must be greater than 0, or there are no parents")
	}
	if r.Knows("against") {
		c.checkAgainst(r)
	}
	if c.Space != nil {
		c.Space.Check(r.At("space"))
		if r.Knows("resolutions", "space.resolutions") {
			_, err := c.narrow(*c.Space)
			r.Add(err)
		}
	}
	if r.Knows("population", "iterations") {
		if n := c.Population * (c.Iterations + 1); n > 5_000_000 {
			r.At("iterations").Badf("population × iterations is %d candidates, which are all kept in memory: want at most 5 million", n)
		}
	}
	if r.Knows("objective") {
		c.checkObjective(r)
	}
	for i := range c.Plausible {
		c.Plausible[i].Check(r.At("plausible", i))
	}
	if r.Knows("strategy", "objective") && c.Strategy == Exact && c.Objective == Accuracy {
		r.At("strategy").Badf("%q needs an objective that adds up, %q or %q of a ridge regression: measured accuracy does not", Exact, MACs, Predicted)
	}
	if r.Knows("strategy", "limit") && c.Strategy == Exact && (c.Limit.Params > 0 || c.Limit.MACs > 0) {
		r.At("strategy").Badf("%q knows limits on latency, energy and memory only", Exact)
	}
	if about, ok := nn.Foreseen(c.Supernet); ok {
		r.At("supernet").Add(about.Shared())
	}
	c.checkFeasible(r)
	if r.Written("dataset") {
		meter.CheckFit(r, c.Supernet, c.Dataset, c.Holdout)
		meter.CheckCalibration(r, c.Dataset, c.Holdout, c.Calibration)
	}
	c.Choice.Check(r)
}

// Ready reports what this machine lacks to measure.
func (c Config) Ready(r *mistake.Report) {
	if c.Dataset != nil || !r.Knows("dataset") {
		c.Choice.Ready(r)
	}
}

func (c Config) checkAgainst(r *mistake.Report) {
	switch against := slices.Compact(slices.Sorted(slices.Values(c.Against))); {
	case r.Knows("strategy") && c.Strategy == NSGA2 && len(against) == 0:
		r.At("against").Badf(`nsga2 trades the objective against costs: name one or more, such as ["latency"]`)
	case len(against) < len(c.Against):
		r.At("against").Badf("%q has one twice: name each cost once", c.Against)
	}
}

// checkFeasible reports limits that no subnet of the space meets, or of a supernet that is
// not trained yet.
func (c Config) checkFeasible(r *mistake.Report) {
	space := c.Space
	if about, ok := nn.Foreseen(c.Supernet); ok {
		space = &about.Space
	}
	for _, part := range []string{"space", "platform", "resolutions", "limit"} {
		if in := r.At(part); space == nil || !in.Knows() || !in.Sound() {
			return
		}
	}
	narrow, err := c.narrow(*space)
	if err != nil {
		r.Add(err)
		return
	}
	r.Add(infeasible(c, narrow))
}

// checkObjective reports what the objective lacks, or what does not belong to it.
func (c Config) checkObjective(r *mistake.Report) {
	predicted, accuracy := c.Objective == Predicted, c.Objective == Accuracy
	dataset := r.Written("dataset")
	if predicted && r.Absent("predictor") {
		r.At("predictor").Badf("write the predictor of a train-predictor step")
	}
	if !predicted && r.Written("predictor") {
		r.At("predictor").Badf("belongs to objective = %q, not to %q", Predicted, c.Objective)
	}
	switch {
	case accuracy && r.Absent("supernet"):
		r.At("supernet").Badf("accuracy cannot be measured without a supernet's weights")
	case r.Absent("supernet") && r.Absent("space") && r.Absent("predictor"):
		r.At("supernet").Badf("write a trained supernet's weights here, or the space to search")
	case r.Written("supernet") && r.Written("space"):
		r.At("space").Badf("the supernet has its own space: write only one of them")
	case dataset && r.Absent("supernet"):
		r.At("dataset").Badf("there is nothing to measure without a supernet: remove it, or write supernet")
	}
	if accuracy && r.Absent("dataset") {
		r.At("dataset").Badf("accuracy cannot be measured without images")
	}
	if (accuracy || predicted && dataset) && r.Knows("holdout") && c.Holdout == 0 {
		r.At("holdout").Badf("accuracy must be sought on images that training did not see: write the same number here and in train-supernet, such as 2000")
	}
}

// narrow returns the space with the wanted resolutions only.
func (c Config) narrow(space arch.Space) (arch.Space, error) {
	if len(c.Resolutions) == 0 {
		return space, nil
	}
	for _, r := range c.Resolutions {
		if !slices.Contains(space.Resolutions, r) {
			return space, pipeline.Badf("resolutions", "%d is not one of the space's %v", r, space.Resolutions)
		}
	}
	space.Resolutions = slices.Compact(slices.Sorted(slices.Values(c.Resolutions)))
	return space, nil
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	s, err := newEvolution(ctx, task, c)
	if err != nil {
		return Output{}, err
	}
	defer s.close()
	if err := s.feasible(); err != nil {
		return Output{}, err
	}
	s.findOptimum()
	if err := s.intervals(ctx); err != nil {
		return Output{}, err
	}
	if err := s.run(ctx); err != nil {
		return Output{}, err
	}
	return s.output(ctx)
}

// violation returns how far costs are beyond the limits: the sum, over the
// limits, of the excess in parts of the limit. It is 0 within.
func (l Limit) violation(c costs) (sum float64) {
	if math.IsInf(c.Latency, 1) {
		return c.Latency
	}
	for _, x := range []struct{ cost, limit float64 }{
		{c.Latency, l.Latency}, {c.Energy, l.Energy}, {float64(c.PeakMemory), float64(l.Memory)},
		{float64(c.Params), float64(l.Params)}, {float64(c.MACs), float64(l.MACs)},
	} {
		if x.limit > 0 && x.cost > x.limit {
			sum += x.cost/x.limit - 1
		}
	}
	return sum
}

func (l Limit) String() string {
	s := ""
	for _, x := range []struct {
		name  string
		limit float64
		unit  string
	}{
		{"latency", 1e3 * l.Latency, " ms"}, {"energy", 1e6 * l.Energy, " µJ"}, {"memory", float64(l.Memory), " bytes"},
		{"params", float64(l.Params), ""}, {"macs", float64(l.MACs), ""},
	} {
		if x.limit > 0 {
			s += fmt.Sprintf(", %s ≤ %.4g%s", x.name, x.limit, x.unit)
		}
	}
	if s == "" {
		return "no limits"
	}
	return s[2:]
}
