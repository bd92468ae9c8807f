package deployed

import (
	"fmt"

	"eyrie/nas/arch"
	"eyrie/nas/onnx"
)

// ONNX returns the network as an ONNX model. Its input "image" is a batch of
// normalised images, channels × rows × columns, its output "logits". The
// metadata are the caller's; the subnet and what normalises images belong there.
func (n *Net) ONNX(metadata map[string]string) *onnx.Model {
	b := newGraph(n.Network)
	for i := range n.Layers {
		l, w := &n.Layers[i], &n.layers[i]
		in := make([]string, len(l.Inputs))
		for k, j := range l.Inputs {
			in[k] = b.name(j)
		}
		var params []string
		if w.weight != nil {
			params = []string{
				b.constant(onnx.Floats(l.Name+".weight", w.weight, weightShape(l)...)),
				b.constant(onnx.Floats(l.Name+".bias", w.bias, int64(l.Out.C))),
			}
		}
		sum := b.name(i)
		if w.relu6 {
			sum = l.Name + ".sum"
		}
		b.layer(l, append(in, params...), sum)
		if w.relu6 {
			b.node("Clip", l.Name+".relu6", []string{sum, b.zero(), b.six()}, b.name(i))
		}
	}
	return b.model(metadata)
}

// weightShape returns the shape of a layer's weights.
func weightShape(l *arch.Layer) []int64 {
	if l.Op == arch.Linear {
		return []int64{int64(l.Out.C), int64(inputs(l))}
	}
	return []int64{int64(l.Out.C), int64(inputs(l)), int64(l.Kernel.H), int64(l.Kernel.W)}
}

// graph is an ONNX graph under construction.
type graph struct {
	net arch.Network
	onnx.Graph
	known map[string]bool // constants
}

func newGraph(net arch.Network) *graph {
	last := net.Layers[len(net.Layers)-1]
	return &graph{net: net, known: map[string]bool{}, Graph: onnx.Graph{
		Name:    net.Name,
		Inputs:  []onnx.Value{{Name: "image", Type: onnx.Float, Shape: []onnx.Dim{{Param: "batch"}, {Size: int64(net.Input.C)}, {Size: int64(net.Input.H)}, {Size: int64(net.Input.W)}}}},
		Outputs: []onnx.Value{{Name: "logits", Type: onnx.Float, Shape: []onnx.Dim{{Param: "batch"}, {Size: int64(last.Out.C)}}}},
	}}
}

// name returns the name of the map that layer i writes.
func (g *graph) name(i int) string {
	switch {
	case i < 0:
		return "image"
	case i == len(g.net.Layers)-1:
		return "logits"
	}
	return g.net.Layers[i].Name
}

func (g *graph) node(op, name string, in []string, out string, attributes ...onnx.Attribute) {
	g.Nodes = append(g.Nodes, onnx.Node{Name: name, Op: op, Inputs: in, Outputs: []string{out}, Attributes: attributes})
}

// constant adds a tensor, unless one of its name is there, and returns its name.
func (g *graph) constant(t onnx.Tensor) string {
	if !g.known[t.Name] {
		g.known[t.Name] = true
		g.Initializers = append(g.Initializers, t)
	}
	return t.Name
}

func (g *graph) zero() string { return g.constant(onnx.Floats("zero", []float32{0})) }
func (g *graph) six() string  { return g.constant(onnx.Floats("six", []float32{6})) }

// layer adds the operator of a layer, without what clamps its result.
func (g *graph) layer(l *arch.Layer, in []string, out string) {
	switch l.Op {
	case arch.Add:
		g.node("Add", l.Name, in, out)
	case arch.Pool:
		if l.Out.H != 1 || l.Out.W != 1 {
			panic(fmt.Sprintf("deployed: layer %q pools to %v; only pooling of whole maps is known", l.Name, l.Out))
		}
		g.node("GlobalAveragePool", l.Name, in, out)
	case arch.Linear:
		flat := l.Name + ".flat"
		g.node("Flatten", flat, in[:1], flat)
		g.node("Gemm", l.Name, append([]string{flat}, in[1:]...), out, onnx.Attribute{Name: "transB", Value: int64(1)})
	default:
		group := int64(1)
		if l.Op == arch.Depthwise {
			group = int64(l.Out.C)
		}
		g.node("Conv", l.Name, in, out,
			onnx.Attribute{Name: "dilations", Value: []int64{1, 1}}, onnx.Attribute{Name: "group", Value: group},
			onnx.Attribute{Name: "kernel_shape", Value: []int64{int64(l.Kernel.H), int64(l.Kernel.W)}},
			onnx.Attribute{Name: "pads", Value: []int64{int64(l.Pad.Top), int64(l.Pad.Left), int64(l.Pad.Bottom), int64(l.Pad.Right)}}, onnx.Attribute{Name: "strides", Value: []int64{int64(l.Stride.H), int64(l.Stride.W)}})
	}
}

func (g *graph) model(metadata map[string]string) *onnx.Model {
	return &onnx.Model{Producer: "eyrie", Opset: onnx.Opset, Metadata: metadata, Graph: g.Graph}
}
