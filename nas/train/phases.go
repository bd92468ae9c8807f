package train

import (
	"math"
	"math/rand/v2"
	"slices"

	"eyrie/nas/arch"
	"eyrie/pipeline/float"
	"eyrie/pipeline/mistake"
)

// Rule is which subnets a step of a phase trains; LargestRule where none is written.
type Rule string

// The rules.
const (
	SandwichRule Rule = "sandwich" // the largest, the smallest and random ones
	RandomRule   Rule = "random"
	LargestRule  Rule = "largest"
	FixedRule    Rule = "fixed" // one, as if it were alone
)

// Choices returns the rules.
func (Rule) Choices() []string {
	return []string{string(SandwichRule), string(RandomRule), string(LargestRule), string(FixedRule)}
}

// Phase is a part of the training with choices and a learning rate of its own.
type Phase struct {
	Name       string       `json:"name" doc:"what progress and curve call it"`
	Epochs     float64      `json:"epochs" min:"0" doc:"passes over the training images"`
	Rate       float64      `json:"rate,omitempty" min:"0" doc:"learning rate at the start; the stage's by default"`
	Warmup     float64      `json:"warmup,omitempty" min:"0" doc:"epochs over which the rate first rises"`
	Rule       Rule         `json:"rule,omitempty" doc:"the subnets of a step: sandwich: largest, smallest and random ones; random; largest (by default); fixed: only subnet, as if it were alone"`
	Subnet     *arch.Subnet `json:"subnet" doc:"rule fixed: the subnet"`
	Subnets    int          `json:"subnets,omitempty" min:"0" doc:"random subnets per step"`
	Expansions []int        `json:"expansions,omitempty" doc:"choices of random subnets; by default the space's"`
	Depths     []int        `json:"depths,omitempty" doc:"choices of random subnets; by default the space's"`
	Kernels    []int        `json:"kernels,omitempty" doc:"choices of random subnets; by default the space's"`
	Distill    float64      `json:"distill,omitempty" min:"0" doc:"weight of learning from the largest network as it was when the first phase ended, beside the labels"`
	Sort       bool         `json:"sort,omitempty" doc:"first sort middle channels by importance, within the widths that the phase before could choose"`
}

// Progressive returns Once-for-All's phases (train_ofa_net.py: the largest
// network for 180 epochs, kernels 125, depths 25 + 120, expansions 25 + 120,
// at 1, 1, 1/12, 1/4, 1/12 and 1/4 of the learning rate), in proportion.
func Progressive(s arch.Space, epochs, rate, warmup float64) []Phase {
	part := func(e float64) float64 { return epochs * e / (180 + 125 + 145 + 145) }
	top := func(v []int, n int) []int { return v[max(0, len(v)-n):] }
	e, d := s.Expansions, s.Depths
	return []Phase{
		{Name: "largest", Epochs: part(180), Rate: rate, Warmup: warmup, Rule: LargestRule},
		{Name: "kernels", Epochs: part(125), Rate: rate, Rule: RandomRule, Subnets: 1, Distill: 1, Expansions: top(e, 1), Depths: top(d, 1)},
		{Name: "depths 1", Epochs: part(25), Rate: rate / 12, Rule: RandomRule, Subnets: 2, Distill: 1, Expansions: top(e, 1), Depths: top(d, 2)},
		{Name: "depths 2", Epochs: part(120), Rate: rate / 4, Rule: RandomRule, Subnets: 2, Distill: 1, Expansions: top(e, 1)},
		{Name: "expansions 1", Epochs: part(25), Rate: rate / 12, Rule: RandomRule, Subnets: 4, Distill: 1, Expansions: top(e, 2), Sort: true},
		{Name: "expansions 2", Epochs: part(120), Rate: rate / 4, Rule: RandomRule, Subnets: 4, Distill: 1, Sort: true},
	}
}

