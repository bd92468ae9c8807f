package raptor

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"eyrie/nas/arch"
)

// placement is the Place of every map that is live after a layer (the network's
// input, or what a layer wrote, which is still needed): placeBits each, in the order
// of planner.live.
type placement uint64

const placeBits = 2

// maxLive is how many maps can be live at once.
const maxLive = 64 / placeBits

// at returns where the map in a slot is.
func (p placement) at(slot int) Place { return Place(p >> (placeBits * slot) & (1<<placeBits - 1)) }

// with returns the placement with the map in a slot elsewhere.
func (p placement) with(slot int, place Place) placement {
	shift := placeBits * slot
	return p&^((1<<placeBits-1)<<shift) | placement(place)<<shift
}

// move is one way to run a layer: what it costs in all since the start, and
// how.
type move struct {
	after placement
	time  float64 // cycles up to here, NPU and SYS
	sys   float64 // SYS cycles up to here
	peak  int     // most bytes of local memory occupied up to here
	held  int     // bytes in the local memory that other layers wait for
	from  int32   // index of the move before it
	how   int32   // index into the planner's schedules; −1: untiled
	in    uint8   // bit per operand: it was in the local memory
	out   Place   // where the result went
	keep  bool    // an operand that was read stays
}

// planner decides over a whole network which maps stay in the local memory,
// by dynamic programming: after each layer it knows, for every placement of
// the live maps, the least time that leads there. A residual operand is live
// until its add.
type planner struct {
	p         *Platform
	net       *arch.Network
	open      bool  // the network goes on after its last layer
	last      []int // last reader of map i−1; the network's input is map 0
	live      []int // maps live before the current layer, by producer
	next      []int // maps live after it
	moves     []move
	ends      []int // per layer, counted from 1: where its moves end
	schedules []Schedule
	memo      []memo   // of the current layer
	windows   []window // of the layers so far
}

// memo is a schedule already searched for the current layer.
type memo struct {
	room room
	how  int32 // index into the planner's schedules; −1: none fits
}

// planners keeps the memory of planners that are done.
var planners = sync.Pool{New: func() any { return new(planner) }}

// plan finds, for every placement of the result, the least time that leads
// there from the placement of the network's input. With open set the network
// goes on after its last layer: its result has readers and may stay. The
// caller puts the planner back into planners.
func (p *Platform) plan(net *arch.Network, input Place, open bool) (*planner, error) {
	pl := planners.Get().(*planner)
	pl.p, pl.net, pl.open = p, net, open
	pl.lifetimes()
	pl.live = append(pl.live[:0], -1)
	pl.schedules, pl.windows = pl.schedules[:0], pl.windows[:0]
	pl.moves = append(pl.moves[:0], move{after: placement(0).with(0, input), from: -1})
	pl.ends = append(pl.ends[:0], 1)
	for i := range net.Layers {
		if err := pl.step(i); err != nil {
			planners.Put(pl)
			return nil, err
		}
	}
	return pl, nil
}

func (pl *planner) lifetimes() {
	n := len(pl.net.Layers)
	pl.last = pl.last[:0]
	for range n + 1 {
		pl.last = append(pl.last, -1)
	}
	for i := range pl.net.Layers {
		for _, j := range pl.net.Layers[i].Inputs {
			pl.last[j+1] = i
		}
	}
	if pl.open {
		pl.last[n] = n + 1
	}
}

// after returns the moves after n layers.
func (pl *planner) after(n int) []move {
	begin := 0
	if n > 0 {
		begin = pl.ends[n-1]
	}
	return pl.moves[begin:pl.ends[n]]
}

// bytes returns the size of map j.
func (pl *planner) bytes(j int) int {
	if j < 0 {
		return pl.net.Input.Size()
	}
	return pl.net.Layers[j].Out.Size()
}

// scopeEnds reports whether the scope of layer i ends with it. Where an open
// network goes on is for its caller to say.
func (pl *planner) scopeEnds(i int) bool {
	if i+1 == len(pl.net.Layers) {
		return !pl.open
	}
	switch a, b := pl.net.Layers[i].Block, pl.net.Layers[i+1].Block; pl.p.Scope {
	case BlockScope:
		return a != b
	case GroupScope:
		return a != b && arch.GroupOf(a) != arch.GroupOf(b)
	}
	return false
}

