package raptor

import "math"

// Order is the nesting of the loops over tiles, outermost first: "h" over
// output rows, "c" over output channels, "i" over input channels. An operand
// that the innermost loop does not index stays in the local memory meanwhile.
type Order string

// The orders that the tiler chooses from. With "i" innermost partial sums stay
// in the local memory; with "i" outermost they travel.
const (
	Untiled  Order = "untiled" // one tile: nothing is read twice
	RowsOut  Order = "h c"     // weights are read again for each row tile
	ChansOut Order = "c h"     // the input is read again for each channel tile
	SumIn    Order = "h c i"   // input channels innermost: both are read again
	SumOutC  Order = "i c h"   // partial sums travel, weights are read once
	SumOutH  Order = "i h c"   // partial sums travel, the input is read once
)

// psum is the size of a partial sum in bytes: int32.
const psum = 4

// Schedule is how a layer runs: its tile, the order of the loops, and the
// bytes that this moves between the local memory and the rest.
type Schedule struct {
	Rows     int   `json:"rows" doc:"output rows of a tile"`
	Channels int   `json:"channels" doc:"output channels of a tile"`
	Inputs   int   `json:"inputs" doc:"input channels of a tile"`
	Order    Order `json:"order" doc:"loops over tiles, outermost first: h rows, c output channels, i input channels"`
	Tiles    int   `json:"tiles" doc:"how many tiles"`
	Memory   int   `json:"memory" unit:"bytes" doc:"local memory that the layer occupies, weights included"`
	In       int   `json:"in" unit:"bytes" doc:"activations read, halo and repeats included"`
	Out      int   `json:"out" unit:"bytes" doc:"activations written"`
	Weights  int   `json:"weights" unit:"bytes" doc:"weights and biases read, repeats included"`
	Partial  int   `json:"partial" unit:"bytes" doc:"partial sums written and read again"`
}

// Activations returns the bytes of activations and partial sums moved.
func (s *Schedule) Activations() int { return s.In + s.Out + s.Partial }

// room is what a layer finds: the local memory left by maps that stay for
// others, and which of its own maps are or remain there.
type room struct {
	memory  int  // bytes for the layer's maps and, unless split, its weights
	weights int  // bytes for weights where they have their own memory; 0: shared
	chip    int  // operands that are in the local memory already
	keep    bool // an operand that is read must stay as a whole
	outChip bool // the result stays in the local memory, whole
	store   bool // the result is written out
}

// schedule finds the cheapest schedule of the window in the room, by SYS
// cycles, and reports whether there is any. Holding everything at once is the
// cheapest where it fits: nothing is read twice.
func (p *Platform) schedule(g *window, r *room, best *Schedule) bool {
	if g.fits(r) {
		*best = g.whole(r)
		return true
	}
	if r.keep {
		return false
	}
	s := tiler{window: g, room: r, buffers: 1, p: p, best: best, cost: math.Inf(1)}
	if p.DoubleBuffer {
		s.buffers = 2
	}
	s.tiled()
	return !math.IsInf(s.cost, 1)
}

// fits reports whether the layer can run untiled in the room.
func (g *window) fits(r *room) bool {
	maps := g.operands*g.in + g.out
	if r.weights > 0 {
		return maps <= r.memory && g.w <= r.weights
	}
	return maps+g.w <= r.memory
}

// moved returns the bytes of activations that the layer moves untiled.
func (g *window) moved(r *room) (in, out int) {
	in = (g.operands - r.chip) * g.used
	if r.keep { // what no window touches may be for another reader
		in = (g.operands - r.chip) * g.in
	}
	if r.store {
		out = g.out
	}
	return in, out
}

// whole returns the schedule of the layer untiled.
func (g *window) whole(r *room) Schedule {
	in, out := g.moved(r)
	return Schedule{Rows: g.ho, Channels: g.co, Inputs: g.ci, Order: Untiled, Tiles: 1,
		Memory: g.operands*g.in + g.out + g.w, In: in, Out: out, Weights: g.w}
}

// tiler finds the best schedule of one layer that does not fit as a whole.
type tiler struct {
	*window
	*room
	buffers int // 1, or 2 for double buffering
	p       *Platform

	best *Schedule
	cost float64 // SYS cycles of best; +Inf while there is none
}

// stored returns the bytes of the result that are written out.
func (s *tiler) stored() int {
	if s.store {
		return s.out
	}
	return 0
}

// try takes the schedule if it fits, with weights bytes of weights, and is cheaper than
// the best so far.
func (s *tiler) try(c Schedule, weights int) {
	if s.weights > 0 {
		if weights > s.weights || c.Memory-weights > s.memory {
			return
		}
	} else if c.Memory > s.memory {
		return
	}
	cost := s.p.transfer(c.Activations(), c.Weights, c.Tiles)
	if cost < s.cost {
		*s.best, s.cost = c, cost
	}
}

