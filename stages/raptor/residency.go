package raptor

import (
	"fmt"
	"slices"

	"eyrie/stages/arch"
)

// A map (the network's input, or what a layer writes) that is still needed is
// in the local memory, in the memory behind it, or in both.
const (
	onChip uint64 = 1 << iota
	stored
	placeBits = 2
	both      = onChip | stored
)

// place is where every live map is after a layer: placeBits each, in the
// order of live.
type place = uint64

// maxLive is how many maps can be live at once.
const maxLive = 64 / placeBits

// move is one way to run a layer: what it costs in all since the start, and
// how.
type move struct {
	after place
	time  float64 // cycles up to here, NPU and SYS
	sys   float64 // SYS cycles up to here
	peak  int     // most bytes of local memory occupied up to here
	from  int32   // index of the move before it
	how   int32   // index into the planner's schedules
	held  int     // bytes in the local memory that other layers wait for
	in    uint8   // bit per operand: it was in the local memory
	out   place   // where the result went
}

// planner decides over a whole network which maps stay in the local memory,
// by dynamic programming: after each layer it knows, for every placement of
// the live maps, the least time that leads there.
type planner struct {
	p         *Platform
	net       *arch.Network
	open      bool  // the network goes on
	last      []int // last reader of map i−1; the network's input is map 0
	live      []int // maps live after the current layer, by producer
	moves     [][]move
	schedules []Schedule
	memo      []memo // of the current layer
	win       window
}

// memo is a schedule already searched for the current layer.
type memo struct {
	room  room
	tiled bool
	how   int32 // −1: none fits
}

// InfeasibleError reports a layer that fits in no tiling.
type InfeasibleError struct {
	Layer string // name
	Need  int    // bytes that its smallest tile takes
	Have  int    // bytes of local memory
}

func (e *InfeasibleError) Error() string {
	return fmt.Sprintf("layer %q: its smallest tile takes %d bytes, the local memory has %d: %d bytes more would make it fit", e.Layer, e.Need, e.Have, e.Need-e.Have)
}

// scopeOf names the scope within which the maps of a layer may stay.
func (p *Platform) scopeOf(l *arch.Layer) string {
	switch p.Scope {
	case NetworkScope:
		return ""
	case GroupScope:
		return arch.GroupOf(l.Block)
	}
	return l.Block
}

// plan finds, for every placement of the result, the least time that leads
// there from the placement of the network's input. With open set the
// network goes on after its last layer: its result has readers and may stay.
func (p *Platform) plan(net *arch.Network, input place, open bool) (*planner, error) {
	pl := &planner{p: p, net: net, open: open, moves: make([][]move, len(net.Layers)+1)}
	pl.lifetimes()
	pl.live = []int{-1}
	pl.moves[0] = []move{{after: input, from: -1}}
	for i := range net.Layers {
		if err := pl.step(i); err != nil {
			return nil, err
		}
	}
	return pl, nil
}

func (pl *planner) lifetimes() {
	n := len(pl.net.Layers)
	pl.last = make([]int, n+1)
	defer func() {
		if pl.open {
			pl.last[n] = n + 1
		}
	}()
	for i := range pl.last {
		pl.last[i] = -1
	}
	for i := range pl.net.Layers {
		for _, j := range pl.net.Layers[i].Inputs {
			pl.last[j+1] = i
		}
	}
}

// bytes returns the size of map j.
func (pl *planner) bytes(j int) int {
	if j < 0 {
		return pl.net.Input.Size()
	}
	return pl.net.Layers[j].Out.Size()
}

// step extends every move by layer i.
func (pl *planner) step(i int) error {
	l := &pl.net.Layers[i]
	pl.win = newWindow(l)
	pl.memo = pl.memo[:0]
	before := pl.live
	after := make([]int, 0, len(before)+1)
	for _, j := range before {
		if pl.last[j+1] > i {
			after = append(after, j)
		}
	}
	if pl.last[i+1] > i {
		after = append(after, i)
	}
	if len(after) > maxLive {
		return fmt.Errorf("layer %q: %d maps are live at once, at most %d are supported", l.Name, len(after), maxLive)
	}
	s := step{planner: pl, i: i, l: l, before: before, after: after, ends: pl.ends(i), npu: pl.p.npu(l)}
	if !pl.p.Supports(l) {
		s.oversize = pl.p.OversizeCost
	}
	for from, m := range pl.moves[i] {
		s.from(int32(from), m)
	}
	if len(s.next) == 0 {
		return pl.infeasible(l)
	}
	pl.moves[i+1], pl.live = s.next, after
	return nil
}

// ends tells whether the scope of layer i ends with it. Where an open network
// goes on is for its caller to say.
func (pl *planner) ends(i int) bool {
	if i+1 == len(pl.net.Layers) {
		return !pl.open
	}
	return pl.p.scopeOf(&pl.net.Layers[i]) != pl.p.scopeOf(&pl.net.Layers[i+1])
}

// step is one layer's extension of the moves.
type step struct {
	*planner
	i             int
	l             *arch.Layer
	before, after []int // live maps
	ends          bool  // the scope ends with this layer: nothing stays
	npu, oversize float64
	next          []move
}

