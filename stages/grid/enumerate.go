package grid

import (
	"context"
	"math"
	"sync"

	"eyrie/pipeline"
	"eyrie/stages/raptor"
)

// point is one assignment with what it costs.
type point struct {
	index   int // see space.widths
	macs    int64
	params  int64
	largest int64 // weights of the largest layer that is not fully connected
	mu      float64
	cycles  float64
}

// places are those of the map between two rows.
const places = 3

// prefix is the rows chosen so far.
type prefix struct {
	index, choice int
	macs, params  int64
	largest       int64
	npu           float64
	cycles, sys   [places]float64 // least cycles by place of the result, and the SYS cycles among them
}

// tasks returns into how many parts the enumeration is divided, and how many
// rows each of them fixes: enough to keep all threads busy to the end, and for
// none to take long.
func (s *space) tasks() (n, rows int) {
	want := max(64, s.size()/100_000)
	for n = 1; n < want && rows < len(s.parts)-1; rows++ {
		n *= len(s.options)
	}
	return n, rows
}

// enumerate visits every assignment that fits in the local memory. Several
// goroutines do so, task by task, and visit is told which task it is called
// for: within one, indices ascend, and over all tasks in turn, too. What they
// found can so be combined in an order that does not depend on the threads.
func (s *space) enumerate(ctx context.Context, supported bool, visit func(task int, p point)) error {
	total, depth := s.tasks()
	next := make(chan int)
	var group sync.WaitGroup
	for range pipeline.CPUs(ctx) {
		group.Go(func() {
			for task := range next {
				if start, ok := s.start(task, depth, supported); ok {
					s.extend(&start, depth, supported, func(p point) { visit(task, p) })
				}
			}
		})
	}
	var err error
	for task := 0; task < total && err == nil; task++ {
		select {
		case next <- task:
			pipeline.Report(ctx, pipeline.Progress{Done: float64(task + 1), Total: float64(total), Unit: "parts"})
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	close(next)
	group.Wait()
	return err
}

// start chooses the first rows as the task's digits say.
func (s *space) start(task, depth int, supported bool) (prefix, bool) {
	p := prefix{cycles: [places]float64{raptor.OnChip: math.Inf(1), raptor.Both: math.Inf(1)}}
	choices := make([]int, depth)
	for row := depth - 1; row >= 0; row-- {
		choices[row] = task % len(s.options)
		task /= len(s.options)
	}
	for row, choice := range choices {
		next, ok := s.follow(&p, row, choice, supported)
		if !ok {
			return p, false
		}
		p = next
	}
	return p, true
}

// follow adds a row. ok is false where it does not fit.
func (s *space) follow(p *prefix, row, choice int, supported bool) (q prefix, ok bool) {
	n := len(s.options)
	part := &s.parts[row][choice]
	if row > 0 {
		part = &s.parts[row][p.choice*n+choice]
	}
	if supported && part.Oversize > 0 {
		return q, false
	}
	q = prefix{index: p.index*n + choice, choice: choice, macs: p.macs + part.MACs, params: p.params + part.Params,
		largest: max(p.largest, part.Largest), npu: p.npu + part.NPU}
	for out := range q.cycles {
		best := p.cycles[0] + part.Ways[0][out].Cycles
		from := 0
		for in := 1; in < places; in++ {
			if c := p.cycles[in] + part.Ways[in][out].Cycles; c < best {
				best, from = c, in
			}
		}
		q.cycles[out], q.sys[out] = best, p.sys[from]+part.Ways[from][out].SYS
		ok = ok || !math.IsInf(best, 1)
	}
	return q, ok
}

// extend visits every assignment that begins with the prefix.
func (s *space) extend(p *prefix, row int, supported bool, visit func(point)) {
	for choice := range s.options {
		q, ok := s.follow(p, row, choice, supported)
		switch {
		case !ok:
		case row+1 < len(s.parts):
			s.extend(&q, row+1, supported, visit)
		default:
			visit(point{index: q.index, macs: q.macs, params: q.params, largest: q.largest,
				mu: q.npu / q.sys[raptor.Stored], cycles: q.cycles[raptor.Stored]})
		}
	}
}
