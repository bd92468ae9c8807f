package nn

import "eyrie/stages/arch"

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
	if l.Op == arch.Depthwise {
		c.weight = c.strips(weight)
		return c
	}
	depth := c.depth()
	taps := l.Kernel * l.Kernel
	turned := make([]float32, len(weight)) // [k, k, in, out]
	for o := range l.Out.C {
		for i := range depth {
			in, tap := i%(depth/taps), i/(depth/taps)
			turned[i*l.Out.C+o] = weight[o*depth+in*taps+tap]
		}
	}
	c.weight = make([]float32, packedLen(depth, l.Out.C))
	pack(c.weight, turned, depth, l.Out.C, l.Out.C)
	return c
}

// depth returns how many products an output is the sum of.
func (c *Conv) depth() int { return int(c.layer.Weights()) / c.layer.Out.C }

// strips returns depthwise weights in strips of as many channels as a vector holds.
func (c *Conv) strips(weight []float32) []float32 {
	lanes, k2 := c.k.lanes, c.layer.Kernel*c.layer.Kernel
	w := make([]float32, (c.layer.Out.C+lanes-1)/lanes*k2*lanes)
	for o := range c.layer.Out.C {
		for tap := range k2 {
			w[(o/lanes*k2+tap)*lanes+o%lanes] = weight[o*k2+tap]
		}
	}
	return w
}

// Work returns how many floats Run needs to work with.
func (c *Conv) Work() int {
	l := &c.layer
	switch {
	case l.Op == arch.Depthwise:
		size, _ := c.frame()
		return size * ((l.In.C + c.k.lanes - 1) / c.k.lanes)
	case c.direct():
		return 0
	}
	return l.Out.H * l.Out.W * c.depth()
}

// direct tells whether the input is itself the matrix to be multiplied.
func (c *Conv) direct() bool {
	l := &c.layer
	return l.Op == arch.Linear || l.Kernel == 1 && l.Stride == 1 && l.Pad == 0
}

// frame returns how many floats a strip of the padded input takes, and its
// distance between rows.
func (c *Conv) frame() (size, row int) {
	l := &c.layer
	row = (l.In.W + 2*l.Pad) * c.k.lanes
	return (l.In.H + 2*l.Pad) * row, row
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
	l := &c.layer
	lanes := c.k.lanes
	size, row := c.frame()
	clear(frames)
	for iy := range l.In.H {
		for ix := range l.In.W {
			pixel := x[(iy*l.In.W+ix)*l.In.C:][:l.In.C]
			at := (iy+l.Pad)*row + (ix+l.Pad)*lanes
			for len(pixel) > lanes {
				copy(frames[at:at+lanes], pixel)
				pixel, at = pixel[lanes:], at+size
			}
			copy(frames[at:], pixel)
		}
	}
	c.k.dwConv(l.Kernel, l.Stride, l.Out.H, l.Out.W, y, l.Out.W*l.Out.C, l.Out.C, l.Out.C, frames, row, size, c.weight, nil, false)
}
