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
	k      *kernels
	layer  arch.Layer
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
	c := &Conv{k: sets()[0], layer: l}
	depth := c.depth()
	taps := l.Kernel * l.Kernel
	turned := make([]float32, len(weight)) // [k, k, in, out]
	for o := range l.Out.C {
		for i := range depth {
			in, tap := i%(depth/taps), i/(depth/taps)
			turned[i*l.Out.C+o] = weight[o*depth+in*taps+tap]
		}
	}
	if l.Op == arch.Depthwise {
		c.weight = make([]float32, stripsOf(l.Out.C, c.k.lanes)*taps*c.k.lanes)
		packStrips(c.weight, turned, taps, l.Out.C, l.Out.C, c.k.lanes, false)
		c.one, c.zero = slices.Repeat([]float32{1}, l.In.C), make([]float32, l.In.C)
		return c
	}
	c.weight = make([]float32, packedLen(depth, l.Out.C))
	pack(c.weight, turned, depth, l.Out.C, l.Out.C)
	return c
}

// depth returns how many products an output is the sum of.
func (c *Conv) depth() int { return int(c.layer.Weights()) / c.layer.Out.C }

// Work returns how many floats Run needs to work with.
func (c *Conv) Work() int {
	l := &c.layer
	switch {
	case l.Op == arch.Depthwise:
		return c.frame().all()
	case c.direct():
		return 0
	}
	return l.Out.H * l.Out.W * c.depth()
}

// direct reports whether the input is itself the matrix to be multiplied.
func (c *Conv) direct() bool {
	l := &c.layer
	return l.Op == arch.Linear || l.Kernel == 1 && l.Stride == 1 && l.Pad == 0
}

// frame returns the geometry of a depthwise layer's frames.
func (c *Conv) frame() frame {
	l := &c.layer
	return frame{l.In.H, l.In.W, l.In.C, l.Pad, c.k.lanes}
}

// Run computes y = w·x, without a bias. Both are rows × columns × channels. The
// content of work, of Work() floats, does not matter.
func (c *Conv) Run(x, y, work []float32) {
	if c.layer.Op == arch.Depthwise {
		c.depthwise(x, y, work)
		return
	}
	rows := c.layer.Out.H * c.layer.Out.W
	depth, out := c.depth(), c.layer.Out.C
	if !c.direct() {
		c.windows(x, work)
		x = work
	}
	c.k.gemm(rows, out, depth, x, depth, 1, packed(c.weight, depth), y, out, epilogue{})
}

// windows lays out the window of each output pixel in a row: [k, k, in].
func (c *Conv) windows(x, rows []float32) {
	l := &c.layer
	for oy := range l.Out.H {
		for ox := range l.Out.W {
			for tap := range l.Kernel * l.Kernel {
				pixel := rows[:l.In.C]
				rows = rows[l.In.C:]
				iy, ix := oy*l.Stride+tap/l.Kernel-l.Pad, ox*l.Stride+tap%l.Kernel-l.Pad
				if iy < 0 || iy >= l.In.H || ix < 0 || ix >= l.In.W {
					clear(pixel)
					continue
				}
				copy(pixel, x[(iy*l.In.W+ix)*l.In.C:])
			}
		}
	}
}

func (c *Conv) depthwise(x, y, frames []float32) {
	l, f := &c.layer, c.frame()
	clear(frames)
	c.k.spread(f, frames, x, c.one, c.zero, false)
	c.k.dwConv(l.Kernel, l.Stride, l.Out.H, l.Out.W, y, l.Out.W*l.Out.C, l.Out.C, l.Out.C, frames, f.row(), f.size(), c.weight, nil, false)
}
