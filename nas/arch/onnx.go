package arch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"eyrie/nas/onnx"
)

// FromONNX returns the layers of a network in the ONNX format, from whichever exporter and
// opset. Its one input is [N, C, H, W], [N, H, W, C] where the model transposes it first,
// [N, C, L] or [N, F]. The batch may be of any size and is taken for one image. size gives
// what else the file leaves open; where it is 0, the file must say.
//
// All shapes are inferred from the input's: sizes that the graph computes are computed, and
// channels, rows and columns are followed through transposes and reshapes, which cost
// nothing as such. Where a layer reads a map in another order than it was written, as
// after a channel shuffle, a [View] stands for the work of moving it.
//
// Activation functions, batch normalisation, operations with constants, quantisation and
// dropout cost nothing: they are part of the layer before. So does padding with a
// constant before a window. Softmax, other normalisations and reductions over channels are
// [Elementwise]; a pool that covers rows or columns, or a mean over them, is a [Pool].
// Operators that no layer stands for are an error that names all of them.
//
// Weights may be in another file, as PyTorch writes them: only their shapes matter.
//
// A layer's block is the first two parts of its node's name, as PyTorch writes
// them ("/features/features.3/conv/…"), or what comes before its last dot.
func FromONNX(m *onnx.Model, size Shape) (Network, error) {
	n, arranged, err := importONNX(m, size, nil)
	if errors.Is(err, errRearranged) {
		n, _, err = importONNX(m, size, arranged)
	}
	return n, err
}

func importONNX(m *onnx.Model, size Shape, arranged *arrangement) (Network, *arrangement, error) {
	g := importer{tensors: map[string]*tensor{}, used: map[string]bool{}, names: map[string]int{}, unsupported: map[string]int{}, firstNode: map[string]string{}}
	if err := g.start(m, size, arranged); err != nil {
		return Network{}, nil, err
	}
	nodes := withoutParts(m.Graph.Nodes)
	for i := range nodes {
		n := &nodes[i]
		if err := g.node(n); err != nil {
			if errors.Is(err, errRearranged) {
				return Network{}, g.arranged, err
			}
			return Network{}, nil, fmt.Errorf("node %q (%s): %w", nameOf(n), n.Op, err)
		}
	}
	if len(g.unsupported) > 0 {
		return Network{}, nil, g.refused()
	}
	g.net.mergeViews()
	if len(g.net.Layers) == 0 {
		return Network{}, nil, fmt.Errorf("there is no layer in the graph")
	}
	if g.net.Name = m.Graph.Name; slices.Contains(anyNames, m.Graph.Name) {
		g.net.Name = "ONNX model"
	}
	if err := g.net.Validate(); err != nil {
		return Network{}, nil, err
	}
	g.net.nameBlocks()
	return g.net, nil, nil
}

// anyNames are what exporters call every graph.
var anyNames = []string{"", "main_graph", "main", "torch_jit", "torch-jit-export", "tf2onnx", "graph"}

func nameOf(n *onnx.Node) string {
	if n.Name == "" {
		return strings.Join(n.Outputs, ", ")
	}
	return n.Name
}

// importer turns nodes into layers.
type importer struct {
	net     Network
	tensors map[string]*tensor
	used    map[string]bool // constants that a layer has as weights
	current *onnx.Node
	names   map[string]int // how many layers have been given a name

	batch     int          // images in the graph's input
	first     layout       // of the graph's input, as assumed when it was read
	inputRead bool         // by a layer
	arranged  *arrangement // how the input is to be read, where that is known

	unsupported map[string]int    // how many nodes have an operator
	firstNode   map[string]string // and one of them
}

// refused reports all operators that no layer stands for.
func (g *importer) refused() error {
	var all []string
	for _, op := range slices.Sorted(maps.Keys(g.unsupported)) {
		all = append(all, fmt.Sprintf("%s (%d, first %q)", op, g.unsupported[op], g.firstNode[op]))
	}
	return fmt.Errorf("operators that are not supported: %s", strings.Join(all, ", "))
}

