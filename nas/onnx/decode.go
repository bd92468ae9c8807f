package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Parse reads a model. The error says in which message the bytes end too
// early or make no sense. External data is refused.
func Parse(b []byte) (*Model, error) {
	m := &Model{Metadata: map[string]string{}}
	hasGraph := false
	err := fields(b, func(f field) (err error) {
		switch f.number {
		case 2:
			m.Producer = f.text()
		case 7:
			hasGraph = true
			err = m.Graph.parse(f.bytes)
		case 8:
			var domain string
			var version int64
			err = fields(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					domain = f.text()
				case 2:
					version = f.int()
				}
				return nil
			})
			if domain == "" || domain == "ai.onnx" {
				m.Opset = version
			}
		case 14:
			var key, value string
			err = fields(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					key = f.text()
				case 2:
					value = f.text()
				}
				return nil
			})
			m.Metadata[key] = value
		}
		return err
	})
	if err == nil && !hasGraph {
		err = errors.New("there is no graph in it")
	}
	if err != nil {
		return nil, fmt.Errorf("not an ONNX model: %w", err)
	}
	return m, nil
}

func (g *Graph) parse(b []byte) error {
	return fields(b, func(f field) error {
		switch f.number {
		case 1:
			n, err := parseNode(f.bytes)
			if err != nil {
				return fmt.Errorf("node %d (%s %q): %w", len(g.Nodes), n.Op, n.Name, err)
			}
			g.Nodes = append(g.Nodes, n)
		case 2:
			g.Name = f.text()
		case 5:
			t, err := parseTensor(f.bytes)
			if err != nil {
				return fmt.Errorf("initializer %q: %w", t.Name, err)
			}
			g.Initializers = append(g.Initializers, t)
		case 11, 12:
			v, err := parseValue(f.bytes)
			if err != nil {
				return fmt.Errorf("value %q: %w", v.Name, err)
			}
			if f.number == 11 {
				g.Inputs = append(g.Inputs, v)
			} else {
				g.Outputs = append(g.Outputs, v)
			}
		}
		return nil
	})
}

func parseNode(b []byte) (n Node, err error) {
	err = fields(b, func(f field) error {
		switch f.number {
		case 1:
			n.Inputs = append(n.Inputs, f.text())
		case 2:
			n.Outputs = append(n.Outputs, f.text())
		case 3:
			n.Name = f.text()
		case 4:
			n.Op = f.text()
		case 5:
			a, err := parseAttribute(f.bytes)
			if err != nil {
				return fmt.Errorf("attribute %q: %w", a.Name, err)
			}
			n.Attributes = append(n.Attributes, a)
		case 7:
			n.Domain = f.text()
		}
		return nil
	})
	return n, err
}

func parseAttribute(b []byte) (a Attribute, err error) {
	var kind, i int64
	var number float32
	var text string
	var tensor Tensor
	numbers, ints := []float32{}, []int64{}
	err = fields(b, func(f field) (err error) {
		switch f.number {
		case 1:
			a.Name = f.text()
		case 2:
			number = f.float()
		case 3:
			i = f.int()
		case 4:
			text = f.text()
		case 5:
			tensor, err = parseTensor(f.bytes)
		case 7:
			numbers, err = f.floats(numbers)
		case 8:
			ints, err = f.ints(ints)
		case 20:
			kind = f.int()
		}
		return err
	})
	switch kind {
	case attrFloat:
		a.Value = number
	case attrInt:
		a.Value = i
	case attrString:
		a.Value = text
	case attrTensor:
		a.Value = tensor
	case attrFloats:
		a.Value = numbers
	case attrInts:
		a.Value = ints
	}
	return a, err
}

