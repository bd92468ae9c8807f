package nn

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"eyrie/stages/arch"
	"eyrie/stages/data"
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
			for i, z := range s.out.logits {
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
