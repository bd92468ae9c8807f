package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"eyrie/nas/onnx"
)

// FromONNX returns the layers of a convolutional network in the ONNX format.
// Shapes are inferred from that of the graph's one input, [N, C, H, W] with the
// last three known. Activation functions, batch normalisation, quantisation,
// dropout and what only reshapes cost nothing and are passed through. An
// operators that no layer stands for are an error that names all of them.
//
// A layer's block is the first two parts of its node's name, as PyTorch writes
// them ("/features/features.3/conv/…"), or what comes before its last dot.
func FromONNX(m *onnx.Model) (Network, error) {
	g := importer{
		values: map[string]value{}, constants: map[string]constant{}, written: map[string]bool{},
		used: map[string]bool{}, unsupported: map[string]int{},
	}
	for i := range m.Graph.Initializers {
		t := &m.Graph.Initializers[i]
		g.constants[t.Name], g.written[t.Name] = constant{t.Name, t.Shape, t.Ints}, true
	}
	if err := g.input(m); err != nil {
		return Network{}, err
	}
	for i := range m.Graph.Nodes {
		n := &m.Graph.Nodes[i]
		if err := g.node(n); err != nil {
			name := n.Name
			if name == "" {
				name = strings.Join(n.Outputs, ", ")
			}
			return Network{}, fmt.Errorf("node %q (%s): %w", name, n.Op, err)
		}
	}
	if len(g.unsupported) > 0 {
		return Network{}, g.refused()
	}
	if len(g.net.Layers) == 0 {
		return Network{}, fmt.Errorf("there is no layer in the graph")
	}
	if g.net.Name = m.Graph.Name; slices.Contains(anyNames, m.Graph.Name) {
		g.net.Name = "ONNX model"
	}
	return g.net, g.net.Validate()
}

// anyNames are what exporters call every graph.
var anyNames = []string{"", "main_graph", "main", "torch_jit", "torch-jit-export", "tf2onnx", "graph"}

// refused reports all operators that no layer stands for.
func (g *importer) refused() error {
	var all []string
	for _, op := range slices.Sorted(maps.Keys(g.unsupported)) {
		all = append(all, fmt.Sprintf("%s (%d, first %q)", op, g.unsupported[op], g.first[op]))
	}
	return fmt.Errorf("operators that are not supported: %s", strings.Join(all, ", "))
}

// value is a tensor that depends on the input.
type value struct {
	layer int  // that wrote it; −1 for the input
	flat  bool // was made a vector
	sizes bool // holds sizes for reshaping, no map
	lost  bool // is behind an operator that is not supported
}

// constant is a tensor that does not depend on the input.
type constant struct {
	root  string  // the initializer, or the output of the node, that it was made of
	shape []int64 // nil where it was not followed
	ints  []int64 // of an initializer of integers
}

// importer turns nodes into layers.
type importer struct {
	net       Network
	values    map[string]value
	constants map[string]constant
	written   map[string]bool // all tensors so far
	used      map[string]bool // constants that a layer has as weights

	unsupported map[string]int    // how many nodes have an operator
	first       map[string]string // and one of them
}

// input finds the graph's one input that is not an initializer.
func (g *importer) input(m *onnx.Model) error {
	var names []string
	for _, in := range m.Graph.Inputs {
		if _, constant := g.constants[in.Name]; constant {
			continue
		}
		names = append(names, in.Name)
		if len(in.Shape) != 4 {
			return fmt.Errorf("input %q has %d dimensions, want [N, C, H, W]", in.Name, len(in.Shape))
		}
		for _, d := range in.Shape[1:] {
			if d.Size < 1 || d.Size > 1<<20 {
				return fmt.Errorf("input %q: channels, rows and columns must be fixed numbers: export the model for one size", in.Name)
			}
		}
		g.net.Input = Shape{int(in.Shape[1].Size), int(in.Shape[2].Size), int(in.Shape[3].Size)}
		g.values[in.Name], g.written[in.Name] = value{layer: -1}, true
	}
	if len(names) != 1 {
		return fmt.Errorf("the graph has %d inputs, want one", len(names))
	}
	return nil
}

