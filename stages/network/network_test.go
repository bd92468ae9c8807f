package network

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/data/datatest"
	"eyrie/nas/nn"
	"eyrie/nas/torch"
	"eyrie/nas/train"
	"eyrie/nas/train/traintest"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

// elastic is a space with everything that one has.
func elastic() arch.Space {
	b := arch.Backbone{
		Input: 3, Stem: arch.Stem{Channels: 8, Kernel: 3, Stride: 2}, Classes: 12, Head: 32,
		Groups: []arch.Group{
			{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1},
			{Expansion: 6, Channels: 8, Repeats: 2, Stride: 2},
			{Expansion: 6, Channels: 16, Repeats: 2, Stride: 2},
		},
	}
	return arch.Space{Backbone: b, Widths: b.Scaled(1), Resolutions: []int{12, 16}, Expansions: []int{2, 3, 4}, Depths: []int{1, 2}, Kernels: []int{3, 5, 7}}
}

// found is a subnet whose blocks differ in all that they choose.
func found() arch.Subnet {
	return arch.Subnet{Resolution: 16, Groups: [][]arch.Block{{{Expansion: 1, Kernel: 3}}, {{Expansion: 3, Kernel: 5}, {Expansion: 2, Kernel: 3}}, {{Expansion: 2, Kernel: 3}}}}
}

// small is a configuration that trains in a moment.
func small(t testing.TB) Config {
	t.Helper()
	space, subnet := elastic(), found()
	return Config{
		Network: arch.Spec{Space: &space, Subnet: &subnet}, Dataset: datatest.Shapes(t, 16, 400, 120), Epochs: 2,
		Settings: train.Settings{
			Batch: 20, Rate: 0.1, Momentum: 0.9, Nesterov: true, Decay: 3e-5, Smoothing: 0.1, Seed: 3, Calibration: 100, CurveImages: 60,
		},
		Choice: backend.Choice{Arithmetic: "go"}, Execution: train.Execution{CheckpointEvery: 1e9},
	}
}

// scaled is a MobileNetV2 for small images.
func scaled() arch.Spec {
	b := arch.MobileNetV2()
	b.Head, b.Groups = 64, b.Groups[:4]
	return arch.Spec{Backbone: &b, Width: 0.35, Resolution: 16}
}

func trained(t testing.TB, ctx context.Context, c Config) (Output, error) {
	t.Helper()
	if err := Stage.CheckConfig(c); err != nil {
		return Output{}, err
	}
	return run(ctx, pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), c)
}

// run runs the step.
func (c Config) run(ctx context.Context, task *pipeline.Task) (Output, error) {
	return run(ctx, task, c)
}

