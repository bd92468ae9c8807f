package nn

import (
	"slices"

	"eyrie/nas/arch"
)

// Conv is a convolution, or a fully connected layer, whose weights are given:
// those of a folded network, say. It runs one image at a time with the fastest
// kernels, and may be used by several goroutines.
//
// It adds in single precision and in an order of its own. That is exact, and
// so the same on every machine, for integers of which no sum of magnitudes
// exceeds [ExactSum].
type Conv struct {
	sized
	k      *kernels
	weight []float32 // packed; of a depthwise layer, in strips

	one, zero []float32 // of a depthwise layer: scale and shift that leave its input as it is
}

// ExactSum bounds the integers that single precision holds without gaps.
const ExactSum = 1 << 24

// NewConv returns the layer with its weights in PyTorch's layout: [out, in, k, k].
// It panics if there are more or fewer of them than the layer has.
func NewConv(l arch.Layer, weight []float32) *Conv {
	if int64(len(weight)) != l.Weights() {
		panic("nn.NewConv: layer " + l.Name + " has another number of weights")
	}
	if l.Kernel.H != l.Kernel.W || l.Stride.H != l.Stride.W || l.Pad != arch.Around(l.Pad.Top) || l.Dilation != (arch.Extent{}) || l.Groups > 1 {
		panic("nn.NewConv: layer " + l.Name + " is no square convolution over all channels, nor a depthwise one")
	}
	in := l.In
	if l.Op == arch.Linear {
		in = arch.Shape{C: in.Size(), H: 1, W: 1}
	}
	c := &Conv{k: sets()[0], sized: sized{&unit{name: l.Name, op: l.Op, stride: l.Stride.H}, newShape(1, in, l.Out, l.Kernel.H, l.Pad.Top)}}
	depth := len(weight) / l.Out.C
	taps := l.Kernel.Size()
	turned := make([]float32, len(weight)) // [k, k, in, out]
	for o := range l.Out.C {
		for i := range depth {
			in, tap := i%(depth/taps), i/(depth/taps)
			turned[i*l.Out.C+o] = weight[o*depth+in*taps+tap]
		}
	}
	if l.Op == arch.Depthwise {
		c.weight = make([]float32, c.stripsLen(c.k.lanes))
		packStrips(c.weight, turned, taps, c.out, c.out, c.k.lanes, false)
		c.one, c.zero = slices.Repeat([]float32{1}, c.in), make([]float32, c.in)
		return c
	}
	c.weight = make([]float32, packedLen(depth, c.out))
	pack(c.weight, turned, depth, c.out, c.out)
	return c
}

// Work returns how many floats Run needs to work with.
func (c *Conv) Work() int {
	switch {
	case c.op == arch.Depthwise:
		return c.frame(c.k.lanes).all()
	case c.direct():
		return 0
	}
	return c.outRows * c.depth(c.in)
}

// direct reports whether the input is itself the matrix to be multiplied.
func (c *Conv) direct() bool {
	return c.op == arch.Linear || c.kernel == 1 && c.stride == 1 && c.pad == 0
}

// Run computes y = w·x, without a bias. Both are rows × columns × channels. The
// content of work, of Work() floats, does not matter.
func (c *Conv) Run(x, y, work []float32) {
	if c.op == arch.Depthwise {
		frames := work[:c.Work()]
		clear(frames)
		c.k.spread(c.frame(c.k.lanes), frames, x, c.one, c.zero, false)
		c.slide(c.k, frames, c.weight, c.stride, c.outH, c.outW, y, nil, false)
		return
	}
	if !c.direct() {
		c.layOut(work, x, 0, c.outRows)
		x = work
	}
	depth := c.depth(c.in)
	c.k.gemm(c.outRows, c.out, depth, x, depth, 1, packed(c.weight, depth), y, c.out, epilogue{})
}
