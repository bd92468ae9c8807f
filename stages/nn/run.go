package nn

import (
	"cmp"
	"slices"

	"eyrie/stages/arch"
)

// runner runs the bound subnet of a supernet on an engine. Its tasks live here so
// that a step allocates nothing.
type runner struct {
	*Engine
	net    *Supernet
	output blockOutput
	packer packTask
}

// packTask packs the weights of all layers; each is one part.
type packTask struct {
	layers []*layer
	out    *classifier
}

func (t *packTask) run(i int, s *scratch) {
	if i == len(t.layers) {
		c := t.out
		c.forward = grow(c.forward, packedLen(c.features, c.classes))
		c.transposed = grow(c.transposed, packedLen(c.classes, c.features))
		pack(c.forward, c.weight.value, c.features, c.classes, c.classes)
		packTransposed(c.transposed, c.weight.value, c.features, c.classes, c.classes)
		return
	}
	l := t.layers[i]
	if l.op == arch.Depthwise {
		return // depends on the subnet's kernel
	}
	rows, cols := l.weight.rows, l.weight.cols
	l.forward = grow(l.forward, packedLen(rows, cols))
	l.transposed = grow(l.transposed, packedLen(cols, rows))
	pack(l.forward, l.weight.value, rows, cols, cols)
	packTransposed(l.transposed, l.weight.value, rows, cols, cols)
}

// forward runs the bound subnet up to the loss, which must have been set. The
// first parts may be those of the subnet before: see features.
func (r *runner) forward(shared int) {
	r.features(shared)
	r.run(chunks(r.net.head.n), (*classifierForward)(r.net.out))
}

// features runs the bound subnet up to its head. Of its parts (the stem, then each
// block) it does not run the first ones that it shares with the subnet which ran
// before it on the same batch, with the same weights: their maps are still there.
func (r *runner) features(shared int) {
	n := r.net
	if !n.fresh {
		if r.packer.layers == nil {
			r.packer = packTask{n.all(), n.out}
		}
		r.run(len(r.packer.layers)+1, &r.packer)
		n.fresh = true
	}
	if shared == 0 {
		r.layerForward(n.stem)
		r.outputs(n.stem, n.first, nil)
	}
	z := n.first
	for i, b := range n.active {
		if i+1 >= shared {
			r.blockForward(b, z)
		}
		z = b.z
	}
	r.layerForward(n.head)
}

// blockForward runs a block on z.
func (r *runner) blockForward(b *block, z []float32) {
	if b.expand != nil {
		r.expandForward(b.expand)
	}
	r.layerForward(b.depthwise)
	r.layerForward(b.project)
	if !b.residual {
		z = nil
	}
	r.outputs(b.project, b.z, z)
}

// byPrefix orders subnets so that those which share much come one after the other.
func byPrefix(a, b arch.Subnet) int {
	return cmp.Or(cmp.Compare(a.Resolution, b.Resolution), slices.CompareFunc(a.Groups, b.Groups, func(a, b []arch.Block) int {
		return slices.CompareFunc(a, b, func(a, b arch.Block) int {
			return cmp.Or(cmp.Compare(a.Kernel, b.Kernel), cmp.Compare(a.Expansion, b.Expansion))
		})
	}))
}

// shared returns how many parts, the stem and then blocks, two subnets have in
// common before they part.
func shared(a, b arch.Subnet) int {
	if a.Resolution != b.Resolution {
		return 0
	}
	parts := 1
	for i, group := range a.Groups {
		for j, choice := range group {
			if j >= len(b.Groups[i]) || b.Groups[i][j] != choice {
				return parts
			}
			parts++
		}
		if len(group) < len(b.Groups[i]) {
			return parts
		}
	}
	return parts
}

func (r *runner) layerForward(l *layer) {
	if l.op == arch.Depthwise {
		w, ld := l.kernelTaps(r.k)
		l.depthwisePack(w, ld, r.k.lanes)
		r.run(chunks(l.n), (*depthwiseForward)(l))
	} else {
		r.run(chunks(l.n), (*pointwiseForward)(l))
	}
	l.normalise()
}

// expandForward finds an expansion's statistics; its output is made by the
// depthwise layer.
func (r *runner) expandForward(l *layer) {
	l.products = grow(l.products, chunks(l.n)*l.in*pad16(l.in))
	r.run(chunks(l.n), (*expandGram)(l))
	l.normaliseExpansion(r.k)
}

func (r *runner) outputs(l *layer, z, residual []float32) {
	r.output = blockOutput{l, z, residual}
	r.run(chunks(l.n), &r.output)
}

// backward adds the gradient of the loss by all weights to their gradients.
func (r *runner) backward() {
	n := r.net
	r.run((n.out.classes+panelCols-1)/panelCols, (*classifierGrad)(n.out))
	r.run(chunks(n.head.n), (*classifierBackward)(n.out))
	r.layerBackward(n.head)
	for i := len(n.active) - 1; i >= 0; i-- {
		b := n.active[i]
		r.layerBackward(b.project)
		r.layerBackward(b.depthwise)
		if b.expand != nil {
			r.expandBackward(b.expand)
		}
	}
	r.layerBackward(n.stem)
}

func (r *runner) layerBackward(l *layer) {
	l.normaliseGrad()
	if l.op == arch.Depthwise {
		if e := l.expand; e != nil {
			e.partial = grow(e.partial, chunks(e.n)*e.in*pad16(e.out))
		}
		l.partial = grow(l.partial, chunks(l.n)*l.strips(r.k.lanes)*l.kernel*l.kernel*r.k.lanes)
		r.run(chunks(l.n), (*depthwiseBackward)(l))
		l.kernelGrad(r.k)
		return
	}
	l.partial = grow(l.partial, chunks(l.n)*l.depth(l.in)*pad16(l.out))
	r.run(chunks(l.n), (*pointwiseBackward)(l))
	r.run(reduceParts, (*pointwiseReduce)(l))
}

// expandBackward completes an expansion's gradients, which the depthwise layer's
// pass has begun.
func (r *runner) expandBackward(l *layer) {
	l.normaliseGrad()
	l.mixExpansion(r.k)
	r.run(chunks(l.n), (*expandMix)(l))
	r.run(reduceParts, (*expandReduce)(l))
}
