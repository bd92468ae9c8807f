package raptor

import (
	"errors"
	"strings"
	"testing"

	"eyrie/nas/arch"
)

// The explanation of a layer says what its cycles are for, why it is tiled and
// what would help; at a size where the early maps do not fit, and with a head
// that is beyond the weight limit.
func TestExplain(t *testing.T) {
	p := mixed(t)
	for _, c := range []struct {
		width      float64
		resolution int
		layer      string
		want       []string
	}{
		{1, 224, "g2.b1.depthwise", []string{"of its cycles move 1.4 MiB of activations", "Whole it takes 1.4 MiB, 1.2 MiB more than there is", "tiles of 56 rows",
			"its result travels: the result has 294 KiB, the local memory 280 KiB", "It would run whole with 1.2 MiB more local memory, with 19 % of its channels, or at 44 % of the resolution"}},
		{0.5, 160, "classifier", []string{"move 1.2 MiB of weights", "tiles of 200 channels", "Each weight is used once"}},
		{0.6, 96, "head", []string{"work around the weight limit", "It runs untiled", "240 KiB of weights are beyond the limit of 200 KiB", "with 83 % of its weights"}},
		{0.5, 96, "g3.b2.depthwise", []string{"of its cycles compute", "Its maps stay in the local memory.", "of the PEs busy"}},
	} {
		net := mobilenet(c.width, c.resolution)
		e, err := p.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range net.Layers {
			text := p.Explain(&net, &e, i)
			if l.Name != c.layer {
				continue
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("width %v at %d: does not say %q:\n%s", c.width, c.resolution, want, text)
				}
			}
		}
	}
}

// Where every map travels once it is said what has no room, and what tiles would move.
func TestExplainSpill(t *testing.T) {
	p := tinyraptor(t)
	for _, c := range []struct {
		width      float64
		resolution int
		layer      string
		want       []string
	}{
		{0.5, 160, "g2.b1.depthwise", []string{"176 KiB of activations for which there is no room, at 9.9 cycles a byte", "tiles of", "All that it moves, 376 KiB, travels once.", "It would run whole with 176 KiB more"}},
		{0.5, 160, "g3.b2.depthwise", []string{"It runs untiled", "It fits: only fewer channels"}},
		{0.5, 160, "g3.b2.add", []string{"takes no time", "It is done as maps pass"}},
		{1, 224, "head", []string{"weights are beyond the limit"}},
	} {
		net := mobilenet(c.width, c.resolution)
		e, err := p.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range net.Layers {
			if l.Name != c.layer {
				continue
			}
			text := p.Explain(&net, &e, i)
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("width %v at %d: does not say %q:\n%s", c.width, c.resolution, want, text)
				}
			}
		}
	}
}

// Where weights have a memory of their own, both memories are named, and the one
// that lacks room; where maps travel by the policy, that is said.
func TestExplainOwn(t *testing.T) {
	l := func(name string, op arch.Op, c int) arch.LayerSpec {
		return arch.LayerSpec{Name: name, Op: op, Channels: c, Kernel: map[arch.Op]arch.Extent{arch.Depthwise: arch.Square(3)}[op]}
	}
	net, err := arch.Spec{Name: "own", Input: arch.Shape{C: 32, H: 32, W: 32}, Layers: []arch.LayerSpec{
		l("wide", arch.Pointwise, 96), l("deep", arch.Depthwise, 0), l("narrow", arch.Pointwise, 8)}}.Network()
	if err != nil {
		t.Fatal(err)
	}
	p := mixed(t)
	p.Policy, p.Memory, p.WeightMemory = Layerwise, 256<<10, 2<<10
	e, err := p.Estimate(net)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{
		{"Its weights are 3.4 KiB, 1.4 KiB more than there is for weights, so it runs in", "It would run whole with 1.4 KiB more memory for weights, or with 59 % of its weights."},
		{"It runs untiled in 193 KiB of 256 KiB + 2.0 KiB for weights.", "its result travels: the platform's policy is layerwise", "travel by the platform's policy: resident or mixed would keep them."},
		{"its result is the network's"},
	} {
		for _, want := range want {
			if text := p.Explain(&net, &e, i); !strings.Contains(text, want) {
				t.Errorf("does not say %q:\n%s", want, text)
			}
		}
	}
}

// A network that does not fit names the layer, how many bytes it lacks, and what
// would make it fit: with that much memory it does.
func TestInfeasible(t *testing.T) {
	net := mobilenet(0.5, 224)
	for _, double := range []bool{false, true} {
		for _, split := range []int64{0, 5, 1 << 20} {
			p := mixed(t)
			p.Memory, p.WeightMemory, p.DoubleBuffer = 100, split, double
			tries := 0
			for ; tries < 100; tries++ {
				_, err := p.Estimate(net)
				var e *InfeasibleError
				if !errors.As(err, &e) {
					if err != nil {
						t.Fatal(err)
					}
					break
				}
				if !strings.Contains(err.Error(), "bytes more would make it fit") || e.Need <= e.Have {
					t.Fatal(err)
				}
				if e.Have == int(p.Memory) {
					p.Memory = int64(e.Need)
				} else {
					p.WeightMemory = int64(e.Need)
				}
			}
			if tries == 0 || tries == 100 {
				t.Errorf("double buffering %v, split %v: %d steps until it fitted, in %d bytes", double, split, tries, p.Memory)
			}
		}
	}
}

// For these networks tiling alone moves what the layerwise bound allows, and
// keeping maps beats it; the fused bound is far below (2.1 MB of 6.4).
func TestBounds(t *testing.T) {
	p := mixed(t)
	net := mobilenet(0.5, 160)
	kept, err := p.Estimate(net)
	if err != nil {
		t.Fatal(err)
	}
	p.Policy = Layerwise
	tiled, err := p.Estimate(net)
	if err != nil {
		t.Fatal(err)
	}
	if r := float64(tiled.Traffic) / float64(tiled.LayerBound); r < 1 || r > 1.02 {
		t.Errorf("layer by layer %d bytes are moved, %.2f times the bound", tiled.Traffic, r)
	}
	if kept.Traffic >= int(kept.LayerBound) || int64(kept.Traffic) < kept.FusedBound || kept.FusedBound*3 > kept.LayerBound {
		t.Errorf("%d bytes, bounds %d and %d", kept.Traffic, kept.LayerBound, kept.FusedBound)
	}
	// A product whose reuse the memory limits: 2·1024³/√16384 of 3·1024².
	l := arch.Layer{Op: arch.Pointwise, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{-1}, In: arch.Shape{C: 1024, H: 32, W: 32}, Out: arch.Shape{C: 1024, H: 32, W: 32}}
	if got, want := LayerBound(&l, 16384), int64(1<<24-2*16384); got != want {
		t.Errorf("bound %d, want %d", got, want)
	}
}
