package nn

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"eyrie/nas/arch"
)

// measured is everything that an evaluator says of some subnets.
type measured struct {
	top1   []float64
	folded [][]Folded
	logits [][]float32
}

func (m measured) equal(o measured) bool {
	sameLayer := func(a, b Folded) bool {
		return a.Name == b.Name && slices.Equal(a.Weight, b.Weight) && slices.Equal(a.Bias, b.Bias)
	}
	return slices.Equal(m.top1, o.top1) &&
		slices.EqualFunc(m.folded, o.folded, func(a, b []Folded) bool { return slices.EqualFunc(a, b, sameLayer) }) &&
		slices.EqualFunc(m.logits, o.logits, func(a, b []float32) bool { return slices.Equal(a, b) })
}

func measure(t *testing.T, v *Evaluator, ns []arch.Subnet) measured {
	m := measured{top1: make([]float64, len(ns))}
	err := v.Accuracies(context.Background(), ns, func(i int, top1 float64) error {
		m.top1[i] = top1
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for _, n := range ns {
		layers, err := v.Folded(context.Background(), n)
		if err != nil {
			t.Error(err)
		}
		model, err := v.Model(context.Background(), n)
		if err != nil {
			t.Error(err)
			return m
		}
		m.folded = append(m.folded, layers)
		m.logits = append(m.logits, slices.Clone(model.Logits(randomBatch(v.net.space, 9, n.Resolution, 3))))
	}
	return m
}

// Two evaluators and a trainer's Grad, each on an engine and in a goroutine of its
// own, compute on one set of weights at the same time what each computes alone, to
// the bit; also after the weights have changed.
func TestSideBySide(t *testing.T) {
	space := smallSpace()
	split, images := pixels(space, 25, 16), pixels(space, 60, 16)
	eachEngine(t, func(t *testing.T, alone *Engine) {
		rng := rand.New(rand.NewPCG(3, 1))
		var engines [3]*Engine
		for i := range engines {
			var err error
			if engines[i], err = NewEngine(2, Arithmetic(alone.Kernels())); err != nil {
				t.Fatal(err)
			}
			defer engines[i].Close()
		}
		s := randomised(space, 11)
		var evaluators [2]*Evaluator
		for i := range evaluators {
			evaluators[i] = NewEvaluator(engines[i], s, split, images, 20)
		}
		tr := NewTrainer(engines[2], s)
		for range 3 {
			var ns [2][]arch.Subnet
			var want, got [2]measured
			for i := range ns {
				for range 5 {
					ns[i] = append(ns[i], space.Sample(rng))
				}
				want[i] = measure(t, NewEvaluator(alone, s.Clone(), split, images, 20), ns[i])
			}
			batch := randomBatch(space, 16, 16, rng.Uint64())
			largest := space.Largest()
			loner := NewTrainer(alone, s.Clone())
			wantLoss, gotLoss := loner.Grad(largest, batch, Loss{Hard: 1}, nil), Result{}
			var wg sync.WaitGroup
			for i, v := range evaluators {
				wg.Go(func() { got[i] = measure(t, v, ns[i]) })
			}
			wg.Go(func() { gotLoss = tr.Grad(largest, batch, Loss{Hard: 1}, nil) })
			wg.Wait()
			for i := range want {
				if !got[i].equal(want[i]) {
					t.Errorf("evaluator %d measured other values beside others than alone", i)
				}
			}
			if gotLoss != wantLoss || !slices.Equal(tr.sgd.grad, loner.sgd.grad) {
				t.Errorf("%+v or other gradients beside others, alone %+v", gotLoss, wantLoss)
			}
			tr.Step(SGD{Rate: 0.1, Momentum: 0.9})
		}
	})
}

// A trainer that takes over a state goes on as the one that it is of. A supernet
// takes the weights of its own state and of a trainer's, and nothing else.
func TestState(t *testing.T) {
	e, err := NewEngine(1, "go")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	space := smallSpace()
	s := New(space, 2)
	tr := NewTrainer(e, s)
	batch := randomBatch(space, 8, 16, 1)
	step := func(tr *Trainer) {
		tr.Grad(space.Largest(), batch, Loss{Hard: 1}, nil)
		tr.Step(SGD{Rate: 0.1, Momentum: 0.9})
	}
	step(tr)
	heir := NewTrainer(e, New(space, 3))
	heir.Grad(space.Largest(), batch, Loss{Hard: 1}, nil) // of which nothing is left
	if err := heir.SetState(tr.State()); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{s.State(), tr.State()} {
		o := New(space, 3)
		if err := o.SetState(b); err != nil || !slices.Equal(o.State(), s.State()) {
			t.Errorf("other weights than in a state of %d bytes, %v", len(b), err)
		}
		if o.SetState(b[4:]) == nil || heir.SetState(b[4:]) == nil {
			t.Error("a state that is too short was accepted")
		}
	}
	if heir.SetState(s.State()) == nil {
		t.Error("a trainer accepted a state without momentum")
	}
	step(tr)
	step(heir)
	if !slices.Equal(heir.State(), tr.State()) {
		t.Error("after another step the states differ")
	}
}
