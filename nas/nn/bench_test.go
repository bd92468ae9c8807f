package nn

import (
	"testing"

	"eyrie/nas/arch"
)

// referenceSpace holds the network that speed is measured on and nothing else:
// 2.77 million MACs at 32×32×1 for t = 6, k = 3.
func referenceSpace(t, k int) arch.Space {
	b := arch.Backbone{
		Input: 1, Stem: arch.Stem{Channels: 16, Kernel: 3, Stride: 2}, Classes: 10, Head: 272,
		Groups: []arch.Group{
			{Expansion: 1, Channels: 16, Repeats: 1, Stride: 1},
			{Expansion: 6, Channels: 24, Repeats: 2, Stride: 2},
			{Expansion: 6, Channels: 32, Repeats: 2, Stride: 2},
			{Expansion: 6, Channels: 48, Repeats: 2, Stride: 1},
		},
	}
	return arch.Space{Backbone: b, Widths: b.Scaled(1), Resolutions: []int{32}, Expansions: []int{t}, Depths: []int{2}, Kernels: []int{k}}
}

func benchEngines(b *testing.B, f func(b *testing.B, e *Engine)) {
	for _, name := range Kernels() {
		b.Run(name, func(b *testing.B) {
			e, err := NewEngine(2, Arithmetic(name))
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			f(b, e)
		})
	}
}

// A training step of the reference net: forward, backward, update.
func BenchmarkTrain(b *testing.B) {
	benchEngines(b, func(b *testing.B, e *Engine) {
		space := referenceSpace(6, 3)
		s := New(space, 1)
		tr := NewTrainer(e, s)
		batch := randomBatch(space, 64, 32, 1)
		n := space.Largest()
		step := func() {
			tr.Grad(n, batch, Loss{Hard: 1}, nil)
			tr.Step(SGD{Rate: 0.01, Momentum: 0.9, Nesterov: true, Decay: 3e-5})
		}
		step()
		b.ReportAllocs()
		for b.Loop() {
			step()
		}
		b.ReportMetric(float64(b.N*64)/b.Elapsed().Seconds(), "images/s")
	})
}

// Inference with the folded reference net.
func BenchmarkInference(b *testing.B) {
	benchEngines(b, func(b *testing.B, e *Engine) {
		space := referenceSpace(6, 3)
		split := pixels(space, 64, 32)
		v := NewEvaluator(e, New(space, 1), split, split, 64)
		m, err := v.Model(b.Context(), space.Largest())
		if err != nil {
			b.Fatal(err)
		}
		batch := randomBatch(space, 64, 32, 1)
		b.ReportAllocs()
		for b.Loop() {
			m.Logits(batch)
		}
		b.ReportMetric(float64(b.N*64)/b.Elapsed().Seconds(), "images/s")
	})
}
