// Package onnx reads and writes models in the ONNX format: the part of it that
// convolutional networks use, without code generation and without a runtime.
//
// [Model] mirrors ModelProto of onnx.proto (IR version 8) and what it contains;
// [Model.Marshal] writes it, [Parse] reads it. Fields that are not here are
// ignored when reading: a model is understood in parts, not kept whole.
package onnx

// IRVersion and Opset are what [Model.Marshal] declares: those of ONNX 1.12,
// which every runtime of the last years accepts.
const (
	IRVersion = 8
	Opset     = 17
)

// Model is a graph with what it takes to interpret it.
type Model struct {
	Producer string
	Opset    int64             // version of the default operator set
	Metadata map[string]string // free text, written sorted by key
	Graph    Graph
}

// Graph is a list of nodes in topological order.
type Graph struct {
	Name         string
	Inputs       []Value
	Outputs      []Value
	Nodes        []Node
	Initializers []Tensor // constants, by name
}

// Value is a named tensor whose type is known and whose content is not.
type Value struct {
	Name  string
	Type  Type
	Shape []Dim
}

// Dim is an extent: a number, or where Param is set a name for any number.
type Dim struct {
	Size  int64
	Param string
}

// Node applies an operator.
type Node struct {
	Name       string
	Op         string // "Conv", "Clip" …
	Domain     string // "" for the operators of ONNX itself
	Inputs     []string
	Outputs    []string
	Attributes []Attribute
}

// Attribute is a parameter of a node. Value is an int64, float32, string,
// []int64, []float32 or Tensor; nil for kinds that are not understood.
type Attribute struct {
	Name  string
	Value any
}

// Attribute returns the value of the attribute of this name, or nil.
func (n Node) Attribute(name string) any {
	for _, a := range n.Attributes {
		if a.Name == name {
			return a.Value
		}
	}
	return nil
}

// Type is the type of a tensor's elements.
type Type int64

// The types that are understood. Their numbers are those of TensorProto.
const (
	Float Type = 1
	Uint8 Type = 2
	Int8  Type = 3
	Int32 Type = 6
	Int64 Type = 7
)

// Tensor is a constant. One of the slices holds its elements, row-major,
// according to Type.
type Tensor struct {
	Name   string
	Type   Type
	Shape  []int64
	Floats []float32 // Float
	Ints   []int64   // the integer types
	Raw    []byte    // instead of either when writing: the elements' bytes, little-endian

	// External says that the elements are in another file, as PyTorch writes large
	// ones; here are none of them.
	External bool
}

// Floats returns a tensor of float32.
func Floats(name string, v []float32, shape ...int64) Tensor {
	return Tensor{Name: name, Type: Float, Shape: shape, Floats: v}
}

// Ints returns a tensor of integers of the given type.
func Ints(name string, t Type, v []int64, shape ...int64) Tensor {
	return Tensor{Name: name, Type: t, Shape: shape, Ints: v}
}
