package nn

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/data"
)

// pixels returns a set of random images with random labels.
func pixels(space arch.Space, n, size int) *data.Split {
	rng := rand.New(rand.NewPCG(5, 5))
	b := make([]byte, n*size*size*space.Backbone.Input)
	for i := range b {
		b[i] = byte(rng.IntN(256))
	}
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(rng.IntN(space.Backbone.Classes))
	}
	return data.FromPixels(size, size, space.Backbone.Input, space.Backbone.Classes, b, labels)
}

// A folded subnet with the statistics of one batch gives the logits that the
// training pass over that batch gives: slicing, folding and the residual
// connections are the same network.
func TestModelMatchesTrainingPass(t *testing.T) {
	space := smallSpace()
	eachEngine(t, func(t *testing.T, e *Engine) {
		rng := rand.New(rand.NewPCG(3, 8))
		s := randomised(space, 11)
		split := pixels(space, 21, 16)
		v := NewEvaluator(e, s, split, split, 21)
		for range 8 {
			n := space.Sample(rng)
			m, err := v.Model(context.Background(), n)
			if err != nil {
				t.Fatal(err)
			}
			var batch data.Batch
			indices := make([]int, 21)
			for i := range indices {
				indices[i] = i
			}
			if err := split.Batch(context.Background(), indices, data.View{Resolution: n.Resolution}, &batch); err != nil {
				t.Fatal(err)
			}
			got := append([]float32(nil), m.Logits(&batch)...)
			v.pass(n, &batch, Loss{Hard: 1}, nil)
			want := make([]float64, len(got))
			for i, z := range v.out.logits {
				want[i] = float64(z)
			}
			if d := relative(got, want, 0); d > 1e-5 {
				t.Errorf("%v: logits are off by %.2g", n, d)
			}
		}
	})
}

// Running a model leaves no trace of how the batch was cut: each image's logits
// are those of the image alone, to the bit.
func TestModelIsIndependentOfBatch(t *testing.T) {
	space := smallSpace()
	eachEngine(t, func(t *testing.T, e *Engine) {
		s := randomised(space, 11)
		split := pixels(space, 37, 16)
		v := NewEvaluator(e, s, split, split, 37)
		m, err := v.Model(context.Background(), space.Largest())
		if err != nil {
			t.Fatal(err)
		}
		batch := randomBatch(space, 37, 16, 1)
		all := append([]float32(nil), m.Logits(batch)...)
		one := *batch
		for i := range 37 {
			one.N, one.X = 1, batch.X[i*16*16*3:(i+1)*16*16*3]
			for j, z := range m.Logits(&one) {
				if math.Float32bits(z) != math.Float32bits(all[i*5+j]) {
					t.Fatalf("image %d: logit %d is %v alone and %v in the batch", i, j, z, all[i*5+j])
				}
			}
		}
	})
}

// Subnets that are measured together have the accuracies, to the bit, that each has
// alone: whatever they share, and in whatever order they come.
func TestAccuraciesShareNothingButTime(t *testing.T) {
	space := smallSpace()
	eachEngine(t, func(t *testing.T, e *Engine) {
		rng := rand.New(rand.NewPCG(7, 1))
		s := randomised(space, 11)
		split, images := pixels(space, 50, 16), pixels(space, 333, 16)
		v := NewEvaluator(e, s, split, images, 20)
		ns := []arch.Subnet{space.Largest(), space.Smallest(), space.Largest()}
		for range 40 {
			ns = append(ns, space.Sample(rng))
		}
		together := make([]float64, len(ns))
		err := v.Accuracies(context.Background(), ns, func(i int, top1 float64) error {
			together[i] = top1
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		logits := map[string][]float32{}
		batch := randomBatch(space, 9, 16, 3)
		for i, n := range ns {
			alone, err := v.Accuracy(context.Background(), n)
			if err != nil {
				t.Fatal(err)
			}
			if together[i] != alone {
				t.Errorf("%v: %v together with others, %v alone", n, together[i], alone)
			}
			if n.Resolution == 16 {
				logits[n.String()] = slices.Clone(v.folded[0].Logits(batch))
			}
		}
		slices.SortFunc(ns, byPrefix)
		var at16 []arch.Subnet
		for _, n := range ns {
			if n.Resolution == 16 {
				at16 = append(at16, n)
			}
		}
		if err := v.fold(context.Background(), at16); err != nil {
			t.Fatal(err)
		}
		v.infer(at16, v.folded[:len(at16)], batch)
		for i, n := range at16 {
			if !slices.Equal(v.folded[i].logits, logits[n.String()]) {
				t.Errorf("%v: other logits together with others than alone", n)
			}
		}
	})
}

// What two subnets share ends where their blocks differ, or one group ends.
func TestShared(t *testing.T) {
	block := func(k, t int) arch.Block { return arch.Block{Kernel: k, Expansion: t} }
	subnet := func(r int, groups ...[]arch.Block) arch.Subnet { return arch.Subnet{Resolution: r, Groups: groups} }
	a, b, c := block(3, 1), block(3, 6), block(5, 6)
	for _, test := range []struct {
		x, y arch.Subnet
		want int
	}{
		{subnet(16, []arch.Block{a}), subnet(20, []arch.Block{a}), 0},
		{subnet(16, []arch.Block{a}), subnet(16, []arch.Block{b}), 1},
		{subnet(16, []arch.Block{a}, []arch.Block{b}), subnet(16, []arch.Block{a}, []arch.Block{c}), 2},
		{subnet(16, []arch.Block{a}, []arch.Block{b}), subnet(16, []arch.Block{a}, []arch.Block{b}), 3},
		{subnet(16, []arch.Block{a, b}, []arch.Block{c}), subnet(16, []arch.Block{a}, []arch.Block{c}), 2},
		{subnet(16, []arch.Block{a}, []arch.Block{c}), subnet(16, []arch.Block{a, b}, []arch.Block{c}), 2},
	} {
		if got := shared(test.x, test.y); got != test.want {
			t.Errorf("%v and %v share %d parts, want %d", test.x, test.y, got, test.want)
		}
	}
}
