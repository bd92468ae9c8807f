package arch

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/onnx"
)

// sameLayers compares two networks but for their names.
func sameLayers(t *testing.T, got, want Network) {
	t.Helper()
	if got.Input != want.Input || len(got.Layers) != len(want.Layers) {
		t.Fatalf("input %v and %d layers, want %v and %d", got.Input, len(got.Layers), want.Input, len(want.Layers))
	}
	for i, g := range got.Layers {
		w := want.Layers[i]
		if g.Op != w.Op || g.In != w.In || g.Out != w.Out || g.Kernel != w.Kernel || g.Stride != w.Stride || g.Pad != w.Pad || !slices.Equal(g.Inputs, w.Inputs) {
			t.Errorf("layer %d: %+v, want %+v", i, g, w)
		}
	}
	if got.MACs() != want.MACs() || got.Params() != want.Params() {
		t.Errorf("%d MACs, %d parameters, want %d, %d", got.MACs(), got.Params(), want.MACs(), want.Params())
	}
}

func readBackbone(t *testing.T, file string) (b Backbone) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A small MobileNetV2 that PyTorch wrote has the layers of its backbone.
func TestONNXSmall(t *testing.T) {
	b := readBackbone(t, "testdata/small.json")
	file := artifacts.Local("testdata/small.onnx")
	got, err := Spec{ONNX: &file}.Network()
	if err != nil {
		t.Fatal(err)
	}
	sameLayers(t, got, b.Scale(b.Scaled(1), 32, Rounding{Divisor: 1}))
	if l := got.Layers[1]; l.Block != "features/features.1" || !strings.HasSuffix(l.Name, "/Conv") {
		t.Errorf("named %q in block %q", l.Name, l.Block)
	}
}

// MobileNetV2, exported from PyTorch here and now, is arch.MobileNetV2.
func TestONNXFromPyTorch(t *testing.T) {
	python := "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import torch").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no PyTorch: %v: %s", err, out)
		}
		t.Skipf("no PyTorch: %v", err)
	}
	b := MobileNetV2()
	_, groups, _ := b.Channels(b.Uniform(0.5), Rounding{})
	for i := range groups {
		b.Groups[i].Channels = groups[i]
	}
	dir := t.TempDir()
	text, err := json.Marshal(b)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "b.json"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	const resolution = 160
	model := filepath.Join(dir, "net.onnx")
	if out, err := exec.Command(python, "testdata/mobilenet.py", model, filepath.Join(dir, "b.json"), strconv.Itoa(resolution)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := artifacts.Local(model)
	got, err := Spec{ONNX: &file}.Network()
	if err != nil {
		t.Fatal(err)
	}
	want := MobileNetV2()
	sameLayers(t, got, want.Scale(want.Uniform(0.5), resolution, Rounding{}))
}

// model makes a graph of nodes over an input of 8×6×6 and weights.
func model(nodes ...onnx.Node) *onnx.Model {
	dims := []onnx.Dim{{Param: "batch"}, {Size: 8}, {Size: 6}, {Size: 6}}
	return &onnx.Model{Opset: 17, Graph: onnx.Graph{
		Inputs: []onnx.Value{{Name: "x", Type: onnx.Float, Shape: dims}},
		Initializers: []onnx.Tensor{
			onnx.Floats("w", make([]float32, 4*8*9), 4, 8, 3, 3), onnx.Floats("dw", make([]float32, 72), 8, 1, 3, 3),
			onnx.Floats("fc", make([]float32, 288*5), 5, 288), onnx.Floats("c", make([]float32, 1)), onnx.Floats("wide", make([]float32, 8*8*3), 8, 8, 1, 3),
		},
		Nodes: nodes,
	}}
}

func node(name, op string, inputs []string, output string, attributes ...onnx.Attribute) onnx.Node {
	return onnx.Node{Name: name, Op: op, Inputs: inputs, Outputs: []string{output}, Attributes: attributes}
}

