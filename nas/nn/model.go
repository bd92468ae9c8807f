package nn

import (
	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// Model is a subnet for inference: batch normalisation is folded into the
// convolutions. It keeps what it needs of the weights.
type Model struct {
	*Engine
	stem, head folded
	blocks     []foldedBlock
	classes    int
	weight     []float32 // classifier, packed
	bias       []float32

	group  int       // images that run through the layers together
	logits []float32 // image × class
}

// folded is a layer with its normalisation folded in.
type folded struct {
	sized
	weight []float32 // packed; of a depthwise layer, in strips
	bias   []float32
}

type foldedBlock struct {
	expand, depthwise, project folded
	residual                   bool
}

// groupFloats is how much of its widest map a group of images may take: what
// fits in a core's cache.
const groupFloats = 1 << 17

// model folds the bound subnet, whose layers' scale and shift have been set,
// into m.
func (r *runner) model(m *Model) *Model {
	if m == nil {
		m = &Model{}
	}
	m.Engine = r.Engine
	m.stem.fold(r.stem, r.k)
	m.head.fold(r.head, r.k)
	for len(m.blocks) < len(r.active) {
		m.blocks = append(m.blocks, foldedBlock{})
	}
	m.blocks = m.blocks[:len(r.active)]
	wide := max(r.stem.outLen, r.head.outLen)
	for i, b := range r.active {
		f := &m.blocks[i]
		f.residual = b.residual
		f.expand.unit = nil
		if b.expand != nil {
			f.expand.fold(b.expand, r.k)
		}
		f.depthwise.fold(b.depthwise, r.k)
		f.project.fold(b.project, r.k)
		wide = max(wide, b.depthwise.inLen, b.depthwise.outLen)
	}
	m.group = min(16, max(1, groupFloats/wide))
	c := r.out
	m.classes = c.classes
	m.weight = grow(m.weight, packedLen(c.features, c.classes))
	pack(m.weight, c.weight.value, c.features, c.classes, c.classes)
	m.bias = append(m.bias[:0], c.bias.value...)
	return m
}

// fold scales the layer's weights as the normalisation after it would.
func (f *folded) fold(l *layer, k *kernels) {
	f.sized = l.sized
	f.bias = append(f.bias[:0], l.shift[:l.out]...)
	if l.op == arch.Depthwise {
		w, ld := l.kernelTaps(k)
		f.weight = grow(f.weight, l.stripsLen(k.lanes))
		taps := l.kernel * l.kernel
		packStrips(f.weight, w, taps, l.out, ld, k.lanes, false)
		for i := range f.weight {
			if c := i/(taps*k.lanes)*k.lanes + i%k.lanes; c < l.out {
				f.weight[i] *= l.scale[c]
			}
		}
		return
	}
	depth := l.depth(l.in)
	f.weight = grow(f.weight, packedLen(depth, l.out))
	pack(f.weight, l.weight.value, depth, l.out, l.maxOut)
	for i := range f.weight {
		if c := i/(panelCols*depth)*panelCols + i%panelCols; c < l.out {
			f.weight[i] *= l.scale[c]
		}
	}
}

// Logits returns the logits of a batch, image × class. They are valid until
// the next call.
func (m *Model) Logits(b *data.Batch) []float32 {
	m.infer(nil, []*Model{m}, b)
	return m.logits
}

// correct returns how many of the batch's images have their label's logit as
// the largest, after infer; −1 where a logit is no finite number, as nothing can
// be said of which is the largest.
func (m *Model) correct(b *data.Batch) int {
	correct := 0
	for i, label := range b.Labels {
		logits := m.logits[i*m.classes : (i+1)*m.classes]
		if !finite(logits) {
			return -1
		}
		if Class(logits) == int(label) {
			correct++
		}
	}
	return correct
}

// finite reports whether no value is NaN or infinite.
func finite(v []float32) bool {
	sum := float32(0)
	for _, x := range v {
		sum += x - x // 0 of a finite number
	}
	return sum == 0
}

// Class returns the class with the largest logit, the first of equal ones.
func Class(logits []float32) int {
	best := 0
	for j, v := range logits {
		if v > logits[best] {
			best = j
		}
	}
	return best
}

// inference runs groups of images through models of subnets of one resolution, each
// from where it parts from the one before. Maps stay in the cache.
type inference struct {
	models []*Model
	from   []int // the part that each begins with: the stem is 0, then come the blocks
	batch  *data.Batch
	group  int // images that run through the layers together
}

// infer computes the logits of the models of subnets ns (nil for one) for a batch.
func (e *Engine) infer(ns []arch.Subnet, models []*Model, b *data.Batch) {
	t := &inference{models: models, from: make([]int, len(models)), batch: b, group: models[0].group}
	for i, m := range models {
		m.logits = grow(m.logits, b.N*m.classes)
		t.group = min(t.group, m.group)
		if i > 0 {
			t.from[i] = shared(ns[i-1], ns[i])
		}
	}
	e.run((b.N+t.group-1)/t.group, t)
}

func (t *inference) run(part int, s *scratch) {
	lo := part * t.group
	n := min(t.group, t.batch.N-lo)
	var maps [][]float32 // what the stem and each block write
	for i, m := range t.models {
		for len(maps) <= len(m.blocks) {
			maps = append(maps, s.floats(n*t.widest(len(maps))))
		}
		mark := s.used
		m.forward(s, t.batch.X[lo*m.stem.inLen:], n, maps, t.from[i], m.logits[lo*m.classes:])
		s.used = mark
	}
}

// widest returns the most floats per image that a part writes in any of the models.
func (t *inference) widest(part int) int {
	widest := 0
	for _, m := range t.models {
		if part == 0 {
			widest = max(widest, m.stem.outLen)
		} else if part <= len(m.blocks) {
			widest = max(widest, m.blocks[part-1].project.outLen)
		}
	}
	return widest
}

// forward computes the logits of n images, beginning with a part whose input is there.
func (m *Model) forward(s *scratch, x []float32, n int, maps [][]float32, from int, logits []float32) {
	if from == 0 {
		m.stem.patchwork(s, x, n, maps[0])
	}
	for i := max(0, from-1); i < len(m.blocks); i++ {
		m.blocks[i].forward(s, n, maps[i], maps[i+1])
	}
	y := s.floats(n * m.head.outLen)
	m.head.pointwise(s, maps[len(m.blocks)], n, y, false)
	features := m.head.out
	pooled, sq := s.zeros(n*features), s.floats(features)
	for i := range n {
		sum := pooled[i*features : (i+1)*features]
		s.moments(m.head.outRows, features, y[i*m.head.outLen:], features, sum, sq)
		for j := range sum {
			sum[j] /= float32(m.head.outRows)
		}
	}
	s.gemm(n, m.classes, features, pooled, features, 1, packed(m.weight, features), logits, m.classes, epilogue{bias: m.bias})
}

// forward runs the block on n images: x becomes y.
func (b *foldedBlock) forward(s *scratch, n int, x, y []float32) {
	mark := s.used
	if b.residual {
		copy(y[:n*b.project.outLen], x)
	}
	if b.expand.unit != nil {
		wide := s.floats(n * b.expand.outLen)
		b.expand.pointwise(s, x, n, wide, false)
		x = wide
	}
	b.project.pointwise(s, b.depthwise.depthwise(s, x, n), n, y, b.residual)
	s.used = mark
}

// patchwork runs the stem on n images.
func (f *folded) patchwork(s *scratch, x []float32, n int, y []float32) {
	mark := s.used
	depth := f.depth(f.in)
	block := blockRows(depth, f.out)
	for r := 0; r < n*f.outRows; r += block {
		s.used = mark
		rows := min(block, n*f.outRows-r)
		a, lda := f.patches(s, x, r, rows)
		s.gemm(rows, f.out, depth, a, lda, 1, packed(f.weight, depth), y[r*f.out:], f.out, epilogue{bias: f.bias, relu6: f.relu})
	}
	s.used = mark
}

// pointwise runs the layer on n images and writes y, or adds to it.
func (f *folded) pointwise(s *scratch, x []float32, n int, y []float32, acc bool) {
	s.gemm(n*f.outRows, f.out, f.in, x, f.in, 1, packed(f.weight, f.in), y, f.out, epilogue{acc: acc, bias: f.bias, relu6: f.relu})
}

// depthwise runs the layer on n images.
func (f *folded) depthwise(s *scratch, x []float32, n int) []float32 {
	y := s.floats(n * f.outLen)
	mark := s.used
	frames := s.zeros(f.frame(s.lanes).all())
	one, zero := s.constant(1, f.in), s.constant(0, f.in)
	for i := range n {
		s.spread(f.frame(s.lanes), frames, x[i*f.inLen:], one, zero, false)
		f.slide(s.kernels, frames, f.weight, f.stride, f.outH, f.outW, y[i*f.outLen:], f.bias, true)
	}
	s.used = mark
	return y
}
