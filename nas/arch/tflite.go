package arch

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"eyrie/nas/onnx"
	"eyrie/nas/tflite"
)

// FromTFLite returns the layers of a network in TensorFlow Lite's format, in float or
// quantised: those of the same network in ONNX, whose operators it is told in. Its one input
// is [N, H, W, C], [N, L, C] or [N, F].
//
// What [FromONNX] says of costs holds: activations, also those that are part of an operator,
// quantisation and what only reshapes are free, and weights of one buffer count once.
func FromTFLite(m *tflite.Model) (Network, error) {
	c := converter{m: m, computed: make([]bool, len(m.Tensors)), buffers: map[int]int{}}
	if err := c.supported(); err != nil {
		return Network{}, err
	}
	if err := c.start(); err != nil {
		return Network{}, err
	}
	for i := range m.Operators {
		o := &m.Operators[i]
		if err := c.operator(o); err != nil {
			return Network{}, fmt.Errorf("operator %q (%s): %w", c.operatorName(o), o.Name, err)
		}
	}
	n, err := FromONNX(&onnx.Model{Opset: onnx.Opset, Graph: c.graph}, Shape{})
	if slices.Contains(anyNames, m.Name) {
		n.Name = "TensorFlow Lite model"
	}
	return n, err
}

// converter tells a model of TensorFlow Lite in operators of ONNX. Tensors keep their shapes:
// those that are images are transposed before and after an operator that has their channels
// first, which costs nothing.
type converter struct {
	m        *tflite.Model
	graph    onnx.Graph
	computed []bool      // tensors that depend on the input
	buffers  map[int]int // the first constant of each buffer
	fresh    int         // names that were given
}

// supported reports all operators that no layer stands for.
func (c *converter) supported() error {
	count, first := map[string]int{}, map[string]string{}
	for i := range c.m.Operators {
		o := &c.m.Operators[i]
		if _, ok := conversions[o.Name]; ok {
			continue
		}
		if count[o.Name]++; count[o.Name] == 1 {
			first[o.Name] = c.operatorName(o)
		}
	}
	if len(count) == 0 {
		return nil
	}
	var all []string
	for _, op := range slices.Sorted(maps.Keys(count)) {
		all = append(all, fmt.Sprintf("%s (%d, first %q)", op, count[op], first[op]))
	}
	return fmt.Errorf("operators that are not supported: %s", strings.Join(all, ", "))
}

// operatorName returns what an operator is called: as its result. Where converters fused
// several into one, they give all names: the first is taken.
func (c *converter) operatorName(o *tflite.Operator) string {
	if len(o.Outputs) == 0 {
		return ""
	}
	name, _, _ := strings.Cut(c.m.Tensors[o.Outputs[0]].Name, ";")
	return name
}

// start adds the input and the constants: all that no operator writes.
func (c *converter) start() error {
	c.graph.Name = c.m.Name
	constant := make([]bool, len(c.m.Tensors))
	for i := range constant {
		constant[i] = true
	}
	for _, o := range c.m.Operators {
		for _, i := range o.Outputs {
			constant[i] = false
		}
	}
	for _, i := range c.m.Inputs {
		constant[i], c.computed[i] = false, true
		t := &c.m.Tensors[i]
		rank := len(t.Shape)
		if rank < 2 || rank > 4 {
			return fmt.Errorf("input %q has the shape %v: want [N, H, W, C], [N, L, C] or [N, F]", t.Name, t.Shape)
		}
		first, last := channelsFirst[rank], channelsLast[rank]
		v := onnx.Value{Name: c.name(i), Type: onnx.Float}
		if rank > 2 {
			v.Name = t.Name
		}
		for _, k := range first {
			if t.Shape[k] < 1 {
				return fmt.Errorf("input %q has the shape %v: convert the model for one size", t.Name, t.Shape)
			}
			v.Shape = append(v.Shape, onnx.Dim{Size: int64(t.Shape[k])})
		}
		c.graph.Inputs = append(c.graph.Inputs, v)
		if rank > 2 {
			c.to(c.name(i), "Transpose", []string{v.Name}, attribute("perm", last))
		}
	}
	for i := range c.m.Tensors {
		if constant[i] {
			c.constant(i)
		}
	}
	return nil
}

// The orders of dimensions that put channels first and last, by their number.
var (
	channelsFirst = [][]int64{2: {0, 1}, 3: {0, 2, 1}, 4: {0, 3, 1, 2}}
	channelsLast  = [][]int64{2: {0, 1}, 3: {0, 2, 1}, 4: {0, 2, 3, 1}}
)

func attribute(name string, v any) onnx.Attribute { return onnx.Attribute{Name: name, Value: v} }

// name returns what a tensor is called in ONNX, where names are unique.
func (c *converter) name(i int) string { return fmt.Sprintf("t%d", i) }