// Unequal padding, activation functions in parts, quantised weights and the ways
// to flatten are understood.
func TestONNXVariants(t *testing.T) {
	same := onnx.Attribute{Name: "auto_pad", Value: "SAME_UPPER"}
	stride := onnx.Attribute{Name: "strides", Value: []int64{2, 2}}
	n, err := FromONNX(model(
		node("q", "DequantizeLinear", []string{"dw", "c"}, "dwq"),
		node("dw", "Conv", []string{"x", "dwq"}, "a", onnx.Attribute{Name: "group", Value: int64(8)}, onnx.Attribute{Name: "pads", Value: []int64{0, 0, 2, 2}}),
		node("sigmoid", "Sigmoid", []string{"a"}, "b"),
		node("swish", "Mul", []string{"a", "b"}, "d"),
		node("scale", "Div", []string{"d", "c"}, "e"),
		node("residual", "Add", []string{"x", "e"}, "f"),
		node("shape", "Shape", []string{"f"}, "s1"),
		node("gather", "Gather", []string{"s1", "c"}, "s2"),
		node("concat", "Concat", []string{"s2", "c"}, "s3"),
		node("view", "Reshape", []string{"f", "s3"}, "g"),
		node("t", "Transpose", []string{"fc"}, "fct", onnx.Attribute{Name: "perm", Value: []int64{1, 0}}),
		node("fc", "MatMul", []string{"g", "fct"}, "h"),
		node("bias", "Add", []string{"h", "c"}, "i"),
	))
	if err != nil {
		t.Fatal(err)
	}
	var ops []string
	for _, l := range n.Layers {
		ops = append(ops, string(l.Op)+" "+l.Out.String())
	}
	if got, want := strings.Join(ops, ", "), "depthwise 8×6×6, add 8×6×6, linear 5×1×1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n, err = FromONNX(model(node("s", "Conv", []string{"x", "w"}, "a", same, stride))); err != nil || n.Layers[0].Out != (Shape{4, 3, 3}) {
		t.Errorf("SAME_UPPER at stride 2: %+v, %v", n.Layers, err)
	}
}