// refuse notes an operator that is not supported. What is behind it is not followed,
// so that all of them are found.
func (g *importer) refuse(n *onnx.Node, op string) {
	if g.unsupported[op]++; g.unsupported[op] == 1 {
		g.firstNode[op] = nameOf(n)
	}
	for _, out := range n.Outputs {
		g.tensors[out] = &tensor{lost: true}
	}
}

// start takes the constants and finds the graph's one input that is none of them.
func (g *importer) start(m *onnx.Model, size Shape, arranged *arrangement) error {
	for i := range m.Graph.Initializers {
		t := &m.Graph.Initializers[i]
		dims, v, err := ofTensor(t)
		if err != nil {
			return fmt.Errorf("initializer %q: %w", t.Name, err)
		}
		g.tensors[t.Name] = &tensor{dims: dims, constant: true, values: v, root: t.Name}
	}
	var names []string
	for _, in := range m.Graph.Inputs {
		if g.tensors[in.Name] != nil {
			continue
		}
		names = append(names, in.Name)
		dims, err := inputDims(&in, size)
		if err != nil {
			return fmt.Errorf("input %q: %w", in.Name, err)
		}
		t := &tensor{layer: -1, dims: dims}
		axes := [][]axis{2: {batchAxis, channelAxis}, 3: {batchAxis, channelAxis, columnAxis}, 4: {batchAxis, channelAxis, rowAxis, columnAxis}}[len(dims)]
		t.layout = plain(dims, axes)
		g.batch, g.first = dims[0], t.layout
		g.net.Input = Shape{1, 1, 1}
		for i, a := range axes {
			*[]*int{new(int), &g.net.Input.C, &g.net.Input.H, &g.net.Input.W}[a] = dims[i]
		}
		if arranged != nil {
			g.arranged, g.net.Input, t.layout = arranged, arranged.input, arranged.layout
		}
		g.tensors[in.Name] = t
	}
	if len(names) != 1 {
		return fmt.Errorf("the graph has %d inputs %q, want one", len(names), names)
	}
	return nil
}

