package deployed

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"eyrie/stages/arch"
	"eyrie/stages/data"
	"eyrie/stages/nn"
	"eyrie/stages/onnx"
	"eyrie/stages/onnx/onnxtest"
)

const resolution = 16

func space() arch.Space {
	return arch.Space{
		Backbone: arch.Backbone{
			Input: 3, Stem: arch.Stem{Channels: 16, Kernel: 3, Stride: 2},
			Groups: []arch.Group{
				{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1}, {Expansion: 6, Channels: 16, Repeats: 2, Stride: 2},
				{Expansion: 6, Channels: 24, Repeats: 2, Stride: 1},
			},
			Head: 64, Classes: len(data.ShapeClasses()),
		},
		Widths: arch.Widths{1, 1, 1, 1, 1}, Resolutions: []int{resolution}, Expansions: []int{3, 6}, Depths: []int{1, 2}, Kernels: []int{3, 5},
	}
}

// trained returns a supernet whose largest subnet has learned the shapes a
// little, an evaluator of it, and test images.
var trained = sync.OnceValues(func() (*nn.Evaluator, *data.Split) {
	engine, err := nn.NewEngine(0, "go")
	if err != nil {
		panic(err)
	}
	shapes := data.Shapes{Seed: 1, Size: resolution}
	train, test := shapes.Split(0, 960), shapes.Split(12000, 500)
	s := nn.New(space(), 1)
	t := nn.NewTrainer(engine, s)
	const steps = 160
	feed := data.Feed{Batch: 48, Resolution: data.At(resolution), Seed: 1, End: steps}
	step := 0
	for b, err := range train.Stream(context.Background(), feed) {
		if err != nil {
			panic(err)
		}
		n := space().Largest()
		if step%2 == 1 {
			n = space().Sample(rand.New(rand.NewPCG(1, uint64(step))))
		}
		t.Grad(n, b, nn.Loss{Hard: 1}, nil)
		t.Step(nn.SGD{Rate: 0.1 * (1 + math.Cos(math.Pi*float64(step)/steps)) / 2, Momentum: 0.9, Nesterov: true, Decay: 1e-4})
		step++
	}
	return nn.NewEvaluator(engine, s, train, test, 100), test
})

