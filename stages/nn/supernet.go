package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"eyrie/stages/arch"
	"eyrie/stages/data"
)

// Supernet holds the shared weights of all subnets of a space.
type Supernet struct {
	// HeldOut is how many training images, taken as [data.Split.Holdout]
	// takes them, it was not trained on. Who trains it sets it.
	HeldOut int

	space arch.Space
	ps    params

	stem   *layer
	groups [][]*block // the blocks of each group, as many as its largest depth
	head   *layer
	out    *classifier

	first  []float32 // the stem's output, normalised and clamped
	dFirst []float32 // its gradient
	wide   []float32 // gradient by the output of a depthwise layer, or the head
	active []*block  // of the bound subnet
	layers []*layer  // of the bound subnet, in order
	fresh  bool      // the weights are packed
}

// block is an inverted bottleneck: expand (nil where t = 1), depthwise,
// project, and what comes over the residual connection.
type block struct {
	expand, depthwise, project *layer
	in                         int // channels of the input
	residual                   bool
	z, dz                      []float32 // its output and the gradient by it
}

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
	s := &Supernet{space: space}
	b := space.Backbone
	stem, widths, head := b.Channels(space.Widths, space.Rounding)
	s.stem = newLayer(&s.ps, "stem", arch.Conv, b.Stem.Kernel, b.Stem.Stride, b.Input, stem, true)
	in := stem
	for i, g := range space.Largest().Groups {
		var blocks []*block
		stride := b.Groups[i].Stride
		for j, choice := range g {
			blocks = append(blocks, newBlock(&s.ps, fmt.Sprintf("g%d.b%d", i+1, j+1), space, choice, in, widths[i], stride))
			in, stride = widths[i], 1
		}
		s.groups = append(s.groups, blocks)
	}
	s.head = newLayer(&s.ps, "head", arch.Pointwise, 1, 1, in, head, true)
	s.out = newClassifier(&s.ps, head, b.Classes)
	s.ps.alloc()
	return s
}

func newBlock(ps *params, name string, space arch.Space, largest arch.Block, in, out, stride int) *block {
	mid := arch.Middle(in, largest.Expansion)
	b := &block{in: in, residual: stride == 1 && in == out}
	if largest.Expansion != 1 {
		b.expand = newLayer(ps, name+".expand", arch.Pointwise, 1, 1, in, mid, true)
	}
	b.depthwise = newLayer(ps, name+".depthwise", arch.Depthwise, largest.Kernel, stride, mid, mid, true)
	if largest.Expansion != 1 {
		b.depthwise.addTransforms(ps, space.Kernels)
		b.depthwise.expand = b.expand
	}
	b.project = newLayer(ps, name+".project", arch.Pointwise, 1, 1, mid, out, false)
	return b
}

// all returns every layer, in order.
func (s *Supernet) all() []*layer {
	list := []*layer{s.stem}
	for _, g := range s.groups {
		for _, b := range g {
			list = b.appendLayers(list)
		}
	}
	return append(list, s.head)
}

