package analyze

import (
	"context"
	"math"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/pipelinetest"
)

func platform() raptor.Platform {
	return raptor.Platform{Name: "test", Clock: 2e8, PEs: 128, Rates: raptor.Rates{Conv: 100, Depthwise: 5, Pointwise: 100, Linear: 100},
		Memory: 280 << 10, WeightLimit: 208 << 10, ActivationCost: 8, WeightCost: 2, TileCost: 100, Power: 0.01, Policy: raptor.Mixed, Scope: raptor.NetworkScope}
}

func analyse(t *testing.T, width float64) Output {
	t.Helper()
	out, err := run(context.Background(), new(pipeline.Task), Config{arch.Spec{Width: width, Resolution: 224}, platform()})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Figure 1's facts: 3.5 MB of weights, most of them in the last six blocks, the
// last two beyond the memory; the first blocks' maps need several times more
// than the last ones'.
func TestFigure1(t *testing.T) {
	out := analyse(t, 1)
	if mb := float64(out.Weights) / 1e6; math.Abs(mb-3.5) > 0.06 {
		t.Errorf("%.2f MB of weights, want 3.5", mb)
	}
	n := len(out.Blocks)
	if n != 20 { // stem, 17 bottlenecks, head, classifier
		t.Fatalf("%d blocks", n)
	}
	var last int64
	for _, b := range out.Blocks[n-6:] {
		last += b.Weights
	}
	if share := float64(last) / float64(out.Weights); share < 0.75 {
		t.Errorf("the last six blocks hold %.0f %% of the weights", 100*share)
	}
	for _, b := range out.Blocks[n-2:] {
		if b.Weights <= out.Memory {
			t.Errorf("%s fits with %d bytes of weights", b.Name, b.Weights)
		}
	}
	first, deep := out.Blocks[1].Activations, out.Blocks[17].Activations
	if ratio := float64(first) / float64(deep); ratio < 4 || ratio > 10 {
		t.Errorf("the first bottleneck needs %.1f times what the last does", ratio)
	}
}

// Shares of the SYS cycles add up, over layers and over blocks.
func TestShares(t *testing.T) {
	out := analyse(t, 0.5)
	for name, needs := range map[string][]Need{"layers": out.Layers, "blocks": out.Blocks} {
		share, weights := 0.0, int64(0)
		for _, n := range needs {
			share += n.SYSShare
			weights += n.Weights
		}
		if math.Abs(share-1) > 1e-9 || weights != out.Weights {
			t.Errorf("%s: shares add up to %v, weights to %d of %d", name, share, weights, out.Weights)
		}
	}
}

// Where weights have a memory of their own, it is what blocks are compared with.
func TestWeightMemory(t *testing.T) {
	p := platform()
	p.Memory, p.WeightMemory = 4<<20, 64<<10
	out, err := run(context.Background(), new(pipeline.Task), Config{arch.Spec{Width: 0.5, Resolution: 96}, p})
	if err != nil {
		t.Fatal(err)
	}
	if want := "; more than the 64 KiB for weights take g6.b2, g6.b3"; !strings.Contains(out.Summary[2], want) {
		t.Errorf("does not say %q: %s", want, out.Summary[2])
	}
}

// The figures of a very small network are not rounded to nothing.
func TestSmall(t *testing.T) {
	out, err := run(context.Background(), new(pipeline.Task), Config{arch.Spec{Name: "tiny", Input: arch.Shape{C: 1, H: 8, W: 8},
		Layers: []arch.LayerSpec{{Op: arch.Conv, Channels: 4, Kernel: arch.Square(3)}}}, platform()})
	if err != nil {
		t.Fatal(err)
	}
	if want := "tiny on test: 52 bytes of weights, 0.0023 M MACs, 0.0139 ms, "; !strings.HasPrefix(out.Summary[0], want) {
		t.Errorf("does not begin with %q: %s", want, out.Summary[0])
	}
}

// A version gives what it gave.
func TestGolden(t *testing.T) {
	pipelinetest.Golden(t, Stage, map[string]any{"half": analyse(t, 0.5)})
}
