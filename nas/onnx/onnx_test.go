package onnx

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// example has every kind of content that can be written.
func example() *Model {
	return &Model{
		Producer: "eyrie",
		Opset:    Opset,
		Metadata: map[string]string{"subnet": "8: 1×3", "a": "b"},
		Graph: Graph{
			Name:    "example",
			Inputs:  []Value{{"image", Float, []Dim{{Param: "n"}, {Size: 1}, {Size: 4}, {Size: 4}}}},
			Outputs: []Value{{"logits", Float, []Dim{{Param: "n"}, {Size: 2}}}},
			Nodes: []Node{
				{Name: "conv", Op: "Conv", Inputs: []string{"image", "w", "b"}, Outputs: []string{"y"}, Attributes: []Attribute{
					{"kernel_shape", []int64{3, 3}}, {"pads", []int64{1, 1, 1, 1}}, {"strides", []int64{2, 2}}}},
				{Name: "clip", Op: "Clip", Inputs: []string{"y", "", "six"}, Outputs: []string{"z"}},
				{Name: "leaky", Op: "LeakyRelu", Inputs: []string{"z"}, Outputs: []string{"l"}, Attributes: []Attribute{{"alpha", float32(0.25)}}},
				{Name: "pool", Op: "AveragePool", Inputs: []string{"l"}, Outputs: []string{"p"}, Attributes: []Attribute{
					{"auto_pad", "VALID"}, {"kernel_shape", []int64{2, 2}}, {"ceil_mode", int64(0)}}},
				{Name: "const", Op: "Constant", Outputs: []string{"shape"}, Attributes: []Attribute{{"value", Ints("", Int64, []int64{-1, 2}, 2)}}},
				{Name: "reshape", Op: "Reshape", Inputs: []string{"p", "shape"}, Outputs: []string{"logits"}},
			},
			Initializers: []Tensor{
				Floats("w", []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, -6, -7, -8, -9}, 2, 1, 3, 3),
				Floats("b", []float32{0.5, -0.5}, 2),
				Floats("six", []float32{6}),
				Ints("i8", Int8, []int64{-128, 127}, 2),
				Ints("u8", Uint8, []int64{0, 255}, 2),
				Ints("i32", Int32, []int64{-1 << 31, 1<<31 - 1}, 2),
			},
		},
	}
}

// What is written is read back, and written again byte by byte.
func TestRoundTrip(t *testing.T) {
	m := example()
	b := m.Marshal()
	got, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("read back:\n%+v\nwant\n%+v", got, m)
	}
	if !bytes.Equal(got.Marshal(), b) {
		t.Error("written again, the bytes differ")
	}
}

// What is no model is refused with a reason, wherever it is cut off.
func TestParseRefuses(t *testing.T) {
	b := example().Marshal()
	for n := range b {
		if _, err := Parse(b[:n]); err != nil && !strings.HasPrefix(err.Error(), "not an ONNX model: ") {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	broken := example()
	broken.Graph.Initializers[0].Shape[3] = 4
	want := `not an ONNX model: initializer "w": it holds 18 elements, its shape [2 1 3 4] says 24`
	if _, err := Parse(broken.Marshal()); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, s := range []string{"", "PK\x03\x04", "#!/bin/sh\n"} {
		if _, err := Parse([]byte(s)); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example().Marshal())
	f.Add([]byte{0x3a, 0x02, 0x0a, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		for i := range m.Graph.Nodes { // of a kind that cannot be written again
			for _, a := range m.Graph.Nodes[i].Attributes {
				if a.Value == nil {
					return
				}
			}
		}
		if _, err := Parse(m.Marshal()); err != nil && !strings.Contains(err.Error(), "elements") {
			t.Fatalf("written again it is refused: %v", err)
		}
	})
}
