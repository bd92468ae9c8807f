// Package traintest says what every [train.Backend] promises.
package traintest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/data"
	"eyrie/nas/data/datatest"
	"eyrie/nas/meter"
	"eyrie/nas/nn"
	"eyrie/nas/train"
)

// Open opens a backend for a job, until the test ends.
type Open func(t *testing.T, job train.Job) train.Backend

// Space returns a small space with everything that an elastic space has.
func Space() arch.Space {
	return arch.Space{
		Backbone: arch.Backbone{
			Input: 3, Stem: arch.Stem{Channels: 8, Kernel: 3, Stride: 2}, Classes: len(data.ShapeClasses()), Head: 24,
			Groups: []arch.Group{
				{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1},
				{Expansion: 6, Channels: 8, Repeats: 2, Stride: 2},
				{Expansion: 6, Channels: 16, Repeats: 2, Stride: 2},
			},
		},
		Widths: arch.Widths{1, 1, 1, 1, 1}, Resolutions: []int{12, 16}, Expansions: []int{2, 3}, Depths: []int{1, 2}, Kernels: []int{3, 5},
	}
}

// Job returns a job to train that space on shapes, 24 of them in a step.
func Job(t testing.TB) train.Job {
	t.Helper()
	return train.Job{
		Supernet: nn.New(Space(), 5), Set: datatest.Shapes(t, 16, 200, 90), Holdout: 20, Batch: 24, Seed: 3,
		Augment:    data.Augment{Crop: 0.6, Flip: true, Jitter: 0.2},
		Resolution: func(step int) int { return Space().Resolutions[step/2%2] }, Steps: 1000,
	}
}

// Steps returns steps of a sandwich, and from some step on with a kept teacher instead.
func Steps(job train.Job, from, to, taught int) []train.Step {
	var steps []train.Step
	space := job.Supernet.Space()
	for i := from; i < to; i++ {
		s := train.Step{Number: i, Resolution: job.Resolution(i), SGD: nn.SGD{Rate: 0.05, Momentum: 0.9, Nesterov: i%3 > 0, Decay: 1e-3}}
		hard := nn.Loss{Hard: 1, Smoothing: 0.1}
		passes := []train.Pass{{Subnet: space.Largest(), Loss: hard}, {Subnet: space.Smallest(), Loss: nn.Loss{Soft: 1}, From: train.FromFirst}}
		if i >= taught {
			largest := space.Largest()
			largest.Resolution = s.Resolution
			s.Teacher = &largest
			hard.Soft = 0.5
			passes = []train.Pass{{Subnet: space.Smallest(), Loss: hard, From: train.FromTeacher}}
		}
		random := space.Sample(rand.New(rand.NewPCG(7, uint64(i))))
		for _, p := range append(passes, train.Pass{Subnet: random, Loss: passes[len(passes)-1].Loss, From: passes[len(passes)-1].From}) {
			p.Subnet.Resolution = s.Resolution
			s.Passes = append(s.Passes, p)
		}
		steps = append(steps, s)
	}
	return steps
}

// On returns images to measure on, none of which fill their last batch.
func On(job train.Job) meter.On {
	return meter.On{
		Statistics: data.Selection{Part: data.TrainPart, Holdout: job.Holdout}.Drawn(data.Draw{Count: 70, Seed: 1}),
		Images:     data.Selection{Part: data.TestPart}, Batch: 32,
	}
}

// Run tests backends that open opens.
func Run(t *testing.T, open Open) {
	t.Run("steps are done in order and learn", func(t *testing.T) { learns(t, open) })
	t.Run("a state is gone back to", func(t *testing.T) { resumes(t, open) })
	t.Run("a training is stopped between steps", func(t *testing.T) { stops(t, open) })
	t.Run("a loss that is no number is told", func(t *testing.T) { diverges(t, open) })
	t.Run("a pass that rounds is another one, or refused", func(t *testing.T) { rounds(t, open) })
	t.Run("one network's statistics are its own", func(t *testing.T) { ownStatistics(t, open) })
	t.Run("sorted channels leave subnets alone", func(t *testing.T) { sorts(t, open) })
	t.Run("subnets are measured alike, alone and together", func(t *testing.T) { measures(t, open) })
	t.Run("what cannot be measured is told", func(t *testing.T) { refuses(t, open) })
	t.Run("layers are folded", func(t *testing.T) { folds(t, open) })
}

