package onnx_test

import (
	"math"
	"testing"

	"eyrie/nas/onnx"
	"eyrie/nas/onnx/onnxtest"
)

// ONNX's own checker accepts what is written, and the reference runtime
// computes from it what the numbers say.
func TestCheckedByONNX(t *testing.T) {
	conv := onnx.Node{Name: "conv", Op: "Conv", Inputs: []string{"image", "w", "b"}, Outputs: []string{"y"}, Attributes: []onnx.Attribute{
		{Name: "kernel_shape", Value: []int64{3, 3}}, {Name: "pads", Value: []int64{1, 1, 1, 1}}, {Name: "strides", Value: []int64{2, 2}}}}
	m := &onnx.Model{Producer: "eyrie", Opset: onnx.Opset, Graph: onnx.Graph{
		Name:    "test",
		Inputs:  []onnx.Value{{Name: "image", Type: onnx.Float, Shape: []onnx.Dim{{Param: "n"}, {Size: 1}, {Size: 4}, {Size: 4}}}},
		Outputs: []onnx.Value{{Name: "logits", Type: onnx.Float, Shape: []onnx.Dim{{Size: -1, Param: "n"}, {Size: 2}}}},
		Nodes: []onnx.Node{
			conv,
			{Name: "clip", Op: "Clip", Inputs: []string{"y", "", "six"}, Outputs: []string{"z"}},
			{Name: "leaky", Op: "LeakyRelu", Inputs: []string{"z"}, Outputs: []string{"l"}, Attributes: []onnx.Attribute{{Name: "alpha", Value: float32(0.25)}}},
			{Name: "pool", Op: "AveragePool", Inputs: []string{"l"}, Outputs: []string{"p"}, Attributes: []onnx.Attribute{
				{Name: "auto_pad", Value: "VALID"}, {Name: "kernel_shape", Value: []int64{2, 2}}}},
			{Name: "const", Op: "Constant", Outputs: []string{"shape"}, Attributes: []onnx.Attribute{{Name: "value", Value: onnx.Ints("", onnx.Int64, []int64{-1, 2}, 2)}}},
			{Name: "reshape", Op: "Reshape", Inputs: []string{"p", "shape"}, Outputs: []string{"logits"}},
		},
		Initializers: []onnx.Tensor{
			onnx.Floats("w", []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, -6, -7, -8, -9}, 2, 1, 3, 3),
			onnx.Floats("b", []float32{0.5, -0.5}, 2),
			onnx.Floats("six", []float32{6}),
		},
	}}
	image := make([]float32, 16)
	for i := range image {
		image[i] = float32(i) / 100
	}
	onnxtest.Check(t, m)
	got := onnxtest.Here(t).Run(t, m, image, 1, 1, 4, 4)
	// The first channel is the mean over the four windows, (0.83 + 1.78 + 3.30
	// + 5.28) / 4, plus 0.5; the second its negative, leaking by a quarter.
	want := []float64{3.2975, -0.824375}
	for i, w := range want {
		if len(got) != len(want) || math.Abs(float64(got[i])-w) > 1e-5 {
			t.Fatalf("onnxruntime computes %v, want %v", got, want)
		}
	}
}
