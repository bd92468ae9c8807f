package raptor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"

	"eyrie/nas/arch"
)

// placement is the Place of every map that is live after a layer (the network's
// input, or what a layer wrote, which is still needed): placeBits each, in the order
// of planner.live.
type placement uint64

const placeBits = 2

// A network with many branches has more placements than can be followed: three for
// each map that is live. What is beyond these bounds is left out, and the estimate
// says that it is no longer the least: it is still that of a schedule that can be run.
const (
	maxLive  = 64 / placeBits // live maps of which the place is chosen; the others travel
	maxDrops = 6              // maps in both memories of which any may be dropped from the local one; beyond it, one or all
)

// maxPlacements is how many placements are followed from a layer to the next: those of
// the least time, see prune. It is a variable for tests.
var maxPlacements = 2048

// doubles has the bit of each slot that is set for [Both] alone.
const doubles placement = 0xaaaa_aaaa_aaaa_aaaa

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
	time  float64  // cycles up to here, NPU and SYS
	sys   float64  // SYS cycles up to here
	peak  int      // most bytes of local memory occupied up to here
	held  int      // bytes in the local memory that other layers wait for
	from  int32    // index of the move before it
	how   int32    // index into the planner's schedules; −1: untiled
	chip  operands // those that were in the local memory
	all   bool     // all of them were
	out   Place    // where the result went
	keep  bool     // an operand that was read stays
}

