package nn

import "eyrie/stages/arch"

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

// forward runs the bound subnet up to the loss, which must have been set.
func (r *runner) forward() {
	n := r.net
	if !n.fresh {
		if r.packer.layers == nil {
			r.packer = packTask{n.all(), n.out}
		}
		r.run(len(r.packer.layers)+1, &r.packer)
		n.fresh = true
	}
	r.layerForward(n.stem)
	r.outputs(n.stem, n.first, nil)
	z := n.first
	for _, b := range n.active {
		if b.expand != nil {
			r.expandForward(b.expand)
		}
		r.layerForward(b.depthwise)
		r.layerForward(b.project)
		var res []float32
		if b.residual {
			res = z
		}
		r.outputs(b.project, b.z, res)
		z = b.z
	}
	r.layerForward(n.head)
	r.run(chunks(n.head.n), (*classifierForward)(n.out))
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