// step extends every move by layer i.
func (pl *planner) step(i int) error {
	l := &pl.net.Layers[i]
	pl.windows = append(pl.windows, newWindow(l))
	pl.memo = pl.memo[:0]
	pl.next = pl.next[:0]
	for _, j := range pl.live {
		if pl.last[j+1] > i {
			pl.next = append(pl.next, j)
		}
	}
	if pl.last[i+1] > i {
		pl.next = append(pl.next, i)
	}
	if len(pl.next) > maxLive {
		return fmt.Errorf("layer %q: %d maps are live at once, at most %d are supported", l.Name, len(pl.next), maxLive)
	}
	s := step{planner: pl, i: i, l: l, npu: pl.p.npu(l), begin: len(pl.moves)}
	s.stay = pl.p.Policy != Layerwise && !pl.scopeEnds(i)
	if !pl.p.Supports(l) {
		s.oversize = pl.p.OversizeCost
	}
	for from := pl.ends[i] - len(pl.after(i)); from < pl.ends[i]; from++ {
		s.extend(int32(from))
	}
	if len(pl.moves) == s.begin {
		return pl.infeasible()
	}
	pl.ends = append(pl.ends, len(pl.moves))
	pl.live, pl.next = pl.next, pl.live
	return nil
}

// step is one layer's extension of the moves.
type step struct {
	*planner
	i             int
	l             *arch.Layer
	stay          bool // maps may stay in the local memory after the layer
	npu, oversize float64
	begin         int // where the layer's moves begin
}

// extend tries every way to run the layer after a move.
func (s *step) extend(from int32) {
	m := s.moves[from]
	next := move{from: from}
	r := room{memory: int(s.p.Memory), weights: int(s.p.WeightMemory)}
	loaded := false // an operand is read from outside that is needed once more
	for slot, j := range s.live {
		here := m.after.at(slot).onChip()
		reads := 0
		for n, in := range s.l.Inputs {
			if in == j {
				reads++
				if here {
					next.in |= 1 << n
					r.chip++
				}
			}
		}
		if here && reads == 0 {
			next.held += s.bytes(j)
		}
		loaded = loaded || !here && reads > 0 && s.last[j+1] > s.i
	}
	r.memory -= next.held
	keeps := 1
	if s.stay && loaded {
		keeps = 2
	}
	for keep := range keeps {
		r.keep = keep == 1
		for out := range places {
			if s.allows(out) {
				s.run(&m, next, r, out)
			}
		}
	}
}

// allows reports whether the layer's result may go to a place.
func (s *step) allows(out Place) bool {
	last := s.last[s.i+1]
	switch {
	case out.onChip() && (!s.stay || last <= s.i):
		return false
	case out == Both:
		return last > s.i+1 // worth it only for a reader after the next layer
	}
	return true
}

// run adds the moves in which the layer runs in a room and its result goes to
// a place.
func (s *step) run(m *move, next move, r room, out Place) {
	r.outChip, r.store = out.onChip(), out.stored()
	g := &s.windows[s.i]
	next.how, next.out, next.keep = -1, out, r.keep
	sys, tiles, memory := s.oversize, 1, g.operands*g.in+g.out+g.w
	if g.fits(&r) {
		in, out := g.moved(&r)
		sys += s.p.transfer(in+out, g.w, 1)
	} else {
		if s.p.Policy != Mixed && (next.held > 0 || r.chip > 0 || r.outChip) {
			return
		}
		if next.how = s.search(&r); next.how < 0 {
			return
		}
		how := &s.schedules[next.how]
		sys += s.p.sys(how)
		tiles, memory = how.Tiles, how.Memory
	}
	next.sys = m.sys + sys
	next.time = m.time + s.p.cycles(s.npu, sys, tiles)
	next.peak = max(m.peak, memory+next.held)
	s.place(m.after, r.keep, out, next)
}

