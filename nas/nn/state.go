package nn

import (
	"fmt"
	"math"
	"slices"

	"eyrie/nas/arch"
)

// State returns the weights.
func (s *Supernet) State() []byte {
	return appendFloats(make([]byte, 0, 4*len(s.ps.value)), s.ps.value)
}

// SetState sets the weights to those in b: what State returned for a supernet of
// the same space, or for its trainer, whose momentum is left out.
func (s *Supernet) SetState(b []byte) error {
	n := 4 * len(s.ps.value)
	if len(b) != n && len(b) != 2*n {
		return fmt.Errorf("a state of %d bytes, want %d", len(b), n)
	}
	copy(s.ps.value, floats(b[:n]))
	s.changed()
	return nil
}

// State returns everything that training changes: weights and momentum.
func (t *Trainer) State() []byte {
	b := make([]byte, 0, 4*(len(t.net.ps.value)+len(t.sgd.momentum)))
	return appendFloats(appendFloats(b, t.net.ps.value), t.sgd.momentum)
}

// SetState sets what State returned, of a trainer of a supernet of the same
// space, and clears the gradients.
func (t *Trainer) SetState(b []byte) error {
	n := 4 * len(t.sgd.momentum)
	if len(b) != 2*n {
		return fmt.Errorf("a state of %d bytes, want %d", len(b), 2*n)
	}
	copy(t.sgd.momentum, floats(b[n:]))
	clear(t.sgd.grad)
	return t.net.SetState(b)
}

// SortChannels reorders the middle channels of each elastic block, and their
// momentum, so that the most important come first: those with the largest L1
// norm of the projection's weights over them. Channels stay within the bands that
// the widths of the given expansions bound, so that the subnets of these
// expansions do not change.
func (t *Trainer) SortChannels(expansions []int) {
	for _, g := range t.net.groups {
		for _, b := range g {
			if b.expand != nil {
				var ends []int
				for _, x := range expansions {
					ends = append(ends, arch.Middle(b.in, x))
				}
				b.reorder(b.order(ends), t.net.ps.value, t.sgd.momentum)
			}
		}
	}
	t.net.changed()
}

// order returns the middle channels by their importance within bands that end at
// the given channels.
func (b *bottleneck) order(ends []int) []int {
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
	return order
}

// reorder makes middle channel i what channel order[i] was, in each of the arenas.
func (b *bottleneck) reorder(order []int, arenas ...arena) {
	for _, a := range arenas {
		for _, u := range []*unit{b.expand, b.depthwise} {
			for _, p := range []*param{u.weight, u.gamma, u.beta} {
				permuteCols(p, a.of(p), order)
			}
		}
		permuteRows(b.project.weight, a.of(b.project.weight), order)
	}
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
