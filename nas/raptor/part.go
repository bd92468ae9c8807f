package raptor

import (
	"math"

	"eyrie/nas/arch"
)

// Place is where the map between two parts of a network is: in the local
// memory, in the memory behind it, or in both.
type Place int

// The places of a map.
const (
	OnChip Place = iota // stays in the local memory
	Stored              // travels
	Both                // stays, and is stored for a later reader
	places
)

// Way is what a part costs between two places of the maps at its ends.
type Way struct {
	Cycles float64 // SYS and NPU cycles, overlapping where the platform lets them; +Inf where there is no such way
	SYS    float64 // SYS cycles
	Peak   int     // most bytes of local memory occupied
}

// noWay is the Way that does not exist.
var noWay = Way{Cycles: math.Inf(1)}

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

// Part prices a stretch of a network. Where open is set the network goes on,
// and the scope of what may stay goes on with it; else the result is stored.
// A part that does not fit has no ways; the error says why.
func (p Platform) Part(net arch.Network, open bool) (Part, error) {
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
		err := p.ways(net, Place(in), open, &part.Ways[in])
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
func (p *Platform) ways(net arch.Network, in Place, open bool, ways *[places]Way) error {
	for out := range ways {
		ways[out] = noWay
	}
	if in != Stored && p.Policy == Layerwise {
		return nil
	}
	pl, err := p.plan(&net, in.bits(), open)
	if err != nil {
		return err
	}
	defer planners.Put(pl)
	for _, m := range pl.after(len(net.Layers)) {
		out := Stored
		if open {
			out = placeOf(m.after)
		}
		if w := &ways[out]; m.time < w.Cycles {
			*w = Way{m.time, m.sys, m.peak}
		}
	}
	return nil
}

func (p Place) bits() placement {
	return [places]placement{OnChip: onChip, Stored: stored, Both: both}[p]
}

func placeOf(b placement) Place {
	switch b {
	case onChip:
		return OnChip
	case stored:
		return Stored
	}
	return Both
}

// Close takes away the ways that leave the result in the local memory, where
// what may stay ends with the part.
func (p *Part) Close() {
	for in := range p.Ways {
		for _, out := range []Place{OnChip, Both} {
			p.Ways[in][out] = noWay
		}
	}
}