// passed are operations that change no shape and cost nothing here.
var passed = []string{
	"Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Mish", "Gelu", "Tanh", "Softplus", "Softsign", "Erf",
	"BatchNormalization", "Identity", "Dropout", "Cast", "QuantizeLinear", "DequantizeLinear", "Softmax", "LogSoftmax", "Sqrt", "Neg", "Abs",
}

// followed are the operators that make layers or change shapes.
var followed = []string{
	"Conv", "Gemm", "MatMul", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "AveragePool", "MaxPool", "Add", "Sum", "Sub", "Mul", "Div",
	"Shape", "Flatten", "Reshape", "Squeeze", "Unsqueeze",
}

// node adds what a node is.
func (g *importer) node(n *onnx.Node) error {
	if n.Domain != "" && n.Domain != "ai.onnx" {
		return fmt.Errorf("its operator is of domain %q, which is not supported", n.Domain)
	}
	for _, in := range n.Inputs {
		if in != "" && !g.written[in] {
			return fmt.Errorf("it reads %q, which no input, constant or node before it is", in)
		}
	}
	for _, out := range n.Outputs {
		g.written[out] = true
	}
	maps := g.maps(n)
	if len(maps) == 0 {
		return g.constant(n)
	}
	if maps[0].sizes && !slices.ContainsFunc(maps, func(v value) bool { return !v.sizes }) {
		return g.alias(n, maps[0])
	}
	lost := slices.ContainsFunc(maps, func(v value) bool { return v.lost })
	if known := slices.Contains(followed, n.Op) || slices.Contains(passed, n.Op); !known {
		g.refuse(n)
		lost = true
	}
	if lost {
		for _, out := range n.Outputs {
			g.values[out] = value{lost: true}
		}
		return nil
	}
	switch n.Op {
	case "Conv":
		return g.conv(n)
	case "Gemm", "MatMul":
		return g.linear(n)
	case "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "AveragePool", "MaxPool":
		return g.pool(n)
	case "Add", "Sum", "Sub", "Mul", "Div":
		return g.elementwise(n, maps)
	case "Shape":
		return g.alias(n, value{layer: maps[0].layer, sizes: true})
	case "Flatten":
		v := maps[0]
		v.flat = true
		return g.alias(n, v)
	case "Reshape", "Squeeze", "Unsqueeze":
		return g.reshape(n, maps[0])
	}
	return g.alias(n, maps[0])
}

// refuse notes an operator that is not supported. What is behind it is not followed,
// so that all of them are found.
func (g *importer) refuse(n *onnx.Node) {
	if g.first == nil {
		g.first = map[string]string{}
	}
	if g.unsupported[n.Op]++; g.unsupported[n.Op] == 1 {
		g.first[n.Op] = n.Name
		if n.Name == "" {
			g.first[n.Op] = strings.Join(n.Outputs, ", ")
		}
	}
}

// maps returns the node's inputs that depend on the network's.
func (g *importer) maps(n *onnx.Node) (maps []value) {
	for _, in := range n.Inputs {
		if v, ok := g.values[in]; ok {
			maps = append(maps, v)
		}
	}
	return maps
}

// alias makes the node's first output another name of a value.
func (g *importer) alias(n *onnx.Node, v value) error {
	if len(n.Outputs) == 0 {
		return fmt.Errorf("it has no output")
	}
	g.values[n.Outputs[0]] = v
	return nil
}

