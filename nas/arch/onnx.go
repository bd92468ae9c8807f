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
	if err := g.net.Validate(); err != nil {
		return Network{}, err
	}
	g.net.nameBlocks()
	return g.net, nil
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

// push appends a layer with the node's name.
func (g *importer) push(n *onnx.Node, l Layer, flat bool) error {
	if len(n.Outputs) == 0 {
		return fmt.Errorf("it has no output")
	}
	if l.Name = n.Name; l.Name == "" {
		l.Name = fmt.Sprintf("%s%d", strings.ToLower(n.Op), len(g.net.Layers)+1)
	}
	g.values[n.Outputs[0]] = value{layer: len(g.net.Layers), flat: flat}
	g.net.Layers = append(g.net.Layers, l)
	return nil
}

// nameBlocks names the blocks of the graph after the scopes that their first layers are
// in, or those layers where another block has that name.
func (n *Network) nameBlocks() {
	taken := map[string]bool{}
	for _, b := range Blocks(*n) {
		name := scopeOf(n.Layers[b.From].Name)
		if taken[name] {
			name = n.Layers[b.From].Name
		}
		taken[name] = true
		for i := b.From; i < b.To; i++ {
			n.Layers[i].Block = name
		}
	}
}

// scopeOf returns the scope that a node's name begins with: the module that an exporter
// names it after.
func scopeOf(node string) string {
	if parts := strings.FieldsFunc(node, func(r rune) bool { return r == '/' }); len(parts) > 1 {
		return strings.Join(parts[:min(2, len(parts)-1)], "/")
	}
	if i := strings.LastIndexByte(node, '.'); i > 0 {
		return node[:i]
	}
	return node
}