// tiled tries every tile that is worth trying: each distinct number of row
// tiles with the largest channel tile that fits beside it.
func (s *tiler) tiled() {
	for n := 1; n <= s.ho; {
		th := ceilDiv(s.ho, n)
		if read := s.operands - s.chip; s.p.transfer(s.readRows(th)*s.wi*s.ci*read+s.stored(), s.w, ceilDiv(s.ho, th)) < s.cost {
			if s.kind == dense {
				s.dense(th)
			} else {
				s.planar(th)
			}
		}
		if th == 1 {
			break
		}
		n = ceilDiv(s.ho, th-1) // the next count with a smaller tile
	}
}

// resident returns the bytes of the maps that are in the local memory whole.
func (s *tiler) resident() int {
	b := s.chip * s.in
	if s.outChip {
		b += s.out
	}
	return b
}

// channels returns the largest channel tile that fits, 0 if none does: it takes fixed
// bytes and, for each channel, maps and weights bytes.
func (s *tiler) channels(fixed, maps, weights int) int {
	n := s.co
	if s.weights == 0 {
		maps += weights
	} else if weights > 0 {
		n = min(n, s.weights/weights)
	}
	if fixed > s.memory {
		return 0
	}
	if maps > 0 {
		n = min(n, (s.memory-fixed)/maps)
	}
	return n
}

// planar tries tiles of th rows by as many channels as fit.
func (s *tiler) planar(th int) {
	read := s.operands - s.chip
	perMap := read * s.wi * s.tileRows(th)
	if !s.outChip {
		perMap += s.wo * th
	}
	weights := s.perWeight + s.bias
	fit := s.channels(s.resident(), s.buffers*perMap, weights)
	if fit < 1 {
		return
	}
	nc := ceilDiv(s.co, fit)
	tc := ceilDiv(s.co, nc)
	s.try(Schedule{Rows: th, Channels: tc, Inputs: tc, Order: ChansOut, Tiles: nc * ceilDiv(s.ho, th),
		Memory: s.resident() + tc*(s.buffers*perMap+weights),
		In:     read * s.readRows(th) * s.wi * s.ci, Out: s.stored(), Weights: s.w}, tc*weights)
}

// dense tries tiles of th rows by as many output channels as fit, over all
// input channels at once and over parts of them.
func (s *tiler) dense(th int) {
	rows, read := s.tileRows(th), s.operands-s.chip
	input := s.readRows(th) * s.wi * s.ci * read
	outTile := 0 // bytes of the output tile per channel
	if !s.outChip {
		outTile = s.buffers * s.wo * th
	}
	nh := ceilDiv(s.ho, th)
	for n := 1; n <= s.ci; {
		ci := ceilDiv(s.ci, n)
		ni := ceilDiv(s.ci, ci)
		if s.p.transfer(input+s.stored(), s.w, nh*ni) >= s.cost {
			break // more parts only cost more tiles
		}
		s.split(th, ci, nh, ni, rows*s.wi*read, outTile, input)
		if ci == 1 {
			break
		}
		n = ceilDiv(s.ci, ci-1)
	}
}

// split tries tiles of th rows, ci input channels and as many output channels
// as fit, in every order.
func (s *tiler) split(th, ci, nh, ni, inTile, outTile, input int) {
	perChannel := s.perWeight*ci + s.bias
	if ni > 1 {
		outTile += psum * s.wo * th
	}
	fixed := s.resident() + s.buffers*ci*inTile
	fit := s.channels(fixed, outTile, perChannel)
	if fit < 1 {
		return
	}
	nc := ceilDiv(s.co, fit)
	tc := ceilDiv(s.co, nc)
	c := Schedule{Rows: th, Channels: tc, Inputs: ci, Tiles: nh * nc * ni, Memory: fixed + tc*(outTile+perChannel), Out: s.stored()}
	again := func(order Order, in, w, partial int) {
		c.Order, c.In, c.Weights, c.Partial = order, in*input, w*s.w, partial
		s.try(c, tc*perChannel)
	}
	if ni == 1 {
		again(RowsOut, 1, repeat(nh, nc), 0)
		again(ChansOut, repeat(nc, nh), 1, 0)
		return
	}
	again(SumIn, nc, nh, 0)
	sums := 2 * (ni - 1) * psum * s.out
	again(SumOutC, repeat(nc, nh), 1, sums)
	again(SumOutH, 1, repeat(nh, nc), sums)
}

// repeat returns how often an operand is read that the outer of two loops does
// not index: once per outer iteration, unless the inner loop has but one.
func repeat(outer, inner int) int {
	if inner == 1 {
		return 1
	}
	return outer
}
