package deployed

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/onnx"
)

// Probe is any network with random weights, as ONNX models of it: for measuring how long
// it takes on a device, never how accurate it is. What layers leave open is chosen as it
// usually is: convolutions are followed by ReLU6, pools take the mean, elementwise work is
// a softmax, and resizing takes the nearest element.
//
// The models hold one image. Both have the same weights, which the seed decides.
type Probe struct {
	arch.Network
	seed uint64
}

// largestModel is what a file in ONNX's format holds at most, a message of protobuf, less
// some space for the graph.
const largestModel = 1<<31 - 1<<24

// NewProbe returns the network with random weights. It refuses one whose weights do not
// fit in a file.
func NewProbe(net arch.Network, seed uint64) (*Probe, error) {
	bytes := int64(0)
	for i := range net.Layers {
		if l := &net.Layers[i]; !l.Reuses {
			bytes += 4 * (l.Weights() + int64(l.Out.C))
		}
	}
	if bytes > largestModel {
		return nil, fmt.Errorf("its weights take %.1f GiB in float32: a file in ONNX's format holds less than 2 GiB", float64(bytes)/(1<<30))
	}
	return &Probe{net, seed}, nil
}

// ONNX returns the network in float32.
func (p *Probe) ONNX(metadata map[string]string) *onnx.Model {
	return p.draw("", metadata)
}

// Int8ONNX returns the network in 8 bits, with QuantizeLinear and DequantizeLinear (QDQ)
// around every operator, and a scale for each output channel of weights. The scales of maps
// follow from the weights' distribution.
func (p *Probe) Int8ONNX(e Encoding, metadata map[string]string) *onnx.Model {
	return p.draw(e, metadata)
}

// draw writes the network, in float32 where no encoding is given.
func (p *Probe) draw(e Encoding, metadata map[string]string) *onnx.Model {
	w := &drawing{
		graph: &graph{net: p.Network, known: map[string]bool{}}, probe: p, encoding: e,
		tensors: map[string]bool{}, weights: map[string]drawnWeights{},
	}
	w.Name = p.Name
	in := p.Input
	x := tensor{name: w.unique("input"), dims: dims(in), span: span{-1, 1}, rms: 0.6}
	w.Inputs = []onnx.Value{{Name: x.name, Type: onnx.Float, Shape: sizes(x.dims)}}
	maps := make([]tensor, len(p.Layers)+1) // by layer, the input first
	maps[0] = w.quantised(x.name, x.name, x)
	read := make([]bool, len(p.Layers))
	for i := range p.Layers {
		l := &p.Layers[i]
		var operands []tensor
		for _, j := range l.Inputs {
			if operands = append(operands, maps[j+1]); j >= 0 {
				read[j] = true
			}
		}
		maps[i+1] = w.layer(i, operands)
	}
	for i, t := range maps[1:] {
		if !read[i] {
			w.Outputs = append(w.Outputs, onnx.Value{Name: t.name, Type: onnx.Float, Shape: sizes(t.dims)})
		}
	}
	return w.model(metadata)
}

// tensor is a map in the graph: [1, C, H, W], or [1, C] of a fully connected layer.
type tensor struct {
	name string
	dims []int64
	span span    // that its values take, about
	rms  float64 // root of the mean of their squares, about
}

// drawing is an ONNX graph with random weights under construction.
type drawing struct {
	*graph
	probe    *Probe
	encoding Encoding // of the weights; in float32 empty

	tensors map[string]bool         // names that are taken
	weights map[string]drawnWeights // the last ones, by what they are for
}

// drawnWeights are a layer's, which others may have, too.
type drawnWeights struct {
	name string
	step float64 // all are multiples of it
}

func dims(s arch.Shape) []int64 { return []int64{1, int64(s.C), int64(s.H), int64(s.W)} }

func sizes(dims []int64) (all []onnx.Dim) {
	for _, n := range dims {
		all = append(all, onnx.Dim{Size: n})
	}
	return all
}

func elements(dims []int64) int64 {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return n
}

// unique returns the name, or one like it where a tensor has it.
func (w *drawing) unique(name string) string {
	for k, base := 2, name; w.tensors[name]; k++ {
		name = fmt.Sprintf("%s.%d", base, k)
	}
	w.tensors[name] = true
	return name
}

// apply adds an operator and returns what it writes: t, under a name.
func (w *drawing) apply(op, name string, in []string, t tensor, attributes ...onnx.Attribute) tensor {
	to := w.unique(name)
	raw := to
	if w.encoding != "" {
		raw = w.unique(name + ".float")
	}
	w.node(op, name, in, raw, attributes...)
	return w.quantised(raw, to, t)
}

