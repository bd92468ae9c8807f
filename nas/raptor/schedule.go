package raptor

import (
	"math"
	"sort"
)

// Order is the nesting of the loops over tiles, outermost first: "h" over
// output rows, "c" over output channels, "i" over input channels. Where a group of
// channels is cut, a loop over the groups is around all of them. An operand
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
	memory  int      // bytes for the layer's maps and, unless split, its weights
	weights int      // bytes for weights where they have their own memory; 0: shared
	chip    operands // those that are in the local memory already
	keep    bool     // an operand that is read must stay as a whole
	outChip bool     // the result stays in the local memory, whole
	store   bool     // the result is written out
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
	if g.view {
		*best = Schedule{Order: Untiled}
		return true
	}
	s := tiler{window: g, room: r, rest: o, buffers: p.buffers(), p: p, best: best, cost: math.Inf(1)}
	s.billed = g.spills && !g.free && (p.Rereads || p.TileCost > 0)
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
	if r.weights > 0 {
		return g.in+g.out <= r.memory && g.w <= r.weights
	}
	return g.in+g.out+g.w <= r.memory
}

// moved returns the bytes of activations that the layer moves untiled.
func (g *window) moved(r *room) (in, out int) {
	for i := range g.read {
		switch o := &g.operands[i]; {
		case o.on(r.chip):
		case r.keep: // what no window touches may be for another reader
			in += o.size
		default:
			in += o.used
		}
	}
	if r.store {
		out = g.out
	}
	return in, out
}

// whole returns the schedule of the layer untiled.
func (g *window) whole(r *room) Schedule {
	in, out := g.moved(r)
	return Schedule{Rows: g.ho, Channels: g.groups * g.co, Inputs: g.groups * g.ci, Order: Untiled, Tiles: 1,
		Memory: g.in + g.out + g.w, In: in, Out: out, Weights: g.w}
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

	billed bool // schedules are compared by what they are charged, see [tiler.bill]

	result  int // bytes of the result that are written out
	least   int // fewest bytes of activations moved
	onChip  int // bytes of the maps that are in the local memory whole
	filters int // bytes of a map that stands for weights, and is read
}

// start sets what all schedules have in common.
func (s *tiler) start() {
	if s.store {
		s.result = s.out
	}
	s.least = s.result
	if s.outChip {
		s.onChip = s.out
	}
	for i := range s.read {
		switch o := &s.operands[i]; {
		case o.on(s.chip):
			s.onChip += o.size
		case i == 1 && s.mapped:
			s.filters = o.size
			s.least += o.size
		default:
			s.least += o.used
		}
	}
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
	if cost := s.time(c); cost < s.cost {
		*s.best, s.cost = *c, cost
	}
}

// hopeless reports that no schedule with at least this number of tiles and of bytes moved can
// be faster than the best so far.
func (s *tiler) hopeless(activations, weights, tiles int) bool {
	if s.billed {
		return s.bill(activations, weights, tiles) >= s.cost
	}
	return s.p.least(s.npu, s.extra+s.p.transfer(activations, weights, 0), tiles) >= s.cost
}

// time returns what a schedule is compared by.
func (s *tiler) time(c *Schedule) float64 {
	if s.billed {
		return s.bill(c.Activations(), c.Weights, c.Tiles)
	}
	return s.p.time(&s.rest, c)
}

// bill returns the cycles that a layer is charged with policy spill, which is not for all
// that its schedule moves. Of schedules that are charged alike the one that moves least is
// taken, by a part of the cycles too small to show.
func (s *tiler) bill(activations, weights, tiles int) float64 {
	m := s.p.bill(s.window, moved{activations: activations, weights: weights, tiles: tiles})
	const tie = 1e-10
	return s.npu + s.extra + s.p.sys(m) - s.p.hidden(s.npu, m) + float64(tie*s.p.transfer(activations, weights, tiles))
}

// tiled tries tiles of each number of rows that is worth it: of those that make as many
// tiles the least, as it takes the least room, and those that share fewer rows with their
// neighbours.
func (s *tiler) tiled() {
	s.start()
	for n := 1; n <= s.ho; {
		th := ceilDiv(s.ho, n)
		nh := ceilDiv(s.ho, th)
		if s.hopeless(s.least, s.w, nh) {
			return // more tiles only take longer
		}
		s.row(th, nh)
		if nh > 1 {
			above := ceilDiv(s.ho, nh-1) // the least tile of fewer
			for more := th + 1; more < above; more++ {
				if s.shares(more, nh) {
					s.row(more, nh)
				}
			}
		}
		if th == 1 {
			return
		}
		n = ceilDiv(s.ho, th-1) // the next count with a smaller tile
	}
}

// row tries tiles of th rows.
func (s *tiler) row(th, nh int) {
	if s.groups > 1 || s.pairs() {
		s.several(th, nh)
	}
	if !s.pairs() && (s.groups == 1 || s.ci*s.co > 1) {
		s.parted(th, nh)
	}
}

