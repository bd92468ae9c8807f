package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"eyrie/nas/arch"
)

// Supernet holds the weights that all subnets of a space share. A subnet that runs
// only reads them: everything else that it needs is in the workspace that each
// Trainer and Evaluator has of its own. So several may run subnets of one Supernet
// at the same time. Whatever changes the weights (SetState, and the Trainer's Step,
// SetState and SortChannels) must run alone.
type Supernet struct {
	// HeldOut is how many training images, taken as [data.Split.Holdout]
	// takes them, it was not trained on. The code that trains it sets it.
	HeldOut int
	// Network is the subnet that alone was trained; nil where all share the weights. The
	// code that trains it sets it.
	Network *arch.Subnet

	space arch.Space
	ps    params

	stem   *unit
	groups [][]*bottleneck // the blocks of each group, as many as its largest depth
	head   *unit
	out    *linear

	version int // of the weights: changed counts it up
	packing sync.Mutex
	packed  int // the version that forward of units and out was packed from; under packing
}

// bottleneck is an inverted bottleneck's weights: expand (nil where t = 1),
// depthwise, project.
type bottleneck struct {
	expand, depthwise, project *unit
	in                         int // channels of the input
	residual                   bool
}

// changed says that the weights are not those that were packed.
func (s *Supernet) changed() { s.version++ }

// New returns a supernet with random weights. It panics unless space.Validate()
// is nil.
func New(space arch.Space, seed uint64) *Supernet {
	s := build(space)
	s.init(rand.New(rand.NewPCG(seed, 0x6e6e2e4e6577)))
	return s
}

// build declares the layers of a space and gives them memory.
func build(space arch.Space) *Supernet {
	if err := space.Validate(); err != nil {
		panic("nn: " + err.Error())
	}
	s := &Supernet{space: space, version: 1}
	b := space.Backbone
	stem, widths, head := b.Channels(space.Widths, space.Rounding)
	s.stem = newUnit(&s.ps, "stem", arch.Conv, b.Stem.Kernel, b.Stem.Stride, b.Input, stem, true)
	in := stem
	for i, g := range space.Largest().Groups {
		var blocks []*bottleneck
		stride := b.Groups[i].Stride
		for j, choice := range g {
			blocks = append(blocks, newBottleneck(&s.ps, fmt.Sprintf("g%d.b%d", i+1, j+1), space, choice, in, widths[i], stride))
			in, stride = widths[i], 1
		}
		s.groups = append(s.groups, blocks)
	}
	s.head = newUnit(&s.ps, "head", arch.Pointwise, 1, 1, in, head, true)
	s.out = newLinear(&s.ps, head, b.Classes)
	s.ps.alloc()
	return s
}

func newBottleneck(ps *params, name string, space arch.Space, largest arch.Block, in, out, stride int) *bottleneck {
	mid := arch.Middle(in, largest.Expansion)
	b := &bottleneck{in: in, residual: stride == 1 && in == out}
	if largest.Expansion != 1 {
		b.expand = newUnit(ps, name+".expand", arch.Pointwise, 1, 1, in, mid, true)
	}
	b.depthwise = newUnit(ps, name+".depthwise", arch.Depthwise, largest.Kernel, stride, mid, mid, true)
	if largest.Expansion != 1 {
		b.depthwise.addTransforms(ps, space.Kernels)
	}
	b.project = newUnit(ps, name+".project", arch.Pointwise, 1, 1, mid, out, false)
	return b
}

// all returns every unit, in order.
func (s *Supernet) all() []*unit {
	list := []*unit{s.stem}
	for _, g := range s.groups {
		for _, b := range g {
			if b.expand != nil {
				list = append(list, b.expand)
			}
			list = append(list, b.depthwise, b.project)
		}
	}
	return append(list, s.head)
}

// init draws the weights: He's normal distribution by fan-out for convolutions,
// the identity for kernel transforms, uniform for the classifier.
func (s *Supernet) init(rng *rand.Rand) {
	for _, l := range s.all() {
		fan := l.maxOut
		switch l.op {
		case arch.Conv:
			fan *= l.maxK * l.maxK
		case arch.Depthwise:
			fan = l.maxK * l.maxK
		}
		l.weight.normal(rng, heStd(fan))
		l.gamma.fill(1)
		l.beta.fill(0)
		for _, t := range l.transforms {
			t.matrix.identity()
		}
		for c := range l.runVar {
			l.runVar[c] = 1
		}
	}
	s.out.weight.uniform(rng, 1/math.Sqrt(float64(s.out.features)))
	s.out.bias.fill(0)
}

// Space returns the space whose subnets the supernet holds.
func (s *Supernet) Space() arch.Space { return s.space }

// Main returns the subnet whose statistics are the running ones: the largest, or the one that
// alone was trained.
func (s *Supernet) Main() arch.Subnet {
	if s.Network != nil {
		return *s.Network
	}
	return s.space.Largest()
}

// Params returns the number of shared weights.
func (s *Supernet) Params() int {
	n := 0
	for _, p := range s.ps.list {
		n += len(p.value)
	}
	return n
}

// Clone returns a supernet with the same weights.
func (s *Supernet) Clone() *Supernet {
	c := build(s.space)
	copy(c.ps.value, s.ps.value)
	for i, u := range s.all() {
		to := c.all()[i]
		copy(to.runMean, u.runMean)
		copy(to.runVar, u.runVar)
	}
	return c
}