// at returns where map j is, which is the slot-th live one.
func at(p place, slot int) place { return p >> (placeBits * slot) & both }

// from tries every way to run the layer after move m.
func (s *step) from(index int32, m move) {
	var operands uint8 // bit per operand: on chip
	loaded := false
	held := 0
	r := room{memory: int(s.p.Memory), weights: int(s.p.WeightMemory)}
	for slot, j := range s.before {
		where := at(m.after, slot)
		reads := 0
		for n, in := range s.l.Inputs {
			if in == j {
				reads++
				if where&onChip != 0 {
					operands |= 1 << n
					r.chip++
				}
			}
		}
		if reads == 0 && where&onChip != 0 {
			held += s.bytes(j)
		}
		if reads > 0 && where&onChip == 0 && s.last[j+1] > s.i {
			loaded = true
		}
	}
	r.memory -= held
	stay := s.p.Policy != Layerwise && !s.ends
	for _, keep := range []bool{false, true} {
		if keep && (!stay || !loaded) {
			continue
		}
		r.keep = keep
		for _, out := range []place{stored, onChip, both} {
			needed := s.last[s.i+1] > s.i
			if out&onChip != 0 && (!stay || !needed) || out == both && !s.again(s.i) {
				continue
			}
			r.outChip, r.store = out&onChip != 0, out&stored != 0
			how := s.search(r, s.p.Policy == Mixed || held == 0 && r.chip == 0 && !r.outChip)
			if how < 0 {
				continue
			}
			sch := &s.schedules[how]
			sys := s.p.sys(sch) + s.oversize
			s.place(m.after, keep, out, move{time: m.time + s.p.cycles(s.npu, sys, sch.Tiles), sys: m.sys + sys,
				peak: max(m.peak, sch.Memory+held), from: index, how: how, held: held, in: operands, out: out})
		}
	}
}

// again tells whether map j has a reader after the next layer.
func (s *step) again(j int) bool { return s.last[j+1] > s.i+1 }

// search returns the index of the best schedule in the room, or −1.
func (s *step) search(r room, tiled bool) int32 {
	for _, m := range s.memo {
		if m.room == r && m.tiled == tiled {
			return m.how
		}
	}
	how := int32(-1)
	if sch, ok := s.p.schedule(&s.win, r, tiled); ok {
		how = int32(len(s.schedules))
		s.schedules = append(s.schedules, sch)
	}
	s.memo = append(s.memo, memo{r, tiled, how})
	return how
}

// place records the move for every placement that it can leave behind: what
// is in both memories may stay or be dropped from the local one.
func (s *step) place(before place, keep bool, out place, m move) {
	var now place
	slot := 0
	for n, j := range s.before {
		if s.last[j+1] <= s.i {
			continue
		}
		where := at(before, n)
		if keep && where&onChip == 0 && slices.Contains(s.l.Inputs, j) {
			where |= onChip
		}
		if s.ends {
			if where&stored == 0 {
				return // it would be lost
			}
			where = stored
		}
		now |= where << (placeBits * slot)
		slot++
	}
	if s.last[s.i+1] > s.i {
		now |= out << (placeBits * slot)
	}
	s.drop(now, 0, m)
}

// drop records the move at the placement and at those with fewer duplicates.
func (s *step) drop(now place, slot int, m move) {
	for ; slot < len(s.after); slot++ {
		if at(now, slot) == both {
			s.drop(now&^(onChip<<(placeBits*slot)), slot+1, m)
		}
	}
	m.after = now
	for n := range s.next {
		if s.next[n].after == now {
			if m.time < s.next[n].time {
				s.next[n] = m
			}
			return
		}
	}
	s.next = append(s.next, m)
}

// path returns the cheapest moves, one per layer.
func (pl *planner) path() []move {
	n := len(pl.net.Layers)
	path := make([]move, n)
	best := int32(0)
	for k, m := range pl.moves[n] {
		if m.time < pl.moves[n][best].time {
			best = int32(k)
		}
	}
	for i := n; i > 0; i-- {
		path[i-1] = pl.moves[i][best]
		best = path[i-1].from
	}
	return path
}

// infeasible explains why no schedule of the layer fits.
func (pl *planner) infeasible(l *arch.Layer) error {
	g := newWindow(l)
	ci := 1
	buffers := 1
	if pl.p.DoubleBuffer {
		buffers = 2
	}
	weights := g.perWeight + g.bias
	sum := 0
	if g.kind == dense && g.ci > 1 {
		sum = psum * g.wo
	}
	maps := buffers*(g.operands*ci*g.wi*g.tileRows(1)+g.wo) + sum
	if pl.p.WeightMemory > 0 && int(pl.p.WeightMemory) < weights {
		return &InfeasibleError{l.Name, weights, int(pl.p.WeightMemory)}
	}
	if pl.p.WeightMemory > 0 {
		weights = 0
	}
	return &InfeasibleError{l.Name, maps + weights, int(pl.p.Memory)}
}