// rewritten are operators whose result is their first input in another form.
var rewritten = []string{"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "QuantizeLinear", "DequantizeLinear"}

// constant follows the shape of what does not depend on the input, as far as
// layers' weights need it.
func (g *importer) constant(n *onnx.Node) error {
	if len(n.Outputs) == 0 {
		return fmt.Errorf("it has no output")
	}
	c := constant{root: n.Outputs[0]}
	if len(n.Inputs) > 0 {
		made := g.constants[n.Inputs[0]]
		if c.shape = made.shape; slices.Contains(rewritten, n.Op) {
			c.root = made.root
		}
		if n.Op == "Identity" || n.Op == "Cast" {
			c.ints = made.ints
		}
	}
	switch v := n.Attribute("value").(type) {
	case onnx.Tensor:
		c.shape, c.ints = v.Shape, v.Ints
	default:
		if n.Op == "Transpose" {
			perm, _ := n.Attribute("perm").([]int64)
			old := c.shape
			c.shape = slices.Clone(old)
			slices.Reverse(c.shape)
			for i, p := range perm {
				if len(perm) != len(old) || p < 0 || int(p) >= len(old) {
					return fmt.Errorf("perm %v does not permute %d dimensions", perm, len(old))
				}
				c.shape[i] = old[p]
			}
		}
	}
	if v, ok := n.Attribute("value_ints").([]int64); ok && n.Op == "Constant" {
		c.shape, c.ints = []int64{int64(len(v))}, v
	}
	for _, out := range n.Outputs {
		g.constants[out] = c
	}
	return nil
}

// data returns the node's first input, which must be a map.
func (g *importer) data(n *onnx.Node) (v value, in Shape, err error) {
	v, ok := g.values[n.Inputs[0]]
	if !ok || v.sizes {
		return v, in, fmt.Errorf("its first input, %q, is not a map", n.Inputs[0])
	}
	return v, g.net.shape(v.layer), nil
}

// weights returns the shape of the node's second input, and whether a layer before has
// the same.
func (g *importer) weights(n *onnx.Node, dimensions int) (shape []int64, reused bool, err error) {
	if len(n.Inputs) < 2 {
		return nil, false, fmt.Errorf("it has no weights")
	}
	w := g.constants[n.Inputs[1]]
	if len(w.shape) != dimensions {
		return nil, false, fmt.Errorf("its weights %q are not a constant of %d dimensions", n.Inputs[1], dimensions)
	}
	for _, d := range w.shape {
		if d < 1 || d > 1<<24 {
			return nil, false, fmt.Errorf("its weights have the shape %v", w.shape)
		}
	}
	reused = g.used[w.root]
	g.used[w.root] = true
	return w.shape, reused, nil
}

func (g *importer) conv(n *onnx.Node) error {
	v, in, err := g.data(n)
	if err != nil {
		return err
	}
	w, reused, err := g.weights(n, 4)
	if err != nil {
		return err
	}
	if v.flat {
		return fmt.Errorf("its input was made a vector")
	}
	l := Layer{Op: Conv, In: in, Inputs: []int{v.layer}, Out: Shape{C: int(w[0])}, Reuses: reused}
	group := int64(1)
	if a, ok := n.Attribute("group").(int64); ok {
		group = a
	}
	switch {
	case group == 1 && w[1] != int64(in.C):
		return fmt.Errorf("its weights are for %d input channels, its input has %d", w[1], in.C)
	case group == 1:
	case group == int64(in.C) && w[0] == group && w[1] == 1:
		l.Op = Depthwise
	default:
		return fmt.Errorf("%d groups for %d input and %d output channels: only 1, or as many as there are channels, are supported", group, in.C, w[0])
	}
	if err := window(n, &l, w[2], w[3]); err != nil {
		return err
	}
	if l.Op == Conv && l.Kernel == 1 && l.Stride == 1 && l.Pad == 0 {
		l.Op = Pointwise
	}
	return g.push(n, l, false)
}

// window reads kernel, stride and padding, and sets the result's rows and
// columns. Where the two sides are padded differently it takes the padding of
// both that gives the same result.
func window(n *onnx.Node, l *Layer, kh, kw int64) error {
	if kh != kw || kh < 1 || kh > 1<<12 {
		return fmt.Errorf("a %d×%d window: only square ones, up to 4096, are supported", kh, kw)
	}
	l.Kernel, l.Stride = int(kh), 1
	if s, ok := n.Attribute("strides").([]int64); ok {
		if len(s) != 2 || s[0] != s[1] || s[0] < 1 || s[0] > 1<<20 {
			return fmt.Errorf("strides %v: only two equal ones are supported", s)
		}
		l.Stride = int(s[0])
	}
	if d, ok := n.Attribute("dilations").([]int64); ok && slices.ContainsFunc(d, func(v int64) bool { return v != 1 }) {
		return fmt.Errorf("dilations %v are not supported", d)
	}
	pads := []int64{0, 0, 0, 0}
	if p, ok := n.Attribute("pads").([]int64); ok {
		pads = p
	}
	if len(pads) != 4 || slices.Min(pads) < 0 || slices.Max(pads) >= kh {
		return fmt.Errorf("pads %v: want four, each below the kernel's %d", pads, kh)
	}
	height, width := l.In.H+int(pads[0]+pads[2])-l.Kernel, l.In.W+int(pads[1]+pads[3])-l.Kernel
	up := false
	switch auto, _ := n.Attribute("auto_pad").(string); auto {
	case "SAME_UPPER", "SAME_LOWER":
		up = true
	}
	if c, ok := n.Attribute("ceil_mode").(int64); ok && c != 0 && !up {
		height, width = height+l.Stride-1, width+l.Stride-1
	}
	out := Shape{C: l.Out.C, H: height/l.Stride + 1, W: width/l.Stride + 1}
	if up {
		out.H, out.W = (l.In.H+l.Stride-1)/l.Stride, (l.In.W+l.Stride-1)/l.Stride
	} else if height < 0 || width < 0 {
		return fmt.Errorf("a %d×%d window does not fit in its input of %v", kh, kw, l.In)
	}
	for l.Pad = range l.Kernel {
		if s, err := l.result(); err == nil && s == out {
			l.Out = out
			return nil
		}
	}
	return fmt.Errorf("pads %v make %v of %v: no equal padding of both sides does", pads, out, l.In)
}

func (g *importer) linear(n *onnx.Node) error {
	v, in, err := g.data(n)
	if err != nil {
		return err
	}
	w, reused, err := g.weights(n, 2)
	if err != nil {
		return err
	}
	if t, _ := n.Attribute("transB").(int64); t != 0 {
		w = []int64{w[1], w[0]}
	}
	if !v.flat && (in.H > 1 || in.W > 1) {
		return fmt.Errorf("its input is a map of %v, not a vector", in)
	}
	if int(w[0]) != in.Size() {
		return fmt.Errorf("its weights are for %d inputs, its input has %d", w[0], in.Size())
	}
	return g.push(n, Layer{Op: Linear, Kernel: 1, Stride: 1, In: in, Inputs: []int{v.layer}, Out: Shape{int(w[1]), 1, 1}, Reuses: reused}, true)
}

func (g *importer) pool(n *onnx.Node) error {
	v, in, err := g.data(n)
	if err != nil {
		return err
	}
	if v.flat {
		return fmt.Errorf("its input was made a vector")
	}
	l := Layer{Op: Pool, Stride: 1, In: in, Inputs: []int{v.layer}, Out: Shape{in.C, 1, 1}, Kernel: max(in.H, in.W)}
	switch n.Op {
	case "ReduceMean":
		if err := g.overRowsAndColumns(n); err != nil {
			return err
		}
		keep, ok := n.Attribute("keepdims").(int64)
		return g.push(n, l, ok && keep == 0)
	case "AveragePool", "MaxPool":
		k, ok := n.Attribute("kernel_shape").([]int64)
		if !ok || len(k) != 2 {
			return fmt.Errorf("kernel_shape %v: want two numbers", k)
		}
		if err := window(n, &l, k[0], k[1]); err != nil {
			return err
		}
	}
	return g.push(n, l, false)
}

// overRowsAndColumns fails unless the axes that the node reduces are those of rows and
// columns. Since opset 18 they are an input. Without any, all axes are reduced.
func (g *importer) overRowsAndColumns(n *onnx.Node) error {
	axes, ok := n.Attribute("axes").([]int64)
	if len(n.Inputs) > 1 && n.Inputs[1] != "" {
		c, constant := g.constants[n.Inputs[1]]
		if axes, ok = c.ints, constant && c.ints != nil; !ok {
			return fmt.Errorf("its axes, %q, are not a constant in the model: export it with constant axes", n.Inputs[1])
		}
	}
	if !ok {
		return fmt.Errorf("it has no axes, and so reduces channels as well: only rows and columns are supported")
	}
	const dimensions = 4
	var reduced [dimensions]bool
	for _, a := range axes {
		if a < -dimensions || a >= dimensions {
			return fmt.Errorf("axes %v: a map has %d", axes, dimensions)
		}
		reduced[(a+dimensions)%dimensions] = true
	}
	if reduced != [dimensions]bool{2: true, 3: true} {
		return fmt.Errorf("axes %v: only rows and columns, 2 and 3, are supported", axes)
	}
	return nil
}

// elementwise is a residual add of two maps, or a cheap operation with a
// constant or with the same map, as parts of activation functions are.
func (g *importer) elementwise(n *onnx.Node, maps []value) error {
	if slices.ContainsFunc(maps, func(v value) bool { return v.sizes }) {
		return fmt.Errorf("it computes with sizes, which is not supported")
	}
	switch {
	case len(maps) == 1 || len(maps) == 2 && maps[0] == maps[1] && n.Op != "Add" && n.Op != "Sum":
		return g.alias(n, maps[0])
	case len(maps) == 2 && (n.Op == "Add" || n.Op == "Sum" || n.Op == "Sub"):
		a, b := g.net.shape(maps[0].layer), g.net.shape(maps[1].layer)
		if a != b {
			return fmt.Errorf("its operands are %v and %v: only equal shapes are supported", a, b)
		}
		inputs := []int{maps[0].layer, maps[1].layer}
		slices.Sort(inputs)
		return g.push(n, Layer{Op: Add, Kernel: 1, Stride: 1, In: a, Out: a, Inputs: inputs}, maps[0].flat)
	}
	return fmt.Errorf("of two maps it is not supported")
}

// reshape passes on a map that is made a vector or keeps its shape.
func (g *importer) reshape(n *onnx.Node, v value) error {
	in := g.net.shape(v.layer)
	if v.sizes {
		return fmt.Errorf("its first input holds sizes, no map")
	}
	v.flat = v.flat || in.H == 1 && in.W == 1 || n.Op == "Reshape"
	if !v.flat {
		return fmt.Errorf("it reshapes a map of %v, which is not supported", in)
	}
	return g.alias(n, v)
}

// push appends a layer with the node's name.
func (g *importer) push(n *onnx.Node, l Layer, flat bool) error {
	if len(n.Outputs) == 0 {
		return fmt.Errorf("it has no output")
	}
	if l.Name = n.Name; l.Name == "" {
		l.Name = fmt.Sprintf("%s%d", strings.ToLower(n.Op), len(g.net.Layers)+1)
	}
	l.Block = blockOf(l.Name)
	g.values[n.Outputs[0]] = value{layer: len(g.net.Layers), flat: flat}
	g.net.Layers = append(g.net.Layers, l)
	return nil
}

// blockOf derives a block's name from a node's.
func blockOf(node string) string {
	if parts := strings.FieldsFunc(node, func(r rune) bool { return r == '/' }); len(parts) > 1 {
		return strings.Join(parts[:min(2, len(parts)-1)], "/")
	}
	if i := strings.LastIndexByte(node, '.'); i > 0 {
		return node[:i]
	}
	return node
}
