package grid

import (
	"context"

	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// point is one assignment with what it costs.
type point struct {
	index   int // see space.widths
	macs    int64
	params  int64
	largest int64 // weights of the largest layer that is not fully connected
	mu      float64
	cycles  float64
	memory  int // most bytes of local memory occupied
}

// prefix is the rows chosen so far.
type prefix struct {
	index, choice int
	macs, params  int64
	largest       int64
	npu           float64
	ways          raptor.Prefix
}

// shares returns the number of shares into which the enumeration is divided, and the
// number of rows that each of them fixes. There are enough to keep all threads busy to
// the end, and none takes long.
func (s *space) shares() (n, rows int) {
	want := max(64, s.size()/100_000)
	for n = 1; n < want && rows < len(s.parts)-1; rows++ {
		n *= len(s.options)
	}
	return n, rows
}

// enumerate visits every assignment that fits in the local memory. Several
// goroutines do so, share by share. Indices ascend within a share and from share to
// share, so that a visit that keeps its findings by share can combine them in an order
// that does not depend on the threads.
func (s *space) enumerate(ctx context.Context, task *pipeline.Task, supported bool, visit func(share int, p point)) error {
	total, depth := s.shares()
	return task.Each(ctx, total, pipeline.Progress{Unit: "parts"}, func(share int) {
		stack := make([]prefix, len(s.parts)+1)
		if s.start(stack, share, depth, supported) {
			s.extend(stack, depth, supported, func(p point) { visit(share, p) })
		}
	})
}

// start chooses the first rows as the share's digits say. stack[row] holds the
// choices for the rows before row.
func (s *space) start(stack []prefix, share, depth int, supported bool) bool {
	stack[0] = prefix{ways: raptor.Start()}
	for row, unit := 0, pow(len(s.options), depth-1); row < depth; row++ {
		if !s.follow(&stack[row], &stack[row+1], row, share/unit%len(s.options), supported) {
			return false
		}
		unit = max(1, unit/len(s.options))
	}
	return true
}

func pow(n, k int) int {
	p := 1
	for range k {
		p *= n
	}
	return p
}

// follow sets q to p with one more row, and reports whether that fits.
func (s *space) follow(p, q *prefix, row, choice int, supported bool) bool {
	n := len(s.options)
	part := &s.parts[row][choice]
	if row > 0 {
		part = &s.parts[row][p.choice*n+choice]
	}
	if supported && part.Oversize > 0 {
		return false
	}
	q.index, q.choice = p.index*n+choice, choice
	q.macs, q.params, q.npu = p.macs+part.MACs, p.params+part.Params, p.npu+part.NPU
	q.largest = max(p.largest, part.Largest)
	q.ways.Extend(&p.ways, part)
	return q.ways.Fits()
}

// extend visits every assignment that begins with the choices in stack[row].
func (s *space) extend(stack []prefix, row int, supported bool, visit func(point)) {
	q := &stack[row+1]
	for choice := range s.options {
		switch {
		case !s.follow(&stack[row], q, row, choice, supported):
		case row+1 < len(s.parts):
			s.extend(stack, row+1, supported, visit)
		default:
			way := &q.ways[raptor.Stored]
			visit(point{index: q.index, macs: q.macs, params: q.params, largest: q.largest, mu: raptor.Mu(q.npu, way.SYS), cycles: way.Cycles, memory: way.Peak})
		}
	}
}
