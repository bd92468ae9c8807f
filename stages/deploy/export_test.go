package deploy

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/data/datatest"
	"eyrie/nas/nn"
	"eyrie/nas/nn/deployed"
	"eyrie/nas/onnx"
	"eyrie/nas/onnx/onnxtest"
	"eyrie/pipeline"
)

// learned are the weights of exporting's supernet, the same for all tests.
var learned struct {
	sync.Once
	weights []byte
}

// learn trains the space's largest subnet for a while.
func learn(t testing.TB, space arch.Space, set data.Set, steps int, arithmetic nn.Arithmetic) []byte {
	t.Helper()
	train, test, err := data.Open(set)
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	defer test.Close()
	engine, err := nn.NewEngine(0, arithmetic)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	supernet := nn.New(space, 1)
	trainer := nn.NewTrainer(engine, supernet)
	resolution := space.Largest().Resolution
	for b, err := range train.Stream(context.Background(), data.Feed{Batch: 40, Resolution: data.At(resolution), Seed: 1, End: steps}) {
		if err != nil {
			t.Fatal(err)
		}
		trainer.Grad(space.Largest(), b, nn.Loss{Hard: 1}, nil)
		trainer.Step(nn.SGD{Rate: 0.05, Momentum: 0.9, Nesterov: true})
	}
	file := filepath.Join(t.TempDir(), "weights")
	if err := supernet.Save(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exporting returns the export of a subnet of a supernet that has learned the
// shapes a little.
func exporting(t testing.TB) Config {
	t.Helper()
	space := smallSpace()
	set := datatest.Shapes(t, 16, 600, 600)
	learned.Do(func() { learned.weights = learn(t, space, set, 90, "go") })
	weights := filepath.Join(t.TempDir(), "supernet.safetensors")
	if err := os.WriteFile(weights, learned.weights, 0o644); err != nil {
		t.Fatal(err)
	}
	c := exportOf(t, space, set, weights)
	c.Calibration, c.Ranges = 200, 100
	return c
}

// untrained returns the export of a subnet with random weights, and of few
// images.
func untrained(t testing.TB) Config {
	t.Helper()
	space := smallSpace()
	weights := filepath.Join(t.TempDir(), "supernet.safetensors")
	if err := nn.New(space, 1).Save(weights); err != nil {
		t.Fatal(err)
	}
	c := exportOf(t, space, datatest.Shapes(t, 16, 40, 36), weights)
	c.Calibration, c.Ranges = 20, 20
	return c
}

func smallSpace() arch.Space {
	return arch.Space{
		Backbone: arch.Backbone{
			Input: 3, Stem: arch.Stem{Channels: 16, Kernel: 3, Stride: 2},
			Groups: []arch.Group{{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1}, {Expansion: 6, Channels: 16, Repeats: 2, Stride: 2}},
			Head:   48, Classes: len(data.ShapeClasses()),
		},
		Widths: arch.Widths{1, 1, 1, 1}, Resolutions: []int{12, 16}, Expansions: []int{3, 6}, Depths: []int{1, 2}, Kernels: []int{3, 5},
	}
}

func exportOf(t testing.TB, space arch.Space, set data.Set, weights string) Config {
	t.Helper()
	file, subnet := artifacts.Local(weights), space.Largest()
	return Config{
		Network: arch.Spec{Name: "ours", Space: &space, Subnet: &subnet}, Platform: platform(t, "tinyraptor"),
		Supernet: &file, Dataset: &set, Encoding: deployed.Unsigned, Choice: backend.Choice{Arithmetic: "go"},
	}
}

func model(t testing.TB, f *artifacts.File) *onnx.Model {
	t.Helper()
	b, err := f.ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The exported models are as accurate in onnxruntime as the stage says: the same
// images right in float32, and all but one in int8, which loses no more than 1.5
// points.
func TestExport(t *testing.T) {
	c := exporting(t)
	out := estimate(t, c)
	e := out.Estimate
	t.Logf("top-1 %v, in int8 %v", *e.Top1, *e.Top1Int8)
	if *e.Top1 < 0.3 || math.Abs(*e.Top1-*e.Top1Int8) > 0.015 {
		t.Errorf("top-1 %v, in int8 %v", *e.Top1, *e.Top1Int8)
	}
	again := estimate(t, Config{Network: arch.Spec{ONNX: out.ONNX}, Platform: c.Platform}).Estimate
	if again.Latency != e.Latency || again.Mu != e.Mu || again.MACs != e.MACs || again.Memory != e.Memory {
		t.Errorf("the exported model is estimated at %+v, the subnet at %+v", again, e)
	}
	m := model(t, out.ONNX)
	if m.Metadata["subnet"] != c.Network.Subnet.String() || !strings.HasPrefix(m.Metadata["mean"], "[0.") {
		t.Errorf("metadata %v", m.Metadata)
	}
	inORT(t, c, out, 1)
}

// inORT checks on every kind of processor that onnxruntime gives the exported models the
// accuracy that the stage says, give or take the images of but.
func inORT(t *testing.T, c Config, out Output, but int) {
	t.Helper()
	_, test := open(t, *c.Dataset)
	b := batch(t, test, test.Len(), out.Estimate.Resolution)
	onnxtest.OnEach(t, func(t *testing.T, p onnxtest.Processor) {
		for _, x := range []struct {
			name string
			file *artifacts.File
			want float64
		}{{"float32", out.ONNX, *out.Estimate.Top1}, {"int8", out.ONNXInt8, *out.Estimate.Top1Int8}} {
			logits := runONNX(t, p, model(t, x.file), b)
			right := 0
			for i, label := range b.Labels {
				if n := len(logits) / b.N; nn.Class(logits[i*n:(i+1)*n]) == int(label) {
					right++
				}
			}
			got := float64(right) / float64(b.N)
			t.Logf("%s: top-1 %v on %s in onnxruntime, %v here", x.name, got, p.Name, x.want)
			if math.Abs(got-x.want) > (float64(but)+0.01)/float64(b.N) {
				t.Errorf("%s: top-1 %v on %s in onnxruntime, %v here", x.name, got, p.Name, x.want)
			}
		}
	})
}

// open opens a set until the test ends.
func open(t *testing.T, set data.Set) (train, test *data.Split) {
	t.Helper()
	train, test, err := data.Open(set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { train.Close(); test.Close() })
	return train, test
}

// batch returns the first n images of a split.
func batch(t *testing.T, s *data.Split, n, resolution int) *data.Batch {
	t.Helper()
	var b data.Batch
	if err := s.Batch(context.Background(), first(n), data.View{Resolution: resolution}, &b); err != nil {
		t.Fatal(err)
	}
	return &b
}

// runONNX returns the logits that onnxruntime computes.
func runONNX(t *testing.T, p onnxtest.Processor, m *onnx.Model, b *data.Batch) []float32 {
	t.Helper()
	area, channels := b.H*b.W, b.C
	input := make([]float32, len(b.X)) // rows × columns × channels → channels × rows × columns
	for i := range b.N {
		for p := range area {
			for ch := range channels {
				input[(i*channels+ch)*area+p] = b.X[(i*area+p)*channels+ch]
			}
		}
	}
	return p.Run(t, m, input, b.N, channels, b.H, b.W)
}

// Whatever is elastic in a subnet, its resolution, depths, kernels and
// expansions, onnxruntime computes the logits from the exported model that the
// supernet does from the shared weights.
func TestExportedLogits(t *testing.T) {
	c := exporting(t)
	c.Images = 1
	space := *c.Network.Space
	supernet, err := nn.Load(c.Supernet.Path)
	if err != nil {
		t.Fatal(err)
	}
	train, test := open(t, *c.Dataset)
	engine, err := nn.NewEngine(0, c.Arithmetic)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	rest, _ := train.Holdout(c.Holdout) // as the stage takes them
	statistics := rest.Subset(data.Order(rest.Len(), 1, 0)[:c.Calibration])
	evaluator := nn.NewEvaluator(engine, supernet, statistics, test, 200)
	subnets := []arch.Subnet{space.Smallest(), space.Largest()}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 4 {
		subnets = append(subnets, space.Sample(rng))
	}
	for _, n := range subnets {
		c.Network.Subnet = &n
		out := estimate(t, c)
		b := batch(t, test, 50, n.Resolution)
		m, err := evaluator.Model(context.Background(), n)
		if err != nil {
			t.Fatal(err)
		}
		want, got := m.Logits(b), runONNX(t, onnxtest.Here(t), model(t, out.ONNX), b)
		largest := 0.0
		for i := range want {
			largest = max(largest, math.Abs(float64(got[i]-want[i])))
		}
		t.Logf("%v: off by %.2g", n, largest)
		if len(got) != len(want) || largest > 1e-4 {
			t.Errorf("%v: the logits in onnxruntime are off by %v", n, largest)
		}
	}
}

var photographs = flag.Int("photographs", 1000, "how many of Fashion-MNIST's 10,000 test images to hold exports against onnxruntime on")

// On photographs, int8 costs at most 1.5 points, by our arithmetic and by
// onnxruntime's.
func TestExportOnFashionMNIST(t *testing.T) {
	c := exporting(t)
	space := *c.Network.Space
	space.Backbone.Input, space.Backbone.Classes, space.Backbone.Stem.Stride, space.Resolutions = 1, 10, 1, []int{20, 24}
	set := datatest.FashionMNIST(t, 3000, *photographs)
	weights := filepath.Join(t.TempDir(), "supernet.safetensors")
	if err := os.WriteFile(weights, learn(t, space, set, 500, "auto"), 0o644); err != nil {
		t.Fatal(err)
	}
	file, subnet := artifacts.Local(weights), space.Largest()
	c.Supernet, c.Dataset, c.Network = &file, &set, arch.Spec{Name: "photographs", Space: &space, Subnet: &subnet}
	out := estimate(t, c)
	if e := out.Estimate; *e.Top1 < 0.75 || math.Abs(*e.Top1-*e.Top1Int8) > 0.015 {
		t.Errorf("top-1 %v, in int8 %v", *e.Top1, *e.Top1Int8)
	}
	inORT(t, c, out, *photographs/500)
}

// A file says which bytes it has, how accurate it is, and where that holds.
func TestEncodings(t *testing.T) {
	c := exporting(t)
	c.Images = 100
	tops := map[deployed.Encoding]float64{}
	for encoding, holds := range map[deployed.Encoding]string{deployed.Unsigned: "any processor", deployed.Narrow: "any processor", deployed.Signed: "Arm and x86 with VNNI; on other x86"} {
		c.Encoding = encoding
		out := estimate(t, c)
		tops[encoding] = *out.Estimate.Top1Int8
		m, words := model(t, out.ONNXInt8), out.Summary[len(out.Summary)-1]
		if meta := m.Metadata; meta["encoding"] != string(encoding) || !strings.HasPrefix(meta["top1_holds_on"], "onnxruntime on "+holds) || meta["top1"] != fmt.Sprint(tops[encoding]) || meta["top1_images"] != "100" {
			t.Errorf("%s: metadata %v", encoding, meta)
		}
		if meta := model(t, out.ONNX).Metadata; meta["top1"] != fmt.Sprint(*out.Estimate.Top1) || meta["top1_images"] != "600" || meta["encoding"] != "" {
			t.Errorf("float32: metadata %v", meta)
		}
		if !strings.Contains(words, holds) {
			t.Errorf("%s: the summary says %q, not %q", encoding, words, holds)
		}
	}
	if tops[deployed.Signed] != tops[deployed.Unsigned] {
		t.Errorf("top-1 %v: signed and unsigned bytes are the same integers", tops)
	}
}

// int8 may be measured on a part of the images.
func TestExportPart(t *testing.T) {
	c := exporting(t)
	c.Images = 40
	out := estimate(t, c)
	if n := *out.Estimate.Top1Int8 * 40; n != math.Trunc(n) {
		t.Errorf("top-1 in int8 is %v, no fortieth", *out.Estimate.Top1Int8)
	}
}

// A subnet that the supernet does not hold, or holds with other channels, is
// refused.
func TestExportRefuses(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"network: the supernet does not hold this subnet: resolution 24": func(c *Config) {
			c.Network.Space.Resolutions = []int{24}
			c.Network.Subnet.Resolution = 24
		},
		"network: its space is another one than the supernet's": func(c *Config) { c.Network.Space.Widths = arch.Widths{2, 1, 1, 1} },
		"supernet: ":             func(c *Config) { c.Supernet = &c.Dataset.Test.Data },
		`dataset: "shapes" has `: func(c *Config) { c.Dataset.Classes = 3 },
		"holdout: 600 of the set's 600 training images leave none": func(c *Config) { c.Holdout = 600 },
	} {
		c := exporting(t)
		change(&c)
		err := validate(c)
		if err == nil {
			_, err = run(context.Background(), pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), c)
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
