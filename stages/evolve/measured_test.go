package evolve

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/data/datatest"
	"eyrie/nas/nn"
	"eyrie/nas/predict"
	"eyrie/pipeline"
)

// trained returns a search for accuracy: a supernet (of random weights, so that
// subnets differ) and a small set of images.
func trained(t testing.TB) Config {
	t.Helper()
	dir := t.TempDir()
	space := smallSpace()
	space.Resolutions = []int{12, 16}
	space.Backbone.Classes = len(data.ShapeClasses())
	weights := filepath.Join(dir, "supernet.safetensors")
	supernet := nn.New(space, 3)
	supernet.HeldOut = 60
	if err := supernet.Save(weights); err != nil {
		t.Fatal(err)
	}
	set := datatest.Shapes(t, 16, 100, 40)
	c := defaults
	file := artifacts.Local(weights)
	c.Supernet, c.Dataset, c.Platform = &file, &set, tinyraptor(t)
	c.Objective, c.Holdout, c.Calibration = "accuracy", 60, 20
	c.Population, c.Iterations, c.Measure, c.Arithmetic = 4, 4, 3, "go"
	return c
}

// A search for accuracy finds the same on any number of threads, measures each
// candidate once, and measures the result on other images than the search did.
func TestAccuracyOnAnyThreads(t *testing.T) {
	c := trained(t)
	var first Output
	for threads := 1; threads <= 3; threads++ {
		out, err := evolve(t, c, pipeline.Env{CPUs: threads})
		if err != nil {
			t.Fatal(err)
		}
		if threads == 1 {
			first = out
		} else if !reflect.DeepEqual(out, first) {
			t.Errorf("on %d threads:\n%+v\nwant\n%+v", threads, out, first)
		}
	}
	measured := 0
	for _, f := range first.Front {
		if f.Top1 != nil {
			measured++
		}
	}
	if first.Best.Top1 == nil || measured != min(c.Measure, len(first.Front)) || first.Measured != first.Evaluated+measured {
		t.Errorf("%d of the front measured, %d of %d in all; the best %+v", measured, first.Measured, first.Evaluated, first.Best)
	}
	if last := first.History[len(first.History)-1]; last.MACs != nil || last.Top1 == nil {
		t.Errorf("the history ends with %+v", last)
	}
	if first.Gap != nil || first.Optimum != nil {
		t.Error("there is no known optimum of accuracy")
	}
}

// Stopped after any number of measurements, even within the writing of one, a
// search goes on from there: nothing is measured twice, and the result is
// that of an uninterrupted search.
func TestResume(t *testing.T) {
	c := trained(t)
	want, err := evolve(t, c, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []int{1, 6, 15} {
		dir := t.TempDir()
		log := filepath.Join(dir, "measured.jsonl")
		ctx, cancel := context.WithCancel(context.Background())
		reports := 0
		env := pipeline.Env{Checkpoint: dir, Progress: func(pipeline.Progress) {
			if reports++; reports == stop {
				cancel()
			}
		}}
		if _, err := run(ctx, pipeline.NewTask(env), c); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after %d reports: %v", stop, err)
		}
		before, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(before), "\n"); n != stop {
			t.Errorf("%d measurements kept, want %d", n, stop)
		}
		if err := os.WriteFile(log, before[:len(before)-7], 0o644); err != nil { // killed while writing
			t.Fatal(err)
		}
		got, err := evolve(t, c, pipeline.Env{Checkpoint: dir})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("resumed:\n%+v\nwant\n%+v", got, want)
		}
		after, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(after), string(before)) || strings.Count(string(after), "\n") != want.Measured {
			t.Errorf("the log has %d lines, want %d, the first of them as before", strings.Count(string(after), "\n"), want.Measured)
		}
	}
}

// predictorOf returns a file with a predictor that learned accuracies made up
// of the space's subnets.
func predictorOf(t testing.TB, space arch.Space, method string) *artifacts.File {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	var samples []predict.Sample
	for range 60 {
		n := space.Sample(rng)
		samples = append(samples, predict.Sample{Subnet: n, Top1: 0.3 + float64(space.Network(n).MACs()%1000)/5000})
	}
	b, err := json.Marshal(predict.Predictor{Space: space, Method: method, Seed: 1, Samples: samples})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "predictor.json")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	file := artifacts.Local(path)
	return &file
}

// A search by prediction finds, and a linear predictor's exact optimum is, the
// subnet with the best prediction of all within the limit.
func TestPredicted(t *testing.T) {
	space := smallSpace()
	for _, method := range []string{"ridge", "k-nn", "mlp"} {
		c := defaults
		c.Platform, c.Limit, c.Objective = tinyraptor(t), Limit{Latency: 0.004}, "predicted"
		c.Predictor = predictorOf(t, space, method)
		c.Population, c.Iterations = 50, 99 // all 4,800
		out := mustEvolve(t, c)
		p, err := readPredictor(*c.Predictor, &space)
		if err != nil {
			t.Fatal(err)
		}
		m, err := newModel(c.Platform, mustCodec(t, space))
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for g := range m.codec.all {
			if m.price(g).Latency <= c.Limit.Latency {
				want = max(want, p.Predict(m.codec.decode(g)))
			}
		}
		if got := *out.Best.Predicted; got != want || out.Best.Top1 != nil {
			t.Errorf("%s: the best is predicted %v, of all %v", method, got, want)
		}
		if (out.Gap != nil) != (method == "ridge") {
			t.Errorf("%s: gap %v", method, out.Gap)
		} else if out.Gap != nil && math.Abs(*out.Gap) > 1e-9 {
			t.Errorf("%s: the optimum is %v, gap %v", method, *out.Optimum.Predicted, *out.Gap)
		}
	}
}

// With images the candidates predicted best are measured, and the best of them
// is the result, measured once more on the test images.
func TestPlayOff(t *testing.T) {
	c := trained(t)
	supernet, err := nn.Load(c.Supernet.Path)
	if err != nil {
		t.Fatal(err)
	}
	c.Objective, c.Predictor = "predicted", predictorOf(t, supernet.Space(), "ridge")
	out, err := evolve(t, c, pipeline.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if out.Best.Top1 == nil || out.Best.Predicted == nil || out.Measured < c.Measure+1 {
		t.Errorf("%d measurements; the best is %+v", out.Measured, out.Best)
	}
	space := smallSpace()
	c.Predictor = predictorOf(t, space, "ridge")
	if _, err := evolve(t, c, pipeline.Env{}); err == nil || !strings.HasPrefix(err.Error(), "predictor: it was trained in another space") {
		t.Errorf("a predictor of another space: %v", err)
	}
}

// A data set that does not fit the supernet, and a file that is none, are the
// attributes' mistakes.
func TestWrongInputs(t *testing.T) {
	c := trained(t)
	c.Dataset.Classes = 10
	if _, err := evolve(t, c, pipeline.Env{}); err == nil || !strings.HasPrefix(err.Error(), `dataset: "shapes" has 3 channels and 10 classes`) {
		t.Errorf("wrong classes: %v", err)
	}
	c = trained(t)
	file := c.Dataset.Train.Data
	c.Supernet = &file
	if _, err := evolve(t, c, pipeline.Env{}); err == nil || !strings.HasPrefix(err.Error(), "supernet: ") {
		t.Errorf("wrong file: %v", err)
	}
}