// schedule returns how a move ran layer i.
func (pl *planner) schedule(i int, m *move) Schedule {
	if m.how >= 0 {
		return pl.schedules[m.how]
	}
	return pl.windows[i].whole(&room{chip: bits.OnesCount8(m.in), keep: m.keep, store: m.out.stored()})
}

// search returns the index of the best tiled schedule in the room, or −1.
func (s *step) search(r *room) int32 {
	for i := range s.memo {
		if m := &s.memo[i]; m.room == *r {
			return m.how
		}
	}
	how := int32(len(s.schedules))
	s.schedules = append(s.schedules, Schedule{})
	if !s.p.schedule(&s.windows[s.i], r, &s.schedules[how]) {
		s.schedules = s.schedules[:how]
		how = -1
	}
	s.memo = append(s.memo, memo{*r, how})
	return how
}

// place records the move for every placement that it can leave behind.
func (s *step) place(before placement, keep bool, out Place, m move) {
	var now placement
	slot := 0
	for n, j := range s.live {
		if s.last[j+1] <= s.i {
			continue
		}
		where := before.at(n)
		if keep && !where.onChip() && slices.Contains(s.l.Inputs, j) {
			where = Both
		}
		if !s.stay {
			if !where.stored() {
				return // it would be lost
			}
			where = Stored
		}
		now = now.with(slot, where)
		slot++
	}
	if s.last[s.i+1] > s.i {
		now = now.with(slot, out)
		slot++
	}
	s.drop(now, 0, slot, m)
}

// drop records the move at the placement and at those with fewer maps in both
// memories: what is stored may be dropped from the local memory.
func (s *step) drop(now placement, slot, slots int, m move) {
	for ; slot < slots; slot++ {
		if now.at(slot) == Both {
			s.drop(now.with(slot, Stored), slot+1, slots, m)
		}
	}
	m.after = now
	for n := s.begin; n < len(s.moves); n++ {
		if s.moves[n].after == now {
			if m.time < s.moves[n].time {
				s.moves[n] = m
			}
			return
		}
	}
	s.moves = append(s.moves, m)
}

// path returns the fastest moves, one per layer.
func (pl *planner) path() []move {
	n := len(pl.net.Layers)
	path := make([]move, n)
	for i, m := range pl.after(n) {
		if i == 0 || m.time < path[n-1].time {
			path[n-1] = m
		}
	}
	for i := n - 1; i > 0; i-- {
		path[i-1] = pl.moves[path[i].from]
	}
	return path
}

// InfeasibleError reports a layer that fits in no tiling.
type InfeasibleError struct {
	Layer string // name
	Need  int    // bytes that its smallest tile takes
	Have  int    // bytes of local memory
	Row   int    // elements in a row of its input
}

func (e *InfeasibleError) Error() string {
	return fmt.Sprintf("layer %q: its smallest tile takes %d bytes, the local memory has %d: %d bytes more would make it fit, or shorter rows than %d elements",
		e.Layer, e.Need, e.Have, e.Need-e.Have, e.Row)
}

// infeasible explains why no schedule of the current layer fits, with nothing
// else in the local memory.
func (pl *planner) infeasible() error {
	i := len(pl.windows) - 1
	l, g := &pl.net.Layers[i], &pl.windows[i]
	buffers, sum := 1, 0
	if pl.p.DoubleBuffer {
		buffers = 2
	}
	if g.kind == dense && g.ci > 1 {
		sum = psum * g.wo
	}
	need := &InfeasibleError{Layer: l.Name, Need: buffers*(g.operands*g.wi*g.tileRows(1)+g.wo) + sum, Have: int(pl.p.Memory), Row: g.wi}
	weights := g.perWeight + g.bias
	switch {
	case pl.p.WeightMemory == 0:
		need.Need += weights
	case int(pl.p.WeightMemory) < weights:
		need.Need, need.Have = weights, int(pl.p.WeightMemory)
	}
	// A layer of one row, channel and input is one tile, and needs no second buffer.
	need.Need = min(need.Need, g.operands*g.in+g.out+g.w)
	return need
}
