package predictor

import (
	"context"
	"errors"
	"math/rand/v2"
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
	"eyrie/nas/predict"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

func space() arch.Space {
	return arch.Space{
		Backbone: arch.Backbone{
			Input: 3, Stem: arch.Stem{Channels: 8, Kernel: 3, Stride: 2},
			Groups: []arch.Group{{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1}, {Expansion: 6, Channels: 16, Repeats: 2, Stride: 2}, {Expansion: 6, Channels: 16, Repeats: 2, Stride: 1}},
			Head:   32, Classes: len(data.ShapeClasses()),
		},
		Widths: arch.Widths{1, 1, 1, 1, 1}, Resolutions: []int{8, 16}, Expansions: []int{3, 6}, Depths: []int{1, 2}, Kernels: []int{3, 5},
	}
}

// config returns a small task: a supernet of random weights, and few images.
func config(t testing.TB) Config {
	t.Helper()
	dir := t.TempDir()
	weights := filepath.Join(dir, "supernet.safetensors")
	supernet := nn.New(space(), 3)
	supernet.HeldOut = 60
	if err := supernet.Save(weights); err != nil {
		t.Fatal(err)
	}
	return Config{
		Supernet: artifacts.Local(weights), Holdout: 60, Samples: 24, Unseen: 0.25, Folds: 3, Method: "auto", Calibration: 20, Choice: backend.Choice{Arithmetic: "go"}, Seed: 1,
		Dataset: datatest.Shapes(t, 16, 100, 12),
	}
}

func train(t testing.TB, c Config, env pipeline.Env) (Output, error) {
	t.Helper()
	if err := Stage.CheckConfig(c); err != nil {
		return Output{}, err
	}
	env.Work = t.TempDir()
	return run(context.Background(), pipeline.NewTask(env), c)
}

// The file holds what evolve needs; the method taken is the best of those
// compared; the judgement is over the unseen samples alone.
func TestTrain(t *testing.T) {
	c := config(t)
	out, err := train(t, c, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := out.Predictor.ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	p, err := predict.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Samples) != c.Samples || out.Measured != c.Samples+6 || p.Method != out.Method || len(out.Unseen) != 6 {
		t.Errorf("%d samples, %d measured, %d unseen, method %q and %q", len(p.Samples), out.Measured, len(out.Unseen), p.Method, out.Method)
	}
	best := slices.MaxFunc(out.Methods, func(a, b Score) int { return int(1e9 * (a.Kendall - b.Kendall)) })
	if len(out.Methods) != 3 || best.Method != out.Method {
		t.Errorf("%q was taken of %+v", out.Method, out.Methods)
	}
	var predicted, measured, tested []float64
	for _, u := range out.Unseen {
		predicted, measured, tested = append(predicted, u.Predicted), append(measured, u.Top1), append(tested, u.Test)
	}
	if s := predict.Compare(predicted, measured); out.Kendall != s.Kendall || !slices.IsSorted(measured) {
		t.Errorf("τ %v, the unseen subnets give %v", out.Kendall, s.Kendall)
	}
	if test, ceiling := predict.Kendall(predicted, tested), predict.Kendall(measured, tested); out.KendallTest != test || out.Ceiling != ceiling || slices.Equal(measured, tested) {
		t.Errorf("τ on the test images %v, ceiling %v; the unseen subnets give %v and %v", out.KendallTest, out.Ceiling, test, ceiling)
	}
}

// A truth that the features determine is learned, whatever the supernet.
func TestLearn(t *testing.T) {
	c := config(t)
	c.Samples = 100
	s := space()
	rng := rand.New(rand.NewPCG(1, 1))
	var samples []predict.Sample
	for range c.Samples {
		n := s.Sample(rng)
		top1 := 0.1
		for _, g := range n.Groups[1:] {
			for _, b := range g {
				top1 += 0.02*float64(b.Expansion) + 0.01*float64(b.Kernel)
			}
		}
		samples = append(samples, predict.Sample{Subnet: n, Top1: top1})
	}
	tested := make([]float64, c.unseen())
	for i := range tested {
		tested[i] = samples[i].Top1
	}
	out, err := c.learn(pipeline.NewTask(pipeline.Env{Work: t.TempDir()}), s, samples, tested)
	if err != nil {
		t.Fatal(err)
	}
	if out.Method != "ridge" || out.Kendall < 0.95 || out.KendallTest != out.Kendall || out.Ceiling != 1 || out.RMSE > 0.01 {
		t.Errorf("%s: τ %.3f, rmse %.4f; compared: %+v", out.Method, out.Kendall, out.RMSE, out.Methods)
	}
}

// Threads and interruptions leave no trace.
func TestResume(t *testing.T) {
	c := config(t)
	want, err := train(t, c, pipeline.Env{CPUs: 1})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	env := pipeline.Env{Work: t.TempDir(), Checkpoint: dir, CPUs: 2, Progress: func(p pipeline.Progress) {
		if p.Done == 7 {
			cancel()
		}
	}}
	if _, err := run(ctx, pipeline.NewTask(env), c); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped: %v", err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "measured.jsonl"))
	if kept := strings.Count(string(log), "\n"); err != nil || kept < 7 || kept == want.Measured {
		t.Fatalf("%d of %d measurements kept, want the 7 that were reported, but not all (%v)", kept, want.Measured, err)
	}
	got, err := train(t, c, pipeline.Env{Checkpoint: dir, CPUs: 3})
	if err != nil {
		t.Fatal(err)
	}
	got.Predictor, want.Predictor = artifacts.File{}, artifacts.File{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("resumed:\n%+v\nwant\n%+v", got, want)
	}
}

// Wrong attributes are named.
func TestRefuses(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"holdout: 100 of the set's 100 training images leave none":   func(c *Config) { c.Holdout = 100 },
		"samples: 10 samples less 9 unseen ones leave 1 for 3 folds": func(c *Config) { c.Samples, c.Unseen = 10, 0.9 },
		"samples: 100000, but the space has only 800 subnets":        func(c *Config) { c.Samples = 100000 },
		"supernet: ":                                   func(c *Config) { c.Supernet = c.Dataset.Train.Data },
		`dataset: "shapes" has 1 channels`:             func(c *Config) { c.Dataset.Channels = 1 },
		"holdout: the supernet is trained on all but ": func(c *Config) { c.Holdout = 99 },
	} {
		c := config(t)
		change(&c)
		if _, err := train(t, c, pipeline.Env{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	out, err := train(t, config(t), pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	pipelinetest.Golden(t, Stage, map[string]any{"auto": out})
}