// Train does steps, and fails the test if they are not done in their order.
func Train(t *testing.T, b train.Backend, steps []train.Step) (results []nn.Result) {
	t.Helper()
	err := b.Train(t.Context(), slices.Values(steps), func(s train.Step, r nn.Result) {
		if want := steps[len(results)].Number; s.Number != want {
			t.Errorf("step %d is done, want %d", s.Number, want)
		}
		results = append(results, r)
	})
	if err != nil || len(results) != len(steps) {
		t.Fatalf("%d of %d steps are done: %v", len(results), len(steps), err)
	}
	return results
}

// State returns the state of a backend.
func State(t *testing.T, b train.Backend) []byte {
	t.Helper()
	state, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func learns(t *testing.T, open Open) {
	job := Job(t)
	b := open(t, job)
	results := Train(t, b, Steps(job, 0, 40, 1000))
	mean := func(some []nn.Result) (sum float64) {
		for _, r := range some {
			sum += r.Loss / float64(len(some))
		}
		return sum
	}
	if first, last := mean(results[:5]), mean(results[35:]); last > 0.9*first {
		t.Errorf("the loss falls from %.3f to %.3f only", first, last)
	}
	for _, r := range results {
		if r.Correct < 0 || r.Correct > job.Batch {
			t.Errorf("%d of %d images are right", r.Correct, job.Batch)
		}
	}
}

// through trains through all that changes a state: steps, a teacher from step 3 on, channels
// that are sorted before step 6.
func through(t *testing.T, b train.Backend, job train.Job, from, to int) {
	t.Helper()
	for at := from; at < to; at += 3 {
		var err error
		switch at {
		case 3:
			err = b.KeepTeacher(t.Context())
		case 6:
			err = b.SortChannels(t.Context(), []int{3})
		}
		if err != nil {
			t.Fatal(err)
		}
		Train(t, b, Steps(job, at, at+3, 3))
	}
}

func resumes(t *testing.T, open Open) {
	const end = 12
	job := Job(t)
	whole := open(t, job)
	var states [][]byte // after 3, 6 and 9 steps
	for at := 0; at < end; at += 3 {
		if at > 0 {
			states = append(states, State(t, whole))
		}
		through(t, whole, job, at, at+3)
	}
	want := State(t, whole)
	job = Job(t)
	other := open(t, job)
	for _, cut := range []int{3, 9, 6} { // back and forth
		if err := other.SetState(t.Context(), states[cut/3-1]); err != nil {
			t.Fatal(err)
		}
		if through(t, other, job, cut, end); !bytes.Equal(State(t, other), want) {
			t.Errorf("resumed after %d steps, a training ends with another state", cut)
		}
	}
}

func stops(t *testing.T, open Open) {
	job := Job(t)
	b := open(t, job)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// More than a backend may have in hand: what it has begun it may complete.
	steps, done := Steps(job, 0, 200, 1000), 0
	endless := func(yield func(train.Step) bool) {
		for _, s := range steps {
			if ctx.Err() != nil || !yield(s) {
				return
			}
		}
	}
	err := b.Train(ctx, endless, func(train.Step, nn.Result) {
		if done++; done == 4 {
			cancel()
		}
	})
	if err != nil && !errors.Is(err, context.Canceled) || done < 4 || done == len(steps) {
		t.Fatalf("after %d steps: %v", done, err)
	}
	state, err := b.State(context.Background())
	if err != nil {
		t.Fatalf("what was stopped has no state: %v", err)
	}
	other := Job(t)
	c := open(t, other)
	Train(t, c, Steps(other, 0, done, 1000))
	if !bytes.Equal(state, State(t, c)) {
		t.Errorf("the state after a stop at step %d is not that of a training of as many steps", done)
	}
}

func diverges(t *testing.T, open Open) {
	job := Job(t)
	b := open(t, job)
	steps := Steps(job, 0, 8, 1000)
	for i := range steps {
		steps[i].SGD.Rate = 1e30
	}
	done := 0
	err := b.Train(t.Context(), slices.Values(steps), func(train.Step, nn.Result) { done++ })
	var diverged *train.DivergedError
	if !errors.As(err, &diverged) || !math.IsNaN(diverged.Loss) && !math.IsInf(diverged.Loss, 0) {
		t.Fatalf("got %v", err)
	}
	if diverged.Step.Number != done || diverged.Pass >= len(diverged.Step.Passes) {
		t.Errorf("step %d, pass %d diverged; %d steps were done", diverged.Step.Number, diverged.Pass, done)
	}
}

func rounds(t *testing.T, open Open) {
	job := Job(t)
	exact := Train(t, open(t, job), Steps(job, 0, 1, 1000))[0].Loss
	losses := map[int]float64{}
	for _, largest := range []int{127, 64} {
		job := Job(t)
		steps := Steps(job, 0, 1, 1000)
		for i := range steps[0].Passes {
			steps[0].Passes[i].Quantise = largest
		}
		err := open(t, job).Train(t.Context(), slices.Values(steps), func(_ train.Step, r nn.Result) { losses[largest] = r.Loss })
		if errors.Is(err, errors.ErrUnsupported) && len(losses) == 0 {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if a, b := losses[127], losses[64]; a == exact || b == exact || a == b || math.Abs(a-exact) > 0.1 || math.Abs(b-exact) > 0.1 {
		t.Errorf("the loss is %v, with weights rounded %v", exact, losses)
	}
}

func ownStatistics(t *testing.T, open Open) {
	job := Job(t)
	n := job.Supernet.Space().Smallest()
	job.Supernet.Network = &n
	s, err := open(t, job).Supernet(t.Context(), On(job).Statistics, On(job).Batch)
	if err != nil {
		t.Fatal(err)
	}
	other := Job(t)
	other.Supernet = nn.New(job.Supernet.Space().Around(n), 1)
	other.Supernet.Adopt(s, n)
	whole, err := open(t, other).Supernet(t.Context(), On(other).Statistics, On(other).Batch)
	if err != nil {
		t.Fatal(err)
	}
	want := running(t, whole)
	for name, v := range running(t, s) {
		for i, w := range want[name] {
			if math.Abs(float64(v[i]-w)) > 1e-4*(1+math.Abs(float64(w))) {
				t.Fatalf("%s is %v, want %v first", name, v, want[name])
			}
		}
	}
}

// running returns the running statistics of weights.
func running(t *testing.T, s *nn.Supernet) nn.Tensors {
	t.Helper()
	tensors, err := nn.DecodeTensors(s.Encode())
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(tensors, func(name string, _ []float32) bool { return !strings.Contains(name, ".running_") })
	return tensors
}

// accuracies measures subnets together.
func accuracies(t *testing.T, b train.Backend, ns []arch.Subnet, on meter.On) []float64 {
	t.Helper()
	top1 := make([]float64, len(ns))
	seen := 0
	err := b.Accuracies(t.Context(), ns, on, func(i int, v float64) error {
		top1[i] = v
		seen++
		return nil
	})
	if err != nil || seen != len(ns) {
		t.Fatalf("%d of %d subnets are measured: %v", seen, len(ns), err)
	}
	return top1
}

func sorts(t *testing.T, open Open) {
	job := Job(t)
	b := open(t, job)
	Train(t, b, Steps(job, 0, 20, 1000))
	wide, narrow := job.Supernet.Space().Largest(), job.Supernet.Space().Largest()
	narrow.Groups = slices.Clone(narrow.Groups)
	for i := range narrow.Groups[1:] {
		narrow.Groups[i+1] = slices.Repeat([]arch.Block{{Expansion: 2, Kernel: 5}}, 2)
	}
	before := accuracies(t, b, []arch.Subnet{wide, narrow}, On(job))
	if err := b.SortChannels(t.Context(), []int{2, 3}); err != nil {
		t.Fatal(err)
	}
	// What is added in another order is rounded in another way: an image or two may be on the border.
	for i, v := range accuracies(t, b, []arch.Subnet{wide, narrow}, On(job)) {
		if math.Abs(v-before[i]) > 2.5/90 {
			t.Errorf("subnet %d: %.3f before, %.3f after", i, before[i], v)
		}
	}
}

func measures(t *testing.T, open Open) {
	job := Job(t)
	b := open(t, job)
	Train(t, b, Steps(job, 0, 30, 1000))
	space := job.Supernet.Space()
	ns := []arch.Subnet{space.Largest(), space.Smallest()}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 12 {
		ns = append(ns, space.Sample(rng))
	}
	together := accuracies(t, b, ns, On(job))
	for i, n := range ns {
		if alone := accuracies(t, b, []arch.Subnet{n}, On(job)); alone[0] != together[i] {
			t.Errorf("subnet %v: %v alone, %v together with others", n, alone[0], together[i])
		}
	}
	if together[0] < 1.5/12 {
		t.Errorf("the largest subnet is right on %.3f of the images: no better than by chance", together[0])
	}
	// What was measured is what is handed over: another process measures the same.
	s, err := b.Supernet(t.Context(), On(job).Statistics, On(job).Batch)
	if err != nil {
		t.Fatal(err)
	}
	other := job
	other.Supernet = s.Clone()
	if again := accuracies(t, open(t, other), ns, On(job)); !slices.Equal(again, together) {
		t.Errorf("the weights that were handed over are right on %v, want %v", again, together)
	}
}

func refuses(t *testing.T, open Open) {
	job := Job(t)
	b := open(t, job)
	none := func(int, float64) error { return nil }
	stranger := job.Supernet.Space().Largest()
	stranger.Resolution = 14
	if err := b.Accuracies(t.Context(), []arch.Subnet{stranger}, On(job), none); err == nil {
		t.Error("a subnet of another space was measured")
	}
	want := errors.New("enough")
	if err := b.Accuracies(t.Context(), []arch.Subnet{job.Supernet.Space().Largest()}, On(job), func(int, float64) error { return want }); !errors.Is(err, want) {
		t.Errorf("done's error became %v", err)
	}
	huge := Job(t)
	weights := nn.Tensors(huge.Supernet.Weights())
	for i := range weights["classifier.weight"] {
		weights["classifier.weight"][i] = math.MaxFloat32
	}
	if err := huge.Supernet.SetWeights(weights); err != nil {
		t.Fatal(err)
	}
	if err := open(t, huge).Accuracies(t.Context(), []arch.Subnet{Space().Largest()}, On(huge), none); !errors.Is(err, nn.ErrNotFinite) {
		t.Errorf("outputs that are no numbers: %v", err)
	}
}

func folds(t *testing.T, open Open) {
	job := Job(t)
	b := open(t, job)
	Train(t, b, Steps(job, 0, 5, 1000))
	for _, n := range []arch.Subnet{Space().Largest(), Space().Smallest()} {
		layers, err := b.Folded(t.Context(), n, On(job))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, l := range layers {
			names = append(names, l.Name)
			if len(l.Bias) == 0 || len(l.Weight)%len(l.Bias) != 0 {
				t.Errorf("%s: %d weights and %d biases", l.Name, len(l.Weight), len(l.Bias))
			}
		}
		if names[0] != "stem" || names[len(names)-1] != "classifier" {
			t.Errorf("layers %v", names)
		}
	}
}

// CheckpointSuffix ends the name of each checkpoint of a training.
const CheckpointSuffix = ".checkpoint"

// Checkpoints returns the checkpoints of a training in a directory, the oldest first. There must
// be one or two.
func Checkpoints(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"+CheckpointSuffix))
	if err != nil || len(list) == 0 || len(list) > 2 {
		t.Fatalf("checkpoints %v, %v", list, err)
	}
	return list
}
