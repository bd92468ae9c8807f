package deployed

import (
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/onnx"
)

// ONNX returns the quantised network as an ONNX model with QuantizeLinear and
// DequantizeLinear around every operator (QDQ), which runtimes fuse into integer
// operators. Input and output are those of [Net.ONNX], in float32.
func (n *Int8) ONNX(metadata map[string]string) *onnx.Model {
	b := &qdq{graph: newGraph(n.Network), net: n}
	b.quantise("image", n.input)
	for i := range n.Layers {
		l, q := &n.Layers[i], &n.layers[i]
		in := make([]string, len(l.Inputs))
		scales := n.input
		for k, j := range l.Inputs {
			in[k] = b.name(j) + ".dequantised"
			if j >= 0 {
				scales = n.layers[j].out
			}
		}
		if q.weight != nil {
			in = append(in, b.weight(l, q), b.bias(l, q, scales))
		}
		b.layer(l, in, b.name(i))
		if i < len(n.Layers)-1 { // logits stay as they are
			b.quantise(b.name(i), q.out)
		}
	}
	return b.model(metadata)
}

// qdq is an ONNX graph of a quantised network under construction.
type qdq struct {
	*graph
	net *Int8
}

// quantise adds name.dequantised: what is left of a map by its quantisation.
func (b *qdq) quantise(name string, s scale) {
	size := b.constant(onnx.Floats(name+".scale", []float32{s.size}))
	bytes, plus := b.net.encoding.maps()
	zero := b.constant(onnx.Ints(name+".zero", bytes, []int64{int64(s.zero) + plus}))
	b.node("QuantizeLinear", name+".quantise", []string{name, size, zero}, name+".quantised")
	b.node("DequantizeLinear", name+".dequantise", []string{name + ".quantised", size, zero}, name+".dequantised")
}

// weight adds a layer's weights, with a scale per output channel.
func (b *qdq) weight(l *arch.Layer, q *quantised) string {
	name := l.Name + ".weight"
	bytes, plus := b.net.encoding.weights()
	b.constant(onnx.Ints(name, bytes, wide(q.weight, plus), weightShape(l)...))
	b.constant(onnx.Floats(name+".scale", q.steps, int64(l.Out.C)))
	b.constant(onnx.Ints(name+".zero", bytes, slices.Repeat([]int64{plus}, l.Out.C), int64(l.Out.C)))
	b.node("DequantizeLinear", name+".dequantise", []string{name, name + ".scale", name + ".zero"}, name+".dequantised",
		onnx.Attribute{Name: "axis", Value: int64(0)})
	return name + ".dequantised"
}

// bias adds a layer's biases, at the scale of its products.
func (b *qdq) bias(l *arch.Layer, q *quantised, in scale) string {
	name := l.Name + ".bias"
	products := make([]float32, len(q.steps))
	for c, step := range q.steps {
		products[c] = in.size * step
	}
	b.constant(onnx.Ints(name, onnx.Int32, wide(q.bias, 0), int64(l.Out.C)))
	b.constant(onnx.Floats(name+".scale", products, int64(l.Out.C)))
	b.constant(onnx.Ints(name+".zero", onnx.Int32, make([]int64, l.Out.C), int64(l.Out.C)))
	b.node("DequantizeLinear", name+".dequantise", []string{name, name + ".scale", name + ".zero"}, name+".dequantised",
		onnx.Attribute{Name: "axis", Value: int64(0)})
	return name + ".dequantised"
}

// wide returns v + plus in 64 bits.
func wide(v []int32, plus int64) []int64 {
	w := make([]int64, len(v))
	for i, x := range v {
		w[i] = int64(x) + plus
	}
	return w
}
