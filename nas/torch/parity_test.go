package torch

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/native"
	"eyrie/nas/nn"
	"eyrie/nas/train"
	"eyrie/nas/train/traintest"
)

// inGo opens the backend in Go until the test ends.
func inGo(t *testing.T, job train.Job) train.Backend {
	t.Helper()
	b, err := native.Open(job, native.Options{Arithmetic: "go", Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// off returns by how much values differ, relative to what they are: the quotient of the
// norms.
func off(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	diff, norm := 0.0, 0.0
	for i := range got {
		d := float64(got[i] - want[i])
		diff += d * d
		norm += float64(want[i]) * float64(want[i])
	}
	return math.Sqrt(diff / max(norm, 1e-12))
}

// Ten steps, some of them with a kept teacher, all with channels that were sorted, on the
// same batches give the same losses and weights with both backends.
func TestTenSteps(t *testing.T) {
	there, here := traintest.Job(t), traintest.Job(t)
	there.Set = here.Set
	on := traintest.On(here)
	steps := traintest.Steps(here, 0, 10, 5)
	for i := range steps {
		steps[i].SGD.Rate = 0.01 // at a high rate whatever is rounded grows from step to step
	}
	var results [2][]nn.Result
	var weights [2]nn.Tensors
	for i, b := range []train.Backend{open(t, there, Options{}), inGo(t, here)} {
		if err := b.SortChannels(t.Context(), []int{2, 3}); err != nil {
			t.Fatal(err)
		}
		results[i] = traintest.Train(t, b, steps[:5])
		if err := b.KeepTeacher(t.Context()); err != nil {
			t.Fatal(err)
		}
		results[i] = append(results[i], traintest.Train(t, b, steps[5:])...)
		s, err := b.Supernet(t.Context(), on.Statistics, on.Batch)
		if err != nil {
			t.Fatal(err)
		}
		weights[i] = s.Weights()
	}
	for i, want := range results[1] {
		if got := results[0][i]; math.Abs(got.Loss/want.Loss-1) > 1e-3 {
			t.Errorf("step %d: %+v in PyTorch, %+v in Go", i, got, want)
		}
	}
	for name, want := range weights[1] {
		// A bias that the next normalisation takes away has no gradient but what is rounded.
		if d := off(weights[0][name], want); d > 1e-3 && !strings.HasSuffix(name, ".bn.bias") {
			t.Errorf("%s is off by %.2g", name, d)
		}
	}
}

// Statistics of batch normalisation, and with them all folded layers and accuracies, agree
// for random subnets of weights that either backend has trained.
func TestMeasuresAgree(t *testing.T) {
	for name, first := range map[string]func(*testing.T, train.Job) train.Backend{
		"trained in Go":      inGo,
		"trained in PyTorch": func(t *testing.T, job train.Job) train.Backend { return open(t, job, Options{}) },
	} {
		t.Run(name, func(t *testing.T) {
			job := traintest.Job(t)
			trained := first(t, job)
			traintest.Train(t, trained, traintest.Steps(job, 0, 30, 1000))
			on := traintest.On(job)
			s, err := trained.Supernet(t.Context(), on.Statistics, on.Batch)
			if err != nil {
				t.Fatal(err)
			}
			space := s.Space()
			ns := []arch.Subnet{space.Largest(), space.Smallest()}
			for i := range 6 {
				ns = append(ns, space.Sample(rand.New(rand.NewPCG(2, uint64(i)))))
			}
			var top1 [2][]float64
			var layers [2][][]nn.Folded
			for i, open := range []func(train.Job) train.Backend{
				func(job train.Job) train.Backend { return open(t, job, Options{Ranks: 2}) },
				func(job train.Job) train.Backend { return inGo(t, job) },
			} {
				job.Supernet = s.Clone()
				b := open(job)
				top1[i] = make([]float64, len(ns))
				err := b.Accuracies(t.Context(), ns, on, func(k int, v float64) error { top1[i][k] = v; return nil })
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range ns {
					f, err := b.Folded(t.Context(), n, on)
					if err != nil {
						t.Fatal(err)
					}
					layers[i] = append(layers[i], f)
				}
			}
			for k, n := range ns {
				if math.Abs(top1[0][k]-top1[1][k]) > 1.5/90 { // an image may be on the border
					t.Errorf("subnet %v: top-1 %.4f in PyTorch, %.4f in Go", n, top1[0][k], top1[1][k])
				}
				for i, want := range layers[1][k] {
					got := layers[0][k][i]
					if got.Name != want.Name || off(got.Weight, want.Weight) > 1e-4 || off(got.Bias, want.Bias) > 1e-4 {
						t.Errorf("subnet %v: layer %s is off by %.2g, its bias by %.2g", n, want.Name, off(got.Weight, want.Weight), off(got.Bias, want.Bias))
					}
				}
			}
			if slices.Max(top1[1]) < 1.5/12 {
				t.Errorf("nothing was learned: %v", top1[1])
			}
		})
	}
}
