package calibrate

import (
	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// The continuous parameters, in the order of a vector of their logarithms.
const (
	rate       = iota // MAC/cycle of k×k convolutions; those of 1×1 ones and fully connected layers are in proportion
	depthwise         // MAC/cycle of depthwise convolutions
	activation        // cycles/byte
	weight            // cycles/byte
	tile              // cycles
	oversize          // cycles
	params
)

// vector holds the logarithms of the continuous parameters.
type vector [params]float64

// parameter describes one of the continuous parameters.
type parameter struct {
	name, unit string
	low, high  float64 // what is possible at all; high of a rate is the number of PEs
	get        func(*raptor.Platform) *float64
}

// parameters lists the continuous parameters. The limits are far beyond what
// any such chip has; the rates cannot exceed the number of PEs.
var parameters = [params]parameter{
	{"rate", "MAC/cycle", 0.1, 0, func(p *raptor.Platform) *float64 { return &p.Rates.Conv }},
	{"rates.depthwise", "MAC/cycle", 0.1, 0, func(p *raptor.Platform) *float64 { return &p.Rates.Depthwise }},
	{"activation_cost", "cycles/byte", 0.01, 100, func(p *raptor.Platform) *float64 { return &p.ActivationCost }},
	{"weight_cost", "cycles/byte", 0.01, 100, func(p *raptor.Platform) *float64 { return &p.WeightCost }},
	{"tile_cost", "cycles", 1, 1e6, func(p *raptor.Platform) *float64 { return &p.TileCost }},
	{"oversize_cost", "cycles", 1, 1e9, func(p *raptor.Platform) *float64 { return &p.OversizeCost }},
}

// limits returns the logarithms between which a parameter may lie: a rate of
// at most one MAC per cycle and PE, also for the fastest kind of layer that
// shares it.
func limits(j int, p *raptor.Platform) (low, high float64) {
	low, high = parameters[j].low, parameters[j].high
	switch j {
	case rate:
		high = float64(p.PEs) / (max(p.Rates.Conv, p.Rates.Pointwise, p.Rates.Linear) / p.Rates.Conv)
	case depthwise:
		high = float64(p.PEs)
	}
	return float.Log(low), float.Log(high)
}

// vectorOf reads the parameters of a platform: −Inf for a cost of 0.
func vectorOf(p *raptor.Platform) (x vector) {
	for j := range x {
		x[j] = float.Log(*parameters[j].get(p))
	}
	return x
}

// with returns the platform with the free ones of its parameters replaced, the
// others to the bit as they are. The rates keep their proportions.
func (x *vector) with(p raptor.Platform, free []int) raptor.Platform {
	q := p
	for _, j := range free {
		low, high := limits(j, &p)
		*parameters[j].get(&q) = float.Exp(min(max(x[j], low), high))
	}
	if q.Rates.Conv != p.Rates.Conv {
		q.Rates.Pointwise = p.Rates.Pointwise / p.Rates.Conv * q.Rates.Conv
		q.Rates.Linear = p.Rates.Linear / p.Rates.Conv * q.Rates.Conv
	}
	for _, r := range []*float64{&q.Rates.Conv, &q.Rates.Depthwise, &q.Rates.Pointwise, &q.Rates.Linear} {
		*r = min(*r, float64(q.PEs)) // exp and log round
	}
	return q
}

// term is a part of a network whose cycles follow from the parameters: the
// whole network where NPU and MCU take turns, a layer where they overlap.
type term struct {
	use   [params]float64 // MACs of both kinds (as many as k×k convolutions do in the time), bytes of both kinds, tiles, layers beyond the weight limit
	tiles int             // between which transfers and computing overlap; 1 for none
	sizes []int64         // weights of its layers, those of fully connected ones aside
}

// terms prices a network on the platform and takes apart what the cycles are
// made of.
func terms(p *raptor.Platform, net arch.Network) ([]term, error) {
	e, err := p.Estimate(net)
	if err != nil {
		return nil, err
	}
	var ts []term
	for i := range e.Layers {
		l := &e.Layers[i]
		if len(ts) == 0 || p.DoubleBuffer {
			ts = append(ts, term{tiles: 1})
		}
		t := &ts[len(ts)-1]
		if p.DoubleBuffer {
			t.tiles = l.Tiles
		}
		switch macs := float64(l.MACs); l.Op {
		case arch.Depthwise:
			t.use[depthwise] += macs
		case arch.Pointwise:
			t.use[rate] += float64(macs * (p.Rates.Conv / p.Rates.Pointwise))
		case arch.Linear:
			t.use[rate] += float64(macs * (p.Rates.Conv / p.Rates.Linear))
		default:
			t.use[rate] += macs
		}
		t.use[activation] += float64(l.Activations())
		t.use[weight] += float64(l.Weights)
		t.use[tile] += float64(l.Tiles)
		if raptor.Limited(&net.Layers[i]) {
			t.sizes = append(t.sizes, net.Layers[i].Weights())
		}
	}
	return ts, nil
}

// beyond counts the layers whose weights exceed the limit.
func (t *term) beyond(limit int64) (n float64) {
	for _, s := range t.sizes {
		if s > limit {
			n++
		}
	}
	return n
}

// prediction is what the parameters give for one network, with the gradients
// by the logarithms of the parameters.
type prediction struct {
	npu, sys, cycles float64
	byNPU, bySYS     vector
	byCycles         vector
}

// predict adds up the terms. costs holds the parameters themselves.
func predict(ts []term, costs *vector) (p prediction) {
	for i := range ts {
		t := &ts[i]
		npu, sys := 0.0, 0.0
		var by vector
		for j := range t.use {
			if j <= depthwise {
				by[j] = t.use[j] / costs[j]
				npu += by[j]
			} else {
				by[j] = float64(t.use[j] * costs[j])
				sys += by[j]
			}
		}
		n := float64(t.tiles)
		wNPU, wSYS := 1.0, 1.0 // d cycles / d npu, d cycles / d sys
		if t.tiles > 1 {
			wNPU, wSYS = 1/n, 1/n
			if npu > sys {
				wNPU += (n - 1) / n
			} else {
				wSYS += (n - 1) / n
			}
		}
		p.npu += npu
		p.sys += sys
		p.cycles += float64(wNPU*npu) + float64(wSYS*sys)
		for j := range by {
			if j <= depthwise {
				p.byNPU[j] -= by[j]
				p.byCycles[j] -= float64(wNPU * by[j])
			} else {
				p.bySYS[j] += by[j]
				p.byCycles[j] += float64(wSYS * by[j])
			}
		}
	}
	return p
}
