package calibrate

import (
	"eyrie/nas/arch"
	"eyrie/nas/raptor"
)

// feature is a quantity of a network's loads that one price multiplies, or another value
// of the platform that a cost depends on.
type feature int

// The features: those of computing, by kind of layer at first, those of moving, and at last
// those that are no quantities.
const (
	convMACs feature = iota
	pointwiseMACs
	depthwiseMACs
	linearMACs
	results
	values
	activations
	spilled
	weights
	tiles
	layers
	oversize
	limit   // cycles a result at least
	exposed // the share that is not hidden: 1 − overlap
	features

	quantities = limit
)

// computes reports whether a feature is of computing, and else of moving.
func (f feature) computes() bool { return f < activations || f == limit }

// prices holds the cycles that a unit of each feature costs, and the values that are none.
type prices [features]float64

// pricesOf returns the prices of a platform.
func pricesOf(p *raptor.Platform) (c prices) {
	inverse := func(rate float64) float64 {
		if rate == 0 {
			return 0
		}
		return 1 / rate
	}
	c[convMACs], c[pointwiseMACs], c[depthwiseMACs], c[linearMACs] = 1/p.Rates.Conv, 1/p.Rates.Pointwise, 1/p.Rates.Depthwise, 1/p.Rates.Linear
	c[results], c[values], c[limit] = p.OutputCost, inverse(p.ElementRate), inverse(p.OutputRate)
	c[activations], c[spilled], c[weights] = p.ActivationCost, p.SpillCost, p.WeightCost
	c[tiles], c[layers], c[oversize] = p.TileCost, p.LayerCost, p.OversizeCost
	c[exposed] = 1 - p.Overlap
	return c
}

// term is a part of a network whose cycles follow from the prices: the whole network where
// they only add up, else a layer.
type term struct {
	use   [quantities]float64
	parts float64 // tiles between which transfers and computing overlap; 1 for none
	times float64 // how many layers of the network are so
}

// terms takes a network apart on a platform. apart is set where layers must stay apart.
func terms(p *raptor.Platform, net *arch.Network, apart bool) ([]term, error) {
	loads, err := p.Loads(net)
	if err != nil {
		return nil, err
	}
	var ts []term
	same := map[term]int{}
	for i := range loads {
		l := &loads[i]
		if l.Free {
			continue
		}
		t := newTerm(l, !p.Supports(&net.Layers[i]))
		if apart || p.DoubleBuffer {
			if p.DoubleBuffer {
				t.parts = max(1, l.Tiles)
			}
			if k, ok := same[t]; ok {
				ts[k].times++
				continue
			}
			same[t] = len(ts)
			ts = append(ts, t)
			continue
		}
		if len(ts) == 0 {
			ts = append(ts, t)
			continue
		}
		for f := range t.use {
			ts[0].use[f] += t.use[f]
		}
	}
	return ts, nil
}

func newTerm(l *raptor.Load, over bool) term {
	kind := convMACs
	switch l.Op {
	case arch.Pointwise:
		kind = pointwiseMACs
	case arch.Depthwise:
		kind = depthwiseMACs
	case arch.Linear:
		kind = linearMACs
	}
	t := term{parts: 1, times: 1}
	t.use[kind] = l.MACs
	t.use[results], t.use[values], t.use[activations], t.use[spilled], t.use[weights] = l.Results, l.Values, l.Activations, l.Spilled, l.Weights
	t.use[tiles], t.use[layers] = l.Tiles, 1
	if over {
		t.use[oversize] = 1
	}
	return t
}

// prediction is what prices give for one network, with the derivatives by the logarithms
// of the prices.
type prediction struct {
	npu, sys, cycles float64
	byMu             [features]float64 // of npu for what computes, of sys for what moves
	byCycles         [features]float64
}

// predict adds up the terms, as [raptor.Platform.Estimate] does.
func predict(ts []term, c *prices) (p prediction) {
	for i := range ts {
		ts[i].add(c, &p)
	}
	return p
}

// weighed says how a layer's cycles change with the cycles of its parts.
type weighed struct {
	npu, activations, outside, fixed float64
}

// add adds the term's cycles to a prediction. Most of the time of a fit is spent here.
func (t *term) add(c *prices, p *prediction) {
	var by [features]float64 // what the parts take
	npu, sys := 0.0, 0.0
	for f := range activations {
		by[f] = float64(t.use[f] * c[f])
		npu += by[f]
	}
	for f := activations; f < quantities; f++ {
		by[f] = float64(t.use[f] * c[f])
		sys += by[f]
	}
	if least := float64(t.use[results] * c[limit]); least > npu {
		clear(by[:activations])
		by[limit], npu = least, least
	}
	cycles, w := npu+sys, weighed{1, 1, 1, 1}
	switch {
	case t.parts > 1:
		cycles, w = behindEachOther(npu, sys, t.parts)
	case c[exposed] < 1:
		var hidden float64
		cycles, hidden, w = hide(c[exposed], npu, sys, &by)
		p.byCycles[exposed] += float64(t.times * c[exposed] * hidden)
	}
	p.npu += float64(t.times * npu)
	p.sys += float64(t.times * sys)
	p.cycles += float64(t.times * cycles)
	for f := range by[:exposed] {
		by[f] = float64(by[f] * t.times) // not to be fused with the sums below
		p.byMu[f] += by[f]
	}
	for f := range activations {
		p.byCycles[f] += float64(w.npu * by[f])
	}
	p.byCycles[limit] += float64(w.npu * by[limit])
	p.byCycles[activations] += float64(w.activations * by[activations])
	p.byCycles[spilled] += float64(w.outside * by[spilled])
	p.byCycles[weights] += float64(w.outside * by[weights])
	for f := tiles; f < quantities; f++ {
		p.byCycles[f] += float64(w.fixed * by[f])
	}
}

// behindEachOther returns the cycles of n equal tiles of which each is moved while another
// is computed.
func behindEachOther(npu, sys, n float64) (cycles float64, w weighed) {
	computing, moving := 1/n, 1/n
	if npu > sys {
		computing += (n - 1) / n
	} else {
		moving += (n - 1) / n
	}
	return float64(computing*npu) + float64(moving*sys), weighed{computing, moving, moving, moving}
}

// hide returns the cycles of a layer of whose computing, activations and what comes from
// outside the longest hides all but a share of the others, and how many these are.
func hide(share, npu, sys float64, by *[features]float64) (cycles, others float64, w weighed) {
	outside := by[weights] + by[spilled]
	most := max(npu, by[activations], outside)
	others = npu + by[activations] + outside - most
	w = weighed{share, share, share, 1}
	switch most {
	case npu:
		w.npu = 1
	case by[activations]:
		w.activations = 1
	default:
		w.outside = 1
	}
	return sys - by[activations] - outside + most + float64(share*others), others, w
}

// mu returns the ratio of computing to moving, and the derivatives of its logarithm.
func (p *prediction) mu() (v float64, by [features]float64) {
	for f := range by {
		if feature(f).computes() {
			by[f] = p.byMu[f] / p.npu
		} else {
			by[f] = -(p.byMu[f] / p.sys)
		}
	}
	return p.npu / p.sys, by
}

// latency returns the derivatives of the logarithm of the cycles.
func (p *prediction) latency() (by [features]float64) {
	for f := range by {
		by[f] = p.byCycles[f] / p.cycles
	}
	return by
}