// inputDims returns the dimensions of the input: the file's, and where these are open
// those that size gives.
func inputDims(in *onnx.Value, size Shape) ([]int, error) {
	rank := len(in.Shape)
	if rank < 2 || rank > 4 {
		return nil, fmt.Errorf("it has %d dimensions, want [N, C, H, W], [N, C, L] or [N, F]", rank)
	}
	given := [][]int{2: {0, size.C}, 3: {0, size.C, size.W}, 4: {0, size.C, size.H, size.W}}[rank]
	names := [][]string{2: {"", "features"}, 3: {"", "channels", "columns"}, 4: {"", "channels", "rows", "columns"}}[rank]
	if last := in.Shape[rank-1]; rank == 4 && last.Param == "" && in.Shape[1].Size != int64(size.C) && (last.Size == 1 || last.Size == 3) {
		given, names = []int{0, size.H, size.W, size.C}, []string{"", "rows", "columns", "channels"} // channels last
	}
	dims := make([]int, rank)
	var open []string
	for i, d := range in.Shape {
		switch n := given[i]; {
		case d.Size < 0 || d.Size > 1<<20:
			return nil, fmt.Errorf("its dimension %d is %d", i, d.Size)
		case i == 0:
			dims[i] = max(1, int(d.Size))
		case d.Size == 0 && n == 0:
			open = append(open, names[i])
		case d.Size == 0:
			dims[i] = n
		case n != 0 && int(d.Size) != n:
			return nil, fmt.Errorf("the file has %d %s, and the recipe asks for %d: export the model with them dynamic, or leave out input and resolution", d.Size, names[i], n)
		default:
			dims[i] = int(d.Size)
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("its %s may be of any size: write resolution = 224, or input = { c = 3, h = 224, w = 224 }, beside onnx, or export the model for one size", strings.Join(open, " and "))
	}
	return dims, tooLarge(dims)
}

// node adds what a node is.
func (g *importer) node(n *onnx.Node) error {
	if len(n.Outputs) == 0 {
		return fmt.Errorf("it has no output")
	}
	g.current = n
	var in []*tensor
	anyMap, lost := false, false
	for _, name := range n.Inputs {
		t := g.tensors[name]
		if name != "" && t == nil {
			return fmt.Errorf("it reads %q, which no input, constant or node before it is", name)
		}
		in = append(in, t)
		anyMap = anyMap || t != nil && !t.constant && !t.lost
		lost = lost || t != nil && t.lost
	}
	read, known := operators[n.Op]
	switch foreign := n.Domain != "" && n.Domain != "ai.onnx"; {
	case foreign:
		g.refuse(n, n.Domain+"::"+n.Op)
		return nil
	case !known && (anyMap || lost || slices.Contains(withGraphs, n.Op)):
		g.refuse(n, n.Op)
		return nil
	}
	for _, out := range n.Outputs {
		g.tensors[out] = &tensor{constant: !lost, lost: lost, root: out}
	}
	switch {
	case lost:
		return nil
	case !anyMap || read == nil:
		all, err := g.fold(n, in)
		for i, t := range all {
			g.tensors[n.Outputs[i]] = t
		}
		return err
	case n.Op != "Shape" && n.Op != "Size" && in[0] == nil:
		return fmt.Errorf("it has no first input")
	}
	return read(g, n, in)
}

// withGraphs are the operators that hold graphs of their own.
var withGraphs = []string{"If", "Loop", "Scan", "SequenceMap"}

// set makes the tensor the node's first output.
func (g *importer) set(n *onnx.Node, t *tensor) { g.tensors[n.Outputs[0]] = t }

// push appends a layer with the current node's name, and the shapes that follow from what
// it reads.
func (g *importer) push(l Layer) (layer int, err error) {
	if l.Name = g.current.Name; l.Name == "" {
		l.Name = fmt.Sprintf("%s%d", strings.ToLower(g.current.Op), len(g.net.Layers)+1)
	}
	if g.names[l.Name]++; g.names[l.Name] > 1 {
		l.Name = fmt.Sprintf("%s.%d", l.Name, g.names[l.Name])
	}
	layer = len(g.net.Layers)
	g.net.read(&l)
	if l.Out, err = l.result(); err == nil {
		err = g.net.check(layer, l)
	}
	if err != nil {
		return 0, err
	}
	g.inputRead = g.inputRead || slices.Contains(l.Inputs, -1)
	g.net.Layers = append(g.net.Layers, l)
	return layer, nil
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

// mergeViews makes one of two views that follow each other, as a slice of what is then
// transposed: a map is moved once to where it is read.
func (n *Network) mergeViews() {
	readers := make([]int, len(n.Layers))
	for _, l := range n.Layers {
		for _, j := range l.Inputs {
			if j >= 0 {
				readers[j]++
			}
		}
	}
	gone := make([]bool, len(n.Layers))
	for i := range n.Layers {
		l := &n.Layers[i]
		if l.Op != View || len(l.Inputs) != 1 {
			continue
		}
		if j := l.Inputs[0]; j >= 0 && n.Layers[j].Op == View && readers[j] == 1 && l.Out.Size() == n.Layers[j].Out.Size() {
			from := n.Layers[j]
			l.Inputs, l.In, l.Others, gone[j] = from.Inputs, from.In, from.Others, true
		}
	}
	index := make([]int, len(n.Layers))
	kept := n.Layers[:0]
	for i, l := range n.Layers {
		if index[i] = len(kept); !gone[i] {
			for k, j := range l.Inputs {
				if j >= 0 {
					l.Inputs[k] = index[j]
				}
			}
			kept = append(kept, l)
		}
	}
	n.Layers = kept
}
