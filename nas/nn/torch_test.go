package nn

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/torch/torchtest"
)

// PyTorch, given the weights file and the same batch, computes the same logits
// and gradients.
func TestTorchParity(t *testing.T) {
	python := torchtest.Python(t)
	space := smallSpace()
	rng := rand.New(rand.NewPCG(6, 6))
	s := randomised(space, 13)
	dir := t.TempDir()
	weights, batchFile := filepath.Join(dir, "weights"), filepath.Join(dir, "batch")
	if err := s.Save(weights); err != nil {
		t.Fatal(err)
	}
	for _, n := range []arch.Subnet{space.Largest(), space.Smallest(), space.Sample(rng), space.Sample(rng)} {
		const images = 8
		batch := decisiveBatch(t, s, n, images)
		classes := space.Backbone.Classes
		teacher, labels := make([]float32, images*classes), make([]float32, images)
		for i, l := range batch.Labels {
			labels[i] = float32(l)
			teacher[i*classes+rng.IntN(classes)] = 0.6
			teacher[i*classes+rng.IntN(classes)] += 0.4
		}
		b := encodeTensors(nil, []fileTensor{
			{"x", []int{images, n.Resolution, n.Resolution, space.Backbone.Input}, batch.X},
			{"labels", []int{images}, labels}, {"teacher", []int{images, classes}, teacher},
		})
		if err := os.WriteFile(batchFile, b, 0o666); err != nil {
			t.Fatal(err)
		}
		subnet, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		outFile := filepath.Join(dir, "out")
		if out, err := exec.Command(python, "-B", "testdata/parity.py", weights, batchFile, string(subnet), outFile).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if b, err = os.ReadFile(outFile); err != nil {
			t.Fatal(err)
		}
		_, want, err := decodeTensors(b)
		if err != nil {
			t.Fatal(err)
		}
		eachEngine(t, func(t *testing.T, e *Engine) {
			tr := NewTrainer(e, s)
			tr.Grad(n, batch, Loss{Hard: 0.7, Soft: 0.3, Smoothing: 0.1}, teacher)
			check := func(name string, got []float32, floor float64) {
				t.Helper()
				ref := make([]float64, len(want[name].data))
				for i, v := range want[name].data {
					ref[i] = float64(v)
				}
				if len(ref) != len(got) {
					t.Fatalf("%s: %d values, PyTorch has %d", name, len(got), len(ref))
				}
				if d := relative(got, ref, floor); d > 1e-4 {
					t.Errorf("%v: %s is off by %.2g", n, name, d)
				}
			}
			check("logits", tr.out.logits, 0)
			for _, p := range s.ps.list {
				check("grad."+p.name, p.export(tr.sgd.grad.of(p)), 1e-4)
			}
		})
	}
}
