package calibrate

import (
	"math"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// parameter is a value of a platform that can be fitted. It moves the prices of some
// features together.
//
// It is fitted on a scale on which it can be any number: its logarithm, or for a rate of MACs
// the logit of its share of the PEs, which no fit can push beyond them. On that scale one may
// be fitted relative to another, which it is then near.
type parameter struct {
	name, unit string
	rate       bool // a price is 1 / value
	share      bool // on the scale of shares of the PEs
	relative   string
	moves      []feature
	get        func(*raptor.Platform, feature) float64 // the value, of one of the features that it moves
	set        func(*raptor.Platform, feature, float64)
	low, high  float64 // what is possible at all
	prior      prior
}

// scaled returns a value on the parameter's scale.
func (par *parameter) scaled(v float64, pes int) float64 {
	if par.share {
		share := min(max(v/float64(pes), leastShare), 1-leastShare)
		return float.Log(share / (1 - share))
	}
	return float.Log(v)
}

// leastShare is how near a share comes to 0 and 1.
const leastShare = 1e-6

// value returns what is on the parameter's scale at x, and the derivative of its logarithm.
func (par *parameter) value(x float64, pes int) (v, slope float64) {
	if par.share {
		share := 1 / (1 + float.Exp(-x))
		return share * float64(pes), 1 - share
	}
	return float.Exp(x), 1
}

// first returns the value of the first of the prices that it moves, for which the parameter
// is named.
func (par *parameter) first(p *raptor.Platform) float64 { return par.get(p, par.moves[0]) }

// relativeTo returns the index of the parameter that it is relative to.
func (par *parameter) relativeTo() int { return index(par.relative) }

// limits returns between which values on its scale a parameter may lie.
func (par *parameter) limits(pes int) (low, high float64) {
	if par.share {
		return par.scaled(0, pes), par.scaled(float64(pes), pes)
	}
	return float.Log(par.low), float.Log(par.high)
}

// prior is what is known of a parameter before anything was measured: on its scale it is
// normally distributed. The centres are what chips of this kind have, by their number of
// PEs; a value that the platform has is the centre instead. What is relative to another one
// has that one's value at its centre.
type prior struct {
	centre func(pes float64) float64
	width  float64 // standard deviation on the parameter's scale
}

func fixed(v float64) func(float64) float64 { return func(float64) float64 { return v } }

func part(v float64) func(float64) float64 { return func(pes float64) float64 { return v * pes } }

func over(v float64) func(float64) float64 { return func(pes float64) float64 { return v / pes } }

func root(v float64) func(float64) float64 {
	return func(pes float64) float64 { return v * math.Sqrt(pes) }
}

func overRoot(v float64) func(float64) float64 {
	return func(pes float64) float64 { return v / math.Sqrt(pes) }
}

// alone is the rate of depthwise layers: as no channels are summed, one side of a square
// array has nothing to do.
func alone(pes float64) float64 { return pes / max(2, math.Sqrt(pes)) }

// factor is the width of a prior under which two in three such chips are within the factor
// of its centre.
func factor(v float64) float64 { return float.Log(v) }

// simple returns a parameter with one value of a platform.
func simple(name, unit string, f feature, of func(*raptor.Platform) *float64, low, high float64, p prior) parameter {
	return parameter{name: name, unit: unit, moves: []feature{f}, low: low, high: high, prior: p,
		get: func(p *raptor.Platform, _ feature) float64 { return *of(p) }, set: func(p *raptor.Platform, _ feature, v float64) { *of(p) = v }}
}

// rates returns a parameter of rates of MACs.
func rates(name, relative string, p prior, kinds ...feature) parameter {
	return parameter{name: name, unit: "MAC/cycle", rate: true, share: true, relative: relative, moves: kinds, prior: p,
		get: func(p *raptor.Platform, f feature) float64 { return *rateOf(p, f) }, set: func(p *raptor.Platform, f feature, v float64) { *rateOf(p, f) = v }}
}

// inverse makes a rate of a parameter, relative to another one or not.
func inverse(p parameter, relative string) parameter {
	p.rate, p.relative = true, relative
	return p
}

// parameters lists what can be fitted, besides the memory. rate moves those kinds of layers
// that have no rate fitted of their own, in proportion; transfer_cost moves activations and
// weights, outside_cost what comes from outside: weights, and activations that have no room;
// exposed is 1 − overlap. The limits are far beyond what any such chip has.
var parameters = []parameter{
	rates("rate", "", prior{part(0.85), 0.7}, convMACs, pointwiseMACs, depthwiseMACs, linearMACs),
	rates("rates.conv", "rate", prior{part(0.85), 0.5}, convMACs),
	rates("rates.pointwise", "rate", prior{part(0.85), 0.5}, pointwiseMACs),
	rates("rates.depthwise", "", prior{alone, 0.6}, depthwiseMACs),
	rates("rates.linear", "rate", prior{part(0.85), 0.5}, linearMACs),
	simple("output_cost", "cycles", results, func(p *raptor.Platform) *float64 { return &p.OutputCost }, 1e-4, 1e3, prior{over(64), factor(2)}),
	inverse(simple("output_rate", "results/cycle", limit, func(p *raptor.Platform) *float64 { return &p.OutputRate }, 1e-3, 1e4, prior{root(1. / 6), factor(2)}), ""),
	inverse(simple("element_rate", "values/cycle", values, func(p *raptor.Platform) *float64 { return &p.ElementRate }, 1e-3, 1e4, prior{root(1. / 6), factor(1.5)}), "output_rate"),
	{name: "transfer_cost", unit: "cycles/byte", moves: []feature{activations, weights}, low: 1e-4, high: 1e3, prior: prior{fixed(1), factor(10)},
		get: func(p *raptor.Platform, f feature) float64 { return *costOf(p, f) }, set: func(p *raptor.Platform, f feature, v float64) { *costOf(p, f) = v }},
	simple("activation_cost", "cycles/byte", activations, func(p *raptor.Platform) *float64 { return &p.ActivationCost }, 1e-4, 1e3, prior{fixed(1), factor(10)}),
	simple("weight_cost", "cycles/byte", weights, func(p *raptor.Platform) *float64 { return &p.WeightCost }, 1e-4, 1e3, prior{fixed(1), factor(10)}),
	{name: "outside_cost", unit: "cycles/byte", moves: []feature{weights, spilled}, low: 1e-4, high: 1e3, prior: prior{fixed(1), factor(10)},
		get: func(p *raptor.Platform, f feature) float64 { return *costOf(p, f) }, set: func(p *raptor.Platform, f feature, v float64) { *costOf(p, f) = v }},
	simple("spill_cost", "cycles/byte", spilled, func(p *raptor.Platform) *float64 { return &p.SpillCost }, 1e-4, 1e3, prior{fixed(4), factor(10)}),
	{name: "exposed", moves: []feature{exposed}, low: 1e-4, high: 1, prior: prior{fixed(0.1), factor(2.7)},
		get: func(p *raptor.Platform, _ feature) float64 { return 1 - p.Overlap }, set: func(p *raptor.Platform, _ feature, v float64) { p.Overlap = 1 - v }},
	simple("tile_cost", "cycles", tiles, func(p *raptor.Platform) *float64 { return &p.TileCost }, 1e-1, 1e6, prior{fixed(100), factor(10)}),
	simple("layer_cost", "cycles", layers, func(p *raptor.Platform) *float64 { return &p.LayerCost }, 1e-1, 1e7, prior{fixed(300), factor(3.3)}),
	simple("oversize_cost", "cycles", oversize, func(p *raptor.Platform) *float64 { return &p.OversizeCost }, 1, 1e9, prior{fixed(1e6), factor(10)}),
}

func rateOf(p *raptor.Platform, f feature) *float64 {
	return []*float64{&p.Rates.Conv, &p.Rates.Pointwise, &p.Rates.Depthwise, &p.Rates.Linear}[f]
}

func costOf(p *raptor.Platform, f feature) *float64 {
	switch f {
	case activations:
		return &p.ActivationCost
	case spilled:
		return &p.SpillCost
	}
	return &p.WeightCost
}

// index returns the index of a parameter, or −1.
func index(name string) int {
	for j := range parameters {
		if parameters[j].name == name {
			return j
		}
	}
	return -1
}