// planner decides over a whole network which maps stay in the local memory,
// by dynamic programming: after each layer it knows, for every placement of
// the live maps, the least time that leads there. A residual operand is live
// until its add.
type planner struct {
	p         *Platform
	conduct   conduct // of the platform's policy
	net       *arch.Network
	closes    []bool // per layer whether its scope ends with it; nil: none does
	open      bool   // the network goes on after its last layer
	last      []int  // last reader of map i−1; the network's input is map 0
	live      []int  // maps live before the current layer, by producer
	next      []int  // maps live after it
	moves     []move
	ends      []int // per layer, counted from 1: where its moves end
	schedules []Schedule
	memo      []memo              // of the current layer
	index     map[placement]int32 // of the current layer's moves, once there are many
	bounded   bool                // not every placement was followed
	windows   []window            // of the layers so far
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
// goes on after its last layer: its result has readers and may stay. closes says
// where a scope ends, see [Platform.closes]. The caller puts the planner back into
// planners.
func (p *Platform) plan(net *arch.Network, closes []bool, input Place, open bool) (*planner, error) {
	pl := planners.Get().(*planner)
	pl.p, pl.net, pl.closes, pl.open = p, net, closes, open
	pl.conduct = p.Policy.conduct()
	pl.bounded = false
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
	return pl.closes != nil && pl.closes[i]
}

// closes returns for each layer of a network whether the scope of what may stay ends
// with it; nil if it is the whole network.
func (p *Platform) closes(net *arch.Network) []bool {
	var spans []arch.Span
	switch p.Scope {
	case BlockScope:
		spans = arch.Blocks(*net)
	case GroupScope:
		spans = arch.Groups(*net)
	default:
		return nil
	}
	closes := make([]bool, len(net.Layers))
	for _, s := range spans {
		closes[s.To-1] = true
	}
	return closes
}

// step extends every move by layer i.
func (pl *planner) step(i int) error {
	l := &pl.net.Layers[i]
	pl.windows = append(pl.windows, window{})
	pl.p.window(l, &pl.windows[i])
	pl.memo = pl.memo[:0]
	pl.next = pl.next[:0]
	for _, j := range pl.live {
		if pl.last[j+1] > i {
			pl.next = append(pl.next, j)
		}
	}
	s := step{planner: pl, i: i, l: l, npu: pl.p.npu(l), begin: len(pl.moves), needed: pl.last[i+1] > i}
	switch {
	case s.needed && len(pl.next) == maxLive:
		pl.bounded = pl.bounded || pl.conduct.stays
	case s.needed:
		pl.next = append(pl.next, i)
		s.chosen = true
	}
	g := &pl.windows[i]
	s.plain = !pl.p.DoubleBuffer && !g.view && !g.free && !g.spills
	clear(pl.index)
	s.stay = pl.conduct.stays && !pl.scopeEnds(i)
	if !pl.p.Supports(l) {
		s.oversize = pl.p.OversizeCost
	}
	for from := pl.ends[i] - len(pl.after(i)); from < pl.ends[i]; from++ {
		s.extend(int32(from))
	}
	if len(pl.moves) == s.begin {
		return pl.p.infeasible(l, &pl.windows[i])
	}
	if len(pl.moves)-s.begin > maxPlacements {
		s.prune()
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
	needed        bool // the result has readers
	chosen        bool // its place is one of a placement
	plain         bool // what the layer costs whole is what it moves, one thing after the other
	npu, oversize float64
	begin         int // where the layer's moves begin
}

// extend tries every way to run the layer after a move.
func (s *step) extend(from int32) {
	m := s.moves[from]
	next := move{from: from}
	r := room{memory: int(s.p.Memory), weights: int(s.p.WeightMemory)}
	loaded := false // an operand is read from outside that is needed once more
	found := 0      // operands in the local memory
	for slot, j := range s.live {
		here := m.after.at(slot).onChip()
		reads := 0
		for k, in := range s.l.Inputs {
			if in == j {
				reads++
				if here {
					found++
					r.chip |= 1 << k
				}
			}
		}
		if here && reads == 0 {
			next.held += s.bytes(j)
		}
		loaded = loaded || !here && reads > 0 && s.last[j+1] > s.i
	}
	next.chip, next.all = r.chip, found == len(s.l.Inputs)
	r.memory -= next.held
	keeps := 1
	if s.stay && loaded && !s.windows[s.i].view {
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
	case out.onChip() && (!s.stay || !s.chosen):
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
	var whole Schedule
	how := &whole
	switch fits := g.fits(&r); {
	case g.view:
		if whole = s.view(m.after, out); whole.Memory > r.memory {
			return
		}
		next.how = int32(len(s.schedules))
		s.schedules = append(s.schedules, whole)
	case fits && s.plain:
		read, written := g.moved(&r)
		sys := s.p.transfer(read+written, g.w, 1) + s.p.LayerCost + s.oversize
		next.sys, next.time, next.peak = m.sys+sys, m.time+s.npu+sys, max(m.peak, g.in+g.out+g.w+next.held)
		s.place(m.after, r.keep, out, &next)
		return
	case fits && !s.p.DoubleBuffer:
		whole = g.whole(&r)
	default:
		if !fits && !s.conduct.beside && (next.held > 0 || r.chip > 0 || r.outChip) {
			return
		}
		if next.how = s.search(&r); next.how < 0 {
			return
		}
		how = &s.schedules[next.how]
	}
	bill := s.p.charged(g, how)
	sys := s.p.sys(bill) + s.oversize
	next.sys = m.sys + sys
	next.time = m.time + s.p.cycles(s.npu, sys, how.Tiles) - s.p.hidden(s.npu, bill)
	next.peak = max(m.peak, how.Memory+next.held)
	s.place(m.after, r.keep, out, &next)
}

// view returns how a layer runs that only rearranges maps, when they are placed and its
// result is to go to a place. Where they all are in one memory nothing moves: its readers
// take the maps as they are, and what it concatenates was written side by side. Else what
// the result has of a map moves from the memory where that is to the one where it is not.
// In the local memory the result takes the place of maps that nobody else waits for.
func (s *step) view(before placement, out Place) Schedule {
	g := &s.windows[s.i]
	how := Schedule{Rows: g.ho, Channels: g.groups * g.co, Inputs: g.groups * g.ci, Order: Untiled}
	replaced, result := 0, 0
	if out.onChip() {
		result = g.out
	}
	for k, j := range s.l.Inputs {
		place, size := Stored, s.bytes(j)
		if slot := slices.Index(s.live, j); slot >= 0 {
			place = before.at(slot)
		}
		if out.onChip() && !place.onChip() {
			how.In += min(size, g.out)
		}
		if out.stored() && !place.stored() {
			how.Out += min(size, g.out)
		}
		switch {
		case !place.onChip() || slices.Contains(s.l.Inputs[:k], j):
		case s.last[j+1] > s.i:
			how.Memory += size
		default:
			replaced += size
		}
	}
	how.Memory += max(replaced, result)
	if how.In+how.Out > 0 {
		how.Tiles = 1
	}
	return how
}

// schedule returns how a move ran layer i.
func (pl *planner) schedule(i int, m *move) Schedule {
	if m.how >= 0 {
		return pl.schedules[m.how]
	}
	return pl.windows[i].whole(&room{chip: m.chip, keep: m.keep, store: m.out.stored()})
}

// search returns the index of the best schedule in the room, or −1.
func (s *step) search(r *room) int32 {
	for i := range s.memo {
		if m := &s.memo[i]; m.room == *r {
			return m.how
		}
	}
	how := int32(len(s.schedules))
	s.schedules = append(s.schedules, Schedule{})
	if !s.p.schedule(&s.windows[s.i], r, rest{s.npu, s.oversize + s.p.LayerCost}, &s.schedules[how]) {
		s.schedules = s.schedules[:how]
		how = -1
	}
	s.memo = append(s.memo, memo{*r, how})
	return how
}

// place records the move for every placement that it can leave behind.
func (s *step) place(before placement, keep bool, out Place, m *move) {
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
	if s.chosen {
		now = now.with(slot, out)
		slot++
	}
	s.leave(now, slot, m)
}

// leave records the move at the placement and at those with fewer maps in both
// memories: what is stored may be dropped from the local memory.
func (s *step) leave(now placement, slots int, m *move) {
	if now&doubles == 0 {
		s.record(now, m)
		return
	}
	var doubled [maxLive]int
	n := 0
	for slot := range slots {
		if now.at(slot) == Both {
			doubled[n] = slot
			n++
		}
	}
	if n <= maxDrops {
		s.drop(now, doubled[:n], m)
		return
	}
	s.bounded = true
	all := now
	for _, slot := range doubled[:n] {
		s.record(now.with(slot, Stored), m)
		all = all.with(slot, Stored)
	}
	s.record(all, m)
	s.record(now, m)
}

// drop records the move at the placement and at those without some of the maps of
// the slots, which are in both memories, in the local one.
func (s *step) drop(now placement, doubled []int, m *move) {
	for i, slot := range doubled {
		s.drop(now.with(slot, Stored), doubled[i+1:], m)
	}
	s.record(now, m)
}

// few is how many moves are faster to look through than to index.
const few = 24

// record keeps the move if it is the fastest to its placement.
func (s *step) record(now placement, m *move) {
	m.after = now
	if n, ok := s.find(now); ok {
		if m.time < s.moves[n].time {
			s.moves[n] = *m
		}
		return
	}
	s.moves = append(s.moves, *m)
}

// find returns the index of the layer's move to a placement.
func (s *step) find(now placement) (n int32, ok bool) {
	if len(s.moves)-s.begin <= few {
		for n := s.begin; n < len(s.moves); n++ {
			if s.moves[n].after == now {
				return int32(n), true
			}
		}
		return 0, false
	}
	if s.index == nil {
		s.index = map[placement]int32{}
	}
	for n := s.begin + len(s.index); n < len(s.moves); n++ {
		s.index[s.moves[n].after] = int32(n)
	}
	n, ok = s.index[now]
	return n, ok
}

// prune keeps maxPlacements of the layer's moves: those of the least time, when each
// map that is not in the local memory still has to come there, and the one that leaves
// nothing there, from which there is always a way on.
func (s *step) prune() {
	s.bounded = true
	moves := s.moves[s.begin:]
	type rated struct {
		at   int
		time float64
	}
	all := make([]rated, len(moves))
	for i := range moves {
		all[i] = rated{i, moves[i].time}
		away := true
		for slot, j := range s.next {
			if moves[i].after.at(slot).onChip() {
				away = false
			} else {
				all[i].time += float64(s.p.ActivationCost * float64(s.bytes(j)))
			}
		}
		if away {
			all[i].time = math.Inf(-1)
		}
	}
	slices.SortFunc(all, func(a, b rated) int { return cmp.Or(cmp.Compare(a.time, b.time), a.at-b.at) })
	all = all[:maxPlacements]
	slices.SortFunc(all, func(a, b rated) int { return a.at - b.at })
	for i, r := range all {
		moves[i] = moves[r.at]
	}
	s.moves = s.moves[:s.begin+maxPlacements]
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

// infeasible says what the smallest tile of a layer takes, with nothing else in the local
// memory, and what there is.
func (p *Platform) infeasible(l *arch.Layer, g *window) *InfeasibleError {
	need := &InfeasibleError{Layer: l.Name, Need: math.MaxInt, Have: int(p.Memory), Row: g.wi}
	have, filters := int(p.WeightMemory), math.MaxInt
	for _, t := range g.smallest(p.buffers()) {
		switch {
		case have == 0:
			need.Need = min(need.Need, t.maps+t.weights)
		case t.weights <= have:
			need.Need = min(need.Need, t.maps)
		}
		filters = min(filters, t.weights)
	}
	if need.Need == math.MaxInt {
		need.Need, need.Have = filters, have
	}
	return need
}
