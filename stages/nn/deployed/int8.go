package deployed

import (
	"math"

	"eyrie/stages/arch"
)

// Int8 is a network whose weights and maps are 8-bit integers: weights with a
// scale per output channel and no zero point, maps with one scale and a zero
// point, biases in 32 bits at the scale of the products. Sums are 32-bit integers;
// each result is brought to its map's scale by one multiplication, rounded half
// to even.
type Int8 struct {
	arch.Network
	input  scale
	layers []quantised
}

// scale says what an integer q stands for: size·(q − zero).
type scale struct {
	size float32
	zero int32 // −128 … 127
}

// quantised is a layer in integers.
type quantised struct {
	weight  []int32   // −127 … 127, [out, in, k, k]
	inner   []int32   // the same in the order of the inner loops
	bias    []int32   // at scale in·steps
	steps   []float32 // the weights' scale, by output channel
	rescale []float32 // in·steps/out, by output channel
	out     scale     // of the map that it writes; the classifier's is not quantised
}

// quantise returns the integer that stands for v, less the zero point.
func (s scale) quantise(v float32) int32 {
	return clamp(int32(math.RoundToEven(float64(v/s.size)))+s.zero) - s.zero
}

func clamp(q int32) int32 { return min(127, max(-128, q)) }

// Logits runs one image, normalised, rows × columns × channels. Maps are kept
// less their zero points.
func (n *Int8) Logits(image []float32) []float32 {
	first := make([]int32, len(image))
	for i, v := range image {
		first[i] = n.input.quantise(v)
	}
	maps := make([][]int32, len(n.Layers))
	read := func(j int) ([]int32, scale) {
		if j < 0 {
			return first, n.input
		}
		return maps[j], n.layers[j].out
	}
	for i := range n.Layers {
		l, q := &n.Layers[i], &n.layers[i]
		x, in := read(l.Inputs[0])
		y := make([]int32, l.Out.Size())
		switch l.Op {
		case arch.Add:
			x2, in2 := read(l.Inputs[1])
			for k := range y {
				y[k] = q.out.quantise(in.size*float32(x[k]) + in2.size*float32(x2[k]))
			}
		case arch.Pool:
			poolInt8(l, x, in, y, q.out)
		default:
			accumulate(l, x, q.inner, q.bias, y)
			if l.Op == arch.Linear {
				return dequantise(y, in, q.steps)
			}
			q.narrow(y)
		}
		maps[i] = y
	}
	last, s := read(len(maps) - 1)
	ones := make([]float32, len(last))
	for i := range ones {
		ones[i] = 1
	}
	return dequantise(last, s, ones)
}

// narrow brings sums, pixel by pixel, to the scale of the layer's map.
func (q *quantised) narrow(sums []int32) {
	low, high := -128-q.out.zero, 127-q.out.zero
	for len(sums) > 0 {
		for c, factor := range q.rescale {
			v := int32(math.RoundToEven(float64(float32(sums[c]) * factor)))
			sums[c] = min(high, max(low, v))
		}
		sums = sums[len(q.rescale):]
	}
}

// dequantise returns what sums at scale in·steps stand for.
func dequantise(sums []int32, in scale, steps []float32) []float32 {
	y := make([]float32, len(sums))
	for c, sum := range sums {
		y[c] = float32(sum) * (in.size * steps[c])
	}
	return y
}

func poolInt8(l *arch.Layer, x []int32, in scale, y []int32, out scale) {
	pixels := l.In.H * l.In.W
	for p := range pixels {
		for c := range y {
			y[c] += x[p*l.In.C+c]
		}
	}
	for c, sum := range y {
		y[c] = out.quantise(in.size * float32(sum) / float32(pixels))
	}
}
