package raptor

import (
	"math"

	"eyrie/nas/arch"
)

// Place is where a map is that is still needed: in the local memory, in the memory
// behind it, or in both.
type Place uint8

// The places of a map.
const (
	OnChip Place = iota // stays in the local memory
	Stored              // travels
	Both                // stays, and is stored for a later reader
	places
)

func (p Place) onChip() bool { return p != Stored }

func (p Place) stored() bool { return p != OnChip }

// Way is what a part costs between two places of the maps at its ends.
type Way struct {
	Cycles float64 // SYS and NPU cycles, overlapping where the platform lets them; +Inf where there is no such way
	SYS    float64 // SYS cycles
	Peak   int     // most bytes of local memory occupied
}

// noWay is the Way that does not exist.
var noWay = Way{Cycles: math.Inf(1)}

func (w *Way) exists() bool { return !math.IsInf(w.Cycles, 1) }

// Part is a stretch of a network between two maps that nothing bypasses, such
// as a block or a group, priced once for use in many networks: what a part
// costs depends on its neighbours only through the places of those maps.
type Part struct {
	MACs, Params int64
	NPU          float64             // NPU cycles
	Largest      int64               // weights of its largest layer, the fully connected ones aside
	Oversize     int                 // layers whose weights are beyond the platform's limit
	Ways         [places][places]Way // by place of the input, of the result
}

// Part prices the layers of a network from one to before another. Where the scope of
// what may stay begins with them, their input has to be stored; where the network ends
// with them, their result has. A part that does not fit has no ways; the error says why.
func (p Platform) Part(net arch.Network, from, to int) (Part, error) {
	return p.part(&net, p.closes(&net), from, to)
}

func (p *Platform) part(whole *arch.Network, closes []bool, from, to int) (Part, error) {
	open := to < len(whole.Layers)
	begins := from == 0 || closes != nil && closes[from-1]
	if closes != nil {
		closes = closes[from:to]
	}
	net := whole.Cut(from, to)
	part := Part{MACs: net.MACs(), Params: net.Params(), Largest: LargestWeights(net)}
	for i := range net.Layers {
		l := &net.Layers[i]
		part.NPU += p.npu(l)
		if !p.Supports(l) {
			part.Oversize++
		}
	}
	var first error
	for in := range part.Ways {
		for out := range part.Ways[in] {
			part.Ways[in][out] = noWay
		}
		if Place(in) != Stored && (begins || !p.Policy.conduct().stays) {
			continue
		}
		err := p.ways(&net, closes, Place(in), open, &part.Ways[in])
		if Place(in) == Stored {
			first = err
		}
	}
	return part, first
}

// LargestWeights returns the weights of a network's largest layer, in number
// and so in bytes; fully connected layers, which are streamed, aside.
func LargestWeights(net arch.Network) (most int64) {
	for i := range net.Layers {
		if l := &net.Layers[i]; Limited(l) {
			most = max(most, l.Weights())
		}
	}
	return most
}

// ways fills in what it costs to get from one place of the input to each of
// the result.
func (p *Platform) ways(net *arch.Network, closes []bool, in Place, open bool, ways *[places]Way) error {
	pl, err := p.plan(net, closes, in, open)
	if err != nil {
		return err
	}
	defer planners.Put(pl)
	for _, m := range pl.after(len(net.Layers)) {
		out := Stored
		if open {
			out = m.after.at(0)
		}
		if w := &ways[out]; m.time < w.Cycles {
			*w = Way{m.time, m.sys, m.peak}
		}
	}
	return nil
}

// close takes away the ways that leave the result in the local memory, from where no
// part goes on that begins with a scope.
func (p *Part) close() {
	for in := range p.Ways {
		p.Ways[in][OnChip], p.Ways[in][Both] = noWay, noWay
	}
}

// Prefix is what the first parts of a network cost together, up to each place of the
// map after them: there the fastest way leads, or none. As parts depend on each other
// only through that place, the last prefix costs what the network does.
type Prefix [places]Way

// Start returns the prefix of no parts: the network's input is stored.
func Start() Prefix { return Prefix{OnChip: noWay, Both: noWay} }

// Extend sets the prefix to another one and the part after it.
func (x *Prefix) Extend(before *Prefix, p *Part) {
	for out := range x {
		w0, w1, w2 := &p.Ways[OnChip][out], &p.Ways[Stored][out], &p.Ways[Both][out]
		from, w, best := OnChip, w0, before[OnChip].Cycles+w0.Cycles
		if c := before[Stored].Cycles + w1.Cycles; c < best {
			from, w, best = Stored, w1, c
		}
		if c := before[Both].Cycles + w2.Cycles; c < best {
			from, w, best = Both, w2, c
		}
		x[out] = Way{best, before[from].SYS + w.SYS, max(before[from].Peak, w.Peak)}
	}
}

// Fits reports whether some way leads to the end of the prefix.
func (x *Prefix) Fits() bool {
	return x[OnChip].exists() || x[Stored].exists() || x[Both].exists()
}
