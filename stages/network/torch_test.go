package network

import (
	"fmt"
	"path/filepath"
	"testing"

	"eyrie/artifacts"
	"eyrie/nas/backend"
	"eyrie/nas/data"
	"eyrie/nas/data/datatest"
	"eyrie/nas/nn"
	"eyrie/nas/nn/deployed"
	"eyrie/nas/torch"
	"eyrie/nas/torch/torchtest"
	"eyrie/pipeline/pipelinetest"
)

// inTorch has a configuration train in PyTorch.
func inTorch(t testing.TB, c Config) Config {
	t.Helper()
	c.Choice = backend.Choice{Backend: backend.Torch, Arithmetic: nn.Auto, Torch: &torch.Options{Python: torchtest.Python(t)}}
	return c
}

// Both backends learn, from the same weights and images, and the weights of either are
// gone on with by the other.
func TestBackendsAgree(t *testing.T) {
	c := small(t)
	c.Dataset, c.Arithmetic, c.Epochs = datatest.Shapes(t, 16, 1500, 400), nn.Auto, 3
	here := mustTrain(t, c)
	there := mustTrain(t, inTorch(t, c))
	if d := there.Top1 - here.Top1; d < -0.1 || d > 0.1 {
		t.Errorf("top-1 %.3f with PyTorch, %.3f with Go", there.Top1, here.Top1)
	}
	if there.Torch == nil || here.Torch != nil {
		t.Errorf("what computed: %+v and %+v", there.Torch, here.Torch)
	}
	c.Weights, c.Rate, c.Epochs = &there.Weights, 0.01, 0.2
	if again := mustTrain(t, c); again.Top1 < there.Top1-0.05 {
		t.Errorf("with Go top-1 falls from %.3f to %.3f", there.Top1, again.Top1)
	}
}

// A training that rounds and is interrupted again and again ends with the bits of one that
// was left alone.
func TestResumeRounded(t *testing.T) {
	c := inTorch(t, small(t))
	c.Quantise, c.CheckpointEvery = deployed.Signed, 0
	want := digest(t, mustTrain(t, c))
	out, n := pipelinetest.Interrupted(t, 14, c.run, nil)
	if got := digest(t, out); got != want || n == 0 {
		t.Errorf("resumed %d times %s, uninterrupted %s", n, got, want)
	}
}

// A network whose channels differ much in size is of little use in int8. Trained to bear that, it
// is of more, and of more than where the same steps did not round.
func TestLearnsToBeQuantised(t *testing.T) {
	c := small(t)
	c.Dataset, c.Epochs, c.Arithmetic, c.Calibration = datatest.Shapes(t, 16, 3000, 1000), 8, nn.Auto, 2000
	float := mustTrain(t, c)
	c.Network, c.Weights = float.Network, uneven(t, float.Weights, 100)
	after := inInt8(t, c, *c.Weights) // with the statistics of all images, as the others
	c = inTorch(t, c)
	c.Epochs, c.Rate = 2, 3e-4 // what is that uneven takes small steps
	longer := mustTrain(t, c)
	c.Quantise = deployed.Signed
	aware := mustTrain(t, c)
	without, with := inInt8(t, c, longer.Weights), inInt8(t, c, aware.Weights)
	t.Logf("top-1 %.3f; in int8 after training %.3f, after two more epochs %.3f, after two that round %.3f (%.3f in float32)", float.Top1, after, without, with, aware.Top1)
	if after > float.Top1-0.2 {
		t.Errorf("int8 costs %.3f only: this says nothing", float.Top1-after)
	}
	if with < after+0.1 || with < without+0.05 {
		t.Errorf("top-1 in int8 is %.3f after training, %.3f after two more epochs, %.3f after two that round", after, without, with)
	}
}

// uneven returns weights of the same function, in which the first channel of each block's
// output is larger by a factor than it was.
func uneven(t *testing.T, weights artifacts.File, factor float32) *artifacts.File {
	t.Helper()
	s, err := nn.Load(weights.Path)
	if err != nil {
		t.Fatal(err)
	}
	tensors := nn.Tensors(s.Weights())
	reads := func(name string) { // the first input channel of every filter
		w, outputs := tensors[name+".weight"], len(tensors[name+".bn.weight"])
		for o := range outputs {
			w[o*len(w)/outputs] /= factor
		}
	}
	groups := s.Main().Groups
	for i, blocks := range groups {
		for j := range blocks {
			block := fmt.Sprintf("g%d.b%d", i+1, j+1)
			tensors[block+".project.bn.weight"][0] *= factor
			tensors[block+".project.bn.bias"][0] *= factor
			if i > 0 {
				reads(block + ".expand")
			}
		}
	}
	reads("head")
	if err := s.SetWeights(tensors); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "uneven.safetensors")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	f := artifacts.Local(path)
	return &f
}

// inInt8 returns the top-1 of weights that are quantised.
func inInt8(t *testing.T, c Config, weights artifacts.File) float64 {
	t.Helper()
	s, err := nn.Load(weights.Path)
	if err != nil {
		t.Fatal(err)
	}
	train, test, err := data.Open(c.Dataset)
	if err != nil {
		t.Fatal(err)
	}
	defer train.Close()
	defer test.Close()
	var b data.Batch
	if err := train.Batch(t.Context(), data.Order(train.Len(), 1, 0)[:200], data.View{Resolution: c.Network.Subnet.Resolution}, &b); err != nil {
		t.Fatal(err)
	}
	var images [][]float32
	for i := range b.N {
		images = append(images, b.X[i*len(b.X)/b.N:(i+1)*len(b.X)/b.N])
	}
	net := deployed.New(s.Space().Network(s.Main()), folded(t, c, s)).Quantise(images, deployed.Signed)
	right := 0
	err = deployed.Each(t.Context(), net, test, c.Network.Subnet.Resolution, 2, func(logits []float32, label int) {
		if nn.Class(logits) == label {
			right++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return float64(right) / float64(test.Len())
}
