package raptor

import "eyrie/nas/arch"

// This file has the terms of the cost: each a quantity of a layer times a value of the
// platform.
//
//	computing   = max(MACs / rate + output_cost · results, results / output_rate)
//	            = values / element_rate for layers without MACs
//	activations = activation_cost · bytes
//	outside     = weight_cost · bytes of weights + spill_cost · bytes of activations that have no room
//	fixed       = tile_cost · tiles + layer_cost + oversize_cost where weights are beyond weight_limit
//	NPU         = computing
//	SYS         = activations + outside + fixed
//	cycles      = fixed + max + (1 − overlap) · (computing + activations + outside − max), max being the greatest of the three
//
// MACs and results are those of whole blocks of the array: channels, in and out, rows and
// columns of the result are rounded up. Results are elements written, values those read and
// written; sums are in cycles. Which bytes are moved is the policy's business.

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

// work is what a layer gives the array to compute, in whole blocks.
type work struct {
	macs    float64
	results float64 // elements of the result
	values  float64 // elements read and written, of a layer without MACs
}

// work returns what a layer gives the array to compute.
func (p *Platform) work(l *arch.Layer) work {
	if p.free(l.Op) {
		return work{}
	}
	switch l.Op {
	case arch.View:
		return work{}
	case arch.Pool:
		return work{values: float64(l.Out.Size()) * float64(min(l.Kernel.Size(), l.In.H*l.In.W)+1)}
	case arch.Add, arch.Mul, arch.Elementwise, arch.Resize:
		return work{values: float64(l.InputBytes() + l.OutputBytes())}
	}
	w := work{macs: float64(l.MACs()), results: float64(l.Out.Size())}
	if p.Array == (Array{}) {
		return w
	}
	in, out := l.In.C/max(1, l.Groups), l.Out.C/max(1, l.Groups)
	rows, columns := l.Out.H, l.Out.W
	switch l.Op {
	case arch.Deconv: // each weight is at work once for each position of the input
		rows, columns = l.In.H, l.In.W
	case arch.MatMul: // the second operand stands for weights
		in, out, columns = l.In.W, l.Out.W, 1
	case arch.Depthwise:
		in = 0
	case arch.Linear:
		in = l.In.Size()
	}
	results := grow(out, p.Array.Channels)
	if rows*columns > 1 {
		results *= grow(rows, p.Array.Rows) * grow(columns, p.Array.Columns)
	}
	w.results *= results
	w.macs *= results * grow(in, p.Array.Channels)
	return w
}

// grow returns by what factor n grows where it is rounded up to whole blocks.
func grow(n, block int) float64 {
	if block < 2 || n == 0 {
		return 1
	}
	return float64(ceilDiv(n, block)*block) / float64(n)
}

// npu returns the NPU cycles of a layer.
func (p *Platform) npu(l *arch.Layer) float64 {
	w := p.work(l)
	if w.values > 0 {
		if p.ElementRate == 0 {
			return 0
		}
		return w.values / p.ElementRate
	}
	if w.macs == 0 {
		return 0
	}
	cycles := w.macs/p.rate(l.Op) + float64(p.OutputCost*w.results)
	if p.OutputRate > 0 {
		cycles = max(cycles, w.results/p.OutputRate)
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
	return p.bill(g, moved{activations: s.Activations(), weights: s.Weights, tiles: s.Tiles})
}

// bill returns what a layer is charged for that moves m by its schedule.
func (p *Platform) bill(g *window, m moved) moved {
	if g.free {
		return moved{}
	}
	if g.view || !g.spills {
		return m
	}
	maps := g.in + g.out
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
	if m == (moved{}) {
		return 0
	}
	return p.transfer(m.activations, m.weights, m.tiles) + float64(p.SpillCost*float64(m.spilled)) + p.LayerCost
}

// transfer returns the SYS cycles of moving activations and weights, in bytes, cut into tiles.
func (p *Platform) transfer(activations, weights, tiles int) float64 {
	return float64(p.ActivationCost*float64(activations)) + float64(p.WeightCost*float64(weights)) + float64(p.TileCost*float64(tiles))
}

// hidden returns how many of a layer's cycles others hide.
func (p *Platform) hidden(npu float64, m moved) float64 {
	if p.Overlap == 0 {
		return 0
	}
	activations := float64(p.ActivationCost * float64(m.activations))
	outside := float64(p.WeightCost*float64(m.weights)) + float64(p.SpillCost*float64(m.spilled))
	return float64(p.Overlap * (npu + activations + outside - max(npu, activations, outside)))
}