// shares reports whether tiles of th rows may share another number of rows than smaller
// ones that are as many. Between two tiles that is k − stride, unless the padding takes
// part of them: before the first row, or beyond the last for the tile above.
func (s *tiler) shares(th, nh int) bool {
	a := &s.rows
	return !a.steady() || th*a.stride < a.pad || ((nh-1)*th-1)*a.stride-a.pad+a.k > s.hi
}

// share is what a tile takes of the local memory: each bytes for each of its units, and no
// more than all there is.
type share struct{ each, all int }

func (h share) bytes(units int) int { return min(h.each*units, h.all) }

// cut is how a layer is cut, but for the number of parts of its output channels.
type cut struct {
	Schedule
	units      int // what the parts are of: groups, or output channels of a group
	nh, ni, ng int // parts of its rows, of its input channels; groups that are cut
	shares     [5]share
	weights    share // of weights
	once       int   // bytes of operands that are read once
	rows       int   // bytes of those that the channels' loop does not index
	chans      int   // bytes of those that the rows' loop does not index
}

// resultShare returns the share of the result, which has each bytes a unit.
func (s *tiler) resultShare(each int) share {
	if s.outChip {
		return share{}
	}
	return share{s.buffers * each, s.out}
}

// several tries tiles of th rows of several groups.
func (s *tiler) several(th, nh int) {
	c := cut{units: s.groups, nh: nh, ni: 1, ng: 1}
	c.Rows, c.Memory, c.Out = th, s.onChip, s.result
	for i := range s.read {
		o := &s.operands[i]
		if o.on(s.chip) || i == 1 && s.mapped {
			continue
		}
		bytes, tile := o.used, s.buffers*o.row
		if o.chans {
			tile *= s.ci
		}
		if o.rows {
			bytes = s.readRows(th) * o.size / s.hi
			tile *= s.tileRows(th)
		}
		if o.chans {
			c.shares[i] = share{tile, o.size}
		} else {
			c.Memory += min(tile, o.size)
		}
		switch {
		case o.rows == o.chans:
			c.once += bytes
		case o.rows:
			c.rows += bytes
		default:
			c.chans += bytes
		}
	}
	s.filtered(&c, s.co*(s.perWeight*s.ci+s.bias))
	c.shares[2] = s.resultShare(s.wo * th * s.co)
	n := s.fitting(&c)
	if n < 1 {
		return
	}
	s.order(&c, ChansOut, n)
	if c.rows > 0 {
		s.order(&c, RowsOut, n)
	}
}

// filtered sets the share of weights, or of a map that stands for them, which has each bytes
// a unit.
func (s *tiler) filtered(c *cut, each int) {
	switch {
	case !s.mapped:
		c.weights = share{s.buffers * each, s.w}
	case s.filters > 0:
		c.shares[3] = share{s.buffers * each, s.filters}
	}
}

