package onnx

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
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

// ONNX's own checker accepts what is written, and the reference runtime
// computes from it what the numbers say.
func TestCheckedByONNX(t *testing.T) {
	python := pythonWith(t, "onnx, onnxruntime")
	file := filepath.Join(t.TempDir(), "example.onnx")
	if err := os.WriteFile(file, example().Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-c", `
import sys, onnx, numpy, onnxruntime
onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = numpy.arange(16, dtype="float32").reshape(1, 1, 4, 4) / 100
print(*("%.4f" % v for v in session.run(None, {"image": image})[0][0]))
`, file).Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	// The first channel is the mean over the four windows, (0.83 + 1.78 + 3.30
	// + 5.28) / 4, plus 0.5; the second its negative, leaking by a quarter.
	if got, want := strings.TrimSpace(string(out)), "3.2975 -0.8244"; got != want {
		t.Errorf("onnxruntime computes %s, want %s", got, want)
	}
}

// pythonWith returns a Python that has the modules: $PYTHON, or python3. Without
// one the test is skipped, but fails in CI.
func pythonWith(t *testing.T, modules string) string {
	t.Helper()
	python := os.Getenv("PYTHON")
	if python == "" {
		python = "python3"
	}
	if out, err := exec.Command(python, "-c", "import "+modules).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s cannot import %s: %s", python, modules, out)
		}
		t.Skipf("%s cannot import %s", python, modules)
	}
	return python
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