// quantised adds what brings a tensor to 8 bits and back; in float32 nothing.
func (w *drawing) quantised(from, to string, t tensor) tensor {
	if t.name = to; w.encoding == "" {
		return t
	}
	if from == to {
		t.name = w.unique(from + ".dequantised")
	}
	s := t.span.scale()
	bytes, plus := w.encoding.maps()
	in := []string{
		from, w.number(t.name+".scale", onnx.Floats("", []float32{s.size})),
		w.number(t.name+".zero", onnx.Ints("", bytes, []int64{int64(s.zero) + plus})),
	}
	q := w.unique(to + ".quantised")
	w.node("QuantizeLinear", q, in, q)
	w.node("DequantizeLinear", to+".dequantise", append([]string{q}, in[1:]...), t.name)
	return t
}

// number adds a constant and returns its name.
func (w *drawing) number(name string, t onnx.Tensor) string {
	t.Name = w.unique(name)
	return w.constant(t)
}

// list adds a constant vector of integers and returns its name.
func (w *drawing) list(name string, v ...int64) string {
	return w.number(name, onnx.Ints("", onnx.Int64, v, int64(len(v))))
}

// image returns the map as [1, C, H, W].
func (w *drawing) image(l *arch.Layer, t tensor) tensor {
	if len(t.dims) == 4 {
		return t
	}
	return w.reshape(l.Name+".map", t, []int64{1, t.dims[1], 1, 1})
}

func (w *drawing) reshape(name string, t tensor, dims []int64) tensor {
	if slices.Equal(t.dims, dims) {
		return t
	}
	in := []string{t.name, w.list(name+".shape", dims...)}
	t.dims = dims
	return w.apply("Reshape", name, in, t)
}

// layer adds what layer i is and returns what it writes.
func (w *drawing) layer(i int, in []tensor) tensor {
	l := w.net.Layers[i]
	if l.Name == "" {
		l.Name = fmt.Sprintf("%s%d", l.Op, i+1)
	}
	out := tensor{dims: dims(l.Out), span: in[0].span, rms: in[0].rms}
	flat := !slices.ContainsFunc(in, func(t tensor) bool { return len(t.dims) != 2 })
	switch {
	case l.Op == arch.Linear:
		return w.linear(i, &l, in[0])
	case flat && (l.Op == arch.Add || l.Op == arch.Mul || l.Op == arch.Elementwise && l.In == l.Out):
		out.dims = out.dims[:2]
	default:
		for k := range in {
			in[k] = w.image(&l, in[k])
		}
	}
	var names []string
	for _, t := range in {
		names = append(names, t.name)
	}
	switch x := in[0]; l.Op {
	case arch.Add:
		y := in[1]
		out.span, out.rms = span{x.span.low + y.span.low, x.span.high + y.span.high}, x.rms+y.rms
		return w.apply("Add", l.Name, names, out)
	case arch.Mul:
		out.span, out.rms = x.span.times(in[1].span), x.rms*in[1].rms
		return w.apply("Mul", l.Name, names, out)
	case arch.MatMul:
		out.rms = x.rms * in[1].rms * math.Sqrt(float64(l.In.W))
		out.span = around(out.rms)
		return w.apply("MatMul", l.Name, names, out)
	case arch.Elementwise:
		return w.elementwise(&l, x, out)
	case arch.Pool:
		return w.pool(&l, x, out)
	case arch.Resize:
		return w.apply("Resize", l.Name, []string{x.name, "", "", w.list(l.Name+".sizes", out.dims...)}, out,
			onnx.Attribute{Name: "mode", Value: "nearest"}, onnx.Attribute{Name: "coordinate_transformation_mode", Value: "asymmetric"},
			onnx.Attribute{Name: "nearest_mode", Value: "floor"})
	case arch.View:
		return w.view(&l, in, out)
	}
	return w.conv(i, &l, in[0], out)
}

// times returns the span of products.
func (s span) times(t span) span {
	all := []float32{s.low * t.low, s.low * t.high, s.high * t.low, s.high * t.high}
	return span{max(slices.Min(all), -1e6), min(slices.Max(all), 1e6)}
}

// around returns the span of sums of many products, which are distributed normally.
func around(rms float64) span {
	r := float32(min(4*rms, 1e6))
	return span{-r, r}
}

