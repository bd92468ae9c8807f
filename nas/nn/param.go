package nn

import (
	"math"
	"math/rand/v2"

	"eyrie/pipeline/float"
)

// param is one trained tensor. Matrices are stored with the input channel (or
// tap) as row and the output channel as column, so that the first channels
// of either are a slice with a leading dimension.
type param struct {
	name       string
	rows, cols int
	at         int       // where it begins in an arena
	value      []float32 // rows × cols
	decay      bool      // takes part in weight decay: not normalisation, not biases
	order      order     // how it is laid out in a weights file
}

// params holds all tensors in an arena, so that they are saved in one sweep.
type params struct {
	list  []*param
	value arena
}

// arena is memory with room for each of the params, which begin at multiples of
// 16: for their values, or for gradients or momentum.
type arena []float32

// of returns p's part of the arena, rows × cols.
func (a arena) of(p *param) []float32 { return a[p.at : p.at+p.rows*p.cols] }

// add declares a tensor. Its memory comes with alloc.
func (ps *params) add(name string, rows, cols int, decay bool, o order) *param {
	p := &param{name: name, rows: rows, cols: cols, decay: decay, order: o}
	ps.list = append(ps.list, p)
	return p
}

// alloc gives the declared tensors their memory.
func (ps *params) alloc() {
	n := 0
	for _, p := range ps.list {
		p.at = n
		n += pad16(p.rows * p.cols)
	}
	// Kernels read whole panels: the last tensor is followed by readable memory.
	ps.value = aligned(n + panelCols)[:n]
	for _, p := range ps.list {
		p.value = ps.value.of(p)
	}
}

// fill sets every element to v.
func (p *param) fill(v float32) {
	for i := range p.value {
		p.value[i] = v
	}
}

// normal draws every element from a normal distribution around 0.
func (p *param) normal(rng *rand.Rand, std float64) {
	for i := range p.value {
		p.value[i] = float32(float.Normal(rng) * std)
	}
}

// uniform draws every element from [-limit, limit).
func (p *param) uniform(rng *rand.Rand, limit float64) {
	for i := range p.value {
		p.value[i] = float32((2*float64(rng.Float64()) - 1) * limit)
	}
}

// identity makes a square matrix the identity.
func (p *param) identity() {
	p.fill(0)
	for i := range p.rows {
		p.value[i*p.cols+i] = 1
	}
}

// heStd is the standard deviation of He initialisation; fanOut counts outputs per input.
func heStd(fanOut int) float64 { return math.Sqrt(2 / float64(fanOut)) }

// SGD is stochastic gradient descent with momentum.
type SGD struct {
	Rate     float64
	Momentum float64
	Nesterov bool
	Decay    float64 // weight decay; not of normalisation and biases
}

// sgdTask updates tensors; each is one part.
type sgdTask struct {
	*params
	grad, momentum arena
	SGD
}

func (t *sgdTask) run(i int, s *scratch) {
	p := t.list[i]
	decay := float32(0)
	if p.decay {
		decay = float32(t.Decay)
	}
	s.sgd(p.value, t.grad.of(p), t.momentum.of(p), float32(t.Rate), float32(t.Momentum), decay, t.Nesterov)
}
