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
		axes("first", 0), axes("rest", -1),
		node("gather", "Gather", []string{"s1", "first"}, "s2"),
		node("concat", "Concat", []string{"s2", "rest"}, "s3"),
		node("view", "Reshape", []string{"f", "s3"}, "g"),
		node("t", "Transpose", []string{"fc"}, "fct", onnx.Attribute{Name: "perm", Value: []int64{1, 0}}),
		node("fc", "MatMul", []string{"g", "fct"}, "h"),
		node("bias", "Add", []string{"h", "c"}, "i"),
	), Shape{})
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
	if n, err = FromONNX(model(node("s", "Conv", []string{"x", "w"}, "a", same, stride)), Shape{}); err != nil || n.Layers[0].Out != (Shape{4, 3, 3}) {
		t.Errorf("SAME_UPPER at stride 2: %+v, %v", n.Layers, err)
	}
}

// What is not supported is refused, naming the node.
func TestONNXRefuses(t *testing.T) {
	attr := func(name string, v any) onnx.Attribute { return onnx.Attribute{Name: name, Value: v} }
	open := func(dims ...onnx.Dim) *onnx.Model {
		return &onnx.Model{Graph: onnx.Graph{Inputs: []onnx.Value{{Name: "x", Shape: dims}}}}
	}
	for want, m := range map[string]*onnx.Model{
		`operators that are not supported: Einsum (1, first "y"), NonMaxSuppression (2, first "up"), ai.example::Fancy (1, first "f")`: model(node("up", "NonMaxSuppression", []string{"x"}, "a"),
			node("c", "Conv", []string{"a", "w"}, "b"), node("", "Einsum", []string{"b"}, "y"), node("", "NonMaxSuppression", []string{"y"}, "z"),
			onnx.Node{Name: "f", Op: "Fancy", Domain: "ai.example", Inputs: []string{"x"}, Outputs: []string{"q"}}),
		`node "c" (Conv): 3 groups for 8 input and 4 output channels, with weights for 24`: model(node("c", "Conv", []string{"x", "w"}, "y", attr("group", int64(3)))),
		`node "c" (Conv): dilations [2]: want 2 numbers`:                                   model(node("c", "Conv", []string{"x", "w"}, "y", attr("dilations", []int64{2}))),
		`node "c" (Conv): a 11×11 window does not fit in its padded input of 8×6×6`:        model(node("c", "Conv", []string{"x", "w"}, "y", attr("dilations", []int64{5, 5}))),
		`node "c" (Conv): its weights "fc" are not a constant of 4 dimensions`:             model(node("c", "Conv", []string{"x", "fc"}, "y")),
		`node "c" (Conv): it reads "v", which no input, constant or node before it is`:     model(node("c", "Conv", []string{"x", "v"}, "y")),
		`node "a" (Add): it reads "b", which no input, constant or node before it is`:      model(node("a", "Add", []string{"x", "b"}, "a"), node("b", "Relu", []string{"a"}, "b")),
		`node "c" (Conv): it has no weights`:                                               model(node("c", "Conv", []string{"x"}, "y")),
		`node "fc" (Gemm): its input has the shape [1 8 6 6]: want two dimensions`:         model(node("fc", "Gemm", []string{"x", "fc"}, "y", attr("transB", int64(1)))),
		`node "cat" (Concat): it joins the shapes [1 8 6 6] and [1 8 1 1] along dimension`: model(node("p", "GlobalAveragePool", []string{"x"}, "p"), node("cat", "Concat", []string{"x", "p"}, "y", attr("axis", int64(1)))),
		`node "a" (Add): shapes [[1 8 6 6] [1 4 6 6]] do not fit together`:                 model(node("s", "Conv", []string{"x", "w"}, "s", attr("pads", []int64{1, 1, 1, 1})), node("a", "Add", []string{"x", "s"}, "y")),
		`node "m" (ReduceMean): axis 7 of 4 dimensions`:                                    model(axes("a", 2, 7), node("m", "ReduceMean", []string{"x", "a"}, "y")),
		`node "m" (ReduceMean): its axes, "a", are not a constant`:                         model(axes("b", 2, 3), node("n", "Softsign", []string{"b"}, "a"), node("m", "ReduceMean", []string{"x", "a"}, "y")),
		`node "r" (Reshape): shape [5 -1] of 288 elements in [1 8 6 6]`:                    model(axes("a", 5, -1), node("r", "Reshape", []string{"x", "a"}, "y")),
		`node "e" (Gather): it looks up in a table what a map says, as an embedding`:       model(node("e", "Gather", []string{"fc", "x"}, "y")),
		`node "u" (Resize): its sizes are not known`:                                       model(node("u", "Resize", []string{"x"}, "y")),
		`node "g" (Gather): its indices are not a constant`:                                model(node("g", "Gather", []string{"x", "x"}, "y")),
		`node "s" (Slice): it leaves 0 elements along dimension 2`:                         model(axes("a", 6), axes("b", 9), axes("i", 2), node("s", "Slice", []string{"x", "a", "b", "i"}, "y")),
		`there is no layer in the graph`:                                                   model(node("r", "Relu", []string{"x"}, "y")),
		`the graph has 0 inputs [], want one`:                                              {},
		`input "x": it has 1 dimensions, want [N, C, H, W], [N, C, L] or [N, F]`:           open(onnx.Dim{Size: 1}),
		`input "x": its rows and columns may be of any size: write resolution = 224`:       open(onnx.Dim{}, onnx.Dim{Size: 3}, onnx.Dim{Param: "h"}, onnx.Dim{Param: "w"}),
	} {
		if _, err := FromONNX(m, Shape{}); err == nil || !strings.HasPrefix(err.Error(), want) {
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
		n, err := FromONNX(model(nodes...), Shape{})
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
	), Shape{})
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
	want, err := FromONNX(m, Shape{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Graph.Initializers {
		m.Graph.Initializers[i].Floats, m.Graph.Initializers[i].External = nil, true
	}
	if got, err := FromONNX(m, Shape{}); err != nil || got.MACs() != want.MACs() {
		t.Errorf("%+v, %v", got, err)
	}
}

// What a file leaves open is what the recipe says, and what it says otherwise is refused.
func TestONNXSize(t *testing.T) {
	m := model(node("p", "GlobalAveragePool", []string{"x"}, "y"))
	dims := m.Graph.Inputs[0].Shape
	dims[2], dims[3] = onnx.Dim{Param: "h"}, onnx.Dim{Param: "w"}
	if n, err := FromONNX(m, Shape{0, 12, 10}); err != nil || n.Input != (Shape{8, 12, 10}) {
		t.Errorf("%v, %v", n.Input, err)
	}
	if n, err := FromONNX(m, Shape{8, 12, 10}); err != nil || n.Input != (Shape{8, 12, 10}) {
		t.Errorf("%v, %v", n.Input, err)
	}
	const want = `input "x": the file has 8 channels, and the recipe asks for 3: export the model with them dynamic, or leave out input and resolution`
	if _, err := FromONNX(m, Shape{3, 12, 10}); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	file := artifacts.Local("testdata/small.onnx")
	if _, err := (Spec{ONNX: &file, Resolution: 64}).Network(); err == nil || !strings.Contains(err.Error(), "the file has 32 rows, and the recipe asks for 64") {
		t.Errorf("got %v", err)
	}
}

// What reads maps in parts, or several, is the layer that it is said to be.
func TestONNXOperators(t *testing.T) {
	attr := func(name string, v any) onnx.Attribute { return onnx.Attribute{Name: name, Value: v} }
	pool := node("p", "GlobalAveragePool", []string{"x"}, "p")
	transpose := func(in, out string, perm ...int64) onnx.Node {
		return node(out, "Transpose", []string{in}, out, attr("perm", perm))
	}
	reshape := func(in, out string, shape ...int64) []onnx.Node {
		return []onnx.Node{axes(out+".shape", shape...), node(out, "Reshape", []string{in, out + ".shape"}, out)}
	}
	same := attr("pads", []int64{1, 1, 1, 1})
	for want, nodes := range map[string][]onnx.Node{
		"pool 8×1×1, mul 8×6×6":             {pool, node("m", "Mul", []string{"p", "x"}, "y")},
		"elementwise 1×6×6, mul 8×6×6":      {axes("c", 1), node("r", "ReduceMax", []string{"x", "c"}, "r"), node("m", "Mul", []string{"x", "r"}, "y")},
		"pool 8×6×1":                        {node("r", "ReduceMean", []string{"x"}, "r", attr("axes", []int64{3}))},
		"elementwise 1×1×1":                 {node("r", "ReduceSum", []string{"x"}, "r")},
		"view 16×6×6":                       {node("c", "Concat", []string{"x", "x"}, "y", attr("axis", int64(1)))},
		"view 5×6×6, view 3×6×6":            {axes("s", 5, 3), {Name: "s", Op: "Split", Inputs: []string{"x", "s"}, Outputs: []string{"a", "b"}, Attributes: []onnx.Attribute{attr("axis", int64(1))}}},
		"view 8×6×2":                        {axes("a", -1), axes("b", -9), axes("i", 3), axes("t", -4), node("s", "Slice", []string{"x", "a", "b", "i", "t"}, "y")},
		"conv 4×6×6":                        {axes("q", 0, 0, 1, 1, 0, 0, 1, 1), node("q", "Pad", []string{"x", "q"}, "a"), node("c", "Conv", []string{"a", "w"}, "y")},
		"view 8×8×8, conv 4×6×6":            {axes("q", 0, 0, 1, 1, 0, 0, 1, 1), node("q", "Pad", []string{"x", "q"}, "a", attr("mode", "reflect")), node("c", "Conv", []string{"a", "w"}, "y")},
		"deconv 2×11×11":                    {node("d", "ConvTranspose", []string{"x", "up"}, "y", attr("strides", []int64{2, 2}), same)},
		"deconv 2×12×12":                    {node("d", "ConvTranspose", []string{"x", "up"}, "y", attr("strides", []int64{2, 2}), same, attr("output_padding", []int64{1, 1}))},
		"resize 8×12×9":                     {node("s", "Constant", nil, "s", attr("value_floats", []float32{1, 1, 2, 1.5})), node("u", "Upsample", []string{"x", "s"}, "y")},
		"view 2×12×12":                      {node("d", "DepthToSpace", []string{"x"}, "y", attr("blocksize", int64(2)))},
		"elementwise 8×6×6":                 {transpose("x", "a", 0, 2, 3, 1), node("n", "LayerNormalization", []string{"a"}, "b"), transpose("b", "y", 0, 3, 1, 2)},
		"view 8×6×6, conv 4×4×4":            slices.Concat(reshape("x", "a", 0, 2, 4, 6, 6), []onnx.Node{transpose("a", "b", 0, 2, 1, 3, 4)}, reshape("b", "d", 0, 8, 6, 6), []onnx.Node{node("c", "Conv", []string{"d", "w"}, "y")}),
		"pointwise 5×6×6":                   {transpose("x", "a", 0, 2, 3, 1), node("f", "MatMul", []string{"a", "eight"}, "y")},
		"linear 5×1×1":                      slices.Concat([]onnx.Node{transpose("x", "a", 0, 2, 3, 1)}, reshape("a", "b", 1, -1), []onnx.Node{node("f", "Gemm", []string{"b", "fc"}, "y", attr("transB", int64(1)))}),
		"view 8×6×6, matmul 8×6×6":          {transpose("x", "a", 0, 1, 3, 2), node("m", "MatMul", []string{"x", "a"}, "y")},
		"elementwise 8×6×6, conv 4×4×4":     {axes("c", 2), node("m", "ReduceMean", []string{"x"}, "m", attr("axes", []int64{1})), node("s", "Sub", []string{"x", "m"}, "s"), node("q", "Pow", []string{"s", "c"}, "q"), node("v", "ReduceMean", []string{"q"}, "v", attr("axes", []int64{1})), node("e", "Add", []string{"v", "c"}, "e"), node("r", "Sqrt", []string{"e"}, "r"), node("n", "Div", []string{"s", "r"}, "n"), node("k", "Conv", []string{"n", "w"}, "y")},
		"conv 4×6×6, view 8×6×6, add 8×6×6": {node("k", "Conv", []string{"x", "w"}, "k", same), node("c", "Concat", []string{"k", "k"}, "c", attr("axis", int64(1))), node("m", "Max", []string{"c", "x"}, "y")},
		"pool 8×6×1, pool 8×1×6, add 8×6×6, conv 4×4×4": {node("r", "ReduceMean", []string{"x"}, "r", attr("axes", []int64{3})), node("c", "ReduceMean", []string{"x"}, "c", attr("axes", []int64{2})), node("a", "Add", []string{"r", "c"}, "a"), node("k", "Conv", []string{"a", "w"}, "y")},
		"pool 8×3×3": {node("p", "MaxPool", []string{"x"}, "y", attr("kernel_shape", []int64{3, 3}), attr("strides", []int64{2, 2}), attr("ceil_mode", int64(1)))},
	} {
		m := model(nodes...)
		m.Graph.Initializers = append(m.Graph.Initializers, onnx.Floats("up", make([]float32, 8*2*9), 8, 2, 3, 3), onnx.Floats("eight", make([]float32, 40), 8, 5))
		n, err := FromONNX(m, Shape{})
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		var all []string
		for _, l := range n.Layers {
			all = append(all, string(l.Op)+" "+l.Out.String())
		}
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// No file makes the importer panic, and what it accepts is consistent.
func FuzzFromONNX(f *testing.F) {
	f.Add(model(node("c", "Conv", []string{"x", "w"}, "a", onnx.Attribute{Name: "strides", Value: []int64{2, 2}}),
		node("r", "Relu", []string{"a"}, "b"), node("p", "GlobalAveragePool", []string{"b"}, "d")).Marshal())
	f.Add(model(node("dw", "Conv", []string{"x", "dw"}, "a", onnx.Attribute{Name: "group", Value: int64(8)}), node("fc", "Gemm", []string{"a", "fc"}, "y")).Marshal())
	files, err := filepath.Glob("testdata/real/*.onnx")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 8_000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := onnx.Parse(b)
		if err != nil {
			return
		}
		if n, err := FromONNX(m, Shape{3, 32, 32}); err == nil && n.Validate() != nil {
			t.Errorf("accepted %+v", n)
		}
	})
}

// Sizes that a model takes out of a shape one by one are followed, as PyTorch's exporter of
// before writes interpolate(a, x.shape[-2:]).
func TestScalarOutOfAShape(t *testing.T) {
	attr := func(name string, value any) onnx.Attribute { return onnx.Attribute{Name: name, Value: value} }
	scalar := func(name string, v int64) onnx.Node {
		return node(name, "Constant", nil, name, attr("value", onnx.Tensor{Name: name, Type: onnx.Int64, Shape: []int64{}, Ints: []int64{v}}))
	}
	n, err := FromONNX(model(
		node("down", "MaxPool", []string{"x"}, "a", attr("kernel_shape", []int64{2, 2}), attr("strides", []int64{2, 2})),
		node("shape", "Shape", []string{"x"}, "s"),
		scalar("two", 2), scalar("three", 3), axes("first", 0), axes("start", 0), axes("end", 2),
		node("h", "Gather", []string{"s", "two"}, "h0"), node("h1", "Unsqueeze", []string{"h0", "first"}, "h1"),
		node("w", "Gather", []string{"s", "three"}, "w0"), node("w1", "Unsqueeze", []string{"w0", "first"}, "w1"),
		node("small", "Shape", []string{"a"}, "sa"), node("nc", "Slice", []string{"sa", "start", "end", "first"}, "nc"),
		node("sizes", "Concat", []string{"nc", "h1", "w1"}, "sizes", attr("axis", int64(0))),
		node("up", "Resize", []string{"a", "", "", "sizes"}, "y"),
	), Shape{})
	if err != nil {
		t.Fatal(err)
	}
	if last := n.Layers[len(n.Layers)-1]; last.Op != Resize || last.Out != (Shape{8, 6, 6}) {
		t.Errorf("the last layer is a %s that makes %v, want a resize that makes 8×6×6", last.Op, last.Out)
	}
}