// elementwise adds a softmax, or the greatest elements where the layer reduces its input.
func (w *drawing) elementwise(l *arch.Layer, x, out tensor) tensor {
	if l.In != l.Out {
		c, h, wide := int64(l.In.C/l.Out.C), int64(l.In.H/l.Out.H), int64(l.In.W/l.Out.W)
		parts := w.reshape(l.Name+".parts", x, []int64{1, int64(l.Out.C), c, int64(l.Out.H), h, int64(l.Out.W), wide})
		return w.apply("ReduceMax", l.Name, []string{parts.name}, out,
			onnx.Attribute{Name: "axes", Value: []int64{2, 4, 6}}, onnx.Attribute{Name: "keepdims", Value: int64(0)})
	}
	axis := int64(1)
	if j := l.Inputs[0]; j >= 0 && w.net.Layers[j].Op == arch.MatMul {
		axis = 3 // as in attention
	}
	out.span, out.rms = span{0, 1}, 1/math.Sqrt(float64(max(1, x.dims[axis])))
	return w.apply("Softmax", l.Name, []string{x.name}, out, onnx.Attribute{Name: "axis", Value: axis})
}

// pool adds a pool. Means of dilated windows are not in ONNX before opset 19: there it takes
// the greatest element.
func (w *drawing) pool(l *arch.Layer, x, out tensor) tensor {
	over := l.Span()
	if l.Pad == (arch.Padding{}) && l.Out.H == 1 && l.Out.W == 1 && over.H >= l.In.H && over.W >= l.In.W {
		return w.apply("GlobalAveragePool", l.Name, []string{x.name}, out)
	}
	p := *l
	if max(p.Pad.Top, p.Pad.Bottom) >= p.Kernel.H || max(p.Pad.Left, p.Pad.Right) >= p.Kernel.W { // more than runtimes take
		pads := []int64{0, 0, int64(p.Pad.Top), int64(p.Pad.Left), 0, 0, int64(p.Pad.Bottom), int64(p.Pad.Right)}
		padded := x
		padded.dims = []int64{1, x.dims[1], x.dims[2] + int64(p.Pad.Rows()), x.dims[3] + int64(p.Pad.Columns())}
		x = w.apply("Pad", l.Name+".pad", []string{x.name, w.list(l.Name+".pads", pads...)}, padded)
		p.Pad = arch.Padding{}
	}
	op, attributes := "AveragePool", windowOf(&p)
	if p.Dilation != (arch.Extent{}) {
		op, attributes = "MaxPool", append(attributes, dilations(&p))
	}
	return w.apply(op, l.Name, []string{x.name}, out, attributes...)
}

// conv adds a convolution, or a transposed one, and ReLU6.
func (w *drawing) conv(i int, l *arch.Layer, x, out tensor) tensor {
	shape := []int64{int64(l.Out.C), int64(l.In.C / max(1, l.Groups)), int64(l.Kernel.H), int64(l.Kernel.W)}
	op, groups, channels := "Conv", int64(max(1, l.Groups)), int64(0)
	products := float64(shape[1] * int64(l.Kernel.Size()))
	p := *l
	var more []onnx.Attribute
	switch l.Op {
	case arch.Depthwise:
		shape[1], groups, products = 1, int64(l.In.C), float64(l.Kernel.Size())
	case arch.Deconv:
		op, channels = "ConvTranspose", 1
		shape[0], shape[1] = int64(l.In.C), int64(l.Out.C)/groups
		products /= float64(l.Stride.Size())
		extra := []int64{int64(max(0, -p.Pad.Bottom)), int64(max(0, -p.Pad.Right))}
		p.Pad.Bottom, p.Pad.Right = max(0, p.Pad.Bottom), max(0, p.Pad.Right)
		more = append(more, onnx.Attribute{Name: "output_padding", Value: extra})
	}
	params := w.params(i, l, x, shape, channels, products)
	out.span, out.rms = span{0, 6}, 0.7
	attributes := append(windowOf(&p), dilations(&p), onnx.Attribute{Name: "group", Value: groups})
	in := append([]string{x.name}, params...)
	to, sum := w.unique(l.Name), w.unique(l.Name+".sum")
	w.node(op, l.Name, in, sum, append(attributes, more...)...)
	if w.encoding != "" { // the range of the bytes is that of ReLU6
		return w.quantised(sum, to, out)
	}
	w.node("Clip", l.Name+".relu6", []string{sum, w.bound("zero", 0), w.bound("six", 6)}, to)
	out.name = to
	return out
}