// What is not supported is refused, naming the node.
func TestONNXRefuses(t *testing.T) {
	group := onnx.Attribute{Name: "group", Value: int64(2)}
	for want, m := range map[string]*onnx.Model{
		`operators that are not supported: Einsum (1, first "y"), Resize (2, first "up")`: model(node("up", "Resize", []string{"x"}, "a"), node("c", "Conv", []string{"a", "w"}, "b"), node("", "Einsum", []string{"b"}, "y"), node("", "Resize", []string{"y"}, "z")),
		`node "c" (Conv): 2 groups for 8 input and 4 output channels`:                     model(node("c", "Conv", []string{"x", "w"}, "y", group)),
		`node "c" (Conv): a 1×3 window: only square ones`:                                 model(node("c", "Conv", []string{"x", "wide"}, "y")),
		`node "c" (Conv): dilations [2 2] are not supported`:                              model(node("c", "Conv", []string{"x", "w"}, "y", onnx.Attribute{Name: "dilations", Value: []int64{2, 2}})),
		`node "c" (Conv): its weights "fc" are not a constant of 4 dimensions`:            model(node("c", "Conv", []string{"x", "fc"}, "y")),
		`node "c" (Conv): it reads "v", which no input, constant or node before it is`:    model(node("c", "Conv", []string{"x", "v"}, "y")),
		`node "a" (Add): it reads "b", which no input, constant or node before it is`:     model(node("a", "Add", []string{"x", "b"}, "a"), node("b", "Relu", []string{"a"}, "b")),
		`node "c" (Conv): it has no weights`:                                              model(node("c", "Conv", []string{"x"}, "y")),
		`node "fc" (Gemm): its input is a map of 8×6×6, not a vector`:                     model(node("fc", "Gemm", []string{"x", "fc"}, "y", onnx.Attribute{Name: "transB", Value: int64(1)})),
		`node "se" (Mul): of two maps it is not supported`:                                model(node("p", "GlobalAveragePool", []string{"x"}, "p"), node("se", "Mul", []string{"x", "p"}, "y")),
		`node "a" (Add): its operands are 8×6×6 and 8×1×1: only equal shapes`:             model(node("p", "GlobalAveragePool", []string{"x"}, "p"), node("a", "Add", []string{"x", "p"}, "y")),
		`operators that are not supported: Concat (1, first "cat")`:                       model(node("cat", "Concat", []string{"x", "x"}, "y")),
		`node "m" (ReduceMean): axes [1]: only rows and columns`:                          model(node("m", "ReduceMean", []string{"x"}, "y", onnx.Attribute{Name: "axes", Value: []int64{1}})),
		`node "m" (ReduceMean): it has no axes, and so reduces channels`:                  model(node("m", "ReduceMean", []string{"x"}, "y")),
		`node "m" (ReduceMean): axes [3]: only rows and columns`:                          model(axes("a", 3), node("m", "ReduceMean", []string{"x", "a"}, "y")),
		`node "m" (ReduceMean): axes [2 3 1]: only rows and columns`:                      model(axes("a", 2, 3, 1), node("m", "ReduceMean", []string{"x", "a"}, "y")),
		`node "m" (ReduceMean): axes [2 7]: a map has 4`:                                  model(axes("a", 2, 7), node("m", "ReduceMean", []string{"x", "a"}, "y")),
		`node "m" (ReduceMean): its axes, "a", are not a constant`:                        model(axes("b", 2, 3), node("n", "Neg", []string{"b"}, "a"), node("m", "ReduceMean", []string{"x", "a"}, "y")),
		`there is no layer in the graph`:                                                  model(node("r", "Relu", []string{"x"}, "y")),
		`the graph has 0 inputs, want one`:                                                {},
		`input "x" has 1 dimensions, want [N, C, H, W]`:                                   {Graph: onnx.Graph{Inputs: []onnx.Value{{Name: "x", Shape: []onnx.Dim{{Size: 1}}}}}},
		`input "x": channels, rows and columns must be fixed numbers`:                     {Graph: onnx.Graph{Inputs: []onnx.Value{{Name: "x", Shape: []onnx.Dim{{}, {Size: 3}, {Param: "h"}, {Param: "w"}}}}}},
	} {
		if _, err := FromONNX(m); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// axes is a constant of axes, as ReduceMean reads them since opset 18.
func axes(name string, v ...int64) onnx.Node {
	return node(name, "Constant", nil, name, onnx.Attribute{Name: "value", Value: onnx.Ints("", onnx.Int64, v, int64(len(v)))})
}

// A mean over rows and columns is global pooling, however its axes are written.
func TestONNXReduceMean(t *testing.T) {
	for name, nodes := range map[string][]onnx.Node{
		"attribute": {node("m", "ReduceMean", []string{"x"}, "y", onnx.Attribute{Name: "axes", Value: []int64{-1, -2}})},
		"input":     {axes("a", 2, 3), node("m", "ReduceMean", []string{"x", "a"}, "y")},
		"negative":  {axes("a", -1, 2), node("m", "ReduceMean", []string{"x", "a"}, "y")},
		"by name":   {axes("a", 3, 2), node("i", "Identity", []string{"a"}, "b"), node("m", "ReduceMean", []string{"x", "b"}, "y")},
		"list":      {node("a", "Constant", nil, "a", onnx.Attribute{Name: "value_ints", Value: []int64{2, 3}}), node("m", "ReduceMean", []string{"x", "a"}, "y")},
	} {
		n, err := FromONNX(model(nodes...))
		if err != nil || len(n.Layers) != 1 || n.Layers[0].Op != Pool || n.Layers[0].Out != (Shape{8, 1, 1}) {
			t.Errorf("%s: %+v, %v", name, n.Layers, err)
		}
	}
}

// Weights that several layers use are parameters once, and MACs each time; those that
// differ in what is done to them are not the same.
func TestONNXSharedWeights(t *testing.T) {
	dw := onnx.Attribute{Name: "group", Value: int64(8)}
	n, err := FromONNX(model(
		node("a", "Conv", []string{"x", "dw"}, "a", dw, onnx.Attribute{Name: "pads", Value: []int64{1, 1, 1, 1}}),
		node("i", "Identity", []string{"dw"}, "same"),
		node("b", "Conv", []string{"a", "same"}, "b", dw, onnx.Attribute{Name: "pads", Value: []int64{1, 1, 1, 1}}),
		node("m", "Mul", []string{"dw", "c"}, "other"),
		node("c", "Conv", []string{"b", "other"}, "d", dw, onnx.Attribute{Name: "pads", Value: []int64{1, 1, 1, 1}}),
	))
	if err != nil {
		t.Fatal(err)
	}
	one := n.Layers[0]
	if n.Params() != 2*one.Params() || n.WeightBytes() != 2*one.WeightBytes() || n.MACs() != 3*one.MACs() {
		t.Errorf("%d parameters, %d bytes, %d MACs; a layer has %d, %d, %d", n.Params(), n.WeightBytes(), n.MACs(), one.Params(), one.WeightBytes(), one.MACs())
	}
}

// Only shapes are needed of weights: they may be in another file.
func TestONNXExternalData(t *testing.T) {
	m := model(node("c", "Conv", []string{"x", "w"}, "y"))
	want, err := FromONNX(m)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Graph.Initializers {
		m.Graph.Initializers[i].Floats, m.Graph.Initializers[i].External = nil, true
	}
	if got, err := FromONNX(m); err != nil || got.MACs() != want.MACs() {
		t.Errorf("%+v, %v", got, err)
	}
}

// No file makes the importer panic, and what it accepts is consistent.
func FuzzFromONNX(f *testing.F) {
	f.Add(model(node("c", "Conv", []string{"x", "w"}, "a", onnx.Attribute{Name: "strides", Value: []int64{2, 2}}),
		node("r", "Relu", []string{"a"}, "b"), node("p", "GlobalAveragePool", []string{"b"}, "d")).Marshal())
	f.Add(model(node("dw", "Conv", []string{"x", "dw"}, "a", onnx.Attribute{Name: "group", Value: int64(8)}), node("fc", "Gemm", []string{"a", "fc"}, "y")).Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := onnx.Parse(b)
		if err != nil {
			return
		}
		if n, err := FromONNX(m); err == nil && n.Validate() != nil {
			t.Errorf("accepted %+v", n)
		}
	})
}
