package arch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/tflite"
)

func readTFLiteFile(name string) (Network, error) {
	file := artifacts.Local(name)
	return Spec{TFLite: &file}.Network()
}

// Networks that TensorFlow converted have exactly the MACs and parameters that were counted on
// Keras' layers, and the same layers in float and in int8. scripts/tflite-networks makes the
// files.
func TestTFLiteNetworks(t *testing.T) {
	text, err := os.ReadFile("testdata/tflite/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]struct{ MACs, Params int64 }
	if err := json.Unmarshal(text, &expected); err != nil || len(expected) == 0 {
		t.Fatalf("%d networks, %v", len(expected), err)
	}
	for name, want := range expected {
		n, err := readTFLiteFile(filepath.Join("testdata/tflite", name+".tflite"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n.MACs() != want.MACs || n.Params() != want.Params {
			t.Errorf("%s: %d MACs, %d parameters; want %d, %d\n%s", name, n.MACs(), n.Params(), want.MACs, want.Params, listed(n))
		}
		base, variant, _ := strings.Cut(name, "@")
		if variant == "" {
			continue
		}
		same, err := readTFLiteFile(filepath.Join("testdata/tflite", base+".tflite"))
		if err != nil {
			continue // said above
		}
		if got, want := unnamed(n), unnamed(same); !reflect.DeepEqual(got, want) {
			t.Errorf("%s has not the layers of %s:\n%s\n%s", name, base, listed(n), listed(same))
		}
	}
}

// listed writes a network's layers, a line each.
func listed(n Network) string {
	var b strings.Builder
	for _, l := range n.Layers {
		fmt.Fprintf(&b, "%s %v → %v, kernel %v, stride %v, pad %v, reads %v: %s\n", l.Op, l.In, l.Out, l.Kernel, l.Stride, l.Pad, l.Inputs, l.Name)
	}
	return b.String()
}

// modelOf returns a model of operators that each read the result before and, after it, some
// constants. Shapes are those of the input and of each result.
func modelOf(input []int, operators ...tfliteOperator) *tflite.Model {
	m := &tflite.Model{Tensors: []tflite.Tensor{{Name: "x", Shape: input}}, Inputs: []int{0}}
	at := 0
	add := func(t tflite.Tensor) int {
		m.Tensors = append(m.Tensors, t)
		return len(m.Tensors) - 1
	}
	for i, o := range operators {
		op := tflite.Operator{Name: o.name, Options: o.options}
		for _, c := range o.before {
			op.Inputs = append(op.Inputs, add(c))
		}
		op.Inputs = append(op.Inputs, at)
		if o.twice {
			op.Inputs = append(op.Inputs, at)
		}
		for _, c := range o.after {
			op.Inputs = append(op.Inputs, add(c))
		}
		for range max(1, o.results) {
			at = add(tflite.Tensor{Name: fmt.Sprintf("op%d;other", i+1), Shape: o.out})
			op.Outputs = append(op.Outputs, at)
		}
		m.Operators = append(m.Operators, op)
	}
	m.Outputs = []int{at}
	return m
}

type tfliteOperator struct {
	name          string
	before, after []tflite.Tensor
	options       tflite.Options
	out           []int
	results       int
	twice         bool // reads the result before as both operands
}

func shaped(dims ...int) tflite.Tensor { return tflite.Tensor{Shape: dims} }

func holding(v ...int64) tflite.Tensor { return tflite.Tensor{Shape: []int{len(v)}, Ints: v} }

// Each operator is the layer that it is in ONNX.
func TestTFLiteOperators(t *testing.T) {
	image, same := []int{1, 8, 6, 4}, tflite.Options{Same: true, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1}
	for want, m := range map[string]*tflite.Model{
		"view 4×8×6 → 2×8×6; view 4×8×6 → 2×8×6":   modelOf(image, tfliteOperator{name: "SPLIT", before: []tflite.Tensor{holding(3)}, out: []int{1, 8, 6, 2}, results: 2}, tfliteOperator{name: "RELU", out: []int{1, 8, 6, 2}}),
		"view 8×6×4 → 8×4×6; matmul 8×6×4 → 8×6×6": modelOf(image, tfliteOperator{name: "BATCH_MATMUL", options: tflite.Options{TransposeSec: true}, twice: true, out: []int{1, 8, 6, 6}}),
		"elementwise 4×8×6 → 4×8×6":                modelOf(image, tfliteOperator{name: "SOFTMAX", out: image}),
		"pool 4×8×6 → 4×1×1":                       modelOf(image, tfliteOperator{name: "MEAN", after: []tflite.Tensor{holding(1, 2)}, out: []int{1, 4}}),
		"elementwise 4×8×6 → 1×8×6":                modelOf(image, tfliteOperator{name: "REDUCE_MAX", after: []tflite.Tensor{holding(3)}, out: []int{1, 8, 6, 1}}),
		"resize 4×8×6 → 4×16×12":                   modelOf(image, tfliteOperator{name: "RESIZE_BILINEAR", after: []tflite.Tensor{holding(16, 12)}, out: []int{1, 16, 12, 4}}),
		"view 4×8×6 → 1×16×12":                     modelOf(image, tfliteOperator{name: "DEPTH_TO_SPACE", options: tflite.Options{Block: 2}, out: []int{1, 16, 12, 1}}),
		"view 4×8×6 → 4×4×6":                       modelOf(image, tfliteOperator{name: "STRIDED_SLICE", after: []tflite.Tensor{holding(0, 0, 0, 0), holding(1, 4, 6, 4), holding(1, 1, 1, 1)}, out: []int{1, 4, 6, 4}}),
		"view 4×8×6 → 4×1×6":                       modelOf(image, tfliteOperator{name: "STRIDED_SLICE", options: tflite.Options{Shrink: 2}, after: []tflite.Tensor{holding(0, 1, 0, 0), holding(1, 2, 6, 4), holding(1, 1, 1, 1)}, out: []int{1, 6, 4}}),
		"linear 4×8×6 → 5×1×1":                     modelOf(image, tfliteOperator{name: "FULLY_CONNECTED", after: []tflite.Tensor{shaped(5, 192), shaped(5)}, out: []int{1, 5}}),
		"pointwise 4×8×6 → 5×8×6":                  modelOf(image, tfliteOperator{name: "FULLY_CONNECTED", after: []tflite.Tensor{shaped(5, 4)}, out: []int{1, 8, 6, 5}}),
		"conv 4×8×6 → 8×8×6":                       modelOf(image, tfliteOperator{name: "QUANTIZE", out: image}, tfliteOperator{name: "CONV_2D", options: same, after: []tflite.Tensor{shaped(8, 3, 3, 2), shaped(8)}, out: []int{1, 8, 6, 8}}, tfliteOperator{name: "HARD_SWISH", out: []int{1, 8, 6, 8}}),
		"depthwise 4×8×6 → 8×8×6":                  modelOf(image, tfliteOperator{name: "DEPTHWISE_CONV_2D", options: same, after: []tflite.Tensor{shaped(1, 3, 3, 8), shaped(8)}, out: []int{1, 8, 6, 8}}),
		"deconv 4×8×6 → 3×16×12": modelOf(image, tfliteOperator{name: "TRANSPOSE_CONV", options: tflite.Options{Same: true, StrideH: 2, StrideW: 2}, before: []tflite.Tensor{holding(1, 16, 12, 3), shaped(3, 3, 3, 4)},
			out: []int{1, 16, 12, 3}}),
	} {
		n, err := FromTFLite(m)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		var got []string
		for _, l := range n.Layers {
			got = append(got, fmt.Sprintf("%s %v → %v", l.Op, l.In, l.Out))
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("got %s, want %s", s, want)
		}
		if name := n.Layers[len(n.Layers)-1].Name; !strings.HasPrefix(name, "op") || strings.Contains(name, ";") {
			t.Errorf("%s is called %q", want, name)
		}
	}
}

// Weights of one buffer count once, also where each layer has a tensor of its own for them.
func TestTFLiteSharedWeights(t *testing.T) {
	w := tflite.Tensor{Shape: []int{4, 3, 3, 4}, Buffer: 7}
	conv := tfliteOperator{name: "CONV_2D", options: tflite.Options{Same: true, StrideH: 1, StrideW: 1, DilationH: 1, DilationW: 1}, after: []tflite.Tensor{w}, out: []int{1, 8, 8, 4}}
	n, err := FromTFLite(modelOf([]int{1, 8, 8, 4}, conv, conv))
	if err != nil {
		t.Fatal(err)
	}
	if n.Layers[0].Reuses || !n.Layers[1].Reuses || n.Params() != 144 {
		t.Errorf("%d parameters of %+v", n.Params(), n.Layers)
	}
}

// What cannot be read is told with what to do about it, and all operators at once.
func TestTFLiteRefuses(t *testing.T) {
	image := []int{1, 8, 6, 4}
	for want, m := range map[string]*tflite.Model{
		`operators that are not supported: CUSTOM Detect (1, first "op2"), LSTM (2, first "op1")`: modelOf(image, tfliteOperator{name: "LSTM", out: image}, tfliteOperator{name: "CUSTOM Detect", out: image}, tfliteOperator{name: "LSTM", out: image}),
		`input "x" has the shape [4]: want [N, H, W, C], [N, L, C] or [N, F]`:                     modelOf([]int{4}, tfliteOperator{name: "RELU", out: []int{4}}),
		`input "x" has the shape [1 0 0 3]: convert the model for one size`:                       modelOf([]int{1, 0, 0, 3}, tfliteOperator{name: "RELU", out: image}),
		`operator "op1" (MEAN): its operand 1, "", is not a small constant of integers`:           modelOf(image, tfliteOperator{name: "MEAN", after: []tflite.Tensor{shaped(2)}, out: []int{1, 4}}),
		`operator "op1" (CONV_2D): its weights are for 3 input channels, its input has 4`:         modelOf(image, tfliteOperator{name: "CONV_2D", after: []tflite.Tensor{shaped(8, 1, 1, 3)}, out: image}),
		`there is no layer in the graph`:                                                          modelOf(image, tfliteOperator{name: "RELU", out: image}),
	} {
		if _, err := FromTFLite(m); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A network of TensorFlow's has the layers that are written for it.
func TestTFLiteIsTheList(t *testing.T) {
	layers := []LayerSpec{{Op: Conv, Channels: 64, Kernel: Extent{10, 4}, Stride: Square(2), Pad: &Padding{Top: 4, Left: 1, Bottom: 5, Right: 1}}}
	for range 4 {
		layers = append(layers, LayerSpec{Op: Depthwise, Kernel: Square(3)}, LayerSpec{Op: Pointwise, Channels: 64})
	}
	layers = append(layers, LayerSpec{Op: Pool}, LayerSpec{Op: Linear, Channels: 12}, LayerSpec{Op: Elementwise})
	want, err := Spec{Input: Shape{1, 49, 10}, Layers: layers}.Network()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"keywords", "keywords@int8"} {
		got, err := readTFLiteFile("testdata/tflite/" + name + ".tflite")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(unnamed(got), unnamed(want)) || got.Input != want.Input {
			t.Errorf("%s:\n%s\nwant\n%s", name, listed(got), listed(want))
		}
	}
}

// However a file is spoilt, reading it neither panics nor gives an inconsistent network.
func FuzzTFLite(f *testing.F) {
	files, err := filepath.Glob("testdata/tflite/*.tflite")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { readSpoilt(t, b) })
}

func readSpoilt(t *testing.T, b []byte) {
	m, err := tflite.Parse(b)
	if err != nil {
		return
	}
	if n, err := FromTFLite(m); err == nil {
		if err := n.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestTFLiteSpoilt(t *testing.T) {
	files, err := filepath.Glob("testdata/tflite/*.tflite")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			c := slices.Clone(b)
			for range 1 + rng.IntN(3) {
				c[8+rng.IntN(len(c)-8)] = byte(rng.Uint32())
			}
			readSpoilt(t, c)
		}
	}
}
