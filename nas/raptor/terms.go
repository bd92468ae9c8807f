package raptor

import "eyrie/nas/arch"

// This file has the terms of the cost: each a quantity of a layer times a value of the
// platform. What a layer costs is their sum, and what a network costs the sum of its layers.
//
//	NPU = MACs / rate + output_cost · results, at least results / output_rate
//	SYS = activation_cost · activations + weight_cost · weights + spill_cost · spilled
//	    + tile_cost · tiles + oversize_cost where the weights are beyond weight_limit
//
// Quantities are in MACs, results (elements of the map written), bytes and tiles; both sums
// are in cycles. Which bytes those are is the policy's business.

// Free says what costs nothing: what a chip does while maps pass, or streams.
type Free struct {
	Add           bool `json:"add,omitempty" doc:"sums of maps: neither computing nor moving"`
	Pool          bool `json:"pool,omitempty" doc:"pools: neither computing nor moving"`
	LinearWeights bool `json:"linear_weights,omitempty" doc:"moving the weights of fully connected layers, which need no room either"`
}

// free reports whether an operation costs nothing at all.
func (p *Platform) free(op arch.Op) bool {
	return op == arch.Add && p.Free.Add || op == arch.Pool && p.Free.Pool
}

// streamed reports whether a layer's weights are neither moved nor stored.
func (p *Platform) streamed(op arch.Op) bool { return op == arch.Linear && p.Free.LinearWeights }

// npu returns the NPU cycles of a layer.
func (p *Platform) npu(l *arch.Layer) float64 {
	macs := l.MACs()
	if macs == 0 {
		return 0
	}
	results := float64(l.Out.Size())
	cycles := float64(macs)/p.rate(l.Op) + float64(p.OutputCost*results)
	if p.OutputRate > 0 {
		cycles = max(cycles, results/p.OutputRate)
	}
	return cycles
}

// moved is what a layer moves: bytes, and in how many tiles.
type moved struct {
	activations, weights int
	spilled              int // bytes of activations that have no room beside the rest
	tiles                int
}

// charged returns what a layer that runs as scheduled is charged for moving.
//
// With policy spill that is every operand, weight and result once, and the bytes of the maps
// for which there is no room beside them as spilled: what the tiles read again, and wait for,
// is in what a spilled byte costs. With Platform.Rereads the schedule's own bytes count
// instead; those read again are spilled, too.
func (p *Platform) charged(g *window, s *Schedule) moved {
	if g.free {
		return moved{}
	}
	m := moved{activations: s.Activations(), weights: s.Weights, tiles: s.Tiles}
	if !p.Policy.conduct().spills {
		return m
	}
	maps := g.operands*g.in + g.out
	again := 0
	if p.Rereads {
		again = max(0, m.activations-maps) + max(0, m.weights-g.w)
	} else {
		m.activations, m.weights = maps, g.w
	}
	m.spilled = p.spilled(maps, g.w) + again
	return m
}

// spilled returns how many bytes of a layer's maps have no room in the local memory beside
// the rest of them and its weights.
func (p *Platform) spilled(maps, weights int) int {
	if p.WeightMemory > 0 {
		weights = 0
	}
	return min(maps, max(0, maps+weights-int(p.Memory)))
}

// sys returns the SYS cycles of what is moved.
func (p *Platform) sys(m moved) float64 {
	return p.transfer(m.activations, m.weights, m.tiles) + float64(p.SpillCost*float64(m.spilled))
}

// transfer returns the SYS cycles of moving activations and weights, in bytes, cut into tiles.
func (p *Platform) transfer(activations, weights, tiles int) float64 {
	return float64(p.ActivationCost*float64(activations)) + float64(p.WeightCost*float64(weights)) + float64(p.TileCost*float64(tiles))
}
