package arch

import (
	"fmt"

	"eyrie/pipeline/mistake"
)

// LayerSpec is a layer as a recipe writes it. What follows from the layer
// before it, or is usual, need not be written:
//
//	layers = [
//	  { op = "conv", channels = 16, kernel = 3, stride = 2 },
//	  { op = "depthwise", kernel = [10, 4], name = "dw" },
//	  { op = "pointwise", channels = 16 },
//	  { op = "add", inputs = ["dw", "conv1"] },
//	  { op = "pool" },
//	  { op = "linear", channels = 10 },
//	]
type LayerSpec struct {
	Name     string   `json:"name,omitempty" doc:"how other layers refer to it; its op and number when not written, such as conv1"`
	Block    string   `json:"block,omitempty" doc:"the block it is shown in; its name when not written"`
	Op       Op       `json:"op" doc:"what it does"`
	Channels int      `json:"channels,omitempty" min:"1" doc:"output channels of a conv, pointwise, linear or deconv; of a depthwise that makes several of each"`
	Kernel   Extent   `json:"kernel,omitzero" doc:"rows and columns of the window of a conv, depthwise, deconv or pool; a pool without one covers its input"`
	Stride   Extent   `json:"stride,omitzero" doc:"steps of the window; 1 when not written"`
	Dilation Extent   `json:"dilation,omitzero" doc:"distances between the taps of the window; 1 when not written"`
	Pad      *Padding `json:"pad,omitempty" doc:"zeros added on each side; kernel / 2 when not written, none for a pool; of a deconv what is cut off, so that it writes stride times as much as it reads when not written"`
	Groups   int      `json:"groups,omitempty" min:"1" doc:"groups of channels of a conv, pointwise or deconv; 1 when not written"`
	Size     Extent   `json:"size,omitzero" doc:"rows and columns that a resize makes"`
	Inputs   []string `json:"inputs,omitempty" doc:"the layers it reads: one; two of an add, mul or matmul; those whose channels a view puts together; input is the network's; the layer before it when not written"`
}

// newList makes a network of layers as a recipe writes them. The error is a mistake in
// the layer at fault.
func newList(input Shape, layers []LayerSpec) (Network, error) {
	n := Network{Name: fmt.Sprintf("%d layers", len(layers)), Input: input}
	if input.C < 1 || input.H < 1 || input.W < 1 {
		return n, mistake.At("input", "%v, want the shape of the network's input, such as { c = 3, h = 96, w = 96 }", input)
	}
	index := map[string]int{"input": -1}
	for i, s := range layers {
		at := fmt.Sprintf("layers[%d]", i)
		if s.Name == "" {
			s.Name = fmt.Sprintf("%s%d", s.Op, i+1)
		}
		if _, taken := index[s.Name]; taken {
			return n, mistake.At(at+".name", "there is another %q before it", s.Name)
		}
		l, err := s.layer(&n, i, index)
		if err == nil {
			if l.Out, err = l.result(); err == nil {
				err = n.check(i, l)
			}
		}
		if err != nil {
			return n, mistake.Within(at, err)
		}
		index[s.Name] = i
		n.Layers = append(n.Layers, l)
	}
	return n, nil
}

// layer fills in what is not written. It sets only what the result does not follow from.
func (s *LayerSpec) layer(n *Network, i int, index map[string]int) (l Layer, err error) {
	l = Layer{Name: s.Name, Block: s.Block, Op: s.Op, Kernel: s.Kernel, Stride: s.Stride, Inputs: []int{i - 1}}
	if l.Block == "" {
		l.Block = s.Name
	}
	if l.Stride == (Extent{}) {
		l.Stride = Square(1)
	}
	if s.Dilation != Square(1) {
		l.Dilation = s.Dilation
	}
	if s.Groups > 1 {
		l.Groups = s.Groups
	}
	if len(s.Inputs) > 0 {
		l.Inputs = nil
		for _, name := range s.Inputs {
			j, ok := index[name]
			if !ok {
				return l, mistake.At("inputs", "there is no layer %q before it", name)
			}
			l.Inputs = append(l.Inputs, j)
		}
	}
	n.read(&l)
	if err := s.channels(&l); err != nil {
		return l, err
	}
	return l, s.window(&l)
}

// channels sets what is known of the result's shape: its channels, of a view and a resize
// all of it.
func (s *LayerSpec) channels(l *Layer) error {
	l.Out.C = l.In.C
	switch s.Op {
	case Conv, Pointwise, Linear, Deconv:
		if l.Out.C = s.Channels; s.Channels < 1 {
			return mistake.At("channels", "must be written for a %s", s.Op)
		}
		if s.Op == Linear {
			l.Biases = s.Channels
		}
	case Depthwise:
		if s.Channels%l.In.C != 0 {
			return mistake.At("channels", "a depthwise has those of its input, %d, or a multiple", l.In.C)
		}
		l.Out.C = max(l.In.C, s.Channels)
	default:
		if s.Channels != 0 && s.Channels != l.In.C {
			return mistake.At("channels", "a %s has those of its input, %d", s.Op, l.In.C)
		}
	}
	if s.Groups > 1 && s.Op != Conv && s.Op != Pointwise && s.Op != Deconv {
		return mistake.At("groups", "a %s has none", s.Op)
	}
	switch s.Op {
	case Elementwise:
		l.Out = l.In
	case View:
		l.Out = l.In
		for k := range len(l.Inputs) - 1 {
			other := l.Operand(k + 1)
			if other.H != l.In.H || other.W != l.In.W {
				return mistake.At("inputs", "%q is %v and %q is %v: want equal rows and columns", s.Inputs[0], l.In, s.Inputs[k+1], other)
			}
			l.Out.C += other.C
		}
	case Resize:
		if l.Out.H, l.Out.W = s.Size.H, s.Size.W; s.Size == (Extent{}) {
			return mistake.At("size", "must be written for a resize: the rows and columns that it makes")
		}
	}
	if s.Op != Resize && s.Size != (Extent{}) {
		return mistake.At("size", "a %s has none", s.Op)
	}
	return nil
}

// window sets kernel and padding.
func (s *LayerSpec) window(l *Layer) error {
	none := Extent{}
	switch s.Op {
	case Conv, Depthwise, Deconv:
		if s.Kernel == none {
			return mistake.At("kernel", "must be written for a %s", s.Op)
		}
		over := l.Span()
		l.Pad = Padding{over.H / 2, over.W / 2, over.H / 2, over.W / 2}
		if s.Op == Deconv {
			rows, columns := over.H-l.Stride.H, over.W-l.Stride.W
			l.Pad.Top, l.Pad.Left = max(0, rows)/2, max(0, columns)/2
			l.Pad.Bottom, l.Pad.Right = rows-l.Pad.Top, columns-l.Pad.Left
		}
	case Pool:
		if s.Kernel == none {
			l.Kernel = Extent{l.In.H, l.In.W}
		}
	default:
		if s.Kernel != none && s.Kernel != Square(1) {
			return mistake.At("kernel", "a %s has none", s.Op)
		}
		l.Kernel = Square(1)
	}
	if s.Pad != nil {
		l.Pad = *s.Pad
	}
	// More is possible, and in a recipe a slip.
	if over := l.Span(); max(l.Pad.Top, l.Pad.Bottom) >= over.H || max(l.Pad.Left, l.Pad.Right) >= over.W {
		return mistake.At("pad", "%v adds rows or columns that only padding is seen of: want less than the window's %v", l.Pad, over)
	}
	return nil
}
