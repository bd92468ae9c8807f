package nn

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"eyrie/nas/arch"
)

// Sums of integers are exact, for all kinds, sizes and strides of a layer, and
// numbers of channels that fill vectors and that do not.
func TestConvIsExactOnIntegers(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 9))
	ints := func(n, largest int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.IntN(2*largest+1) - largest)
		}
		return v
	}
	for _, l := range []arch.Layer{
		{Op: arch.Conv, In: arch.Shape{C: 3, H: 9, W: 7}, Out: arch.Shape{C: 20, H: 5, W: 4}, Kernel: arch.Square(3), Stride: arch.Square(2), Pad: arch.Around(1)},
		{Op: arch.Conv, In: arch.Shape{C: 1, H: 6, W: 6}, Out: arch.Shape{C: 33, H: 6, W: 6}, Kernel: arch.Square(5), Stride: arch.Square(1), Pad: arch.Around(2)},
		{Op: arch.Pointwise, In: arch.Shape{C: 13, H: 5, W: 3}, Out: arch.Shape{C: 40, H: 5, W: 3}, Kernel: arch.Square(1), Stride: arch.Square(1)},
		{Op: arch.Pointwise, In: arch.Shape{C: 64, H: 1, W: 1}, Out: arch.Shape{C: 32, H: 1, W: 1}, Kernel: arch.Square(1), Stride: arch.Square(1)},
		{Op: arch.Pointwise, In: arch.Shape{C: 8, H: 5, W: 5}, Out: arch.Shape{C: 4, H: 3, W: 3}, Kernel: arch.Square(1), Stride: arch.Square(2)},
		{Op: arch.Depthwise, In: arch.Shape{C: 8, H: 5, W: 5}, Out: arch.Shape{C: 8, H: 5, W: 5}, Kernel: arch.Square(3), Stride: arch.Square(1), Pad: arch.Around(1)},
		{Op: arch.Depthwise, In: arch.Shape{C: 37, H: 8, W: 9}, Out: arch.Shape{C: 37, H: 4, W: 5}, Kernel: arch.Square(5), Stride: arch.Square(2), Pad: arch.Around(2)},
		{Op: arch.Depthwise, In: arch.Shape{C: 32, H: 4, W: 4}, Out: arch.Shape{C: 32, H: 4, W: 4}, Kernel: arch.Square(7), Stride: arch.Square(1), Pad: arch.Around(3)},
		{Op: arch.Depthwise, In: arch.Shape{C: 17, H: 6, W: 6}, Out: arch.Shape{C: 17, H: 2, W: 2}, Kernel: arch.Square(3), Stride: arch.Square(3), Pad: arch.Around(1)},
		{Op: arch.Linear, In: arch.Shape{C: 100, H: 1, W: 1}, Out: arch.Shape{C: 10, H: 1, W: 1}, Kernel: arch.Square(1), Stride: arch.Square(1)},
	} {
		t.Run(fmt.Sprintf("%s %v to %v, %d by %d", l.Op, l.In, l.Out, l.Kernel, l.Stride), func(t *testing.T) {
			l.Name, l.Inputs = "layer", []int{-1}
			net := arch.Network{Input: l.In, Layers: []arch.Layer{l}}
			weight, x := ints(int(l.Weights()), 127), ints(l.In.Size(), 255)
			want := runFolded(net, []Folded{{Name: "layer", Weight: weight}}, x)
			c := NewConv(l, weight)
			got, work := make([]float32, len(want)), ints(c.Work(), 9)
			if c.Run(x, got, work); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