// constant adds a tensor whose content is in the file. One of a buffer that is known is
// another name of the tensor before.
func (c *converter) constant(i int) {
	t := &c.m.Tensors[i]
	if j, ok := c.buffers[t.Buffer]; ok && t.Buffer > 0 && slices.Equal(t.Shape, c.m.Tensors[j].Shape) {
		c.to(c.name(i), "Identity", []string{c.name(j)})
		return
	}
	c.buffers[t.Buffer] = i
	v := onnx.Tensor{Name: c.name(i), Type: onnx.Int64, Shape: wide(t.Shape), Ints: t.Ints}
	v.External = t.Ints == nil
	c.graph.Initializers = append(c.graph.Initializers, v)
}

func wide(v []int) []int64 {
	w := make([]int64, len(v))
	for i, n := range v {
		w[i] = int64(n)
	}
	return w
}

// to adds a node that writes one tensor.
func (c *converter) to(name, op string, in []string, attributes ...onnx.Attribute) {
	c.graph.Nodes = append(c.graph.Nodes, onnx.Node{Op: op, Inputs: in, Outputs: []string{name}, Attributes: attributes})
}

// node adds a node that writes a tensor of its own and returns its name.
func (c *converter) node(op string, in []string, attributes ...onnx.Attribute) string {
	c.fresh++
	name := fmt.Sprintf("n%d", c.fresh)
	c.to(name, op, in, attributes...)
	return name
}

// ints adds a constant vector.
func (c *converter) ints(v []int64) string {
	c.fresh++
	t := onnx.Ints(fmt.Sprintf("n%d", c.fresh), onnx.Int64, v, int64(len(v)))
	c.graph.Initializers = append(c.graph.Initializers, t)
	return t.Name
}

// reshape returns a tensor in another shape.
func (c *converter) reshape(x string, shape []int) string {
	return c.node("Reshape", []string{x, c.ints(wide(shape))}, attribute("allowzero", int64(1)))
}

// operator adds what an operator is.
func (c *converter) operator(o *tflite.Operator) error {
	if len(o.Outputs) == 0 {
		return fmt.Errorf("it has no output")
	}
	x := conversion{converter: c, o: o}
	for _, i := range o.Inputs {
		if i < 0 {
			x.in, x.shapes = append(x.in, ""), append(x.shapes, nil)
			continue
		}
		x.in, x.shapes = append(x.in, c.name(i)), append(x.shapes, c.m.Tensors[i].Shape)
		x.map_ = x.map_ || c.computed[i]
	}
	x.out = c.m.Tensors[o.Outputs[0]].Shape
	how := conversions[o.Name]
	if len(x.in) < how.operands || slices.Contains(x.in[:how.operands], "") {
		return fmt.Errorf("it reads %d tensors, want at least %d", len(x.in), how.operands)
	}
	for _, i := range o.Outputs {
		c.computed[i] = x.map_
	}
	first := len(c.graph.Nodes)
	result, err := how.convert(&x)
	if err != nil || result == "" {
		return err
	}
	c.to(c.name(o.Outputs[0]), "Identity", []string{result})
	for i := first; i < len(c.graph.Nodes); i++ { // a layer is called as the operator
		if n := &c.graph.Nodes[i]; n.Name == "" && n.Op != "Transpose" && n.Op != "Reshape" && n.Op != "Identity" {
			n.Name = c.operatorName(o)
		}
	}
	return nil
}

// conversion is an operator that is being converted.
type conversion struct {
	*converter
	o      *tflite.Operator
	in     []string // names of what it reads
	shapes [][]int
	out    []int // the shape of its first result
	map_   bool  // it reads what depends on the input
}

// content returns the integers that an operand has, which must be a small constant.
func (x *conversion) content(operand int) ([]int64, error) {
	if operand >= len(x.in) || x.o.Inputs[operand] < 0 {
		return nil, fmt.Errorf("it has no operand %d", operand)
	}
	t := &x.m.Tensors[x.o.Inputs[operand]]
	n := 1.0
	for _, d := range t.Shape {
		n *= float64(d)
	}
	if x.computed[x.o.Inputs[operand]] || float64(len(t.Ints)) != n {
		return nil, fmt.Errorf("its operand %d, %q, is not a small constant of integers in the file", operand, t.Name)
	}
	return t.Ints, nil
}

// images reports whether an operand is [N, H, W, C].
func (x *conversion) images(operand int) error {
	if len(x.shapes[operand]) != 4 {
		return fmt.Errorf("its operand %d has the shape %v: want four dimensions", operand, x.shapes[operand])
	}
	return nil
}

// first returns a tensor with its channels first, and last one with them last.
func (x *conversion) first(name string) string {
	return x.node("Transpose", []string{name}, attribute("perm", channelsFirst[4]))
}

func (x *conversion) last(name string) string {
	return x.node("Transpose", []string{name}, attribute("perm", channelsLast[4]))
}
