package arch

import "fmt"

// Op is the kind of a layer.
type Op string

// The operations of the networks that Eyrie knows.
const (
	Conv        Op = "conv"        // convolution over all channels, or over those of each group
	Depthwise   Op = "depthwise"   // convolution of each channel by itself, into one or several
	Pointwise   Op = "pointwise"   // 1×1 convolution, or a fully connected layer applied at every position
	Linear      Op = "linear"      // fully connected
	Deconv      Op = "deconv"      // transposed convolution
	MatMul      Op = "matmul"      // product of two maps, as in attention: rows × columns of each channel
	Pool        Op = "pool"        // average or max pooling; global when Kernel covers the input
	Add         Op = "add"         // sum, difference, maximum or minimum of two maps, element by element
	Mul         Op = "mul"         // product or quotient of two maps, element by element, as in squeeze-and-excite
	Elementwise Op = "elementwise" // work on each element that cannot be fused: softmax, normalisation by what was read, reductions of channels
	Resize      Op = "resize"      // up- or downsampling
	View        Op = "view"        // only moves: concatenation, slices, shuffles, padding
)

// Choices returns the operations.
func (Op) Choices() []string {
	return []string{string(Conv), string(Depthwise), string(Pointwise), string(Linear), string(Deconv), string(MatMul),
		string(Pool), string(Add), string(Mul), string(Elementwise), string(Resize), string(View)}
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
	Name     string  `json:"name"`
	Block    string  `json:"block" doc:"what the block is called that it is shown in, as in figure 1 of the paper; costs do not depend on it"`
	Op       Op      `json:"op"`
	In       Shape   `json:"in" doc:"shape of what it reads; of its first operand where it has several"`
	Out      Shape   `json:"out" doc:"shape of what it writes"`
	Kernel   Extent  `json:"kernel" doc:"rows and columns of its window"`
	Stride   Extent  `json:"stride" doc:"steps of its window; of a deconv, of what it writes"`
	Dilation Extent  `json:"dilation,omitzero" doc:"distances between the taps of its window; 1 where it has none"`
	Pad      Padding `json:"pad" doc:"zeros added on each side; of a deconv, what is cut off the result"`
	Groups   int     `json:"groups,omitempty" doc:"a conv, pointwise or deconv of g groups reads one g-th of the channels for each output channel; 0 is one group"`
	Biases   int     `json:"biases,omitempty" doc:"biases that count as parameters: those of fully connected layers"`
	Inputs   []int   `json:"inputs" doc:"indices of the layers it reads; -1 is the network's input; an add, mul or matmul has two, a view any number"`
	Others   []Shape `json:"others,omitempty" doc:"shapes of the operands after the first, where one differs from it"`
	Reuses   bool    `json:"reuses,omitempty" doc:"its weights are those of a layer before, which the network has once and moves for each"`
}

// Operand returns the shape of its k-th operand.
func (l *Layer) Operand(k int) Shape {
	if k > 0 && len(l.Others) > 0 {
		return l.Others[k-1]
	}
	return l.In
}

// Span returns the rows and columns that one position of the window covers: those of the
// kernel and, where it is dilated, those between its taps.
func (l *Layer) Span() Extent {
	return Extent{span(l.Kernel.H, l.Dilation.H), span(l.Kernel.W, l.Dilation.W)}
}

func span(kernel, dilation int) int { return (kernel-1)*max(1, dilation) + 1 }

// MACs returns its multiply-accumulate operations. As in the published counts,
// pooling, element by element work and resizing have none.
func (l Layer) MACs() int64 {
	switch l.Op {
	case Conv, Pointwise, Linear, Depthwise:
		return l.Weights() * int64(l.Out.H) * int64(l.Out.W)
	case Deconv: // each weight is used once for each position of the input
		return l.Weights() * int64(l.In.H) * int64(l.In.W)
	case MatMul:
		return int64(l.Out.Size()) * int64(l.In.W)
	}
	return 0
}

// Weights returns the number of its weights, without biases.
func (l Layer) Weights() int64 {
	k2 := int64(l.Kernel.H) * int64(l.Kernel.W)
	switch l.Op {
	case Conv, Pointwise, Deconv:
		return k2 * int64(l.In.C/max(1, l.Groups)) * int64(l.Out.C)
	case Depthwise:
		return k2 * int64(l.Out.C)
	case Linear:
		return int64(l.In.Size()) * int64(l.Out.C)
	}
	return 0
}

// Params returns the parameters as published counts without batch normalisation have
// them: the weights, and the biases of fully connected layers. A convolution's biases do
// not count: where batch normalisation is folded into it, which exporters do, they are
// not the network's own.
func (l Layer) Params() int64 { return l.Weights() + int64(l.Biases) }

// WeightBytes returns the bytes of its parameters as deployed: int8 weights
// and an int32 bias per output channel.
func (l Layer) WeightBytes() int64 {
	if w := l.Weights(); w > 0 {
		return w + 4*int64(l.Out.C)
	}
	return 0
}

// InputBytes returns the bytes of all its int8 operands.
func (l Layer) InputBytes() int64 {
	if len(l.Others) == 0 {
		return int64(l.In.Size()) * int64(max(1, len(l.Inputs)))
	}
	n := int64(l.In.Size())
	for _, s := range l.Others {
		n += int64(s.Size())
	}
	return n
}

// OutputBytes returns the bytes of its int8 result.
func (l Layer) OutputBytes() int64 { return int64(l.Out.Size()) }

// OutSize returns how many positions a window has along an axis of n elements.
func OutSize(n, kernel, stride, pad int) int { return (n+2*pad-kernel)/stride + 1 }
