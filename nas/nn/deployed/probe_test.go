package deployed

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/onnx"
	"eyrie/nas/onnx/onnxtest"
)

// everything is a network in which each operation occurs, with all that layers can have.
func everything() arch.Spec {
	return arch.Spec{Name: "everything", Input: arch.Shape{C: 3, H: 32, W: 20}, Layers: []arch.LayerSpec{
		{Name: "stem", Op: arch.Conv, Channels: 12, Kernel: arch.Extent{H: 5, W: 3}, Stride: arch.Extent{H: 2, W: 1}, Pad: &arch.Padding{Top: 1, Left: 0, Bottom: 2, Right: 1}},
		{Name: "dilated", Op: arch.Conv, Channels: 12, Kernel: arch.Square(3), Dilation: arch.Extent{H: 2, W: 1}},
		{Name: "grouped", Op: arch.Conv, Channels: 24, Kernel: arch.Square(3), Groups: 4},
		{Name: "multiplied", Op: arch.Depthwise, Channels: 48, Kernel: arch.Extent{H: 3, W: 1}},
		{Name: "project", Op: arch.Pointwise, Channels: 24},
		{Name: "sum", Op: arch.Add, Inputs: []string{"grouped", "project"}},
		{Name: "squeeze", Op: arch.Pool},
		{Name: "reduce", Op: arch.Linear, Channels: 6},
		{Name: "excite", Op: arch.Linear, Channels: 24},
		{Name: "scale", Op: arch.Mul, Inputs: []string{"sum", "excite"}},
		{Name: "halved", Op: arch.Pool, Kernel: arch.Square(3), Stride: arch.Square(2), Pad: &arch.Padding{Top: 1, Left: 1, Bottom: 0, Right: 1}},
		{Name: "up", Op: arch.Deconv, Channels: 16, Kernel: arch.Square(2), Stride: arch.Square(2), Groups: 2},
		{Name: "down", Op: arch.Resize, Size: arch.Extent{H: 8, W: 10}},
		{Name: "left", Op: arch.Pointwise, Channels: 10, Inputs: []string{"down"}},
		{Name: "right", Op: arch.Pointwise, Channels: 10, Groups: 2, Inputs: []string{"down"}},
		{Name: "weights", Op: arch.MatMul, Inputs: []string{"left", "square"}},
		{Name: "both", Op: arch.View, Inputs: []string{"left", "right", "weights"}},
		{Name: "softmax", Op: arch.Elementwise},
		{Name: "shuffle", Op: arch.View},
		{Name: "mixed", Op: arch.Depthwise, Kernel: arch.Square(3)},
		{Name: "pool", Op: arch.Pool},
		{Name: "classifier", Op: arch.Linear, Channels: 10},
		{Name: "probabilities", Op: arch.Elementwise},
	}}
}

