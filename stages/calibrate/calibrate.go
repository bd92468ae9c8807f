// Package calibrate is the stage "calibrate": it fits the values of a platform
// that its maker does not disclose to measurements of networks on it, and says
// how far they can be trusted.
package calibrate

import (
	"context"
	"maps"
	"slices"
	"strings"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is "calibrate".
var Stage = pipeline.Define("calibrate", 7,
	`Fits the undisclosed values of a platform to measurements.

The measurements are a CSV file; its first line names columns, some of set,
network, width, resolution, macs, mu, latency (s), supported (yes or no), kind and
source. A row is MobileNetV2 of a width at a resolution, or a network that the attribute
networks names. Cells may be empty; μ and latency are fitted, MACs are compared, and
what is supported bounds the weight limit. kind and source say of a row's figures that
they were measured (by default), or published, and where: tables show it.

Every policy, memory and weight limit is tried; the rates and costs are fitted to the
logarithms of μ and latency by least squares, from several starts. The result
comes with each row's residual, the error on networks left out of the fit, and for every
parameter the interval that the data allow (95 %, profile likelihood).

    stage "calibrate" "raptor" {
      platform     = { preset = "tinyraptor" }
      measurements = "${path.recipe}/raptor.csv"
    }

A platform may be what a datasheet says: clock, pes and memory. Rates that are not written
are taken to be pes, and maps to stay wherever there is room; where no cost of transfers is
written and one is fitted, they begin at a cycle a byte. By default as many parameters are fitted as the data can
identify, two for each three values; the summary says which.

The fitted platform is stage.raptor.platform; the error of table 1's μ is
stage.raptor.sets["table 1"].mu_rms.`,
	Config{
		Fit:       []string{auto},
		Policies:  allPolicies(),
		MemoryMin: 32 << 10, MemoryMax: 1 << 20, MemoryStep: 8 << 10, Starts: 4, Seed: 1,
	}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Platform     raptor.Platform      `json:"platform" doc:"what is known; the start for what is fitted"`
	Measurements artifacts.File       `json:"measurements" is:"file" doc:"CSV file"`
	Networks     map[string]arch.Spec `json:"networks,omitempty" doc:"networks that the file names, besides MobileNetV2"`
	Scaling      arch.Scaling         `json:"scaling,omitempty" doc:"what the file's width applies to; uniform (stem and head stay) when not written"`
	Rounding     arch.Rounding        `json:"rounding,omitzero" doc:"how the file's widths become channels"`
	Fit          []string             `json:"fit" doc:"parameters to fit; the others stay as platform has them. auto, by itself, is as many as the data can identify. rate is that of all but depthwise layers, whose rates stay in proportion"`
	Policies     []Policy             `json:"policies" doc:"policies and scopes to choose from"`
	MemoryMin    int64                `json:"memory_min" unit:"bytes" min:"1024" doc:"least local memory to try"`
	MemoryMax    int64                `json:"memory_max" unit:"bytes" min:"1024" max:"1073741824" doc:"greatest local memory to try"`
	MemoryStep   int64                `json:"memory_step" unit:"bytes" min:"256" doc:"step between memories"`
	Starts       int                  `json:"starts" min:"1" max:"1000" doc:"starting points of each fit"`
	Seed         int                  `json:"seed" min:"0" doc:"of the starting points"`
	Compare      map[string]arch.Spec `json:"compare,omitempty" doc:"networks to compare: with intervals, and whether their ranking survives the uncertainty"`
}

// Policy is a tiling policy with the scope in which maps may stay.
type Policy struct {
	Policy raptor.Policy `json:"policy" doc:"as a platform's"`
	Scope  raptor.Scope  `json:"scope" doc:"as a platform's"`
}

func (p Policy) String() string {
	if p.Policy == raptor.Layerwise {
		return string(p.Policy)
	}
	return string(p.Policy) + " within a " + string(p.Scope)
}

func allPolicies() []Policy {
	all := []Policy{{raptor.Layerwise, raptor.BlockScope}}
	for _, policy := range []raptor.Policy{raptor.Resident, raptor.Mixed} {
		for _, scope := range []raptor.Scope{raptor.BlockScope, raptor.GroupScope, raptor.NetworkScope} {
			all = append(all, Policy{policy, scope})
		}
	}
	return all
}

// names lists what can be fitted.
func names() []string {
	var all []string
	for _, p := range parameters {
		all = append(all, p.name)
	}
	return append(all, "memory", "weight_limit")
}

// Check reports the mistakes of the platform and of the networks to compare, unknown
// parameters, and a range of memories that is empty or too long.
func (c *Config) Check(r *mistake.Report) {
	platform := c.Platform
	platform.PEs = max(platform.PEs, 1) // which may be unknown or wrong: then the rates are not at fault, too
	platform = assumed(platform)
	platform.PEs = c.Platform.PEs
	platform.Check(r.At("platform"))
	for i, name := range c.Fit {
		if name == auto && len(c.Fit) > 1 && r.Knows("fit") {
			r.At("fit", i).Badf("%q stands by itself, without other parameters", auto)
			continue
		} else if name == auto {
			continue
		}
		if in := r.At("fit", i); in.Knows() && !slices.Contains(names(), name) {
			in.Badf("there is no parameter %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	if r.Knows("policies") && len(c.Policies) == 0 {
		r.At("policies").Badf("want at least one")
	}
	if r.Knows("memory_max", "memory_min") && c.MemoryMax < c.MemoryMin {
		r.At("memory_max").Badf("%d is below memory_min, %d", c.MemoryMax, c.MemoryMin)
	}
	if r.Knows("memory_max", "memory_min", "memory_step") && c.MemoryStep > 0 {
		if n := (c.MemoryMax - c.MemoryMin) / c.MemoryStep; n > 10_000 {
			r.At("memory_step").Badf("%d memories to try, at most 10000 are: write a larger step", n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Networks)) {
		c.Networks[name].Check(r.At("networks", name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Compare)) {
		c.Compare[name].Check(r.At("compare", name))
	}
}

// Foresee returns the values of the platform that are not fitted.
func (c Config) Foresee(knows func(paths ...string) bool) pipeline.Partial {
	platform := pipeline.Partial{}
	if knows("platform") {
		p := c.Platform
		platform["name"], platform["clock"], platform["pes"], platform["power"] = p.Name, p.Clock, p.PEs, p.Power
	}
	return pipeline.Partial{"platform": platform}
}

// fitted reports whether a parameter is to be fitted.
func (c *Config) fitted(name string) bool { return slices.Contains(c.Fit, name) }

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	ms, err := readMeasurements(c.Measurements, c.Networks, arch.Spec{Scaling: c.Scaling, Rounding: c.Rounding})
	if err != nil {
		return Output{}, pipeline.Badf("measurements", "%w", err)
	}
	c.Platform = assumed(c.Platform)
	chosen := slices.Contains(c.Fit, auto)
	if chosen {
		c.Fit = identified(ms, values(ms), &c.Platform)
	}
	if p := &c.Platform; p.ActivationCost+p.WeightCost+p.TileCost == 0 && (chosen || c.fitted("activation_cost") || c.fitted("weight_cost")) {
		p.ActivationCost, p.WeightCost = 1, 1
	}
	cal := newCalibration(task, c, ms)
	if cal.data == 0 {
		return Output{}, pipeline.Badf("measurements", "no value of mu or latency in %d rows: there is nothing to fit to", len(ms))
	}
	if p := &c.Platform; p.ActivationCost+p.WeightCost+p.TileCost == 0 && !slices.ContainsFunc([]string{"activation_cost", "weight_cost", "tile_cost"}, c.fitted) {
		return Output{}, pipeline.Badf("platform", "where moving data costs nothing there is no μ: write activation_cost, weight_cost or tile_cost, or name one in fit")
	}
	if cal.data <= cal.fits {
		return Output{}, pipeline.Badf("fit", "%d parameters cannot be fitted to %d values of μ and latency in %d rows: measure more, or fit fewer",
			cal.fits, cal.data, len(ms))
	}
	if least, below := cal.known(); c.fitted("weight_limit") && least >= below {
		return Output{}, pipeline.Badf("measurements", "a network whose largest layer has %d bytes of weights is supported, one with %d is not: no limit on a layer's weights agrees", least, below)
	}
	designs, err := cal.search(ctx)
	if err != nil {
		return Output{}, err
	}
	best := slices.MinFunc(designs, bySSE)
	out := Output{Platform: cal.chosen(&best)}
	ours, err := cal.estimate(func(int) raptor.Platform { return out.Platform })
	if err != nil {
		return Output{}, err
	}
	unseen, err := cal.leaveOneOut(ctx, designs, best)
	if err != nil {
		return Output{}, err
	}
	intervals, plausible, err := cal.profile(ctx, designs, best)
	if err != nil {
		return Output{}, err
	}
	out.Plausible = plausible
	cal.rows(&out, ours, unseen)
	memory, limit := cal.memories(designs, best)
	out.Parameters = cal.parameters(&out.Platform, intervals, memory, limit)
	out.Policies = cal.policies(designs)
	if out.Ranking, err = rank(c.Compare, &out.Platform, plausible); err != nil {
		return Output{}, err
	}
	out.Summary = cal.summary(&out)
	if chosen {
		out.Summary = slices.Insert(out.Summary, 1, cal.chosenFit())
	}
	return out, nil
}

// values counts the values to fit to.
func values(ms []measurement) (n int) {
	for _, m := range ms {
		if m.mu > 0 {
			n++
		}
		if m.latency > 0 {
			n++
		}
	}
	return n
}

// newCalibration counts what is there and what is asked.
func newCalibration(task *pipeline.Task, c Config, ms []measurement) *calibration {
	cal := &calibration{Config: c, task: task, ms: ms, distinct: make([]int, 0, len(ms))}
	groups := map[int]int{}
	for i := range ms {
		g, seen := groups[ms[i].group]
		if !seen {
			g = len(cal.distinct)
			groups[ms[i].group] = g
			cal.distinct = append(cal.distinct, i)
		}
		ms[i].group = g
	}
	cal.data = values(ms)
	for j, p := range parameters {
		if c.fitted(p.name) {
			cal.free = append(cal.free, j)
		}
	}
	cal.fits = len(cal.free)
	for _, name := range []string{"memory", "weight_limit"} {
		if c.fitted(name) {
			cal.fits++
		}
	}
	return cal
}
