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

// rest is what a layer's time holds beside what its schedule moves.
type rest struct {
	npu   float64 // NPU cycles
	extra float64 // SYS cycles whatever the schedule: of a layer beyond the weight limit
}

// time returns the cycles of a schedule.
func (p *Platform) time(o *rest, s *Schedule) float64 {
	return p.cycles(o.npu, o.extra+p.transfer(s.Activations(), s.Weights, s.Tiles), s.Tiles)
}

// schedule finds the fastest schedule of the window in the room and reports whether
// there is any. Where computing waits for transfers that is the one of the fewest SYS
// cycles: the whole layer at once where it fits, as nothing is read twice. With double
// buffering a layer that fits may be cut all the same, to overlap. The schedules that
// are compared are then all that fit, so that more memory only adds to them.
func (p *Platform) schedule(g *window, r *room, o rest, best *Schedule) bool {
	s := tiler{window: g, room: r, rest: o, buffers: p.buffers(), p: p, best: best, cost: math.Inf(1)}
	if g.fits(r) {
		*best = g.whole(r)
		if !p.DoubleBuffer {
			return true
		}
		s.cost = p.time(&o, best)
	}
	if !r.keep {
		s.tiled()
	}
	return !math.IsInf(s.cost, 1)
}

// buffers returns how many buffers there are for whatever a tile moves.
func (p *Platform) buffers() int {
	if p.DoubleBuffer {
		return 2
	}
	return 1
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

// tiler finds the fastest schedule of one layer that is cut into tiles.
type tiler struct {
	*window
	*room
	rest
	buffers int // 1, or 2 for double buffering
	p       *Platform

	best *Schedule
	cost float64 // cycles of best; +Inf while there is none
}

// stored returns the bytes of the result that are written out.
func (s *tiler) stored() int {
	if s.store {
		return s.out
	}
	return 0
}

// try takes the schedule if it fits, with weights bytes of weights, and is faster than
// the best so far.
func (s *tiler) try(c *Schedule, weights int) {
	if s.weights > 0 {
		if weights > s.weights || c.Memory-weights > s.memory {
			return
		}
	} else if c.Memory > s.memory {
		return
	}
	if cost := s.p.time(&s.rest, c); cost < s.cost {
		*s.best, s.cost = *c, cost
	}
}

// hopeless reports whether no schedule of at least so many tiles that moves at least
// these bytes is faster than the best so far.
func (s *tiler) hopeless(activations, weights, tiles int) bool {
	return s.p.least(s.npu, s.extra+s.p.transfer(activations, weights, 0), tiles) >= s.cost
}

// tiled tries each distinct number of row tiles.
func (s *tiler) tiled() {
	read := s.operands - s.chip
	for n := 1; n <= s.ho; {
		th := ceilDiv(s.ho, n)
		nh := ceilDiv(s.ho, th)
		if s.hopeless(s.used*read+s.stored(), s.w, nh) {
			return // more tiles only take longer
		}
		if !s.hopeless(s.readRows(th)*s.wi*s.ci*read+s.stored(), s.w, nh) {
			if s.kind == dense {
				s.dense(th, nh)
			} else {
				s.planar(th, nh)
			}
		}
		if th == 1 {
			return
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

// cut is how a layer is cut, but for the number of parts of its output channels.
type cut struct {
	Schedule
	nh, ni  int // parts of its rows and of its input channels
	input   int // bytes of input that all row tiles read together
	maps    int // bytes of maps in the local memory for each output channel of a tile, beside Memory
	filters int // bytes of weights for each output channel of a tile
}

// planar tries tiles of th rows.
func (s *tiler) planar(th, nh int) {
	read := s.operands - s.chip
	c := cut{nh: nh, ni: 1, input: read * s.readRows(th) * s.wi * s.ci, filters: s.perWeight + s.bias}
	c.maps = s.buffers * read * s.wi * s.tileRows(th)
	if !s.outChip {
		c.maps += s.buffers * s.wo * th
	}
	c.Rows, c.Memory, c.Out = th, s.resident(), s.stored()
	if tc := s.channels(&c); tc > 0 {
		s.order(&c, ChansOut, tc)
	}
}

// dense tries tiles of th rows over all input channels at once and over each distinct
// number of parts of them.
func (s *tiler) dense(th, nh int) {
	rows, read := s.tileRows(th), s.operands-s.chip
	input := s.readRows(th) * s.wi * s.ci * read
	outTile := 0 // bytes of the output tile per channel
	if !s.outChip {
		outTile = s.buffers * s.wo * th
	}
	for n := 1; n <= s.ci; {
		ci := ceilDiv(s.ci, n)
		ni := ceilDiv(s.ci, ci)
		c := cut{nh: nh, ni: ni, input: input, maps: outTile, filters: s.perWeight*ci + s.bias}
		c.Rows, c.Inputs, c.Memory, c.Out = th, ci, s.resident()+s.buffers*ci*rows*s.wi*read, s.stored()
		if ni == 1 {
			s.inputs(&c)
		} else if !s.sums(&c) {
			return // more parts only cost more
		}
		if ci == 1 {
			return
		}
		n = ceilDiv(s.ci, ci-1)
	}
}

// inputs tries the orders over all input channels at once.
func (s *tiler) inputs(c *cut) {
	if s.hopeless(c.input+c.Out, s.w, c.nh) {
		return
	}
	if tc := s.channels(c); tc > 0 {
		s.order(c, RowsOut, tc)
		s.order(c, ChansOut, tc)
	}
}

// sums tries the orders over parts of the input channels, and reports whether more
// parts may be worth it.
func (s *tiler) sums(c *cut) bool {
	sum, parts := psum*s.wo*c.Rows, c.nh*c.ni
	c.maps += sum
	stay := !s.hopeless(c.input+c.Out, c.nh*s.w, parts)
	if stay {
		if tc := s.channels(c); tc > 0 {
			s.order(c, SumIn, tc)
		}
	}
	c.Partial = 2 * (c.ni - 1) * psum * s.out
	if s.hopeless(c.input+c.Out+c.Partial, s.w, parts) {
		return stay
	}
	if s.buffers == 2 {
		c.maps += sum // some are moved while others are computed
	}
	if tc := s.channels(c); tc > 0 {
		s.order(c, SumOutC, tc)
		s.order(c, SumOutH, tc)
	}
	return true
}

// channels returns the largest channel tile that fits, 0 if none does.
func (s *tiler) channels(c *cut) int {
	if s.buffers > 1 && c.ni == 1 { // one part has the same weights in all tiles, and needs one buffer for them
		if n := s.fitting(c, c.filters); n == s.co {
			return n
		}
	}
	return s.fitting(c, s.buffers*c.filters)
}

// fitting returns the largest channel tile that fits if a channel has so many bytes of
// weights in the local memory.
func (s *tiler) fitting(c *cut, weights int) int {
	n, maps := s.co, c.maps
	if s.weights == 0 {
		maps += weights
	} else if weights > 0 {
		n = min(n, s.weights/weights)
	}
	if c.Memory > s.memory {
		return 0
	}
	if maps > 0 {
		n = min(n, (s.memory-c.Memory)/maps)
	}
	return n
}

// order tries the loops in an order, with channel tiles of at most most: the largest
// of them if there is one buffer, as smaller ones only cost more. With two, the time
// has one minimum in the number of parts (turn) from two parts on.
func (s *tiler) order(c *cut, order Order, most int) {
	nc := ceilDiv(s.co, most)
	c.Order = order
	if s.buffers == 1 {
		s.part(c, ceilDiv(s.co, nc))
		return
	}
	if nc == 1 {
		s.part(c, s.co)
		if most = min(s.co-1, s.fitting(c, s.buffers*c.filters)); most < 1 {
			return
		}
	}
	// The input that is read is linear in the number of parts.
	in2, weights := s.repeats(c, 2)
	in3, _ := s.repeats(c, 3)
	each := (in3 - in2) * c.input
	base := s.extra + s.p.transfer(in2*c.input-2*each+c.Out+c.Partial, weights*s.w, 0)
	at := turn(s.npu, base, s.p.transfer(each, 0, c.nh*c.ni), float64(c.nh*c.ni))
	below := 1 // the tile of the most parts that are not beyond the minimum
	if at < float64(s.co) {
		below = ceilDiv(s.co, max(1, int(at)))
	}
	s.part(c, min(below, most))
	if below > 1 && below <= most {
		s.part(c, below-1)
	}
}

// part tries channel tiles of tc.
func (s *tiler) part(c *cut, tc int) {
	nc := ceilDiv(s.co, tc)
	tc = ceilDiv(s.co, nc)
	filters := c.filters * tc
	if nc > 1 || c.ni > 1 {
		filters *= s.buffers
	}
	t := c.Schedule
	t.Channels, t.Tiles = tc, c.nh*nc*c.ni
	if s.kind != dense {
		t.Inputs = tc
	}
	t.Memory += tc*c.maps + filters
	in, weights := s.repeats(c, nc)
	t.In, t.Weights = in*c.input, weights*s.w
	s.try(&t, filters)
}

// repeats returns how often the input and the weights are read with nc channel parts:
// an operand that the outer of two loops does not index once per outer iteration,
// unless the inner loop has but one.
func (s *tiler) repeats(c *cut, nc int) (input, weights int) {
	input, weights = 1, 1
	switch c.Order {
	case RowsOut, SumOutH:
		if nc > 1 {
			weights = c.nh
		}
	case ChansOut, SumOutC:
		if s.kind == dense && c.nh > 1 {
			input = nc
		}
	case SumIn:
		input, weights = nc, c.nh
	}
	return input, weights
}

// footprint is what a tile takes of the local memory, in bytes.
type footprint struct{ maps, weights int }

// smallest returns what the smallest tiles take with nothing else in the local memory:
// whole, and a row of one or all channels of one or all inputs. One of them takes the
// least, as one part of everything needs fewer buffers, and no partial sums.
func (g *window) smallest(buffers int) []footprint {
	all := []footprint{{g.operands*g.in + g.out, g.w}}
	row, result := buffers*g.operands*g.wi*g.tileRows(1), g.wo
	for _, tc := range []int{1, g.co} {
		if g.kind != dense {
			all = append(all, footprint{tc * (row + buffers*result), again(buffers, tc < g.co) * tc * (g.perWeight + g.bias)})
			continue
		}
		for _, ci := range []int{1, g.ci} {
			sums := 0
			if ci < g.ci {
				sums = psum * tc * result
			}
			all = append(all, footprint{ci*row + tc*buffers*result + sums, again(buffers, tc < g.co || ci < g.ci) * tc * (g.perWeight*ci + g.bias)})
		}
	}
	return all
}

// again returns how many buffers there are for weights, of which one is enough unless
// they change from tile to tile.
func again(buffers int, change bool) int {
	if change {
		return buffers
	}
	return 1
}
