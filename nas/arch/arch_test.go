package arch

import (
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// published is MobileNetV2 as tensorflow/models (slim) lists it: millions of
// parameters, and millions of MACs at each resolution.
var published = []struct {
	width, params float64
	macs          map[int]float64
}{
	{1.0, 3.47, map[int]float64{224: 300, 192: 221, 160: 154, 128: 99, 96: 56}},
	{0.75, 2.61, map[int]float64{224: 209, 192: 153, 160: 107, 128: 69, 96: 39}},
	{0.5, 1.95, map[int]float64{224: 97, 192: 71, 160: 50, 128: 32, 96: 18}},
	{0.35, 1.66, map[int]float64{224: 59, 192: 43, 160: 30, 128: 20, 96: 11}},
}

// The published counts are reproduced to their last digit. (Those of MACs
// were cut there, not rounded: 153.94 stands as 153.)
func TestMobileNetV2Published(t *testing.T) {
	b := MobileNetV2()
	for _, p := range published {
		n := b.Scale(b.Published(p.width), 224, Rounding{})
		if got := float64(n.Params()) / 1e6; math.Abs(got-p.params) > 0.0051 {
			t.Errorf("width %v: %.3f M parameters, published %.2f", p.width, got, p.params)
		}
		for r, want := range p.macs {
			n := b.Scale(b.Published(p.width), r, Rounding{})
			if got := float64(n.MACs()) / 1e6; math.Floor(got) != want {
				t.Errorf("width %v at %d: %.2f M MACs, published %.0f", p.width, r, got, want)
			}
		}
	}
}

// Table 1's MACs follow with stem and head kept: within 3.5 % rms whichever
// way widths are rounded, and each within 5 % by rounding to nearest.
func TestTable1MACs(t *testing.T) {
	table := []struct{ width, resolution, macs float64 }{
		{0.4, 96, 18.4}, {0.5, 96, 21.5}, {0.6, 96, 31},
		{0.4, 160, 46.6}, {0.5, 160, 55}, {0.6, 160, 84},
		{0.4, 224, 89}, {0.5, 224, 105}, {0.6, 224, 162},
	}
	b := MobileNetV2()
	for _, mode := range []RoundingMode{"nearest", "up"} {
		sum := 0.0
		for _, e := range table {
			n := b.Scale(b.Uniform(e.width), int(e.resolution), Rounding{Mode: mode})
			d := math.Log(float64(n.MACs()) / 1e6 / e.macs)
			sum += d * d
			if got := math.Expm1(d); mode == "nearest" && math.Abs(got) > 0.05 {
				t.Errorf("width %v at %v: off by %.1f %%", e.width, e.resolution, 100*got)
			}
		}
		if rms := math.Sqrt(sum / float64(len(table))); rms > 0.035 {
			t.Errorf("rounding %s: rms %.4f", mode, rms)
		}
	}
}

// Table 2's network has 2.59 M parameters and these MACs at t = 6, k = 3.
func TestTable2(t *testing.T) {
	b := MobileNetV2()
	w := Widths{0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6}
	for r, want := range map[int]float64{128: 75.8, 160: 118.0, 192: 169.6, 224: 230.5} {
		n := b.Scale(w, r, Rounding{})
		if got := float64(n.MACs()) / 1e6; math.Abs(got-want) > 0.051 {
			t.Errorf("%d: %.2f M MACs, want %.1f", r, got, want)
		}
		if got := float64(n.Params()) / 1e6; math.Abs(got-2.59) > 0.0051 {
			t.Errorf("%.3f M parameters, want 2.59", got)
		}
	}
}

// Rounding follows make_divisible: never below 90 % of the width.
func TestRound(t *testing.T) {
	for _, c := range []struct {
		round Rounding
		in    float64
		want  int
	}{
		{Rounding{}, 9.6, 16}, {Rounding{}, 11.2, 16}, {Rounding{}, 4.8, 8}, {Rounding{}, 12, 16},
		{Rounding{}, 72, 72}, {Rounding{}, 19.9, 24}, {Rounding{Divisor: 4}, 9.6, 12},
		{Rounding{Mode: Up}, 9.6, 16}, {Rounding{Mode: Up}, 16, 16}, {Rounding{Mode: Up}, 57.6, 64},
		{Rounding{Mode: Up, Divisor: 1}, 9.6, 10},
	} {
		if got := c.round.Round(c.in); got != c.want {
			t.Errorf("%+v: %v becomes %d, want %d", c.round, c.in, got, c.want)
		}
	}
}

func testSpace() Space {
	b := MobileNetV2()
	return Space{Backbone: b, Widths: b.Scaled(0.5), Resolutions: []int{96, 128}, Expansions: []int{3, 4, 6}, Depths: []int{2, 3, 4}, Kernels: []int{3, 5}}
}

// A space has the paper's subnets in number: 2·Π over elastic groups.
func TestSize(t *testing.T) {
	s := testSpace()
	// Five groups of 6²+6³+6⁴ choices, one of a single block (6), two resolutions.
	want := new(big.Int).Exp(big.NewInt(36+216+1296), big.NewInt(5), nil)
	want.Mul(want, big.NewInt(2*6))
	if s.Size().Cmp(want) != 0 {
		t.Errorf("%v subnets, want %v", s.Size(), want)
	}
}

// Every sample is in the space, and its network is consistent.
func TestSample(t *testing.T) {
	s := testSpace()
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	small, large := s.Network(s.Smallest()).MACs(), s.Network(s.Largest()).MACs()
	for range 300 {
		n := s.Sample(rng)
		if err := s.Contains(n); err != nil {
			t.Fatal(err)
		}
		if !n.Equal(n.Clone()) || n.String() != n.Clone().String() {
			t.Fatalf("%v differs from its clone", n)
		}
		net := s.Network(n)
		if err := net.Validate(); err != nil {
			t.Fatalf("%v: %v", n, err)
		}
		if m := net.MACs(); m < small || m > large {
			t.Fatalf("%v: %d MACs outside [%d, %d]", n, m, small, large)
		}
	}
}

// At the backbone's own choices a subnet is the backbone's own network.
func TestSubnetIsBackbone(t *testing.T) {
	s := testSpace()
	n := s.Largest()
	for i, g := range s.Backbone.Groups {
		n.Groups[i] = n.Groups[i][:0]
		for range g.Repeats {
			n.Groups[i] = append(n.Groups[i], Block{g.Expansion, 3})
		}
	}
	got, want := s.Network(n), s.Backbone.Scale(s.Widths, n.Resolution, s.Rounding)
	if len(got.Layers) != len(want.Layers) {
		t.Fatalf("%d layers, want %d", len(got.Layers), len(want.Layers))
	}
	for i := range got.Layers {
		if g, w := got.Layers[i], want.Layers[i]; g.Name != w.Name || g.Out != w.Out || g.MACs() != w.MACs() {
			t.Errorf("layer %d: %+v, want %+v", i, g, w)
		}
	}
}

// What is outside the space is refused, saying where.
func TestContainsRefuses(t *testing.T) {
	s := testSpace()
	for want, spoil := range map[string]func(*Subnet){
		"resolution 100 is not one of [96 128]":                                func(n *Subnet) { n.Resolution = 100 },
		"6 groups, want 7":                                                     func(n *Subnet) { n.Groups = n.Groups[1:] },
		"group 2: depth 1 is not one of [2 3 4]":                               func(n *Subnet) { n.Groups[1] = n.Groups[1][:1] },
		"group 3, block 2: expansion 5 is not one of [3 4 6]":                  func(n *Subnet) { n.Groups[2][1].Expansion = 5 },
		"group 7, block 1: kernel 7 is not one of [3 5]":                       func(n *Subnet) { n.Groups[6][0].Kernel = 7 },
		"group 1, block 1: t 6, k 3: this group is not elastic, want t 1, k 3": func(n *Subnet) { n.Groups[0][0].Expansion = 6 },
	} {
		n := s.Largest()
		spoil(&n)
		if err := s.Contains(n); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// A layer that reads another shape than is written is found, by name.
func TestNetworkValidate(t *testing.T) {
	b := MobileNetV2()
	for name, spoil := range map[string]func(*Network){
		"shape":   func(n *Network) { n.Layers[5].In.C++ },
		"order":   func(n *Network) { n.Layers[5].Inputs = []int{7} },
		"operand": func(n *Network) { n.Layers[5].Inputs = nil },
		"window":  func(n *Network) { n.Layers[5].Out.H++ },
		"stride":  func(n *Network) { n.Layers[5].Stride = Square(0) },
		"op":      func(n *Network) { n.Layers[5].Op = "swish" },
	} {
		n := b.Scale(b.Uniform(1), 224, Rounding{})
		if err := n.Validate(); err != nil {
			t.Fatal(err)
		}
		spoil(&n)
		if n.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// No network is accepted whose counts would overflow: of its maps, weights or
// MACs.
func TestBounded(t *testing.T) {
	const huge = 2_000_000_000
	for _, c := range []struct {
		input Shape
		layer LayerSpec
		want  string
	}{
		{Shape{3, huge, huge}, LayerSpec{Op: Conv, Channels: 10, Kernel: Square(3)}, "elements to read"},
		{Shape{1, 1 << 15, 1 << 15}, LayerSpec{Op: Pointwise, Channels: 4}, "elements to write"},
		{Shape{1 << 20, 1, 1}, LayerSpec{Op: Linear, Channels: 1 << 20}, "weights"},
		{Shape{1 << 10, 1 << 10, 1 << 10}, LayerSpec{Op: Conv, Channels: 1 << 10, Kernel: Square(41)}, "MACs"},
		{Shape{1 << 10, 1 << 10, 1 << 10}, LayerSpec{Op: Pointwise, Channels: 1 << 10}, ""},
	} {
		_, err := Spec{Input: c.input, Layers: []LayerSpec{c.layer}}.Network()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want+", at most")) {
			t.Errorf("%v of %v: %v, want %q", c.layer.Op, c.input, err, c.want)
		}
	}
}
