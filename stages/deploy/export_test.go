package deploy

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/stages/arch"
	"eyrie/stages/data"
	"eyrie/stages/data/datatest"
	"eyrie/stages/nn"
	"eyrie/stages/onnx"
	"eyrie/stages/onnx/onnxtest"
)

// learned are the weights of exporting's supernet, the same for all tests.
var learned struct {
	sync.Once
	weights []byte
}

// learn trains the space's largest subnet for a while.
func learn(t testing.TB, space arch.Space, set data.Set) []byte {
	t.Helper()
	train, test, err := data.Open(set)
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	defer test.Close()
	engine, err := nn.NewEngine(0, "go")
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	supernet := nn.New(space, 1)
	trainer := nn.NewTrainer(engine, supernet)
	for b, err := range train.Stream(context.Background(), data.Feed{Batch: 40, Resolution: data.At(16), Seed: 1, End: 90}) {
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
	space := arch.Space{
		Backbone: arch.Backbone{
			Input: 3, Stem: arch.Stem{Channels: 16, Kernel: 3, Stride: 2},
			Groups: []arch.Group{{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1}, {Expansion: 6, Channels: 16, Repeats: 2, Stride: 2}},
			Head:   48, Classes: len(data.ShapeClasses()),
		},
		Widths: arch.Widths{1, 1, 1, 1}, Resolutions: []int{16}, Expansions: []int{3, 6}, Depths: []int{1, 2}, Kernels: []int{3, 5},
	}
	set := datatest.Shapes(t, 16, 600, 600)
	learned.Do(func() { learned.weights = learn(t, space, set) })
	weights := filepath.Join(t.TempDir(), "supernet.safetensors")
	if err := os.WriteFile(weights, learned.weights, 0o644); err != nil {
		t.Fatal(err)
	}
	file, subnet := artifacts.Local(weights), space.Largest()
	return Config{
		Network: arch.Spec{Name: "ours", Space: &space, Subnet: &subnet}, Platform: platform(t, "tinyraptor"),
		Supernet: &file, Dataset: &set, Calibration: 200, Ranges: 100, Arithmetic: "go",
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
	train, test, err := data.Open(*c.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	defer test.Close()
	var b data.Batch
	if err := test.Batch(context.Background(), first(test.Len()), data.View{Resolution: 16}, &b); err != nil {
		t.Fatal(err)
	}
	input := make([]float32, len(b.X))
	for i := range b.N {
		for p := range 256 {
			for ch := range 3 {
				input[(i*3+ch)*256+p] = b.X[(i*256+p)*3+ch]
			}
		}
	}
	for _, x := range []struct {
		name string
		m    *onnx.Model
		want float64
	}{{"float32", m, *e.Top1}, {"int8", model(t, out.ONNXInt8), *e.Top1Int8}} {
		logits := onnxtest.Run(t, x.m, input, b.N, 3, 16, 16)
		right := 0
		for i, label := range b.Labels {
			z := logits[i*12 : (i+1)*12]
			best := 0
			for j, v := range z {
				if v > z[best] {
					best = j
				}
			}
			if best == int(label) {
				right++
			}
		}
		if got := float64(right) / float64(b.N); math.Abs(got-x.want) > 1.01/float64(b.N) {
			t.Errorf("%s: top-1 %v in onnxruntime, %v here", x.name, got, x.want)
		}
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
		"supernet: ":                           func(c *Config) { c.Supernet = &c.Dataset.Test.Data },
		"dataset: the data set does not fit: ": func(c *Config) { c.Dataset.Classes = 3 },
		"holdout: 600 of the set's 600 training images leave none": func(c *Config) { c.Holdout = 600 },
	} {
		c := exporting(t)
		change(&c)
		err := c.Validate()
		if err == nil {
			_, err = run(pipeline.With(context.Background(), pipeline.Env{Work: t.TempDir()}), c)
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