func mustTrain(t testing.TB, c Config) Output {
	t.Helper()
	out, err := trained(t, t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// supernet returns weights of the elastic space: random ones, but for kernels that are made of
// larger ones by more than the identity.
func supernet(t testing.TB, space arch.Space) *artifacts.File {
	t.Helper()
	s := nn.New(space, 11)
	weights := nn.Tensors(s.Weights())
	for name, v := range weights {
		if strings.Contains(name, "transform") {
			for i := range v {
				v[i] += float32(i%7-3) / 50
			}
		}
	}
	if err := s.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	s.HeldOut = 30
	path := filepath.Join(t.TempDir(), "supernet.safetensors")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	f := artifacts.Local(path)
	return &f
}

// digest returns a digest of what was made, and not of how long it took.
func digest(t *testing.T, out Output) artifacts.Digest {
	t.Helper()
	out.Torch = nil
	d, err := pipelinetest.Digest(out)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A version gives what it gave, computed in Go: alone, from a supernet's weights for other
// classes, and of a scaled backbone.
func TestGolden(t *testing.T) {
	alone := small(t)
	tuned := small(t)
	space := elastic()
	space.Backbone.Classes = 5
	tuned.Weights, tuned.Holdout, tuned.Rate = supernet(t, space), 30, 0.02
	uniform := small(t)
	uniform.Network, uniform.Epochs = scaled(), 1
	pipelinetest.Golden(t, Stage, map[string]any{"alone": mustTrain(t, alone), "tuned": mustTrain(t, tuned), "scaled": mustTrain(t, uniform)})
}

// The result does not depend on the number of threads.
func TestThreads(t *testing.T) {
	var first artifacts.Digest
	for _, threads := range []int{1, 2, 5} {
		c := small(t)
		c.Threads, c.Arithmetic = threads, "auto"
		if d := digest(t, mustTrain(t, c)); first == (artifacts.Digest{}) {
			first = d
		} else if d != first {
			t.Errorf("%d threads give another result than 1", threads)
		}
	}
}

// What a network learns generalises, also where it goes on with what it has learned before,
// and the weights that are written are those that were measured.
func TestLearns(t *testing.T) {
	c := small(t)
	c.Dataset, c.Epochs, c.Arithmetic = datatest.Shapes(t, 16, 3000, 600), 6, "auto"
	out := mustTrain(t, c)
	if out.Top1 < 0.5 {
		t.Errorf("top-1 %.3f, want 0.5 (chance is 0.08)", out.Top1)
	}
	if got := measured(t, c, out); got != out.Top1 {
		t.Errorf("the weights' top-1 is %v; the stage measured %v", got, out.Top1)
	}
	c.Weights, c.Network, c.Epochs, c.Rate = &out.Weights, out.Network, 1, 0.01
	again := mustTrain(t, c)
	if again.Top1 < out.Top1-0.03 || again.Steps >= out.Steps {
		t.Errorf("after %d more steps top-1 is %.3f, was %.3f", again.Steps, again.Top1, out.Top1)
	}
}

// measured returns the top-1 of the weights on all test images.
func measured(t *testing.T, c Config, out Output) float64 {
	t.Helper()
	s, err := nn.Load(out.Weights.Path)
	if err != nil {
		t.Fatal(err)
	}
	images, test, err := data.Open(c.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	defer images.Close()
	defer test.Close()
	e, err := nn.NewEngine(1, c.Arithmetic)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	seen, _ := images.Holdout(c.Holdout)
	calibration := seen.Subset(data.Order(seen.Len(), 1, 0)[:c.Calibration])
	top1, err := nn.NewEvaluator(e, s, calibration, test, 200).Accuracy(t.Context(), *out.Network.Subnet)
	if err != nil {
		t.Fatal(err)
	}
	return top1
}

// Training begins with the supernet's weights: with next to no step, the first loss is that of
// the subnet with the shared weights, and with its own afterwards.
func TestBegins(t *testing.T) {
	c := small(t)
	c.Weights, c.Holdout, c.Rate, c.Epochs, c.Decay = supernet(t, elastic()), 30, 1e-12, 1, 0
	weights := mustTrain(t, c).Weights
	from, err := nn.Load(c.Weights.Path)
	if err != nil {
		t.Fatal(err)
	}
	to, err := nn.Load(weights.Path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := folded(t, c, from), folded(t, c, to)
	for i, l := range a {
		for j, v := range l.Weight {
			if math.Abs(float64(v-b[i].Weight[j])) > 1e-5 {
				t.Fatalf("%s: weight %d is %v in the supernet, %v in the network", l.Name, j, v, b[i].Weight[j])
			}
		}
	}
}

// folded returns the layers of the network, as deployed.
func folded(t *testing.T, c Config, s *nn.Supernet) []nn.Folded {
	t.Helper()
	images, test, err := data.Open(c.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	defer images.Close()
	defer test.Close()
	e, err := nn.NewEngine(1, "go")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	layers, err := nn.NewEvaluator(e, s, images, test, 200).Folded(t.Context(), *c.Network.Subnet)
	if err != nil {
		t.Fatal(err)
	}
	return layers
}

// A training that is cancelled again and again, and whose newest checkpoint is damaged at
// times, ends with the weights of an uninterrupted one.
func TestResume(t *testing.T) {
	c := small(t)
	c.Weights, c.Holdout, c.Arithmetic = supernet(t, elastic()), 30, "auto"
	want := digest(t, mustTrain(t, c))
	c.CheckpointEvery = 0
	out, _ := pipelinetest.Interrupted(t, 7, c.run, func(n int, dir string) {
		if list := traintest.Checkpoints(t, dir); n%2 == 0 {
			if err := os.Truncate(list[len(list)-1], 100); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got := digest(t, out); got != want {
		t.Errorf("resumed %s, uninterrupted %s", got, want)
	}
}

// What cannot work is refused with the attribute's name, before any work.
func TestValidate(t *testing.T) {
	layers := arch.Spec{Input: arch.Shape{C: 3, H: 16, W: 16}, Layers: []arch.LayerSpec{{Op: arch.Pool}, {Op: arch.Linear, Channels: 12}}}
	narrow := func(c *Config, change func(*arch.Space)) {
		space := elastic()
		change(&space)
		c.Network.Space = &space
	}
	for want, change := range map[string]func(*Config){
		"network: its layers are given, or in a file: only": func(c *Config) { c.Network = layers },
		"network: write one of":                             func(c *Config) { c.Network = arch.Spec{} },
		"network: it takes images of 1 channels, but the data set's have 3: write a backbone with input = 3": func(c *Config) { narrow(c, func(s *arch.Space) { s.Backbone.Input = 1 }) },
		"holdout: 5000 images held out of":      func(c *Config) { c.Holdout = 5000 },
		"batch: 500 images, but the data set":   func(c *Config) { c.Batch = 500 },
		"epochs: too few: they make no step of": func(c *Config) { c.Epochs = 0.01 },
		"torch: belongs to backend":             func(c *Config) { c.Torch = &torch.Options{} },
		// Of weights that are not there yet, as of those that are:
		"weights: their network takes images of 1 channels, not 3":           func(c *Config) { c.from(func(a *nn.About) { a.Space.Backbone.Input = 1 }) },
		"weights: they do not hold this network: group 2, block 1: kernel 5": func(c *Config) { c.from(func(a *nn.About) { a.Space.Kernels = []int{3} }) },
		"weights: they do not hold this network: its layer g1.b1":            func(c *Config) { c.from(func(a *nn.About) { a.Space.Widths = arch.Widths{1, 2, 1, 1, 1} }) },
		"weights: they are those of another network, 16: 1×3":                func(c *Config) { c.from(func(a *nn.About) { a.Network = ptr(elastic().Largest()) }) },
		"holdout: the supernet is trained on all but 30":                     func(c *Config) { c.from(func(*nn.About) {}); c.Holdout = 40 },
	} {
		c := small(t)
		change(&c)
		if _, err := trained(t, t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s …", err, want)
		}
	}
	c := small(t)
	c.Weights = &c.Dataset.Test.Data
	if _, err := trained(t, t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "weights: ") || !strings.HasSuffix(err.Error(), "(write the weights of a train-supernet or train-network step)") {
		t.Errorf("got %v", err)
	}
	space := elastic()
	space.Kernels = []int{3}
	c.Weights = supernet(t, space)
	if _, err := trained(t, t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "weights: they do not hold this network: ") {
		t.Errorf("got %v", err)
	}
}

// from has the network begin with weights that are foreseen.
func (c *Config) from(change func(*nn.About)) {
	a := nn.About{Space: elastic(), HeldOut: 30}
	change(&a)
	c.Weights = ptr(a.Promise())
}

// The outputs are what was foreseen of them, for each kind of network.
func TestForesee(t *testing.T) {
	for _, spec := range []arch.Spec{small(t).Network, scaled()} {
		c := small(t)
		c.Network, c.Holdout, c.Epochs = spec, 40, 0.1
		foreseen := c.Foresee(func(...string) bool { return true })
		about, ok := nn.Foreseen(ptr(foreseen["weights"].(artifacts.File)))
		if !ok {
			t.Fatal("nothing is foreseen")
		}
		out := mustTrain(t, c)
		weights, err := nn.Load(out.Weights.Path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(weights.About(), about) || about.HeldOut != 40 || about.Network == nil {
			t.Errorf("foreseen: %+v; made: %+v", about, weights.About())
		}
		if !reflect.DeepEqual(out.Network, foreseen["network"]) {
			t.Errorf("foreseen: %+v; made: %+v", foreseen["network"], out.Network)
		}
		if net, err := out.Network.Network(); err != nil || net.Params() != out.Params || out.Network.Space.Backbone.Classes != c.Dataset.Classes {
			t.Errorf("%s: %d parameters, want %d; %v", net.Name, out.Params, net.Params(), err)
		}
	}
}

func ptr[T any](v T) *T { return &v }
