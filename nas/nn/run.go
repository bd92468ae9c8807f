package nn

import (
	"cmp"
	"slices"

	"eyrie/nas/arch"
)

// runner runs the subnet that is bound to its workspace on an engine. Its tasks
// live here so that a step allocates nothing.
type runner struct {
	*Engine
	*workspace
	output blockOutput
	packer packTask
}

// newRunner returns a runner of a workspace of its own: see newWorkspace.
func newRunner(e *Engine, s *Supernet, grads arena) runner {
	w := newWorkspace(s, grads)
	return runner{Engine: e, workspace: w, packer: packTask{layers: w.all(), out: w.out}}
}

// pack packs the weights if they have changed. What a forward pass reads does not
// depend on the subnet or the kernels: it is packed once for all workspaces, by
// the first that runs, while others wait. What a backward pass reads is the
// workspace's own, since only a trainer needs it.
func (r *runner) pack() {
	s := r.net
	s.packing.Lock()
	defer s.packing.Unlock()
	r.packer.forward = s.packed != s.version
	r.packer.transposed = r.trains && r.packed != s.version
	if !r.packer.forward && !r.packer.transposed {
		return
	}
	r.run(len(r.packer.layers)+1, &r.packer)
	s.packed, r.packed = s.version, s.version
}

// packTask packs the weights of all layers; each is one part.
type packTask struct {
	layers              []*layer
	out                 *classifier
	forward, transposed bool // what is packed
}

func (t *packTask) run(i int, s *scratch) {
	if i == len(t.layers) {
		c := t.out
		if t.forward {
			c.forward = packForward(c.forward, c.weight)
		}
		if t.transposed {
			c.transposed = packBackward(c.transposed, c.weight)
		}
		return
	}
	l := t.layers[i]
	if l.op == arch.Depthwise {
		return // depends on the subnet's kernel
	}
	if t.forward {
		l.forward = packForward(l.forward, l.weight)
	}
	if t.transposed {
		l.transposed = packBackward(l.transposed, l.weight)
	}
}

// packForward and packBackward pack a matrix and its transpose into dst, which
// grows where it is too small.
func packForward(dst []float32, p *param) []float32 {
	dst = grow(dst, packedLen(p.rows, p.cols))
	pack(dst, p.value, p.rows, p.cols, p.cols)
	return dst
}

func packBackward(dst []float32, p *param) []float32 {
	dst = grow(dst, packedLen(p.cols, p.rows))
	packTransposed(dst, p.value, p.rows, p.cols, p.cols)
	return dst
}

// forward runs the bound subnet up to the loss, which must have been set. The
// first parts may be those of the subnet before: see features.
func (r *runner) forward(shared int) {
	r.features(shared)
	r.run(chunks(r.head.n), (*classifierForward)(r.out))
}

// features runs the bound subnet up to its head. It skips the first parts (the stem,
// then each block) that the subnet shares with the one before it, which ran on the same
// batch with the same weights: their maps are still there.
func (r *runner) features(shared int) {
	r.pack()
	if shared == 0 {
		r.layerForward(r.stem)
		r.outputs(r.stem, r.first, nil)
	}
	z := r.first
	for i, b := range r.active {
		if i+1 >= shared {
			r.blockForward(b, z)
		}
		z = b.z
	}
	r.layerForward(r.head)
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
		r.packDepthwise(l)
		r.run(chunks(l.n), (*depthwiseForward)(l))
	} else {
		r.run(chunks(l.n), (*pointwiseForward)(l))
	}
	l.normalise()
}

// packDepthwise packs the bound kernel of a depthwise layer.
func (r *runner) packDepthwise(l *layer) {
	n, k2 := l.stripsLen(r.k.lanes), l.kernel*l.kernel
	w, ld := l.kernelTaps(r.k)
	l.taps = grow(l.taps, n)
	packStrips(l.taps, w, k2, l.out, ld, r.k.lanes, false)
	if r.trains {
		l.transposed = grow(l.transposed, n)
		packStrips(l.transposed, w, k2, l.out, ld, r.k.lanes, true)
	}
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

// backward adds the gradient of the loss by all weights to the trainer's.
func (r *runner) backward() {
	r.run((r.out.classes+panelCols-1)/panelCols, (*classifierGrad)(r.out))
	r.run(chunks(r.head.n), (*classifierBackward)(r.out))
	r.layerBackward(r.head)
	for i := len(r.active) - 1; i >= 0; i-- {
		b := r.active[i]
		r.layerBackward(b.project)
		r.layerBackward(b.depthwise)
		if b.expand != nil {
			r.expandBackward(b.expand)
		}
	}
	r.layerBackward(r.stem)
}

func (r *runner) layerBackward(l *layer) {
	l.normaliseGrad()
	if l.op == arch.Depthwise {
		if e := l.expand; e != nil {
			e.partial = grow(e.partial, chunks(e.n)*e.in*pad16(e.out))
		}
		l.partial = grow(l.partial, chunks(l.n)*l.stripsLen(r.k.lanes))
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
