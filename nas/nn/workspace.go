package nn

import (
	"fmt"

	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// workspace is what a subnet needs to run beside the weights, which it only
// reads: extents, maps, statistics and, for training, gradients. One subnet at a
// time is bound to it. Its memory grows to that of the largest that was.
type workspace struct {
	net    *Supernet
	stem   *layer
	groups [][]*block
	head   *layer
	out    *classifier

	first  []float32 // the stem's output, normalised and clamped
	active []*block  // of the bound subnet
	layers []*layer  // of the bound subnet, in order

	trains bool      // it runs backward, too: the rest is for that
	packed int       // the version of the weights that the layers' transposed was packed from
	dFirst []float32 // the gradient by first
	wide   []float32 // gradient by the output of a depthwise layer, or the head
}

// block runs an inverted bottleneck: expand (nil where t = 1), depthwise,
// project, and what comes over the residual connection.
type block struct {
	expand, depthwise, project *layer
	in                         int // channels of the input
	residual                   bool
	z, dz                      []float32 // its output and the gradient by it
}

// newWorkspace returns a workspace that runs forward only or, given gradients to
// add to, also backward.
func newWorkspace(s *Supernet, grads arena) *workspace {
	w := &workspace{net: s, trains: grads != nil, out: newClassifier(s.out, grads)}
	w.stem, w.head = newLayer(s.stem, grads), newLayer(s.head, grads)
	for _, g := range s.groups {
		var blocks []*block
		for _, b := range g {
			run := &block{in: b.in, residual: b.residual, depthwise: newLayer(b.depthwise, grads), project: newLayer(b.project, grads)}
			if b.expand != nil {
				run.expand = newLayer(b.expand, grads)
				run.depthwise.expand = run.expand
			}
			blocks = append(blocks, run)
		}
		w.groups = append(w.groups, blocks)
	}
	return w
}

// all returns every layer, in the order of Supernet.all.
func (w *workspace) all() []*layer {
	list := []*layer{w.stem}
	for _, g := range w.groups {
		for _, b := range g {
			list = b.appendLayers(list)
		}
	}
	return append(list, w.head)
}

func (b *block) appendLayers(list []*layer) []*layer {
	if b.expand != nil {
		list = append(list, b.expand)
	}
	return append(list, b.depthwise, b.project)
}

// first returns the layer that reads the block's input.
func (b *block) first() *layer {
	if b.expand != nil {
		return b.expand
	}
	return b.depthwise
}

// bind makes n the subnet that runs next, on a batch.
func (w *workspace) bind(n arch.Subnet, batch *data.Batch) {
	w.check(n, batch)
	images := batch.N
	w.active, w.layers = w.active[:0], append(w.layers[:0], w.stem)
	st := w.stem
	st.bind(images, batch.H, batch.W, st.maxIn, st.maxOut, st.maxK)
	st.keep()
	st.src = view{x: batch.X}
	w.first = grow(w.first, images*st.outLen+panelCols)[:images*st.outLen]
	h, width, z := st.outH, st.outW, w.first
	for i, choices := range n.Groups {
		for j, c := range choices {
			b := w.groups[i][j]
			b.bind(c, images, h, width, z)
			w.active, w.layers = append(w.active, b), b.appendLayers(w.layers)
			h, width, z = b.depthwise.outH, b.depthwise.outW, b.z
		}
	}
	w.head.bind(images, h, width, w.head.maxIn, w.head.maxOut, 1)
	w.head.keep()
	w.head.src = view{x: z}
	w.layers = append(w.layers, w.head)
	w.out.bind(images, h*width, view{x: w.head.y, norm: w.head})
	if w.trains {
		w.bindGrad(images)
	}
}

// check panics unless the subnet is of the space and the batch has its resolution.
func (w *workspace) check(n arch.Subnet, b *data.Batch) {
	space := &w.net.space
	if err := space.Contains(n); err != nil {
		panic("nn: " + err.Error())
	}
	r, c := n.Resolution, space.Backbone.Input
	if b.H != r || b.W != r || b.C != c || len(b.X) != b.N*r*r*c {
		panic(fmt.Sprintf("nn: %d images of %d×%d×%d in %d values, want %d×%d×%d", b.N, b.H, b.W, b.C, len(b.X), r, r, c))
	}
}

// bind sets the block's extents for a choice and its input z.
func (b *block) bind(c arch.Block, images, h, w int, z []float32) {
	mid := arch.Middle(b.in, c.Expansion)
	if b.expand != nil {
		b.expand.bind(images, h, w, b.in, mid, 1)
	}
	d := b.depthwise
	d.bind(images, h, w, mid, mid, c.Kernel)
	d.keep()
	b.first().src = view{x: z}
	b.project.bind(images, d.outH, d.outW, mid, b.project.maxOut, 1)
	b.project.keep()
	b.project.src = view{x: d.y, norm: d}
	// Kernels read whole panels: what they read is followed by readable memory.
	n := images * b.project.outLen
	b.z = grow(b.z, n+panelCols)[:n]
}

// bindGrad connects the gradients of the bound subnet: each layer's g is where
// the dst of the one behind it goes.
func (w *workspace) bindGrad(images int) {
	wide := images * w.head.outLen
	for _, b := range w.active {
		wide = max(wide, images*b.depthwise.outLen)
	}
	w.wide = grow(w.wide, wide)
	w.dFirst = grow(w.dFirst, images*w.stem.outLen)
	w.stem.g, w.stem.dst = w.dFirst, sink{}
	dz, producer := w.dFirst, w.stem
	for _, b := range w.active {
		b.dz = grow(b.dz, images*b.project.outLen)
		b.first().dst = sink{g: dz, norm: producer, y: producer.y}
		if b.residual {
			b.first().dst.add = b.dz
		}
		b.depthwise.g = w.wide
		b.project.g, b.project.dst = b.dz, sink{g: w.wide, norm: b.depthwise, y: b.depthwise.y}
		dz, producer = b.dz, b.project
	}
	w.head.g, w.head.dst = w.wide, sink{g: dz, norm: producer, y: producer.y}
	w.out.dst = sink{g: w.wide, norm: w.head, y: w.head.y}
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
