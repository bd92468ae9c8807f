package arch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"eyrie/artifacts"
)

// named divides a network by the names of its blocks.
func named(n Network, of func(block string) string) []Span {
	var spans []Span
	for i, l := range n.Layers {
		if i > 0 && of(l.Block) == of(n.Layers[i-1].Block) {
			spans[len(spans)-1].To = i + 1
		} else {
			spans = append(spans, Span{i, i + 1})
		}
	}
	return spans
}

// The graph has the blocks that the builder names, at any widths, also those at which
// neighbouring groups have equal channels, and in any subnet.
func TestBlocksOfMobileNetV2(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	block := func(b string) string { return b }
	b := MobileNetV2()
	for range 200 {
		w := make(Widths, len(b.Groups)+2)
		for i := range w {
			w[i] = []float64{0.3, 0.6, 0.9, 1.2, 1.5}[rng.IntN(5)]
		}
		n := b.Scale(w, 32*(1+rng.IntN(7)), Rounding{})
		if got, want := Blocks(n), named(n, block); !slices.Equal(got, want) {
			t.Fatalf("widths %v: blocks %v, want %v", w, got, want)
		}
		s := Space{Backbone: b, Widths: w, Resolutions: []int{96}, Expansions: []int{3, 6}, Depths: []int{1, 2, 3}, Kernels: []int{1, 3}}
		n = s.Network(s.Sample(rng))
		if got, want := Blocks(n), named(n, block); !slices.Equal(got, want) {
			t.Fatalf("a subnet: blocks %v, want %v", got, want)
		}
	}
	n := b.Scale(b.Uniform(1), 224, Rounding{})
	group := func(b string) string { return b[:min(2, len(b))] }
	if got, want := Groups(n), named(n, group); !slices.Equal(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
	// The paper's table 2 makes g4 and g5 alike: they are one group.
	n = b.Scale(Widths{0.3, 0.3, 0.3, 0.3, 1.5, 1, 0.9, 0.6, 0.6}, 224, Rounding{})
	if got := len(Groups(n)); got != 10-1 {
		t.Errorf("table 2 has %d groups", got)
	}
}

// A network from a file has the blocks of the one that was exported, whatever its nodes
// are called; they are named after their first layers.
func TestBlocksOfONNX(t *testing.T) {
	file := artifacts.Local("testdata/small.onnx")
	n, err := Spec{ONNX: &file}.Network()
	if err != nil {
		t.Fatal(err)
	}
	b := readBackbone(t, "testdata/small.json")
	want := b.Scale(b.Scaled(1), 32, Rounding{Divisor: 1})
	if got, want := Blocks(n), named(want, func(b string) string { return b }); !slices.Equal(got, want) {
		t.Errorf("blocks %v, want %v", got, want)
	}
	names := n.Blocks()
	if len(names) != len(want.Blocks()) || names[0] != "features/features.0" || names[1] != "features/features.1" {
		t.Errorf("names %q", names)
	}
}

// What other networks are made of.
func TestBlocks(t *testing.T) {
	l := func(op Op, inputs ...int) Layer {
		s := Shape{C: 8, H: 4, W: 4}
		k := map[Op]int{Conv: 3, Depthwise: 3}[op]
		return Layer{Op: op, In: s, Out: s, Kernel: Square(max(1, k)), Stride: Square(1), Inputs: inputs}
	}
	pixel := func(l Layer) Layer { l.Out.H, l.Out.W = 1, 1; return l }
	for name, c := range map[string]struct {
		layers []Layer
		want   []int // ends of blocks
	}{
		"mobilenet v1": {[]Layer{l(Conv, -1), l(Depthwise, 0), l(Pointwise, 1), l(Depthwise, 2), l(Pointwise, 3), pixel(l(Pool, 4)), pixel(l(Linear, 5))}, []int{1, 3, 5, 7}},
		"plain":        {[]Layer{l(Conv, -1), l(Conv, 0), l(Pool, 1), pixel(l(Linear, 2)), pixel(l(Linear, 3))}, []int{1, 2, 3, 4, 5}},
		"residual":     {[]Layer{l(Conv, -1), l(Conv, 0), l(Conv, 1), l(Add, 0, 2), l(Conv, 3), l(Conv, 4), l(Add, 3, 5)}, []int{1, 4, 7}},
		// Between expansion and projection a map is scaled by squeeze and excitation.
		"excited":   {[]Layer{l(Conv, -1), l(Pointwise, 0), l(Elementwise, 1), l(Depthwise, 2), pixel(l(Pool, 3)), pixel(l(Pointwise, 4)), pixel(l(Pointwise, 5)), l(Mul, 3, 6), l(Pointwise, 7), l(Pointwise, 8)}, []int{1, 9, 10}},
		"inception": {[]Layer{l(Conv, -1), l(Pointwise, 0), l(Conv, 0), l(Conv, 2), l(View, 1, 3), l(Conv, 4)}, []int{1, 5, 6}},
		"shuffle":   {[]Layer{l(Conv, -1), l(View, 0), l(View, 0), l(Pointwise, 2), l(Depthwise, 3), l(Pointwise, 4), l(View, 1, 5), l(View, 6), l(Conv, 7)}, []int{1, 8, 9}},
		"dense":     {[]Layer{l(Conv, -1), l(Conv, 0), l(View, 0, 1), l(Conv, 2), l(View, 0, 1, 3)}, []int{1, 5}},
		"one":       {[]Layer{l(Mul, -1, -1)}, []int{1}},
	} {
		var ends []int
		for _, s := range Blocks(Network{Layers: c.layers}) {
			ends = append(ends, s.To)
		}
		if !slices.Equal(ends, c.want) {
			t.Errorf("%s: blocks end at %v, want %v", name, ends, c.want)
		}
	}
}

// Names play no part, and blocks cover a network without gaps.
func FuzzBlocks(f *testing.F) {
	f.Add(uint64(1), 9)
	f.Fuzz(func(t *testing.T, seed uint64, layers int) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := Network{Input: Shape{8, 4, 4}}
		for i := range 1 + layers&31 {
			l := Layer{Name: fmt.Sprint(i), Op: Op(Conv.Choices()[rng.IntN(len(Conv.Choices()))]), Out: Shape{8, 1 + rng.IntN(2), 1}, Kernel: Square(1), Stride: Square(1)}
			for range 1 + rng.IntN(3) {
				l.Inputs = append(l.Inputs, rng.IntN(i+1)-1)
			}
			n.Layers = append(n.Layers, l)
		}
		blocks, groups := Blocks(n), Groups(n)
		at := 0
		for _, b := range blocks {
			if b.From != at || b.To <= at {
				t.Fatalf("%+v: blocks %v", n, blocks)
			}
			at = b.To
			for i, l := range n.Layers[b.To:] { // nothing bypasses the end of a block
				for _, j := range l.Inputs {
					if j < b.To-1 {
						t.Fatalf("%+v: blocks %v, but layer %d reads %d", n, blocks, b.To+i, j)
					}
				}
			}
			groups = slices.DeleteFunc(groups, func(g Span) bool { return g.To == b.To })
		}
		if at != len(n.Layers) || len(groups) > 0 {
			t.Fatalf("%+v: blocks %v, groups that end in one %v", n, blocks, groups)
		}
	})
}
