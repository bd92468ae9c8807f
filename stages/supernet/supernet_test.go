package supernet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
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

func tinySpace() arch.Space {
	b := arch.Backbone{
		Input: 3, Stem: arch.Stem{Channels: 8, Kernel: 3, Stride: 2}, Classes: 12, Head: 32,
		Groups: []arch.Group{
			{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1},
			{Expansion: 6, Channels: 8, Repeats: 2, Stride: 2},
			{Expansion: 6, Channels: 16, Repeats: 2, Stride: 2},
		},
	}
	return arch.Space{
		Backbone: b, Widths: b.Scaled(1), Resolutions: []int{12, 16}, Expansions: []int{2, 3}, Depths: []int{1, 2}, Kernels: []int{3, 5},
	}
}

// small is a configuration that trains in a moment.
func small(t testing.TB) Config {
	return Config{
		Space: tinySpace(), Dataset: datatest.Shapes(t, 16, 400, 120), Schedule: Sandwich, Epochs: 2, Subnets: 1,
		Settings: train.Settings{
			Batch: 20, Rate: 0.1, Momentum: 0.9, Nesterov: true, Decay: 3e-5, Smoothing: 0.1, Seed: 3, Calibration: 100, CurveImages: 60,
		},
		Choice: backend.Choice{Arithmetic: "go"}, Execution: train.Execution{CheckpointEvery: 1e9},
	}
}

func trained(t testing.TB, ctx context.Context, c Config) (Output, error) {
	t.Helper()
	if err := Stage.CheckConfig(c); err != nil {
		return Output{}, err
	}
	return run(ctx, pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), c)
}