func network(t testing.TB, s arch.Spec) arch.Network {
	t.Helper()
	for i, l := range s.Layers { // a product takes as many rows as the other has columns
		if l.Name == "weights" {
			square := arch.LayerSpec{Name: "square", Op: arch.Resize, Size: arch.Square(10), Inputs: []string{"left"}}
			s.Layers = append(s.Layers[:i:i], append([]arch.LayerSpec{square}, s.Layers[i:]...)...)
			break
		}
	}
	n, err := s.Network()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// probed are networks of all kinds.
func probed(t testing.TB) []arch.Network {
	space, subnet := space(), space().Largest()
	chain := func(input arch.Shape, layers ...arch.LayerSpec) arch.Spec {
		return arch.Spec{Input: input, Layers: layers}
	}
	var all []arch.Network
	for _, s := range []arch.Spec{
		{Width: 0.35, Resolution: 64},
		{Name: "subnet", Space: &space, Subnet: &subnet},
		chain(arch.Shape{C: 64, H: 1, W: 1}, arch.LayerSpec{Op: arch.Linear, Channels: 32}, arch.LayerSpec{Op: arch.Linear, Channels: 8}),
		chain(arch.Shape{C: 16, H: 9, W: 9}, arch.LayerSpec{Op: arch.Conv, Channels: 8, Kernel: arch.Square(3), Name: "a"},
			arch.LayerSpec{Op: arch.Pointwise, Channels: 8, Name: "b"}, arch.LayerSpec{Op: arch.Add, Inputs: []string{"a", "b"}},
			arch.LayerSpec{Op: arch.Pool, Kernel: arch.Square(3), Stride: arch.Square(2)}),
		everything(),
	} {
		all = append(all, network(t, s))
	}
	return append(all, moved())
}

// moved is a network as importers make them, whose views move elements in every way, and
// whose layers share weights.
func moved() arch.Network {
	n := arch.Network{Name: "moved", Input: arch.Shape{C: 6, H: 4, W: 5}}
	view := func(out arch.Shape, inputs ...int) {
		l := arch.Layer{Name: fmt.Sprint("view", len(n.Layers)), Op: arch.View, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: inputs, Out: out}
		shape := func(j int) arch.Shape {
			if j < 0 {
				return n.Input
			}
			return n.Layers[j].Out
		}
		l.In = shape(inputs[0])
		for _, j := range inputs[1:] {
			l.Others = append(l.Others, shape(j))
		}
		n.Layers = append(n.Layers, l)
	}
	view(arch.Shape{C: 20, H: 1, W: 6}, -1)   // transposed
	view(arch.Shape{C: 10, H: 1, W: 6}, 0)    // cut
	view(arch.Shape{C: 12, H: 1, W: 6}, 1)    // repeated
	view(arch.Shape{C: 4, H: 7, W: 2}, 2)     // cut, and in another shape
	view(arch.Shape{C: 23, H: 1, W: 6}, 1, 2) // joined with a constant
	view(arch.Shape{C: 5, H: 5, W: 10}, 3, 4) // joined across shapes
	view(arch.Shape{C: 5, H: 5, W: 20}, 5, 5) // joined along columns
	reduced := arch.Layer{Name: "greatest", Op: arch.Elementwise, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{6}, In: n.Layers[6].Out, Out: arch.Shape{C: 1, H: 5, W: 20}}
	n.Layers = append(n.Layers, reduced)
	for range 2 {
		in := n.Layers[len(n.Layers)-1]
		l := arch.Layer{Name: fmt.Sprint("shared", len(n.Layers)), Op: arch.Conv, Kernel: arch.Square(3), Stride: arch.Square(1), Pad: arch.Around(1), Inputs: []int{len(n.Layers) - 1}, In: in.Out, Out: in.Out}
		l.Reuses = in.Op == arch.Conv
		n.Layers = append(n.Layers, l)
	}
	flat := arch.Layer{Name: "flat", Op: arch.Linear, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{9}, In: arch.Shape{C: 1, H: 5, W: 20}, Out: arch.Shape{C: 3, H: 1, W: 1}}
	n.Layers = append(n.Layers, flat)
	return n
}

// Any network runs in onnxruntime with random weights, in float32 and in every encoding of
// 8 bits; in 8 bits it computes about what it does in float32.
func TestProbesRun(t *testing.T) {
	here := onnxtest.Here(t)
	for _, net := range probed(t) {
		if err := net.Validate(); err != nil {
			t.Fatalf("%s: %v", net.Name, err)
		}
		p, err := NewProbe(net, 1)
		if err != nil {
			t.Fatal(err)
		}
		image := make([]float32, net.Input.Size())
		for i := range image {
			image[i] = float32(math.Sin(float64(i * i)))
		}
		run := func(m *onnx.Model) []float32 {
			onnxtest.Check(t, m)
			y := here.Run(t, m, image, 1, net.Input.C, net.Input.H, net.Input.W)
			if last := net.Layers[len(net.Layers)-1].Out; len(y) != last.Size() || len(m.Graph.Outputs) != 1 {
				t.Errorf("%s writes %d elements of %d outputs, want those of %v", net.Name, len(y), len(m.Graph.Outputs), last)
			}
			return y
		}
		float := run(p.ONNX(nil))
		rms := func(f func(i int) float32) float64 {
			sum := 0.0
			for i := range float {
				sum += float64(f(i)) * float64(f(i))
			}
			return math.Sqrt(sum / float64(len(float)))
		}
		size := rms(func(i int) float32 { return float[i] })
		if !(size > 1e-3 && size < 100) {
			t.Errorf("%s writes %v: want numbers around 1", net.Name, float)
		}
		for _, e := range encodings {
			y := run(p.Int8ONNX(e, nil))
			off := rms(func(i int) float32 { return y[i] - float[i] }) / size
			t.Logf("%s: in %s off by %.3f of %.3g", net.Name, e, off, size)
			if e == Unsigned && !(off < 0.5) {
				t.Errorf("%s: in %s off by %.3f of what float32 gives", net.Name, e, off)
			}
		}
	}
}

// A probe that is read again has the layers of the network that it was made of.
func TestProbesAreReadAgain(t *testing.T) {
	for _, net := range probed(t) {
		if net.Name == "moved" {
			continue // what a view is made of is not what it was read from
		}
		p, err := NewProbe(net, 1)
		if err != nil {
			t.Fatal(err)
		}
		for what, m := range map[string]*onnx.Model{"float32": p.ONNX(nil), "int8": p.Int8ONNX(Signed, nil)} {
			path := filepath.Join(t.TempDir(), "net.onnx")
			if err := os.WriteFile(path, m.Marshal(), 0o644); err != nil {
				t.Fatal(err)
			}
			file := artifacts.Local(path)
			got, err := arch.Spec{ONNX: &file}.Network()
			if err != nil {
				t.Errorf("%s in %s: %v", net.Name, what, err)
				continue
			}
			if got, want := outline(got), outline(net); got != want {
				t.Errorf("%s in %s is read as\n%s\nwant\n%s", net.Name, what, got, want)
			}
		}
	}
}

// outline writes the layers without what a file does not say.
func outline(n arch.Network) string {
	var b strings.Builder
	fmt.Fprintln(&b, n.Input, n.MACs(), n.Params())
	for _, l := range n.Layers {
		l.Block = ""
		fmt.Fprintf(&b, "%+v\n", l)
	}
	return b.String()
}

// A seed makes the same bytes each time, and another seed others.
func TestProbeSeed(t *testing.T) {
	net := network(t, arch.Spec{Input: arch.Shape{C: 3, H: 8, W: 8}, Layers: []arch.LayerSpec{{Op: arch.Conv, Channels: 4, Kernel: arch.Square(3)}}})
	bytesOf := func(seed uint64) []byte {
		p, err := NewProbe(net, seed)
		if err != nil {
			t.Fatal(err)
		}
		return append(p.ONNX(nil).Marshal(), p.Int8ONNX(Signed, nil).Marshal()...)
	}
	if !bytes.Equal(bytesOf(1), bytesOf(1)) || bytes.Equal(bytesOf(1), bytesOf(2)) {
		t.Error("the bytes do not follow from the seed")
	}
}

// What no file holds is refused before it is made.
func TestProbeTooLarge(t *testing.T) {
	net := network(t, arch.Spec{Input: arch.Shape{C: 30000, H: 1, W: 1}, Layers: []arch.LayerSpec{{Op: arch.Linear, Channels: 30000}}})
	if _, err := NewProbe(net, 1); err == nil || !strings.Contains(err.Error(), "take 3.4 GiB") {
		t.Errorf("got %v", err)
	}
}
