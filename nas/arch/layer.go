package arch

import "fmt"

// Op is the kind of a layer.
type Op string

// The operations of the networks that Eyrie knows.
const (
	Conv      Op = "conv"      // k×k convolution over all channels
	Depthwise Op = "depthwise" // k×k convolution of each channel by itself
	Pointwise Op = "pointwise" // 1×1 convolution
	Linear    Op = "linear"    // fully connected
	Pool      Op = "pool"      // average or max pooling; global when Kernel covers the input
	Add       Op = "add"       // residual addition
)

// Choices returns the operations.
func (Op) Choices() []string {
	return []string{string(Conv), string(Depthwise), string(Pointwise), string(Linear), string(Pool), string(Add)}
}

// Shape is the shape of an activation map.
type Shape struct {
	C int `json:"c" doc:"channels"`
	H int `json:"h" doc:"rows"`
	W int `json:"w" doc:"columns"`
}

// Size returns the number of elements: in int8, the number of bytes.
func (s Shape) Size() int { return s.C * s.H * s.W }

// String writes the shape as "channels×rows×columns".
func (s Shape) String() string { return fmt.Sprintf("%d×%d×%d", s.C, s.H, s.W) }

// Layer is one operation of a network. Batch normalisation is folded into the
// convolution before it, and an activation function costs nothing.
type Layer struct {
	Name   string `json:"name"`
	Block  string `json:"block" doc:"the block it belongs to, as in figure 1 of the paper"`
	Op     Op     `json:"op"`
	In     Shape  `json:"in" doc:"shape of what it reads; of each operand of an add"`
	Out    Shape  `json:"out" doc:"shape of what it writes"`
	Kernel int    `json:"kernel" doc:"rows and columns of its window"`
	Stride int    `json:"stride" doc:"step of its window"`
	Pad    int    `json:"pad" doc:"zeros added on each side"`
	Inputs []int  `json:"inputs" doc:"indices of the layers it reads; -1 is the network's input; an add has two"`
	Reuses bool   `json:"reuses,omitempty" doc:"its weights are those of a layer before, which the network has once and moves for each"`
}

// MACs returns its multiply-accumulate operations. As in the published counts,
// pooling and residual additions have none.
func (l Layer) MACs() int64 {
	switch l.Op {
	case Conv, Pointwise, Linear, Depthwise:
		return l.Weights() * int64(l.Out.H) * int64(l.Out.W)
	}
	return 0
}

// Weights returns the number of its weights, without biases.
func (l Layer) Weights() int64 {
	k2 := int64(l.Kernel) * int64(l.Kernel)
	switch l.Op {
	case Conv, Pointwise:
		return k2 * int64(l.In.C) * int64(l.Out.C)
	case Depthwise:
		return k2 * int64(l.Out.C)
	case Linear:
		return int64(l.In.Size()) * int64(l.Out.C)
	}
	return 0
}

// Params returns the parameters as published counts have them: the weights,
// and the biases of a fully connected layer. Batch normalisation is folded
// and not counted.
func (l Layer) Params() int64 {
	if l.Op == Linear {
		return l.Weights() + int64(l.Out.C)
	}
	return l.Weights()
}

// WeightBytes returns the bytes of its parameters as deployed: int8 weights
// and an int32 bias per output channel.
func (l Layer) WeightBytes() int64 {
	if w := l.Weights(); w > 0 {
		return w + 4*int64(l.Out.C)
	}
	return 0
}

// InputBytes returns the bytes of all its int8 operands.
func (l Layer) InputBytes() int64 { return int64(l.In.Size()) * int64(max(1, len(l.Inputs))) }

// OutputBytes returns the bytes of its int8 result.
func (l Layer) OutputBytes() int64 { return int64(l.Out.Size()) }

// OutSize returns how many positions a window has along an axis of n elements.
func OutSize(n, kernel, stride, pad int) int { return (n+2*pad-kernel)/stride + 1 }