func mustTrain(t testing.TB, c Config) Output {
	t.Helper()
	out, err := trained(t, t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// run runs the step.
func (c Config) run(ctx context.Context, task *pipeline.Task) (Output, error) {
	return run(ctx, task, c)
}

// digest returns a digest of what was made, and not of how long it took.
func digest(out Output) (artifacts.Digest, error) {
	out.Torch = nil
	return pipelinetest.Digest(out)
}

func mustDigest(t *testing.T, out Output) artifacts.Digest {
	t.Helper()
	d, err := digest(out)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A version gives what it gave, computed in Go.
func TestGolden(t *testing.T) {
	pipelinetest.Golden(t, Stage, map[string]any{"sandwich": mustTrain(t, small(t))})
}

// The result does not depend on the number of threads.
func TestThreads(t *testing.T) {
	var first artifacts.Digest
	for _, threads := range []int{1, 2, 5} {
		c := small(t)
		c.Threads = threads
		out := mustTrain(t, c)
		if d := mustDigest(t, out); first == (artifacts.Digest{}) {
			first = d
		} else if d != first {
			t.Errorf("%d threads give another result than 1", threads)
		}
	}
}

// What is learned generalises, and the weights that are written are those that
// were measured.
func TestLearns(t *testing.T) {
	c := small(t)
	c.Dataset = datatest.Shapes(t, 16, 3000, 600)
	c.Epochs, c.Arithmetic = 6, "auto"
	out := mustTrain(t, c)
	if out.Top1Largest < 0.5 || out.Top1Smallest < 0.4 {
		t.Errorf("top-1 %.3f of the largest, %.3f of the smallest: want 0.5 and 0.4 (chance is 0.08)", out.Top1Largest, out.Top1Smallest)
	}
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
	e, err := nn.NewEngine(1, "auto")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	calibration := images.Subset(data.Order(images.Len(), uint64(c.Seed), -1)[:c.Calibration])
	top1, err := nn.NewEvaluator(e, s, calibration, test, c.Batch).Accuracy(t.Context(), c.Space.Largest())
	if err != nil || top1 != out.Top1Largest {
		t.Errorf("the weights' top-1 is %v, %v; the stage measured %v", top1, err, out.Top1Largest)
	}
}

// Progressive shrinking goes through its phases, with teacher and sorting.
func TestProgressive(t *testing.T) {
	c := small(t)
	c.Schedule, c.Epochs, c.Arithmetic = Progressive, 4, "auto"
	out := mustTrain(t, c)
	b, _ := out.Curve.ReadFile()
	for _, phase := range []string{"largest", "kernels", "depths 1", "depths 2", "expansions 1", "expansions 2"} {
		if !strings.Contains(string(b), phase) {
			t.Errorf("no phase %q in the curve:\n%s", phase, b)
		}
	}
}

// A phase of rule "fixed" trains its subnet and leaves what is not part of it alone.
func TestFixed(t *testing.T) {
	c := small(t)
	n := c.Space.Smallest()
	c.Phases, c.Decay, c.CurveImages = []train.Phase{{Name: "alone", Epochs: 1, Rule: "fixed", Subnet: &n}}, 0, 0
	out := mustTrain(t, c)
	s, err := nn.Load(out.Weights.Path)
	if err != nil {
		t.Fatal(err)
	}
	fresh, trained := nn.New(c.Space, uint64(c.Seed)), map[string]bool{}
	for name, v := range s.Weights() {
		trained[name] = !slices.Equal(v, fresh.Weights()[name])
	}
	for name, want := range map[string]bool{
		"g2.b1.expand.weight": true, "classifier.weight": true, "g2.b1.depthwise.transform.5to3": true,
		"g2.b2.expand.weight": false, "g3.b2.project.weight": false,
	} {
		if got, ok := trained[name]; !ok || got != want {
			t.Errorf("%s was trained: %v, want %v", name, got, want)
		}
	}
}

// A training that is cancelled again and again, and whose newest checkpoint
// is damaged at times, ends with the weights of an uninterrupted one.
func TestResume(t *testing.T) {
	for _, schedule := range []Schedule{Sandwich, Progressive} {
		c := small(t)
		c.Schedule, c.Arithmetic = schedule, "auto"
		want := mustDigest(t, mustTrain(t, c))
		c.CheckpointEvery = 0
		out, _ := pipelinetest.Interrupted(t, 7, c.run, func(n int, dir string) {
			if list := traintest.Checkpoints(t, dir); n%2 == 0 {
				damage(t, list[len(list)-1], n)
			}
		})
		if got := mustDigest(t, out); got != want {
			t.Errorf("%s: resumed %s, uninterrupted %s", schedule, got, want)
		}
	}
}

// damage truncates a file or flips a bit of it.
func damage(t *testing.T, path string, how int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if how%4 == 0 {
		b = b[:len(b)/3]
	} else {
		b[len(b)/2] ^= 1
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// A training that diverges stops, and says at which step and where the curve
// and the last good checkpoint are.
func TestDivergence(t *testing.T) {
	c := small(t)
	c.Rate, c.CheckpointEvery = 1e30, 0
	env := pipeline.Env{Work: t.TempDir(), Checkpoint: t.TempDir()}
	_, err := run(t.Context(), pipeline.NewTask(env), c)
	if diverged := (*train.DivergedError)(nil); !errors.As(err, &diverged) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"step ", "of 40 steps", "lower rate", traintest.CheckpointSuffix, "curve.csv"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(env.Checkpoint, "curve.csv")); err != nil {
		t.Error(err)
	}
}

// What cannot work is refused with the attribute's name, before any work.
func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"space.expansions":                          func(c *Config) { c.Space.Expansions = nil },
		"space.backbone.classes: 10, but":           func(c *Config) { c.Space.Backbone.Classes = 10 },
		"space.backbone.input: 1, but":              func(c *Config) { c.Space.Backbone.Input = 1 },
		"holdout: 5000 images held out of ":         func(c *Config) { c.Holdout = 5000 },
		"batch: 500 images, but the data set has":   func(c *Config) { c.Batch = 500 },
		"phases[0].kernels[0]: 9 is not one of":     func(c *Config) { c.Phases = []train.Phase{{Epochs: 1, Kernels: []int{9}}} },
		"phases[0].distill: the first phase has no": func(c *Config) { c.Phases = []train.Phase{{Epochs: 1, Distill: 1}} },
		"phases[0].subnets: want at least 1":        func(c *Config) { c.Phases = []train.Phase{{Epochs: 1, Rule: "random"}} },
		"phases[0].subnet: belongs to rule":         func(c *Config) { c.Phases = []train.Phase{{Epochs: 1, Rule: "fixed"}} },
		"phases[0].subnet: resolution 0":            func(c *Config) { c.Phases = []train.Phase{{Epochs: 1, Rule: "fixed", Subnet: &arch.Subnet{}}} },
		"epochs: too few":                           func(c *Config) { c.Epochs = 0.01 },
		"batch: one image for each process":         func(c *Config) { c.Batch, c.Space.Resolutions = 1, []int{1, 16} },
		"batch: one image for each process, whose map before the classifier is one pixel at resolution 2, leaves batch normalisation nothing to learn from: write at least 6": func(c *Config) {
			c.Batch, c.Space.Resolutions = 3, []int{2, 16}
			c.Choice = backend.Choice{Backend: backend.Torch, Torch: &torch.Options{Ranks: 3}}
		},
		"calibration: 1001 images make batches of 200 and a last one of 1, whose statistics": func(c *Config) { c.Dataset.Train.Count, c.Calibration = 1001, 2000 },
		"phases: too few: they make no step":                                                 func(c *Config) { c.Phases = []train.Phase{{Epochs: 0.01}, {Epochs: 0.01}} },
	} {
		c := small(t)
		change(&c)
		if err := Stage.CheckConfig(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s …", err, want)
		}
	}
	c := small(t)
	c.Arithmetic = "abacus" // which kernels there are depends on the machine
	if _, err := trained(t, t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), "arithmetic: kernels") {
		t.Errorf("got %v", err)
	}
}

// The weights are what was foreseen of them.
func TestForesee(t *testing.T) {
	c := small(t)
	c.Holdout = 40
	about, ok := nn.Foreseen(ptr(c.Foresee(func(...string) bool { return true })["weights"].(artifacts.File)))
	if !ok {
		t.Fatal("nothing is foreseen")
	}
	out := mustTrain(t, c)
	weights, err := nn.Load(out.Weights.Path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(weights.Space(), about.Space) || weights.HeldOut != about.HeldOut || about.HeldOut != 40 {
		t.Errorf("foreseen: %+v; made: %+v, %d images held out", about, weights.Space(), weights.HeldOut)
	}
}

func ptr[T any](v T) *T { return &v }