// bound returns the name of a number that many nodes have.
func (w *drawing) bound(name string, v float32) string {
	return w.constant(onnx.Floats("relu6."+name, []float32{v}))
}

func windowOf(l *arch.Layer) []onnx.Attribute {
	return []onnx.Attribute{
		{Name: "kernel_shape", Value: []int64{int64(l.Kernel.H), int64(l.Kernel.W)}},
		{Name: "pads", Value: []int64{int64(l.Pad.Top), int64(l.Pad.Left), int64(l.Pad.Bottom), int64(l.Pad.Right)}},
		{Name: "strides", Value: []int64{int64(l.Stride.H), int64(l.Stride.W)}},
	}
}

func dilations(l *arch.Layer) onnx.Attribute {
	return onnx.Attribute{Name: "dilations", Value: []int64{int64(max(1, l.Dilation.H)), int64(max(1, l.Dilation.W))}}
}

// linear adds a fully connected layer: one without biases is a product, as exporters have it.
func (w *drawing) linear(i int, l *arch.Layer, x tensor) tensor {
	features := int64(l.In.Size())
	x = w.reshape(l.Name+".flat", x, []int64{1, features})
	out := tensor{dims: []int64{1, int64(l.Out.C)}, rms: 1, span: around(1)}
	if l.Biases == 0 {
		params := w.params(i, l, x, []int64{features, int64(l.Out.C)}, 1, float64(features))
		return w.apply("MatMul", l.Name, []string{x.name, params[0]}, out)
	}
	params := w.params(i, l, x, []int64{int64(l.Out.C), features}, 0, float64(features))
	return w.apply("Gemm", l.Name, append([]string{x.name}, params...), out, onnx.Attribute{Name: "transB", Value: int64(1)})
}

// params adds weights and biases and returns their names. products is how many products each
// result sums up: the weights are drawn so that the sums are around 1. channels is the
// dimension of the output channels.
func (w *drawing) params(i int, l *arch.Layer, x tensor, shape []int64, channels int64, products float64) []string {
	key := fmt.Sprint(l.Op == arch.Deconv, shape)
	last, known := w.weights[key]
	if !known || !l.Reuses {
		last = w.draw(i, l, x, shape, channels, products)
		w.weights[key] = last
	}
	rng := rand.New(rand.NewPCG(w.probe.seed, uint64(2*i+1)))
	biases := make([]float32, l.Out.C)
	for c := range biases {
		biases[c] = float32(rng.IntN(255)-127) / 256
	}
	if w.encoding == "" {
		return []string{last.name, w.number(l.Name+".bias", onnx.Floats("", biases, int64(l.Out.C)))}
	}
	step := float64(float32(float64(x.span.scale().size) * last.step))
	ints := make([]int64, l.Out.C)
	for c, b := range biases {
		ints[c] = int64(math.RoundToEven(max(-largestBias, min(largestBias, float64(b)/step))))
	}
	return []string{last.name, w.dequantise(l.Name+".bias", onnx.Ints("", onnx.Int32, ints, int64(l.Out.C)), l.Out.C, step, 0, 0)}
}

// draw adds random weights.
func (w *drawing) draw(i int, l *arch.Layer, x tensor, shape []int64, channels int64, products float64) drawnWeights {
	rng := rand.New(rand.NewPCG(w.probe.seed, uint64(2*i)))
	largest := 127
	if w.encoding != "" {
		largest = int(w.encoding.Largest())
	}
	n := elements(shape)
	step := math.Sqrt(3/products) / max(x.rms, 1e-6) / float64(largest) // uniform of this deviation
	step = float64(float32(step))
	name := l.Name + ".weight"
	if w.encoding == "" {
		v := make([]float32, n)
		for k := range v {
			v[k] = float32(float64(rng.IntN(2*largest+1)-largest) * step)
		}
		return drawnWeights{w.number(name, onnx.Floats("", v, shape...)), step}
	}
	bytes, plus := w.encoding.weights()
	v := make([]byte, n)
	for k := range v {
		v[k] = byte(rng.IntN(2*largest+1) - largest + int(plus))
	}
	parts := int(shape[channels])
	return drawnWeights{w.dequantise(name, onnx.Tensor{Type: bytes, Shape: shape, Raw: v}, parts, step, plus, channels), step}
}

