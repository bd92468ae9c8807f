package raptor

import (
	"math"
	"slices"

	"eyrie/nas/arch"
)

// LayerBound returns the fewest bytes that any schedule of a layer by itself
// moves through a local memory of S bytes: each operand, weight and result once,
// or, where that memory is small, what reuse in it allows. For matrix products
// that is 2·m·n·k/√S − 2·S (Smith et al., arXiv:1702.02017; Kwasniewski et al.,
// COSMA, arXiv:1908.09606), for k×k convolutions of stride s 2·MACs/√(R·S) − 2·S
// with R = k²/s² (Chen et al., HPCA 2020, arXiv:1911.05662), also where channels are in
// groups and where a convolution is transposed, whose windows move over its result. Where
// taps are d apart it is R = k²·gcd(s, d)²/s². MACs in the padding do not count.
func LayerBound(l *arch.Layer, memory int64) int64 {
	var g window
	g.set(l)
	return g.bound(memory)
}

func (g *window) bound(memory int64) int64 {
	if g.view {
		return 0 // where its operands and its result are in one place
	}
	once := int64(g.used + g.out + g.w)
	if !g.dense() || memory <= 0 {
		return once
	}
	products := float64(float64(g.rows.taps(g.ho, g.hi)) * float64(g.cols.taps(g.wo, g.wi)) * float64(g.ci) * float64(g.co) * float64(g.groups))
	reuse := 2*products/math.Sqrt(max(1, g.rows.reuse()*g.cols.reuse())*float64(memory)) - float64(2*float64(memory))
	return max(once, int64(reuse))
}

// reuse returns in how many windows along the axis a position is, at most: each tap gives
// one window, where the dilation meets the stride.
func (a *axis) reuse() float64 {
	d, s := a.dilation, a.stride
	for s > 0 {
		d, s = s, d%s
	}
	return max(1, float64(a.k)*float64(d)/float64(a.stride))
}

// Fused returns what is moved at least where every map stays: the network's
// input as far as it is used, its weights and its result. Views move neither. The
// distance to it is the headroom of running layers together.
func Fused(net *arch.Network) int64 {
	input := 0
	for i := range net.Layers {
		l := &net.Layers[i]
		if !slices.Contains(l.Inputs, -1) {
			continue
		}
		var g window
		g.set(l)
		for k := range g.read {
			if o := &g.operands[k]; l.Inputs[o.index] == -1 {
				input = max(input, o.used)
			}
		}
	}
	bytes := net.WeightBytes() + int64(input)
	if n := len(net.Layers); n > 0 && net.Layers[n-1].Op != arch.View {
		bytes += net.Layers[n-1].OutputBytes()
	}
	return bytes
}
