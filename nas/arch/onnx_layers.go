package arch

import (
	"fmt"
	"slices"

	"eyrie/nas/onnx"
)

// This file says which layers the operators with windows, weights and sums are.

// operator adds what a node that reads a map is.
type operator func(g *importer, n *onnx.Node, in []*tensor) error

// operators has what each operator is. Those that only constants have are computed by fold.
var operators map[string]operator

func init() {
	operators = map[string]operator{
		"Conv": (*importer).conv, "ConvTranspose": (*importer).conv, "Gemm": (*importer).gemm, "MatMul": (*importer).matMul,
		"AveragePool": (*importer).pool, "MaxPool": (*importer).pool, "LpPool": (*importer).pool,
		"Attention": (*importer).attention,
		"Shape":     (*importer).sizes, "Size": (*importer).sizes,
		"Reshape": (*importer).reshape, "Flatten": (*importer).reshape, "Squeeze": (*importer).reshape, "Unsqueeze": (*importer).reshape,
		"Transpose": (*importer).transpose, "Concat": (*importer).concat, "Split": (*importer).splits, "Slice": (*importer).slice, "Gather": (*importer).gather,
		"Pad": (*importer).padding, "Expand": (*importer).expand, "Tile": (*importer).expand, "Resize": (*importer).resize, "Upsample": (*importer).resize,
		"DepthToSpace": (*importer).regroup, "SpaceToDepth": (*importer).regroup,
		"BatchNormalization": (*importer).pass,
	}
	for f, names := range map[*operator][]string{
		ptr((*importer).reduce): {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
			"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "ArgMax", "ArgMin"},
		// What is done to each element by itself is part of the layer before.
		ptr((*importer).pass): {"Relu", "Clip", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Shrink", "Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Mish", "Gelu",
			"Tanh", "Softplus", "Softsign", "Erf", "Exp", "Log", "Sqrt", "Reciprocal", "Neg", "Abs", "Sign", "Floor", "Ceil", "Round", "Sin", "Cos", "Not", "IsNaN", "IsInf",
			"Identity", "Dropout", "Cast", "CastLike", "QuantizeLinear", "DequantizeLinear"},
		ptr((*importer).elementwise): {"Softmax", "LogSoftmax", "Hardmax", "LRN", "LpNormalization", "LayerNormalization", "RMSNormalization", "InstanceNormalization",
			"GroupNormalization", "MeanVarianceNormalization"},
		ptr((*importer).combine): {"Add", "Sub", "Sum", "Max", "Min", "Mean", "Mul", "Div", "Mod", "Pow", "PRelu", "Where", "Equal", "Greater", "Less", "GreaterOrEqual",
			"LessOrEqual", "And", "Or", "Xor"},
		nil: {"Constant", "ConstantOfShape", "Range"},
	} {
		for _, name := range names {
			if operators[name] = nil; f != nil {
				operators[name] = *f
			}
		}
	}
}

func ptr(f operator) *operator { return &f }

// pass makes the node's result its input under another name.
func (g *importer) pass(n *onnx.Node, in []*tensor) error {
	if in[0].constant {
		return fmt.Errorf("a map is not its first input")
	}
	t := *in[0]
	if n.Op != "Identity" && n.Op != "Cast" && n.Op != "QuantizeLinear" && n.Op != "DequantizeLinear" {
		t.product = false
		if err := g.settle(&t); err != nil {
			return err
		}
	}
	g.set(n, &t)
	return nil
}

// data returns the node's first input, which must be a map.
func data(in []*tensor) (*tensor, error) {
	if in[0].constant {
		return nil, fmt.Errorf("its first input is a constant, and another a map")
	}
	return in[0], nil
}

// weights returns the shape of a constant that is some layer's weights, and whether a layer
// before has the same.
func (g *importer) weights(n *onnx.Node, in []*tensor, dimensions int) (shape []int, reused bool, err error) {
	if len(in) < 2 || in[1] == nil {
		return nil, false, fmt.Errorf("it has no weights")
	}
	w := in[1]
	if !w.constant || w.dims == nil || len(w.dims) != dimensions {
		return nil, false, fmt.Errorf("its weights %q are not a constant of %d dimensions", n.Inputs[1], dimensions)
	}
	for _, d := range w.dims {
		if d < 1 || d > maxExtent {
			return nil, false, fmt.Errorf("its weights have the shape %v", w.dims)
		}
	}
	reused = g.used[w.root]
	g.used[w.root] = true
	return w.dims, reused, nil
}

// spatial says which dimensions of an image or a sequence are what.
func spatial(t *tensor) (along, error) {
	rank := len(t.dims)
	if rank < 3 || rank > 4 {
		return along{}, fmt.Errorf("its input has the shape %v: want [N, C, H, W] or [N, C, L]", t.dims)
	}
	if t.layout.holds(0, channelAxis, rowAxis, columnAxis) {
		return along{}, fmt.Errorf("its input has the shape %v, whose first dimension is not only the batch", t.dims)
	}
	if rank == 3 {
		return along{c: []int{1}, w: []int{2}}, nil
	}
	return along{c: []int{1}, h: []int{2}, w: []int{3}}, nil
}

// wrote returns the tensor that a layer wrote, of the same dimensions as the one that it
// read, and with its images where they were.
func (g *importer) wrote(layer int, old *tensor, a along) *tensor {
	s := g.net.Layers[layer].Out
	t := &tensor{layer: layer, dims: slices.Clone(old.dims)}
	sizes := slices.Repeat([]int{1}, len(old.dims))
	for _, x := range []struct {
		dims []int
		n    int
	}{{a.c, s.C}, {a.h, s.H}, {a.w, s.W}} {
		for _, i := range x.dims {
			t.dims[i], sizes[i] = x.n, x.n
		}
	}
	t.layout = laidOut(old.layout, sizes, a)
	return t
}

// conv adds a convolution or a transposed one.
func (g *importer) conv(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	if len(in) > 1 && in[1] != nil && len(in[1].dims) > 4 {
		return fmt.Errorf("a convolution of %d dimensions: one or two are supported", len(in[1].dims)-2)
	}
	a, err := spatial(x)
	if err != nil {
		return err
	}
	w, reused, err := g.weights(n, in, len(x.dims))
	if err != nil {
		return err
	}
	layer, err := g.read(x, a)
	if err != nil {
		return err
	}
	s := g.shape(x)
	groups := 1
	if v, ok := n.Attribute("group").(int64); ok {
		groups = int(min(max(v, 0), maxExtent))
	}
	deconv := n.Op == "ConvTranspose"
	l := Layer{Op: Conv, Inputs: []int{layer}, Out: Shape{C: w[0]}, Reuses: reused}
	reads := w[1] * groups
	if deconv {
		l.Op, l.Out.C, reads = Deconv, w[1]*groups, w[0]
	}
	switch {
	case groups < 1 || reads != s.C || l.Out.C%groups != 0:
		return fmt.Errorf("%d groups for %d input and %d output channels, with weights for %d input channels", groups, s.C, l.Out.C, reads)
	case groups > 1 && groups == s.C && !deconv:
		l.Op = Depthwise
	case groups > 1:
		l.Groups = groups
	}
	if err := g.window(n, &l, x, w[2:]); err != nil {
		return err
	}
	if l.Op == Conv && l.Kernel == Square(1) && l.Stride == Square(1) && l.Pad == (Padding{}) {
		l.Op = Pointwise
	}
	if layer, err = g.push(l); err == nil {
		g.set(n, g.wrote(layer, x, a))
	}
	return err
}

// pair reads an attribute of one number for each spatial dimension: columns, or rows and
// columns.
func pair(n *onnx.Node, name string, rank int, usual Extent) (Extent, error) {
	v, ok := n.Attribute(name).([]int64)
	if !ok {
		return usual, nil
	}
	if len(v) != rank {
		return usual, fmt.Errorf("%s %v: want %d numbers", name, v, rank)
	}
	for _, i := range v {
		if i < 0 || i > maxExtent {
			return usual, fmt.Errorf("%s %v: want numbers up to %d", name, v, maxExtent)
		}
	}
	if rank == 1 {
		return Extent{usual.H, int(v[0])}, nil
	}
	return Extent{int(v[0]), int(v[1])}, nil
}

// window sets a layer's kernel, stride, dilation and padding, that of the map included.
func (g *importer) window(n *onnx.Node, l *Layer, x *tensor, kernel []int) (err error) {
	rank := len(kernel)
	l.Kernel = Extent{1, kernel[rank-1]}
	if rank == 2 {
		l.Kernel.H = kernel[0]
	}
	if l.Stride, err = pair(n, "strides", rank, Square(1)); err != nil {
		return err
	}
	if l.Dilation, err = pair(n, "dilations", rank, Square(1)); err != nil {
		return err
	}
	if l.Dilation == Square(1) {
		l.Dilation = Extent{}
	}
	pads := make([]int, 2*rank)
	if v, ok := n.Attribute("pads").([]int64); ok {
		if len(v) != 2*rank || slices.Min(v) < 0 || slices.Max(v) > maxExtent {
			return fmt.Errorf("pads %v: want %d numbers, none of them negative", v, 2*rank)
		}
		for i, p := range v {
			pads[i] = int(p)
		}
	}
	if min(l.Kernel.H, l.Kernel.W, l.Stride.H, l.Stride.W) < 1 || max(l.Kernel.H, l.Kernel.W) > maxExtent {
		return fmt.Errorf("a %v window in steps of %v", l.Kernel, l.Stride)
	}
	var extra Extent // rows and columns that a deconv adds at the end
	if extra, err = pair(n, "output_padding", rank, Extent{}); err != nil {
		return err
	}
	out, err := pair(n, "output_shape", rank, Extent{})
	if err != nil {
		return err
	}
	s, span := g.shape(x), l.Span()
	auto, _ := n.Attribute("auto_pad").(string)
	ceil, _ := n.Attribute("ceil_mode").(int64)
	fit := func(in, span, stride, out, extra, begin, end int) (int, int) {
		switch same := auto == "SAME_UPPER" || auto == "SAME_LOWER"; {
		case l.Op == Deconv:
			if same && out == 0 {
				out = in * stride
			}
			if out > 0 {
				total := max(0, (in-1)*stride+span+extra-out)
				begin, end = total/2, total-total/2
				if auto == "SAME_LOWER" {
					begin, end = end, begin
				}
				if more := out - ((in-1)*stride + span - total); more > 0 {
					return begin, end - more
				}
				return begin, end
			}
			return begin, end - extra
		case same:
			total := max(0, ((in+stride-1)/stride-1)*stride+span-in)
			if auto == "SAME_LOWER" {
				return total - total/2, total / 2
			}
			return total / 2, total - total/2
		case ceil != 0:
			// A window may hang over the end, if it begins before it.
			steps := (in + begin + end - span + stride - 1) / stride
			if steps*stride >= in+begin {
				steps--
			}
			return begin, max(0, steps*stride+span-in-begin)
		}
		return begin, end
	}
	if auto == "VALID" {
		pads = make([]int, 2*rank)
	}
	l.Pad.Left, l.Pad.Right = fit(s.W, span.W, l.Stride.W, out.W, extra.W, pads[rank-1], pads[2*rank-1])
	if rank == 2 {
		l.Pad.Top, l.Pad.Bottom = fit(s.H, span.H, l.Stride.H, out.H, extra.H, pads[0], pads[2])
	}
	if l.Op == Deconv {
		return g.settleInto(l, x)
	}
	l.Pad = Padding{l.Pad.Top + x.pad.Top, l.Pad.Left + x.pad.Left, l.Pad.Bottom + x.pad.Bottom, l.Pad.Right + x.pad.Right}
	return nil
}

// settleInto makes padding of what the layer reads, its only input, over a layer.
func (g *importer) settleInto(l *Layer, x *tensor) error {
	err := g.settle(x)
	l.Inputs[0] = x.layer
	return err
}

// pool adds a pool with a window.
func (g *importer) pool(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	a, err := spatial(x)
	if err != nil {
		return err
	}
	k, ok := n.Attribute("kernel_shape").([]int64)
	if !ok || len(k) != len(x.dims)-2 || slices.Min(k) < 1 || slices.Max(k) > maxExtent {
		return fmt.Errorf("kernel_shape %v: want %d numbers, at least 1", k, len(x.dims)-2)
	}
	kernel := make([]int, len(k))
	for i := range k {
		kernel[i] = int(k[i])
	}
	layer, err := g.read(x, a)
	if err != nil {
		return err
	}
	l := Layer{Op: Pool, Inputs: []int{layer}, Out: Shape{C: g.shape(x).C}}
	if err := g.window(n, &l, x, kernel); err != nil {
		return err
	}
	if l.Kernel == Square(1) && l.Stride == Square(1) && l.Pad == (Padding{}) {
		return g.pass(n, in) // each element is its own mean
	}
	if s := g.net.shape(layer); l.Pad == (Padding{}) && l.Dilation == (Extent{}) && l.Kernel == (Extent{s.H, s.W}) {
		l.Stride = Square(1) // global: there is one position
	}
	if layer, err = g.push(l); err == nil {
		g.set(n, g.wrote(layer, x, a))
	}
	return err
}

// gemm adds a fully connected layer, or a product of two maps.
func (g *importer) gemm(n *onnx.Node, in []*tensor) error {
	if len(in) < 2 || in[1] == nil {
		return fmt.Errorf("it has no weights")
	}
	for _, t := range in[:2] {
		if len(t.dims) != 2 {
			return fmt.Errorf("its input has the shape %v: want two dimensions", t.dims)
		}
	}
	turned := func(t *tensor, attribute string) *tensor {
		if v, _ := n.Attribute(attribute).(int64); v == 0 {
			return t
		}
		u := *t
		u.dims = []int{t.dims[1], t.dims[0]}
		if !t.constant {
			u.layout = layout{t.layout[1], t.layout[0]}
		}
		return &u
	}
	// What has no bias is exported as a MatMul. A Gemm without one had zeros there, which
	// exporters leave out.
	return g.product(n, turned(in[0], "transA"), turned(in[1], "transB"), 1)
}

// matMul adds a fully connected layer, of a vector or at every position of a map, or a
// product of two maps.
func (g *importer) matMul(n *onnx.Node, in []*tensor) error {
	if len(in) < 2 || in[1] == nil {
		return fmt.Errorf("it has no second operand")
	}
	return g.product(n, in[0], in[1], 0)
}

func (g *importer) product(n *onnx.Node, a, b *tensor, bias int) error {
	switch {
	case len(a.dims) < 1 || len(b.dims) < 1:
		return fmt.Errorf("a product of the shapes %v and %v", a.dims, b.dims)
	case !a.constant && !b.constant:
		return g.products(n, a, b)
	case b.constant:
		w, reused, err := g.weights(n, []*tensor{a, b}, 2)
		if err != nil {
			return err
		}
		return g.linear(n, a, len(a.dims)-1, w[0], w[1], bias, reused)
	}
	w, reused, err := g.weights(n, []*tensor{b, a}, 2)
	if err != nil {
		return err
	}
	if len(b.dims) < 2 {
		return fmt.Errorf("a product of the shapes %v and %v", a.dims, b.dims)
	}
	return g.linear(n, b, len(b.dims)-2, w[1], w[0], bias, reused)
}

// linear adds a layer of out sums of what dimension f has: a fully connected one of a
// vector, however it became one, or a pointwise one where there are other dimensions.
func (g *importer) linear(n *onnx.Node, x *tensor, f, weights, out, bias int, reused bool) error {
	if x.dims[f] != weights {
		return fmt.Errorf("its weights are for %d inputs, its input has %d", weights, x.dims[f])
	}
	if x.layout.holds(f, batchAxis) {
		return fmt.Errorf("it sums over the images of a batch")
	}
	if err := g.settle(x); err != nil {
		return err
	}
	l := Layer{Op: Linear, Kernel: Square(1), Stride: Square(1), Biases: bias * out, Inputs: []int{x.layer}, Out: Shape{C: out}, Reuses: reused}
	a := along{c: []int{f}}
	positions := false
	for i := range x.dims {
		positions = positions || i != f && x.layout.holds(i, channelAxis, rowAxis, columnAxis)
	}
	if positions {
		l.Op = Pointwise
		if s := g.shape(x); !x.layout.whole(f, channelAxis, s.C) {
			rest := g.usual(x)
			all := slices.Concat(rest.c, rest.h, rest.w)
			slices.Sort(all)
			if all = slices.DeleteFunc(all, func(i int) bool { return i == f }); len(all) > 0 {
				a.h, a.w = all[:len(all)-1], all[len(all)-1:]
			}
			var err error
			if l.Inputs[0], err = g.read(x, a); err != nil {
				return err
			}
		}
	}
	layer, err := g.push(l)
	if err != nil {
		return err
	}
	t := *x
	t.layer, t.product = layer, bias == 0
	t.dims, t.layout = slices.Clone(x.dims), slices.Clone(x.layout)
	if t.dims[f], t.layout[f] = out, nil; out > 1 {
		t.layout[f] = []digit{{channelAxis, out, 1}}
	}
	g.set(n, &t)
	return nil
}

// products adds a product of two maps: rows and columns are the last two dimensions, and
// all before them channels.
func (g *importer) products(n *onnx.Node, x, y *tensor) error {
	if len(x.dims) < 2 || len(y.dims) < 2 {
		return fmt.Errorf("a product of maps of the shapes %v and %v", x.dims, y.dims)
	}
	outer, err := broadcast(x.dims[:len(x.dims)-2], y.dims[:len(y.dims)-2])
	if err != nil {
		return err
	}
	var inputs []int
	for _, t := range []*tensor{x, y} {
		rank := len(t.dims)
		a := along{h: []int{rank - 2}, w: []int{rank - 1}}
		for i := range rank - 2 {
			a.c = append(a.c, i)
		}
		layer, err := g.read(t, a)
		if err != nil {
			return err
		}
		if err := g.settle(t); err != nil {
			return err
		}
		inputs = append(inputs, max(layer, t.layer))
	}
	layer, err := g.push(Layer{Op: MatMul, Kernel: Square(1), Stride: Square(1), Inputs: inputs, Out: Shape{C: 1}})
	if err != nil {
		return err
	}
	s := g.net.Layers[layer].Out
	dims := append(slices.Clone(outer), s.H, s.W)
	t, err := g.laid(layer, dims)
	if err == nil {
		g.set(n, t)
	}
	return err
}

// laid returns the tensor of a layer whose channels are all dimensions but the last two,
// without the images.
func (g *importer) laid(layer int, dims []int) (*tensor, error) {
	s := g.net.shape(layer)
	first := 0
	l := make(layout, len(dims))
	if g.batch > 1 {
		if len(dims) < 3 || dims[0] != g.batch {
			return nil, fmt.Errorf("it makes the shape %v, whose first dimension is not the batch of %d", dims, g.batch)
		}
		l[0], first = []digit{{batchAxis, g.batch, 1}}, 1
	}
	rest := plain([]int{s.C, s.H, s.W}, []axis{channelAxis, rowAxis, columnAxis}).reshape(dims[first:])
	if rest == nil {
		return nil, fmt.Errorf("it makes the shape %v of a map of %v", dims, s)
	}
	copy(l[first:], rest)
	return &tensor{layer: layer, dims: dims, layout: l}, nil
}

// attention adds what scaled dot-product attention consists of.
func (g *importer) attention(n *onnx.Node, in []*tensor) error {
	if len(in) < 3 || slices.ContainsFunc(in[:3], func(t *tensor) bool { return t == nil || t.constant }) {
		return fmt.Errorf("want queries, keys and values that are maps")
	}
	if slices.ContainsFunc(in[min(len(in), 4):], func(t *tensor) bool { return t != nil }) {
		return fmt.Errorf("past keys and values are not supported")
	}
	heads := func(t *tensor, attribute string) (*tensor, error) {
		u := *t
		if len(t.dims) == 4 {
			return &u, nil
		}
		h, _ := n.Attribute(attribute).(int64)
		if len(t.dims) != 3 || h < 1 || t.dims[2]%int(min(h, maxExtent)) != 0 {
			return nil, fmt.Errorf("%d heads of the shape %v", h, t.dims)
		}
		dims := []int{t.dims[0], t.dims[1], int(h), t.dims[2] / int(h)}
		l := t.layout.reshape(dims)
		if l == nil {
			return nil, fmt.Errorf("%d heads of the shape %v", h, t.dims)
		}
		u.dims, u.layout = []int{dims[0], dims[2], dims[1], dims[3]}, layout{l[0], l[2], l[1], l[3]}
		return &u, nil
	}
	q, err := heads(in[0], "q_num_heads")
	if err != nil {
		return err
	}
	k, err := heads(in[1], "kv_num_heads")
	if err != nil {
		return err
	}
	v, err := heads(in[2], "kv_num_heads")
	if err != nil {
		return err
	}
	k.dims, k.layout = []int{k.dims[0], k.dims[1], k.dims[3], k.dims[2]}, layout{k.layout[0], k.layout[1], k.layout[3], k.layout[2]}
	if err := g.products(n, q, k); err != nil {
		return err
	}
	if err := g.elementwise(n, []*tensor{g.tensors[n.Outputs[0]]}); err != nil {
		return err
	}
	if err := g.products(n, g.tensors[n.Outputs[0]], v); err != nil || len(in[0].dims) == 4 {
		return err
	}
	t := g.tensors[n.Outputs[0]]
	l := layout{t.layout[0], t.layout[2], t.layout[1], t.layout[3]}
	dims := []int{t.dims[0], t.dims[2], t.dims[1] * t.dims[3]}
	if t.layout = l.reshape(dims); t.layout == nil {
		return fmt.Errorf("its heads cannot be joined")
	}
	t.dims = dims
	return nil
}

// elementwise adds work on each element of a map.
func (g *importer) elementwise(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	if err := g.settle(x); err != nil {
		return err
	}
	layer, err := g.push(Layer{Op: Elementwise, Kernel: Square(1), Stride: Square(1), Inputs: []int{x.layer}, Out: g.shape(x)})
	t := *x
	t.layer, t.product = layer, false
	g.set(n, &t)
	return err
}

// reduce adds a pool where rows or columns, or both, are reduced, and else work on each
// element.
func (g *importer) reduce(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	global := n.Op == "GlobalAveragePool" || n.Op == "GlobalMaxPool" || n.Op == "GlobalLpPool"
	keep := true
	if v, ok := n.Attribute("keepdims").(int64); ok && !global {
		keep = v != 0
	}
	var axes []int
	switch {
	case global:
		for i := range x.dims[min(2, len(x.dims)):] {
			axes = append(axes, i+2)
		}
	case n.Op == "ArgMax" || n.Op == "ArgMin":
		a, err := axisOf(n, 0, len(x.dims))
		if err != nil {
			return err
		}
		axes = []int{a}
	default:
		if axes, err = g.axes(n, in, len(x.dims)); err != nil {
			return err
		}
	}
	if len(axes) == 0 {
		return g.pass(n, in)
	}
	if err := g.settle(x); err != nil {
		return err
	}
	old := g.shape(x)
	change := map[int]int{}
	for _, a := range axes {
		if change[a] = 1; x.layout.holds(a, batchAxis) {
			return fmt.Errorf("it reduces the images of a batch, dimension %d", a)
		}
	}
	lay, size, _ := x.layout.resized(change) // to 1 is always possible
	t := *x
	t.layout, t.dims, t.product = lay, slices.Clone(x.dims), false
	for _, a := range axes {
		t.dims[a] = 1
	}
	to := Shape{size[channelAxis], size[rowAxis], size[columnAxis]}
	l := Layer{Op: Elementwise, Kernel: Square(1), Stride: Square(1), Inputs: []int{x.layer}, Out: to}
	if all := func(to, old int) bool { return to == old || to == 1 }; to.C == old.C && all(to.H, old.H) && all(to.W, old.W) {
		l.Op, l.Kernel = Pool, Extent{old.H / to.H, old.W / to.W}
	}
	spatialAxes := len(x.dims) == 4 && len(axes) == 2 && slices.Contains(axes, 2) && slices.Contains(axes, 3)
	if to != old || global || spatialAxes { // else there is nothing to reduce
		if t.layer, err = g.push(l); err != nil {
			return err
		}
	}
	if !keep {
		t.layout = t.layout.without(axes)
		t.dims = nil
		for i, d := range x.dims {
			if !slices.Contains(axes, i) {
				t.dims = append(t.dims, d)
			}
		}
	}
	g.set(n, &t)
	return nil
}

// combine adds what is computed of several maps element by element. What is computed of one
// map and constants, or of one map and what was computed of it, is part of the layer before.
func (g *importer) combine(n *onnx.Node, in []*tensor) error {
	var maps []*tensor
	var shapes [][]int
	for _, t := range in {
		if t == nil {
			return fmt.Errorf("it lacks an operand")
		}
		if t.dims != nil {
			shapes = append(shapes, t.dims)
		}
		if !t.constant {
			maps = append(maps, t)
		}
	}
	dims, err := broadcast(shapes...)
	if err != nil {
		return err
	}
	acc := *maps[0]
	for _, t := range maps[1:] {
		if acc.same(t) {
			continue
		}
		u := *t
		if err := g.combineTwo(n, &acc, &u); err != nil {
			return err
		}
	}
	acc.product = false
	if err := g.settle(&acc); err != nil {
		return err
	}
	if len(maps) == 1 && len(in) == 2 && n.Op == "Add" && maps[0].product {
		g.bias(&acc, in)
	}
	t, err := g.spread(&acc, dims)
	if err == nil {
		g.set(n, t)
	}
	return err
}

// bias counts the constant that is added to a product by weights: it has one element for
// each channel, or the same for all.
func (g *importer) bias(t *tensor, in []*tensor) {
	l := &g.net.Layers[t.layer]
	for _, c := range in {
		if c.constant && elements(c.dims) == l.Out.C {
			l.Biases = l.Out.C
		}
	}
}

// combineTwo makes the first of two maps what is computed of both.
func (g *importer) combineTwo(n *onnx.Node, a, b *tensor) error {
	dims, err := broadcast(a.dims, b.dims)
	if err != nil {
		return err
	}
	for _, t := range []*tensor{a, b} {
		t.product = false
		if err := g.settle(t); err != nil {
			return err
		}
		t.lift(len(dims))
	}
	big, small := a, b
	if elements(b.dims) > elements(a.dims) {
		big, small = b, a
	}
	lay, ok := g.together(big, small)
	if !ok {
		if err := g.usually(big); err != nil {
			return err
		}
		if _, err := g.read(small, g.usual(big)); err != nil {
			return err
		}
		if lay, ok = g.together(big, small); !ok {
			for _, t := range []*tensor{big, small} {
				if err := g.repeat(t, dims); err != nil {
					return err
				}
			}
			lay = big.layout
		}
	}
	op := Mul
	if slices.Contains([]string{"Add", "Sub", "Sum", "Max", "Min", "Mean"}, n.Op) {
		op = Add
	}
	inputs := []int{big.layer, small.layer}
	if g.shape(big) == g.shape(small) {
		slices.Sort(inputs)
	}
	layer, err := g.push(Layer{Op: op, Kernel: Square(1), Stride: Square(1), Inputs: inputs, Out: Shape{C: 1}})
	*a = tensor{layer: layer, dims: dims, layout: lay}
	return err
}

// lift adds dimensions of 1 before the others.
func (t *tensor) lift(rank int) {
	if more := rank - len(t.dims); more > 0 {
		t.dims = append(slices.Repeat([]int{1}, more), t.dims...)
		t.layout = append(make(layout, more), t.layout...)
	}
}

// together returns the layout of two maps combined, where along each axis they have the
// same digits, or one of them has none.
func (g *importer) together(a, b *tensor) (layout, bool) {
	lay := make(layout, len(a.dims))
	size := [4]int{1, 1, 1, 1}
	for i := range lay {
		if lay[i] = a.layout[i]; len(lay[i]) == 0 {
			lay[i] = b.layout[i]
		} else if len(b.layout[i]) > 0 && !slices.Equal(lay[i], b.layout[i]) {
			return nil, false
		}
		for _, d := range lay[i] {
			size[d.axis] *= d.size
		}
	}
	for _, x := range []axis{channelAxis, rowAxis, columnAxis} {
		m, n := g.extent(a, x), g.extent(b, x)
		if m != n && m != 1 && n != 1 || size[x] != max(m, n) {
			return nil, false
		}
	}
	return lay, true
}
