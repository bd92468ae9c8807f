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
//	  { op = "depthwise", kernel = 3, name = "dw" },
//	  { op = "pointwise", channels = 16 },
//	  { op = "add", inputs = ["dw", "conv1"] },
//	  { op = "pool" },
//	  { op = "linear", channels = 10 },
//	]
type LayerSpec struct {
	Name     string   `json:"name,omitempty" doc:"how other layers refer to it; its op and number when not written, such as conv1"`
	Block    string   `json:"block,omitempty" doc:"the block it belongs to; its name when not written"`
	Op       Op       `json:"op" doc:"what it does"`
	Channels int      `json:"channels,omitempty" min:"1" doc:"output channels of a conv, pointwise or linear"`
	Kernel   int      `json:"kernel,omitempty" min:"1" doc:"rows and columns of the window of a conv, depthwise or pool; a pool without one covers its input"`
	Stride   int      `json:"stride,omitempty" min:"1" doc:"step of the window; 1 when not written"`
	Pad      *int     `json:"pad,omitempty" min:"0" doc:"zeros added on each side; kernel / 2 when not written, none for a pool"`
	Inputs   []string `json:"inputs,omitempty" doc:"the layers it reads: one, for an add two; input is the network's; the layer before it when not written"`
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

// layer fills in what is not written. It sets only the channels of the result.
func (s *LayerSpec) layer(n *Network, i int, index map[string]int) (l Layer, err error) {
	l = Layer{Name: s.Name, Block: s.Block, Op: s.Op, Kernel: s.Kernel, Stride: max(1, s.Stride), Inputs: []int{i - 1}}
	if l.Block == "" {
		l.Block = s.Name
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
	l.In = n.shape(l.Inputs[0])
	l.Out.C = l.In.C
	switch s.Op {
	case Conv, Pointwise, Linear:
		if l.Out.C = s.Channels; s.Channels < 1 {
			return l, mistake.At("channels", "must be written for a %s", s.Op)
		}
	default:
		if s.Channels != 0 && s.Channels != l.In.C {
			return l, mistake.At("channels", "a %s has those of its input, %d", s.Op, l.In.C)
		}
	}
	switch s.Op {
	case Pointwise, Linear, Add:
		if s.Kernel > 1 {
			return l, mistake.At("kernel", "a %s has none", s.Op)
		}
		l.Kernel = 1
	case Pool:
		if s.Kernel == 0 {
			l.Kernel = max(l.In.H, l.In.W)
		}
	default:
		if s.Kernel == 0 {
			return l, mistake.At("kernel", "must be written for a %s", s.Op)
		}
		l.Pad = l.Kernel / 2
	}
	if s.Pad != nil {
		l.Pad = *s.Pad
	}
	return l, nil
}