// parted tries tiles of th rows of one group: over all its input channels at once and
// over each distinct number of parts of them.
func (s *tiler) parted(th, nh int) {
	o := &s.operands[0]
	input, tile := 0, 0
	if !o.on(s.chip) {
		input, tile = s.readRows(th)*o.row*s.ci*s.groups, s.buffers*s.tileRows(th)*o.row
	}
	for n := 1; n <= s.ci; {
		ci := ceilDiv(s.ci, n)
		ni := ceilDiv(s.ci, ci)
		c := cut{units: s.co, nh: nh, ni: ni, ng: s.groups, rows: input}
		c.Rows, c.Inputs, c.Memory, c.Out = th, ci, s.onChip+min(ci*tile, o.size), s.result
		s.filtered(&c, s.perWeight*ci+s.bias)
		c.shares[2] = s.resultShare(s.wo * th)
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
	if s.hopeless(c.rows+s.filters+c.Out, s.w, c.nh*c.ng) {
		return
	}
	if n := s.fitting(c); n > 0 {
		s.order(c, RowsOut, n)
		s.order(c, ChansOut, n)
	}
}

// sums tries the orders over parts of the input channels, and reports whether more
// parts may be worth it.
func (s *tiler) sums(c *cut) bool {
	sum, tiles := psum*s.wo*c.Rows, c.nh*c.ni*c.ng
	stay := !s.hopeless(c.rows+c.nh*s.filters+c.Out, c.nh*s.w, tiles)
	if stay {
		c.shares[4] = share{sum, psum * s.out}
		if n := s.fitting(c); n > 0 {
			s.order(c, SumIn, n)
		}
	}
	c.Partial = 2 * (c.ni - 1) * psum * s.out
	if s.hopeless(c.rows+s.filters+c.Out+c.Partial, s.w, tiles) {
		return stay
	}
	c.shares[4] = share{s.buffers * sum, psum * s.out} // some are moved while others are computed
	if n := s.fitting(c); n > 0 {
		s.order(c, SumOutC, n)
		s.order(c, SumOutH, n)
	}
	return true
}

// bytes returns what a tile of units units takes of the local memory, its weights apart.
func (c *cut) bytes(units int) (maps, weights int) {
	maps = c.Memory
	for i := range c.shares {
		maps += c.shares[i].bytes(units)
	}
	return maps, c.weights.bytes(units)
}

// fitsUnits reports whether a tile of units units fits.
func (s *tiler) fitsUnits(c *cut, units int) bool {
	maps, weights := c.bytes(units)
	if s.weights > 0 {
		return maps <= s.memory && weights <= s.weights
	}
	return maps+weights <= s.memory
}

// fitting returns the most units that fit into a tile, 0 if not one does.
func (s *tiler) fitting(c *cut) int {
	if s.buffers > 1 { // beyond all there is a share grows no more: not linear
		return sort.Search(c.units, func(n int) bool { return !s.fitsUnits(c, n+1) })
	}
	n, each := c.units, 0
	for i := range c.shares {
		each += c.shares[i].each
	}
	if s.weights == 0 {
		each += c.weights.each
	} else if c.weights.each > 0 {
		n = min(n, s.weights/c.weights.each)
	}
	if c.Memory > s.memory {
		return 0
	}
	if each > 0 {
		n = min(n, (s.memory-c.Memory)/each)
	}
	return n
}

// order tries the loops in an order, with tiles of at most most units: with one buffer
// the largest, as smaller ones only cost more. With two, the time has one minimum in the
// number of parts ([turn]) from two parts on.
func (s *tiler) order(c *cut, order Order, most int) {
	nc := ceilDiv(c.units, most)
	c.Order = order
	if s.buffers == 1 {
		s.part(c, most)
		return
	}
	if nc == 1 {
		s.part(c, c.units)
		if most = c.units - 1; most == 0 {
			return
		}
	}
	// What is read is linear in the number of parts.
	in2, weights := s.reads(c, 2)
	in3, _ := s.reads(c, 3)
	each, tiles := in3-in2, c.nh*c.ni*c.ng
	base := s.extra + s.p.transfer(in2-2*each+c.Out+c.Partial, weights, 0)
	at := turn(s.npu, base, s.p.transfer(each, 0, tiles), float64(tiles))
	below := 1 // the tile of the most parts that are not beyond the minimum
	if at < float64(c.units) {
		below = ceilDiv(c.units, max(1, int(at)))
	}
	s.part(c, min(below, most))
	if below > 1 && below <= most {
		s.part(c, below-1)
	}
}

// part tries tiles of n units, or of fewer that make as many parts.
func (s *tiler) part(c *cut, n int) {
	nc := ceilDiv(c.units, n)
	n = ceilDiv(c.units, nc)
	t := c.Schedule
	t.Channels, t.Tiles = n, c.nh*nc*c.ni*c.ng
	if t.Inputs == 0 { // groups
		t.Channels, t.Inputs = n*s.co, n*s.ci
	}
	maps, weights := c.bytes(n)
	t.Memory = maps + weights
	t.In, t.Weights = s.reads(c, nc)
	s.try(&t, weights)
}

// reads returns the bytes of operands and of weights that are read with nc parts. What
// the outer of two loops does not index is read once per outer iteration, unless the
// inner loop has but one.
func (s *tiler) reads(c *cut, nc int) (operands, weights int) {
	rows, chans := 1, 1
	switch c.Order {
	case RowsOut, SumOutH:
		if nc > 1 {
			chans = c.nh
		}
	case ChansOut, SumOutC:
		if c.nh > 1 {
			rows = nc
		}
	case SumIn:
		rows, chans = nc, c.nh
	}
	return c.once + rows*c.rows + chans*(c.chans+s.filters), chans * s.w
}

// footprint is what a tile takes of the local memory, in bytes.
type footprint struct{ maps, weights int }

// smallest returns what the smallest tiles take with nothing else in the local memory:
// everything at once, one row of one group, and one row and channel of one or all inputs
// of a group.
func (g *window) smallest(buffers int) []footprint {
	all := []footprint{{g.in + g.out, g.w}}
	if g.view {
		return []footprint{{}}
	}
	add := func(co, ci, sums int) {
		f := footprint{min(buffers*g.wo*co, g.out) + sums, min(buffers*co*(g.perWeight*ci+g.bias), g.w)}
		if g.mapped {
			f = footprint{f.maps + min(buffers*co*ci, g.operands[1].size), 0}
		}
		for i := range g.read {
			o := &g.operands[i]
			if i == 1 && g.mapped {
				continue
			}
			tile := buffers * o.row
			if o.chans {
				tile *= ci
			}
			if o.rows {
				tile *= g.tileRows(1)
			}
			f.maps += min(tile, o.size)
		}
		all = append(all, f)
	}
	add(g.co, g.ci, 0)
	if !g.pairs() {
		add(1, g.ci, 0)
		add(1, 1, min(g.ci-1, 1)*psum*g.wo)
	}
	return all
}

// pairs reports whether the layer combines two maps element by element.
func (g *window) pairs() bool { return g.read == 2 && !g.mapped }
