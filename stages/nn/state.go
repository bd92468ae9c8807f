package nn

import (
	"fmt"
	"math"
	"slices"

	"eyrie/stages/arch"
)

// State returns everything that training changes: weights and momentum.
func (s *Supernet) State() []byte {
	b := make([]byte, 0, 4*(len(s.ps.value)+len(s.ps.momentum)))
	return appendFloats(appendFloats(b, s.ps.value), s.ps.momentum)
}

// SetState sets what State returned, of a supernet of the same space.
func (s *Supernet) SetState(b []byte) error {
	n := 4 * len(s.ps.value)
	if len(b) != 2*n {
		return fmt.Errorf("a state of %d bytes, want %d", len(b), 2*n)
	}
	copy(s.ps.value, floats(b[:n]))
	copy(s.ps.momentum, floats(b[n:]))
	clear(s.ps.grad)
	s.fresh = false
	return nil
}

// Clone returns a supernet with the same weights.
func (s *Supernet) Clone() *Supernet {
	c := build(s.space)
	copy(c.ps.value, s.ps.value)
	copy(c.ps.momentum, s.ps.momentum)
	for i, l := range s.all() {
		to := c.all()[i]
		copy(to.runMean, l.runMean)
		copy(to.runVar, l.runVar)
	}
	return c
}

// SortChannels reorders the middle channels of each elastic block so that the
// most important come first: those with the largest L1 norm of the
// projection's weights over them. Channels stay within the bands that the
// widths of the given expansions bound, so that the subnets of these
// expansions do not change.
func (s *Supernet) SortChannels(expansions []int) {
	for _, g := range s.groups {
		for _, b := range g {
			if b.expand != nil {
				var ends []int
				for _, t := range expansions {
					ends = append(ends, arch.Middle(b.in, t))
				}
				b.sort(ends)
			}
		}
	}
	s.fresh = false
}

// sort reorders the block's middle channels within bands that end at the given
// channels.
func (b *block) sort(ends []int) {
	mid := b.project.maxIn
	norm := make([]float64, mid)
	for c := range norm {
		for _, w := range b.project.weight.value[c*b.project.maxOut:][:b.project.maxOut] {
			norm[c] += math.Abs(float64(w))
		}
	}
	order := make([]int, mid)
	for i := range order {
		order[i] = i
	}
	from := 0
	for _, to := range append(ends, mid) {
		if to = min(to, mid); to > from {
			slices.SortStableFunc(order[from:to], func(i, j int) int {
				switch {
				case norm[i] > norm[j]:
					return -1
				case norm[i] < norm[j]:
					return 1
				}
				return 0
			})
			from = to
		}
	}
	for _, l := range []*layer{b.expand, b.depthwise} {
		for _, p := range []*param{l.weight, l.gamma, l.beta} {
			permuteCols(p, p.value, order)
			permuteCols(p, p.momentum, order)
		}
	}
	permuteRows(b.project.weight, b.project.weight.value, order)
	permuteRows(b.project.weight, b.project.weight.momentum, order)
}

// permuteCols makes column i of v what column order[i] was.
func permuteCols(p *param, v []float32, order []int) {
	old := make([]float32, p.cols)
	for r := range p.rows {
		row := v[r*p.cols : (r+1)*p.cols]
		copy(old, row)
		for i, j := range order {
			row[i] = old[j]
		}
	}
}

// permuteRows makes row i of v what row order[i] was.
func permuteRows(p *param, v []float32, order []int) {
	old := slices.Clone(v)
	for i, j := range order {
		copy(v[i*p.cols:(i+1)*p.cols], old[j*p.cols:])
	}
}