// CheckPhase reports the mistakes of the attribute phases[i] of a training in space s.
func CheckPhase(r *mistake.Report, i int, p Phase, s arch.Space) {
	in := r.At("phases", i)
	for _, c := range []struct {
		name        string
		some, whole []int
	}{{"expansions", p.Expansions, s.Expansions}, {"depths", p.Depths, s.Depths}, {"kernels", p.Kernels, s.Kernels}} {
		for k, v := range c.some {
			if e := in.At(c.name, k); e.Knows() && r.Knows("space."+c.name) && !slices.Contains(c.whole, v) {
				e.Badf("%d is not one of the space's %v", v, c.whole)
			}
		}
	}
	if !in.Knows("rule") {
		return
	}
	if in.Knows("distill") && p.Distill > 0 && (i == 0 || p.Rule == SandwichRule) {
		in.At("distill").Badf("the first phase has no teacher yet, and the sandwich rule has its own")
	}
	if in.Knows("subnet") && (p.Rule == FixedRule) != (p.Subnet != nil) {
		in.At("subnet").Badf("belongs to rule = %q, which needs it", FixedRule)
	} else if p.Subnet != nil && in.Knows("subnet") && r.Knows("space") && r.At("space").Sound() {
		if err := s.Contains(*p.Subnet); err != nil {
			in.At("subnet").Badf("%w", err)
		}
	}
	if in.Knows("subnets") && p.Rule == RandomRule && p.Subnets == 0 {
		in.At("subnets").Badf("want at least 1 random subnet per step")
	}
}

// space returns the space whose subnets the phase draws.
func (p Phase) space(s arch.Space) arch.Space {
	for _, c := range []struct {
		dst  *[]int
		some []int
	}{{&s.Expansions, p.Expansions}, {&s.Depths, p.Depths}, {&s.Kernels, p.Kernels}} {
		if len(c.some) > 0 {
			*c.dst = slices.Sorted(slices.Values(c.some))
		}
	}
	return s
}

// span is a phase with its place among all steps.
type span struct {
	Phase
	first, last int // steps first … last-1
	warm        int // steps of warm-up
	choices     arch.Space
	largest     arch.Subnet
	smallest    arch.Subnet
}

// spans lays out the phases over the steps.
func (p Plan) spans(perEpoch int) []span {
	var list []span
	at := 0.0
	for _, phase := range p.Phases {
		first := int(math.Round(at * float64(perEpoch)))
		at += phase.Epochs
		if phase.Rate == 0 {
			phase.Rate = p.Rate
		}
		sp := span{Phase: phase, first: first, last: int(math.Round(at * float64(perEpoch))), warm: int(math.Round(phase.Warmup * float64(perEpoch)))}
		sp.choices = phase.space(p.Space)
		sp.largest, sp.smallest = p.Space.Largest(), sp.choices.Smallest()
		list = append(list, sp)
	}
	return list
}

// rate returns the learning rate of a step: a linear rise over the warm-up,
// then a cosine down to 0.
func (p span) rate(step int) float64 {
	i := step - p.first
	if i < p.warm {
		return p.Rate * float64(i+1) / float64(p.warm)
	}
	return p.Rate * (1 + float.Cos(math.Pi*float64(i-p.warm)/float64(p.last-p.first-p.warm))) / 2
}

// draw returns the subnets of a step, in the order in which they run; in a
// sandwich the first is the largest. Their resolution is the batch's.
func (p span) draw(rng *rand.Rand, resolution int) []arch.Subnet {
	var list []arch.Subnet
	switch p.Rule {
	case FixedRule:
		list = []arch.Subnet{*p.Subnet}
	case SandwichRule:
		list = []arch.Subnet{p.largest, p.smallest}
	case "", LargestRule:
		list = []arch.Subnet{p.largest}
	}
	if p.Rule == SandwichRule || p.Rule == RandomRule {
		for range p.Subnets {
			list = append(list, p.choices.Sample(rng))
		}
	}
	for i := range list {
		list[i].Resolution = resolution
	}
	return list
}
