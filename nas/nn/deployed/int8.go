package deployed

import (
	"eyrie/nas/arch"
	"eyrie/nas/nn"
)

// Int8 is a network whose weights and maps are 8-bit integers: weights with a
// scale per output channel and no zero point, maps with one scale and a zero
// point, biases in 32 bits at the scale of the products. Sums are 32-bit integers;
// each result is brought to its map's scale by one multiplication, rounded half
// to even.
//
// It runs on the kernels for single precision, which holds the integers that
// occur without gaps: the results are those of integer arithmetic, on every
// machine.
type Int8 struct {
	arch.Network
	encoding Encoding
	input    scale
	layers   []quantised
	work     int // floats that the layer which needs most of them works with
}

// scale says what an integer q stands for: size·(q − zero).
type scale struct {
	size float32
	zero int32 // −128 … 127
}

// quantised is a layer in integers.
type quantised struct {
	weight  []int32   // −127 … 127 or −64 … 64, [out, in, k, k]
	conv    *nn.Conv  // multiplies by them; nil where its sums might not be exact
	inner   []int32   // else the same in the order of the inner loops
	bias    []int32   // at scale in·steps
	steps   []float32 // the weights' scale, by output channel
	rescale []float32 // in·steps/out, by output channel
	out     scale     // of the map that it writes; the classifier's is not quantised
}

// low and high are the least and the greatest integer of a map, less the zero point.
func (s scale) low() float32  { return float32(-128 - s.zero) }
func (s scale) high() float32 { return float32(127 - s.zero) }

// quantise returns the integer that stands for v, less the zero point.
func (s scale) quantise(v float32) float32 { return round(v/s.size, s.low(), s.high()) }

// round returns the integer next to v between low and high, the even one of
// two. Both are integers of magnitudes below 2²².
func round(v, low, high float32) float32 {
	const gapless = 3 << 22 // from here to 2²⁴, single precision has just the integers
	return min(high, max(low, v)) + gapless - gapless
}

// Logits runs one image, normalised, rows × columns × channels. Maps are kept
// less their zero points.
func (n *Int8) Logits(image []float32) []float32 {
	first := make([]float32, len(image))
	for i, v := range image {
		first[i] = n.input.quantise(v)
	}
	maps := make([][]float32, len(n.Layers))
	work := make([]float32, n.work)
	read := func(j int) ([]float32, scale) {
		if j < 0 {
			return first, n.input
		}
		return maps[j], n.layers[j].out
	}
	for i := range n.Layers {
		l, q := &n.Layers[i], &n.layers[i]
		x, in := read(l.Inputs[0])
		y := make([]float32, l.Out.Size())
		switch l.Op {
		case arch.Add:
			x2, in2 := read(l.Inputs[1])
			for k := range y {
				y[k] = q.out.quantise(float32(in.size*x[k]) + float32(in2.size*x2[k]))
			}
		case arch.Pool:
			pool(l, x, y, func(sum, pixels float32) float32 { return q.out.quantise(float32(in.size*sum) / pixels) })
		default:
			q.run(l, x, in, y, work)
			if l.Op == arch.Linear {
				return y
			}
		}
		maps[i] = y
	}
	last, s := read(len(maps) - 1)
	logits := make([]float32, len(last))
	for i, v := range last {
		logits[i] = s.size * v
	}
	return logits
}

// run computes what a convolution or the classifier writes.
func (q *quantised) run(l *arch.Layer, x []float32, in scale, y, work []float32) {
	if q.conv != nil {
		q.conv.Run(x, y, work)
		finish(q, l, y, in, y)
		return
	}
	ints, sums := make([]int32, len(x)), make([]int32, len(y))
	for i, v := range x {
		ints[i] = int32(v)
	}
	accumulate(l, ints, q.inner, sums)
	finish(q, l, sums, in, y)
}

// finish adds the bias to sums, pixel by pixel, and brings them to the scale of
// the layer's map; the classifier's to what they stand for.
func finish[T int32 | float32](q *quantised, l *arch.Layer, sums []T, in scale, y []float32) {
	if l.Op == arch.Linear {
		for c, sum := range sums {
			y[c] = float32(int32(sum)+q.bias[c]) * (in.size * q.steps[c])
		}
		return
	}
	low, high := q.out.low(), q.out.high()
	for at := 0; at < len(y); at += len(q.bias) {
		sums, y := sums[at:][:len(q.bias)], y[at:][:len(q.bias)]
		for c, factor := range q.rescale {
			y[c] = round(float32(float32(int32(sums[c])+q.bias[c])*factor), low, high)
		}
	}
}
