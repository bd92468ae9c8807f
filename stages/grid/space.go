package grid

import (
	"fmt"
	"math"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
)

// space is every assignment of a multiplier to each row of a backbone (the
// stem, the groups, the head) at one resolution, with what each row costs
// after each choice for the row before it.
type space struct {
	platform   raptor.Platform
	backbone   arch.Backbone
	rounding   arch.Rounding
	resolution int
	options    []float64       // multipliers, ascending
	parts      [][]raptor.Part // by row, then by choice of the row before × options + own choice
}

// options returns the multipliers from least to most.
func options(least, most, step float64) []float64 {
	var o []float64
	for i := 0; ; i++ {
		v := math.Round((least+float64(float64(i)*step))*1e9) / 1e9 // 0.9, not 0.8999999999999999
		if v > most+1e-9 {
			return o
		}
		o = append(o, v)
	}
}

// newSpace prices every row. A row that does not fit on the platform after some
// choice has no ways there, and takes part in no assignment.
func newSpace(p raptor.Platform, b arch.Backbone, r arch.Rounding, resolution int, options []float64) *space {
	s := &space{platform: p, backbone: b, rounding: r, resolution: resolution, options: options}
	s.parts = make([][]raptor.Part, len(b.Groups)+2)
	n := len(options)
	for row := range s.parts {
		s.parts[row] = make([]raptor.Part, n*n)
	}
	s.parts[0] = s.parts[0][:n]
	for even := range n {
		for odd := range n {
			s.price(even, odd)
		}
	}
	return s
}

// price prices the rows of a network whose even rows have one choice and whose odd rows
// another: each row after the other choice.
func (s *space) price(even, odd int) {
	w := make(arch.Widths, len(s.parts))
	for row := range w {
		w[row] = s.options[even]
		if row%2 == 1 {
			w[row] = s.options[odd]
		}
	}
	net := s.backbone.Scale(w, s.resolution, s.rounding)
	for row := range s.parts {
		own, before := even, odd
		if row%2 == 1 {
			own, before = odd, even
		}
		at := before*len(s.options) + own
		if row == 0 {
			at = own
		}
		from, to := net.Range(s.rowBlocks(row))
		s.parts[row][at], _ = s.platform.Part(net, from, to) // what does not fit has no ways
	}
}

// rowBlocks returns the first and the last block of a row.
func (s *space) rowBlocks(row int) (first, last string) {
	switch groups := len(s.backbone.Groups); row {
	case 0:
		return "stem", "stem"
	case groups + 1:
		return "head", "classifier"
	}
	return fmt.Sprintf("g%d.b1", row), fmt.Sprintf("g%d.b%d", row, s.backbone.Groups[row-1].Repeats)
}

// size returns the number of assignments.
func (s *space) size() int {
	n := 1
	for range s.parts {
		n *= len(s.options)
	}
	return n
}

// widths returns the assignment of an index, whose digits in base
// len(options) are the choices, the stem's first.
func (s *space) widths(index int) arch.Widths {
	w := make(arch.Widths, len(s.parts))
	for row := len(w) - 1; row >= 0; row-- {
		w[row] = s.options[index%len(s.options)]
		index /= len(s.options)
	}
	return w
}