func parseValue(b []byte) (v Value, err error) {
	dim := func(f field) error {
		if f.number != 1 {
			return nil
		}
		var d Dim
		err := fields(f.bytes, func(f field) error {
			switch f.number {
			case 1:
				d.Size = f.int()
			case 2:
				d.Param = f.text()
			}
			return nil
		})
		v.Shape = append(v.Shape, d)
		return err
	}
	tensor := func(f field) error {
		switch f.number {
		case 1:
			v.Type = Type(f.int())
		case 2:
			return fields(f.bytes, dim)
		}
		return nil
	}
	kind := func(f field) error {
		if f.number == 1 {
			return fields(f.bytes, tensor)
		}
		return nil
	}
	err = fields(b, func(f field) error {
		switch f.number {
		case 1:
			v.Name = f.text()
		case 2:
			return fields(f.bytes, kind)
		}
		return nil
	})
	return v, err
}

func parseTensor(b []byte) (t Tensor, err error) {
	var raw []byte
	err = fields(b, func(f field) (err error) {
		switch f.number {
		case 1:
			t.Shape, err = f.ints(t.Shape)
		case 2:
			t.Type = Type(f.int())
		case 4:
			t.Floats, err = f.floats(t.Floats)
		case 5, 7:
			t.Ints, err = f.ints(t.Ints)
		case 8:
			t.Name = f.text()
		case 9:
			raw = f.bytes
		case 14:
			t.External = f.int() != 0
		}
		return err
	})
	if err != nil || t.External {
		return t, err
	}
	return t, t.fill(raw)
}

// fill takes the elements from the raw data, if there are any there, and checks
// their number. Tensors of types that are not understood stay empty.
func (t *Tensor) fill(raw []byte) error {
	size, known := map[Type]int{Float: 4, Uint8: 1, Int8: 1, Int32: 4, Int64: 8}[t.Type]
	if !known {
		return nil
	}
	for ; len(raw) >= size; raw = raw[size:] {
		switch t.Type {
		case Float:
			t.Floats = append(t.Floats, math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		case Uint8:
			t.Ints = append(t.Ints, int64(raw[0]))
		case Int8:
			t.Ints = append(t.Ints, int64(int8(raw[0])))
		case Int32:
			t.Ints = append(t.Ints, int64(int32(binary.LittleEndian.Uint32(raw))))
		case Int64:
			t.Ints = append(t.Ints, int64(binary.LittleEndian.Uint64(raw)))
		}
	}
	want := int64(1)
	for _, d := range t.Shape {
		if d < 0 || d > 0 && want > math.MaxInt32/d {
			return fmt.Errorf("its shape is %v", t.Shape)
		}
		want *= d
	}
	if got := int64(len(t.Floats) + len(t.Ints)); got != want || len(raw) > 0 {
		return fmt.Errorf("it holds %d elements, its shape %v says %d", got, t.Shape, want)
	}
	return nil
}

// field is one field of a message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	bits   uint64 // of a varint or fixed number
	bytes  []byte // of a string, message or packed list
}

func (f field) int() int64     { return int64(f.bits) }
func (f field) float() float32 { return math.Float32frombits(uint32(f.bits)) }
func (f field) text() string   { return string(f.bytes) }

// ints appends the field's numbers, be they packed or not.
func (f field) ints(to []int64) ([]int64, error) {
	if f.kind != protowire.BytesType {
		return append(to, f.int()), nil
	}
	for b := f.bytes; len(b) > 0; {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return to, protowire.ParseError(n)
		}
		to, b = append(to, int64(v)), b[n:]
	}
	return to, nil
}

// floats appends the field's numbers, be they packed or not.
func (f field) floats(to []float32) ([]float32, error) {
	if f.kind != protowire.BytesType {
		return append(to, f.float()), nil
	}
	if len(f.bytes)%4 != 0 {
		return to, errors.New("a list of floats ends within one")
	}
	for b := f.bytes; len(b) > 0; b = b[4:] {
		to = append(to, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return to, nil
}

// fields calls visit for each field of a message.
func fields(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := field{number: number, kind: kind}
		switch kind {
		case protowire.VarintType:
			f.bits, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			f.bits = uint64(v)
		case protowire.Fixed64Type:
			f.bits, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}