// subnets returns the nets of the largest and of a random subnet.
func subnets(t *testing.T) (v *nn.Evaluator, test *data.Split, ns []arch.Subnet, nets []*Net) {
	t.Helper()
	v, test = trained()
	for _, n := range []arch.Subnet{space().Largest(), space().Sample(rand.New(rand.NewPCG(2, 3)))} {
		layers, err := v.Folded(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		ns, nets = append(ns, n), append(nets, New(space().Network(n), layers))
	}
	return v, test, ns, nets
}

// images returns n images of a split.
func images(t *testing.T, split *data.Split, n int) (each [][]float32) {
	t.Helper()
	var b data.Batch
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	if err := split.Batch(context.Background(), indices, data.View{Resolution: resolution}, &b); err != nil {
		t.Fatal(err)
	}
	size := len(b.X) / n
	for i := range n {
		each = append(each, b.X[i*size:(i+1)*size])
	}
	return each
}

// The deployed network is the subnet that the evaluator measures.
func TestNetIsTheSubnet(t *testing.T) {
	v, test, ns, nets := subnets(t)
	for i, n := range ns {
		want, err := v.Accuracy(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		got := accuracy(t, nets[i], test)
		if math.Abs(got-want) > 1.01/500 || i == 0 && got < 0.4 {
			t.Errorf("subnet %d: top-1 %v, the evaluator measures %v", i, got, want)
		}
	}
}

// Quantised, a network loses at most 1.5 points of accuracy.
func TestInt8Accuracy(t *testing.T) {
	_, test, _, nets := subnets(t)
	for i, net := range nets {
		q := net.Quantise(images(t, test, 100))
		float, got := accuracy(t, net, test), accuracy(t, q, test)
		t.Logf("subnet %d: top-1 %.4f, in int8 %.4f", i, float, got)
		if math.Abs(got-float) > 0.015 {
			t.Errorf("subnet %d: top-1 %v in float, %v in int8", i, float, got)
		}
	}
}

// In single precision, int8 networks compute the integers that 32-bit arithmetic does.
func TestInt8IsExact(t *testing.T) {
	_, test, _, nets := subnets(t)
	batch := images(t, test, 20)
	for i, net := range nets {
		q, plain := net.Quantise(batch), net.Quantise(batch)
		for k := range plain.layers {
			l := &plain.layers[k]
			if l.conv != nil {
				l.conv, l.inner = nil, inner(&net.Layers[k], l.weight)
			}
		}
		for k, image := range batch {
			if got, want := q.Logits(image), plain.Logits(image); !slices.Equal(got, want) {
				t.Errorf("subnet %d, image %d: logits %v, want %v", i, k, got, want)
			}
		}
	}
}

// A layer whose sums single precision might not hold is computed in integers.
func TestInt8KnowsWhatIsExact(t *testing.T) {
	in := scale{1, -128} // 0 … 255
	for _, c := range []struct {
		weights int
		want    bool
	}{{518, true}, {519, false}} {
		q := quantised{weight: slices.Repeat([]int32{127, -127}, c.weights), bias: []int32{0, 0}}
		if got := q.exact(in); got != c.want {
			t.Errorf("%d products of 127 × 255: exact is %v, want %v", c.weights, got, c.want)
		}
	}
}

// Whatever a map's range, 0 is one of the integers, and what is within the
// range is off by half a step at most.
func TestScale(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var s span
		s.include([]float32{float32(rng.NormFloat64() * 10), float32(rng.NormFloat64())})
		q := s.scale()
		if q.quantise(0) != 0 {
			t.Fatalf("%+v: 0 becomes %v of %+v", s, q.quantise(0), q)
		}
		v := s.low + (s.high-s.low)*rng.Float32()
		if back := q.size * float32(q.quantise(v)); math.Abs(float64(back-v)) > 1.01*float64(q.size) {
			t.Fatalf("%+v: %v becomes %v, by steps of %v", s, v, back, q.size)
		}
	}
	if q := (&span{}).scale(); q.quantise(-3) != 0 {
		t.Errorf("a dead map becomes %v", q.quantise(-3))
	}
}

// onnxruntime computes from the exported models what we do: in float32 the same
// logits to 1e-4, and so in int8: our integers are its integers.
func TestONNXRuntimeAgrees(t *testing.T) {
	_, test, _, nets := subnets(t)
	calibration, batch := images(t, test, 100), images(t, test, 60)
	for i, net := range nets {
		q := net.Quantise(calibration)
		for _, c := range []struct {
			name    string
			model   *onnx.Model
			runner  Runner
			largest float64 // error of a logit
		}{
			{"float32", net.ONNX(map[string]string{"subnet": "x"}), net, 1e-4},
			{"int8", q.ONNX(nil), q, 1e-4},
		} {
			got := runONNX(t, c.model, batch)
			largest, sum, agree := 0.0, 0.0, 0
			for k, image := range batch {
				want := c.runner.Logits(image)
				for j := range want {
					d := math.Abs(float64(got[k*len(want)+j] - want[j]))
					largest, sum = max(largest, d), sum+d
				}
				if Class(want) == Class(got[k*len(want):(k+1)*len(want)]) {
					agree++
				}
			}
			t.Logf("subnet %d, %s: logits off by at most %.2g, on average %.2g; %d of %d alike", i, c.name, largest, sum/float64(len(got)), agree, len(batch))
			if largest > c.largest || agree < len(batch)-1 {
				t.Errorf("subnet %d, %s: logits off by %v, %d of %d images alike", i, c.name, largest, agree, len(batch))
			}
		}
	}
}

// accuracy returns the part of the images that are classified correctly.
func accuracy(t *testing.T, r Runner, split *data.Split) float64 {
	t.Helper()
	right := 0
	err := Each(context.Background(), r, split, resolution, 2, func(logits []float32, label int) {
		if Class(logits) == label {
			right++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return float64(right) / float64(split.Len())
}

// runONNX returns the logits that onnxruntime computes.
func runONNX(t *testing.T, m *onnx.Model, batch [][]float32) []float32 {
	t.Helper()
	var input []float32
	for _, image := range batch { // rows × columns × channels → channels × rows × columns
		for c := range 3 {
			for p := range resolution * resolution {
				input = append(input, image[p*3+c])
			}
		}
	}
	return onnxtest.Run(t, m, input, len(batch), 3, resolution, resolution)
}

// A network whose weights are missing or of another size is a programmer's
// mistake, and says which layer.
func TestNewPanics(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), `layer "stem" has 0 weights and 0 biases, want 432 and 16`) {
			t.Errorf("got %v", r)
		}
	}()
	New(space().Network(space().Largest()), nil)
}

func BenchmarkInt8(b *testing.B) {
	bone := arch.MobileNetV2()
	net := bone.Scale(bone.Uniform(0.35), 96, arch.Rounding{})
	var layers []nn.Folded
	rng := rand.New(rand.NewPCG(1, 2))
	for _, l := range net.Layers {
		if l.Weights() > 0 {
			f := nn.Folded{Name: l.Name, Weight: make([]float32, l.Weights()), Bias: make([]float32, l.Out.C), ReLU6: l.Op != arch.Linear}
			for i := range f.Weight {
				f.Weight[i] = float32(rng.NormFloat64())
			}
			layers = append(layers, f)
		}
	}
	image := make([]float32, 96*96*3)
	for i := range image {
		image[i] = float32(rng.NormFloat64())
	}
	float := New(net, layers)
	for name, r := range map[string]Runner{"float32": float, "int8": float.Quantise([][]float32{image})} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r.Logits(image)
			}
			b.ReportMetric(float64(net.MACs())*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
		})
	}
}
