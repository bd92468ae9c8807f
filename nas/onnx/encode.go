package onnx

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The types of AttributeProto.
const (
	attrFloat  = 1
	attrInt    = 2
	attrString = 3
	attrTensor = 4
	attrFloats = 6
	attrInts   = 7
)

// message is a protobuf message under construction. Numbers of fields are those
// of onnx.proto.
type message []byte

func (m *message) int(field protowire.Number, v int64) {
	*m = protowire.AppendTag(*m, field, protowire.VarintType)
	*m = protowire.AppendVarint(*m, uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendTag(*m, field, protowire.Fixed32Type)
	*m = protowire.AppendFixed32(*m, math.Float32bits(v))
}

func (m *message) bytes(field protowire.Number, v []byte) {
	*m = protowire.AppendTag(*m, field, protowire.BytesType)
	*m = protowire.AppendBytes(*m, v)
}

func (m *message) string(field protowire.Number, v string) {
	if v != "" {
		m.bytes(field, []byte(v))
	}
}

// Marshal writes the model. Equal models give equal bytes.
func (m *Model) Marshal() []byte {
	var b message
	b.int(1, IRVersion)
	b.string(2, m.Producer)
	b.bytes(7, m.Graph.marshal())
	var opset message
	opset.int(2, m.Opset)
	b.bytes(8, opset)
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		var entry message
		entry.string(1, key)
		entry.string(2, m.Metadata[key])
		b.bytes(14, entry)
	}
	return b
}

func (g *Graph) marshal() (b message) {
	for _, n := range g.Nodes {
		b.bytes(1, n.marshal())
	}
	b.string(2, g.Name)
	for _, t := range g.Initializers {
		b.bytes(5, t.marshal())
	}
	for _, v := range g.Inputs {
		b.bytes(11, v.marshal())
	}
	for _, v := range g.Outputs {
		b.bytes(12, v.marshal())
	}
	return b
}

func (n *Node) marshal() (b message) {
	for _, name := range n.Inputs {
		b.bytes(1, []byte(name)) // an input that is left out has an empty name
	}
	for _, name := range n.Outputs {
		b.bytes(2, []byte(name))
	}
	b.string(3, n.Name)
	b.string(4, n.Op)
	for _, a := range n.Attributes {
		b.bytes(5, a.marshal())
	}
	b.string(7, n.Domain)
	return b
}

// marshal panics on a value of a type that an Attribute does not have.
func (a *Attribute) marshal() (b message) {
	b.string(1, a.Name)
	kind := int64(0)
	switch v := a.Value.(type) {
	case float32:
		b.float(2, v)
		kind = attrFloat
	case int64:
		b.int(3, v)
		kind = attrInt
	case string:
		b.bytes(4, []byte(v))
		kind = attrString
	case Tensor:
		b.bytes(5, v.marshal())
		kind = attrTensor
	case []float32:
		for _, f := range v {
			b.float(7, f)
		}
		kind = attrFloats
	case []int64:
		for _, i := range v {
			b.int(8, i)
		}
		kind = attrInts
	default:
		panic(fmt.Sprintf("onnx: attribute %q: a %T cannot be written", a.Name, a.Value))
	}
	b.int(20, kind)
	return b
}

func (v *Value) marshal() (b message) {
	var shape, tensor, kind message
	for _, d := range v.Shape {
		var dim message
		if d.Param != "" {
			dim.string(2, d.Param)
		} else {
			dim.int(1, d.Size)
		}
		shape.bytes(1, dim)
	}
	tensor.int(1, int64(v.Type))
	tensor.bytes(2, shape)
	kind.bytes(1, tensor)
	b.string(1, v.Name)
	b.bytes(2, kind)
	return b
}

func (t *Tensor) marshal() (b message) {
	for _, d := range t.Shape {
		b.int(1, d)
	}
	b.int(2, int64(t.Type))
	b.string(8, t.Name)
	b.bytes(9, t.raw())
	return b
}

// raw returns the elements in little-endian order.
func (t *Tensor) raw() []byte {
	if t.Raw != nil {
		return t.Raw
	}
	b := make([]byte, 0, 4*len(t.Floats)+len(t.Ints))
	for _, f := range t.Floats {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	for _, i := range t.Ints {
		switch t.Type {
		case Int64:
			b = binary.LittleEndian.AppendUint64(b, uint64(i))
		case Int32:
			b = binary.LittleEndian.AppendUint32(b, uint32(i))
		case Int8, Uint8:
			b = append(b, byte(i))
		}
	}
	return b
}