// dequantise adds a constant in integers with a scale for each of its parts along an axis,
// and returns the name of what it stands for.
func (w *drawing) dequantise(name string, t onnx.Tensor, parts int, step float64, zero, axis int64) string {
	scales := slices.Repeat([]float32{float32(step)}, parts)
	in := []string{
		w.number(name, t), w.number(name+".scale", onnx.Floats("", scales, int64(parts))),
		w.number(name+".zero", onnx.Ints("", t.Type, slices.Repeat([]int64{zero}, parts), int64(parts))),
	}
	to := w.unique(name + ".dequantised")
	w.node("DequantizeLinear", name+".dequantise", in, to, onnx.Attribute{Name: "axis", Value: axis})
	return to
}

// view adds what moves elements as the layer does: of its operands it joins, cuts, repeats
// or reorders as many.
func (w *drawing) view(l *arch.Layer, in []tensor, out tensor) tensor {
	x := in[0]
	if len(in) > 1 {
		joined, ok := w.join(l, in, out.dims)
		if ok {
			return joined
		}
		x = joined
	}
	smaller, larger := true, true
	for i, n := range out.dims {
		smaller, larger = smaller && n <= x.dims[i], larger && n >= x.dims[i]
	}
	switch n := elements(out.dims); {
	case slices.Equal(x.dims, out.dims): // the same elements in another order: from the end
		axis := slices.Index(x.dims, slices.Max(x.dims))
		return w.apply("Slice", l.Name, []string{x.name, w.list(l.Name+".starts", -1), w.list(l.Name+".ends", math.MinInt64), w.list(l.Name+".axes", int64(axis)), w.list(l.Name+".steps", -1)}, out)
	case n == elements(x.dims):
		turned := x
		turned.dims = []int64{1, x.dims[2], x.dims[3], x.dims[1]}
		turned = w.apply("Transpose", l.Name+".turn", []string{x.name}, turned, onnx.Attribute{Name: "perm", Value: []int64{0, 2, 3, 1}})
		return w.reshape(l.Name, turned, out.dims)
	case smaller || larger:
		return w.resized(l.Name, x, out.dims)
	default:
		x = w.reshape(l.Name+".flat", x, []int64{1, elements(x.dims), 1, 1})
		return w.reshape(l.Name, w.resized(l.Name+".part", x, []int64{1, n, 1, 1}), out.dims)
	}
}

// join adds the concatenation of maps. It reports whether that is all: where no axis fits,
// what it returns are the elements of all.
func (w *drawing) join(l *arch.Layer, in []tensor, to []int64) (tensor, bool) {
	x := in[0]
	for _, t := range in[1:] {
		x.span = span{min(x.span.low, t.span.low), max(x.span.high, t.span.high)}
		x.rms = max(x.rms, t.rms)
	}
	var names []string
	for axis := 1; axis < 4; axis++ {
		sum, fits := int64(0), true
		names = nil
		for _, t := range in {
			sum += t.dims[axis]
			for i := range t.dims {
				fits = fits && (i == axis || t.dims[i] == to[i])
			}
			names = append(names, t.name)
		}
		if !fits || sum > to[axis] {
			continue
		}
		x.dims = to
		if sum < to[axis] { // a constant is among what it joins, as a class token
			rest := slices.Clone(to)
			rest[axis] -= sum
			names = append(names, w.number(l.Name+".rest", onnx.Floats("", make([]float32, elements(rest)), rest...)))
		}
		return w.apply("Concat", l.Name, names, x, onnx.Attribute{Name: "axis", Value: int64(axis)}), true
	}
	names = nil
	n := int64(0)
	for k, t := range in {
		n += elements(t.dims)
		names = append(names, w.reshape(fmt.Sprintf("%s.flat%d", l.Name, k+1), t, []int64{1, elements(t.dims), 1, 1}).name)
	}
	x.dims = []int64{1, n, 1, 1}
	return w.apply("Concat", l.Name+".all", names, x, onnx.Attribute{Name: "axis", Value: int64(1)}), false
}

// resized adds what cuts a map along each dimension, or repeats its edge.
func (w *drawing) resized(name string, x tensor, to []int64) tensor {
	if slices.Equal(x.dims, to) {
		return x
	}
	out := x
	out.dims = to
	if elements(to) < elements(x.dims) {
		return w.apply("Slice", name, []string{x.name, w.list(name+".starts", 0, 0, 0), w.list(name+".ends", to[1:]...), w.list(name+".axes", 1, 2, 3)}, out)
	}
	pads := make([]int64, 8)
	for i, n := range to {
		pads[4+i] = n - x.dims[i]
	}
	return w.apply("Pad", name, []string{x.name, w.list(name+".pads", pads...)}, out, onnx.Attribute{Name: "mode", Value: "edge"})
}
