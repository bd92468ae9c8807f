package nn

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"

	"eyrie/nas/arch"
)

// someSteps trains a few steps with several subnets each and returns the
// digest of weights and momentum.
func someSteps(t *testing.T, threads int, kernels string) [32]byte {
	t.Helper()
	e, err := NewEngine(threads, Arithmetic(kernels))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	space := smallSpace()
	s := New(space, 2)
	tr := NewTrainer(e, s)
	rng := rand.New(rand.NewPCG(4, 4))
	for i := range uint64(4) {
		largest := space.Largest()
		b := randomBatch(space, 20, largest.Resolution, i)
		tr.Grad(largest, b, Loss{Hard: 1, Smoothing: 0.1}, nil)
		teacher := tr.Predictions()
		n := space.Sample(rng)
		n.Resolution = largest.Resolution
		tr.Grad(n, b, Loss{Soft: 1}, teacher)
		tr.Step(SGD{Rate: 0.05, Momentum: 0.9, Nesterov: true, Decay: 1e-4})
	}
	return sha256.Sum256(tr.State())
}

// Weights and momentum are the same to the bit on 1, 2 and 5 threads.
func TestThreadsDoNotMatter(t *testing.T) {
	for _, kernels := range Kernels() {
		want := someSteps(t, 1, kernels)
		for _, threads := range []int{2, 5} {
			if got := someSteps(t, threads, kernels); got != want {
				t.Errorf("%s: %d threads give other weights than 1", kernels, threads)
			}
		}
	}
}

// Steps allocate nothing once each subnet was seen.
func TestStepDoesNotAllocate(t *testing.T) {
	e, err := NewEngine(2, "auto")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	space := smallSpace()
	tr := NewTrainer(e, New(space, 2))
	n, m := space.Largest(), space.Smallest()
	m.Resolution = n.Resolution
	b := randomBatch(space, 16, n.Resolution, 1)
	step := func() {
		tr.Grad(n, b, Loss{Hard: 1}, nil)
		tr.Grad(m, b, Loss{Soft: 1}, tr.Predictions())
		tr.Step(SGD{Rate: 0.01, Momentum: 0.9})
	}
	step()
	if allocs := testing.AllocsPerRun(20, step); allocs >= 1 {
		t.Errorf("%v allocations per step", allocs)
	}
}

// The loss of a batch falls when the network is trained on it.
func TestOverfitsOneBatch(t *testing.T) {
	eachEngine(t, func(t *testing.T, e *Engine) {
		space := smallSpace()
		tr := NewTrainer(e, New(space, 2))
		n := space.Largest()
		b := randomBatch(space, 16, n.Resolution, 1)
		first := tr.Grad(n, b, Loss{Hard: 1}, nil)
		var last Result
		for range 60 {
			tr.Step(SGD{Rate: 0.1, Momentum: 0.9, Nesterov: true})
			last = tr.Grad(n, b, Loss{Hard: 1}, nil)
		}
		if last.Loss > 0.1*first.Loss || last.Correct != b.N {
			t.Errorf("loss %v, %d of %d right after 60 steps; %v before", last.Loss, last.Correct, b.N, first.Loss)
		}
	})
}

// Sorting channels changes which come first, and neither the largest network nor
// those of the expansions it was told.
func TestSortChannels(t *testing.T) {
	e, err := NewEngine(1, "auto")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	space := smallSpace()
	s := randomised(space, 9)
	logits := func(n arch.Subnet) []float64 {
		tr := NewTrainer(e, s)
		tr.pass(n, randomBatch(space, 8, n.Resolution, 1), Loss{}, nil)
		var z []float64
		for _, v := range tr.out.logits {
			z = append(z, float64(v))
		}
		return z
	}
	single := func(t int) arch.Subnet { // every block has expansion t
		n := space.Largest()
		for i := range n.Groups[1:] {
			for j := range n.Groups[i+1] {
				n.Groups[i+1][j].Expansion = t
			}
		}
		return n
	}
	large, narrow := logits(single(3)), logits(single(2))
	before := slices.Clone(s.groups[1][0].project.weight.value)
	tr := NewTrainer(e, s)
	tr.SortChannels([]int{2, 3})
	for n, want := range map[int][]float64{3: large, 2: narrow} {
		got := logits(single(n))
		for i := range got {
			if d := got[i] - want[i]; d > 1e-4 || d < -1e-4 {
				t.Fatalf("t = %d: logit %d is %v after sorting, was %v", n, i, got[i], want[i])
			}
		}
	}
	if slices.Equal(before, s.groups[1][0].project.weight.value) {
		t.Error("nothing was sorted")
	}
	tr.SortChannels([]int{3})
	w := s.groups[1][0].project
	last := float32(1e30)
	for c := range w.maxIn {
		norm := float32(0)
		for _, v := range w.weight.value[c*w.maxOut:][:w.maxOut] {
			norm += max(v, -v)
		}
		if norm > last*1.00001 {
			t.Fatalf("channel %d is more important than the one before", c)
		}
		last = norm
	}
}

// A panic in a part of a task reaches the caller, who can recover.
func TestEnginePanics(t *testing.T) {
	e, err := NewEngine(2, "go")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	e.run(50, panicTask{})
}

type panicTask struct{}

func (panicTask) run(part int, s *scratch) {
	if part > 3 {
		panic("on purpose")
	}
}

// The assembly in the tree is what the generator writes.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	gen, err := os.ReadFile("asm/gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/gen.go", gen, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", "gen.go")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"kernels_amd64.s", "stubs_amd64.go"} {
		got, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what asm/gen.go writes: run go generate", name)
		}
	}
}

// The gradients of several subnets on one batch are the same to the bit whether each
// runs from the beginning or goes on from what it shares with the one before.
func TestGradAgainIsGrad(t *testing.T) {
	space := smallSpace()
	eachEngine(t, func(t *testing.T, e *Engine) {
		rng := rand.New(rand.NewPCG(2, 9))
		one, other := randomised(space, 11), randomised(space, 11)
		whole, sparing := NewTrainer(e, one), NewTrainer(e, other)
		for range 6 {
			batch := randomBatch(space, 21, 16, rng.Uint64())
			for i := range 5 {
				n := space.Sample(rng)
				n.Resolution = 16
				want := whole.Grad(n, batch, Loss{Hard: 1}, nil)
				var got Result
				if i == 0 {
					got = sparing.Grad(n, batch, Loss{Hard: 1}, nil)
				} else {
					got = sparing.GradAgain(n, Loss{Hard: 1}, nil)
				}
				if got != want {
					t.Errorf("subnet %d, %v: %+v, want %+v", i, n, got, want)
				}
			}
			for _, p := range one.ps.list {
				if !slices.Equal(whole.sgd.grad.of(p), sparing.sgd.grad.of(p)) {
					t.Fatalf("%s: the gradients differ", p.name)
				}
			}
			for _, tr := range []*Trainer{whole, sparing} {
				tr.Step(SGD{Rate: 0.05, Momentum: 0.9})
			}
		}
	})
}
