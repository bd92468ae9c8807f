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

func (f feature) computes() bool { return f < activations }

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
	npu, sys, cycles       float64
	byNPU, bySYS, byCycles [features]float64
}

// predict adds up the terms, as [raptor.Platform.Estimate] does.
func predict(ts []term, c *prices) (p prediction) {
	for i := range ts {
		ts[i].add(c, &p)
	}
	return p
}

// add adds the term's cycles to a prediction.
func (t *term) add(c *prices, p *prediction) {
	var by [features]float64 // derivatives of the sum of all parts
	npu, sys := 0.0, 0.0
	for f := range t.use {
		by[f] = float64(t.use[f] * c[f])
		if feature(f).computes() {
			npu += by[f]
		} else {
			sys += by[f]
		}
	}
	if least := float64(t.use[results] * c[limit]); least > npu {
		for f := range activations {
			by[f] = 0
		}
		by[limit], npu = least, least
	}
	cycles, wNPU, wSYS, wActivations, wOutside := npu+sys, 1.0, 1.0, 1.0, 1.0 // d cycles / d parts
	switch n := t.parts; {
	case n > 1:
		wNPU, wSYS = 1/n, 1/n
		if npu > sys {
			wNPU += (n - 1) / n
		} else {
			wSYS += (n - 1) / n
		}
		wActivations, wOutside = wSYS, wSYS
		cycles = float64(wNPU*npu) + float64(wSYS*sys)
	case c[exposed] < 1:
		outside := by[weights] + by[spilled]
		most := max(npu, by[activations], outside)
		rest := npu + by[activations] + outside - most
		wNPU, wActivations, wOutside = c[exposed], c[exposed], c[exposed]
		switch most {
		case npu:
			wNPU = 1
		case by[activations]:
			wActivations = 1
		default:
			wOutside = 1
		}
		cycles = sys - by[activations] - outside + most + float64(c[exposed]*rest)
		p.byCycles[exposed] += float64(t.times * c[exposed] * rest)
	}
	p.npu += float64(t.times * npu)
	p.sys += float64(t.times * sys)
	p.cycles += float64(t.times * cycles)
	for f, d := range by {
		d *= t.times
		switch f := feature(f); {
		case f == activations:
			p.bySYS[f] += d
			p.byCycles[f] += float64(wActivations * d)
		case f == weights || f == spilled:
			p.bySYS[f] += d
			p.byCycles[f] += float64(wOutside * d)
		case f.computes() || f == limit:
			p.byNPU[f] += d
			p.byCycles[f] += float64(wNPU * d)
		case f < quantities:
			p.bySYS[f] += d
			p.byCycles[f] += float64(wSYS * d)
		}
	}
}

// mu returns the ratio of computing to moving, and the derivatives of its logarithm.
func (p *prediction) mu() (v float64, by [features]float64) {
	for f := range by {
		by[f] = p.byNPU[f]/p.npu - p.bySYS[f]/p.sys
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