func (b *block) appendLayers(list []*layer) []*layer {
	if b.expand != nil {
		list = append(list, b.expand)
	}
	return append(list, b.depthwise, b.project)
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

// Params returns the number of shared weights.
func (s *Supernet) Params() int {
	n := 0
	for _, p := range s.ps.list {
		n += len(p.value)
	}
	return n
}

// bind makes n the subnet that runs next, on a batch.
func (s *Supernet) bind(n arch.Subnet, b *data.Batch) {
	if err := s.space.Contains(n); err != nil {
		panic("nn: " + err.Error())
	}
	r, images := n.Resolution, b.N
	if c := s.space.Backbone.Input; b.H != r || b.W != r || b.C != c || len(b.X) != images*r*r*c {
		panic(fmt.Sprintf("nn: %d images of %d×%d×%d in %d values, want %d×%d×%d", images, b.H, b.W, b.C, len(b.X), r, r, c))
	}
	s.active, s.layers = s.active[:0], append(s.layers[:0], s.stem)
	st := s.stem
	st.bind(images, r, r, st.maxIn, st.maxOut, st.maxK)
	st.keep()
	st.src = view{x: b.X}
	s.first = grow(s.first, images*st.outLen+panelCols)[:images*st.outLen]
	s.dFirst = grow(s.dFirst, images*st.outLen)
	st.g, st.dst = s.dFirst, sink{}
	h, w := st.outH, st.outW
	z, dz, producer := s.first, s.dFirst, st
	wide := 0
	for i, choices := range n.Groups {
		for j, c := range choices {
			b := s.groups[i][j]
			b.bind(c, images, h, w, z, dz, producer)
			s.active, s.layers = append(s.active, b), b.appendLayers(s.layers)
			wide = max(wide, images*b.depthwise.outLen)
			h, w = b.depthwise.outH, b.depthwise.outW
			z, dz, producer = b.z, b.dz, b.project
		}
	}
	s.head.bind(images, h, w, s.head.maxIn, s.head.maxOut, 1)
	s.head.keep()
	s.head.src = view{x: z}
	s.layers = append(s.layers, s.head)
	s.out.bind(images, h*w, view{x: s.head.y, norm: s.head})
	s.wide = grow(s.wide, max(wide, images*s.head.outLen))
	s.head.g, s.head.dst = s.wide, sink{g: dz, norm: producer, y: producer.y}
	s.out.dst = sink{g: s.wide, norm: s.head, y: s.head.y}
	for _, b := range s.active {
		b.bindGrad(s.wide)
	}
}

// bind sets the block's extents for a choice and its input: z, whose gradient
// is dz and which producer's output is.
func (b *block) bind(c arch.Block, images, h, w int, z, dz []float32, producer *layer) {
	mid := arch.Middle(b.in, c.Expansion)
	first := b.depthwise
	if b.expand != nil {
		b.expand.bind(images, h, w, b.in, mid, 1)
		first = b.expand
	}
	d := b.depthwise
	d.bind(images, h, w, mid, mid, c.Kernel)
	d.keep()
	first.src, first.dst = view{x: z}, sink{g: dz, norm: producer, y: producer.y}
	b.project.bind(images, d.outH, d.outW, mid, b.project.maxOut, 1)
	b.project.keep()
	b.project.src = view{x: d.y, norm: d}
	// Kernels read whole panels: what they read is followed by readable memory.
	n := images * b.project.outLen
	b.z, b.dz = grow(b.z, n+panelCols)[:n], grow(b.dz, n)
}

// bindGrad connects the gradients within the block; wide takes that by the
// depthwise layer's output.
func (b *block) bindGrad(wide []float32) {
	b.project.g = b.dz
	b.project.dst = sink{g: wide, norm: b.depthwise, y: b.depthwise.y}
	b.depthwise.g = wide
	if b.residual {
		first := b.depthwise
		if b.expand != nil {
			first = b.expand
		}
		first.dst.add = b.dz
	}
}

// blockOutput computes a chunk of a block's output (or, of a layer alone, of
// its normalised and clamped output): the projection, normalised, and what
// comes over the residual connection.
type blockOutput struct {
	l        *layer
	z        []float32
	residual []float32
}

func (t *blockOutput) run(chunkNo int, s *scratch) {
	l := t.l
	lo, hi := chunk(chunkNo, l.n)
	from, rows := lo*l.outLen, (hi-lo)*l.outRows
	if t.residual != nil {
		s.affineAdd(rows, l.out, t.z[from:], l.out, s.lanes, l.y[from:], l.out, t.residual[from:], l.out, l.scale, l.shift)
		return
	}
	s.affine(rows, l.out, t.z[from:], l.out, s.lanes, l.y[from:], l.out, l.scale, l.shift, l.relu)
}
