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
// with R = k²/s² (Chen et al., HPCA 2020, arXiv:1911.05662). MACs in the padding
// do not count.
func LayerBound(l *arch.Layer, memory int64) int64 {
	g := newWindow(l)
	return g.bound(memory)
}

func (g *window) bound(memory int64) int64 {
	once := int64(g.operands*g.used + g.out + g.w)
	if g.kind != dense || memory <= 0 {
		return once
	}
	r := max(1, float64(g.rows.k*g.cols.k)/float64(g.rows.stride*g.cols.stride))
	products := float64(float64(g.rows.taps(g.ho, g.hi)) * float64(g.cols.taps(g.wo, g.wi)) * float64(g.ci) * float64(g.co))
	reuse := 2*products/math.Sqrt(r*float64(memory)) - float64(2*float64(memory))
	return max(once, int64(reuse))
}

// taps counts the window positions along an axis that are not in the padding.
func (a axis) taps(out, in int) (n int) {
	if a.pad == 0 {
		return out * a.k
	}
	for o := range out {
		first := o*a.stride - a.pad
		n += max(0, min(in, first+a.span)-max(0, first))
	}
	return n * a.k / a.span
}

// Fused returns what is moved at least where every map stays: the network's
// input as far as it is used, its weights and its result. The distance to it is
// the headroom of running layers together.
func Fused(net *arch.Network) int64 {
	input := 0
	for i := range net.Layers {
		l := &net.Layers[i]
		if slices.Contains(l.Inputs, -1) {
			g := newWindow(l)
			input = max(input, g.used)
		}
	}
	bytes := net.WeightBytes() + int64(input)
	if n := len(net.Layers); n > 0 {
		bytes += net.Layers[n-1].OutputBytes()
	}
	return bytes
}
