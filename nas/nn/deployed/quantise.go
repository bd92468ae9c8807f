package deployed

import (
	"math"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/nn"
)

// Quantise turns the network into integers. The range of each map is what it
// takes on the images given (which must be some), so that these decide how fine
// its steps are; each output channel's weights have a range of their own.
func (n *Net) Quantise(images [][]float32, encoding Encoding) *Int8 {
	input, maps := n.ranges(images)
	q := &Int8{Network: n.Network, encoding: encoding, input: input.scale(), layers: make([]quantised, len(n.Layers))}
	for i := range n.Layers {
		q.layers[i].out = maps[i].scale()
	}
	for i := range n.Layers {
		l := &n.Layers[i]
		if l.Weights() == 0 {
			continue
		}
		in := q.input
		if j := l.Inputs[0]; j >= 0 {
			in = q.layers[j].out
		}
		q.layers[i].quantise(l, &n.layers[i], in, encoding.Largest())
		if c := q.layers[i].conv; c != nil {
			q.work = max(q.work, c.Work())
		}
	}
	return q
}

// span is the range of a map's values. It holds 0, which padding needs.
type span struct{ low, high float32 }

// leastStep is the least scale of weights and maps: below it, products of scales and
// quotients by them leave what single precision holds.
const leastStep = 1e-15

// scale spreads the span over the 256 integers, so that 0 is one of them.
func (s span) scale() scale {
	if s.high-s.low < 255*leastStep {
		return scale{1, -128} // a map that is always 0, as of a dead layer
	}
	size := (s.high - s.low) / 255
	zero := -128 - int32(math.RoundToEven(float64(s.low/size)))
	return scale{size, min(127, max(-128, zero))}
}

func (s *span) include(values []float32) {
	for _, v := range values {
		s.low, s.high = min(s.low, v), max(s.high, v)
	}
}

// ranges runs the images and returns the span of the input and of each map.
func (n *Net) ranges(images [][]float32) (input span, maps []span) {
	maps = make([]span, len(n.Layers))
	for _, image := range images {
		input.include(image)
		for i, m := range n.run(image) {
			maps[i].include(m)
		}
	}
	return input, maps
}

// largestBias is the greatest magnitude of a bias: with it and the sums of
// products, 32 bits do not overflow.
const largestBias = 1 << 30

// quantise turns the weights of a layer into integers up to ±largest. A channel whose
// bias would be beyond largestBias at the scale of its products, because its
// weights are next to nothing, has coarser steps than its weights ask for.
func (q *quantised) quantise(l *arch.Layer, w *weights, in scale, largest float32) {
	per := len(w.weight) / l.Out.C
	q.weight = make([]int32, len(w.weight))
	for c := range l.Out.C {
		channel := w.weight[c*per : (c+1)*per]
		most := float32(0)
		for _, v := range channel {
			most = max(most, v, -v)
		}
		bias := max(w.bias[c], -w.bias[c])
		step := max(most/largest, bias/in.size/largestBias, leastStep)
		if most < leastStep && bias == 0 {
			step = 1 // a dead channel
		}
		for i, v := range channel {
			q.weight[c*per+i] = int32(max(-largest, min(largest, float32(math.RoundToEven(float64(v/step))))))
		}
		q.bias = append(q.bias, int32(math.RoundToEven(float64(w.bias[c])/float64(in.size*step))))
		q.steps = append(q.steps, step)
		q.rescale = append(q.rescale, in.size*step/q.out.size)
	}
	if !q.exact(in) {
		q.inner = inner(l, q.weight)
		return
	}
	weight := make([]float32, len(q.weight))
	for i, v := range q.weight {
		weight[i] = float32(v)
	}
	q.conv = nn.NewConv(*l, weight)
}

// exact reports whether single precision holds all sums of products with inputs
// of a scale, whatever their order.
func (q *quantised) exact(in scale) bool {
	largest, per := int64(max(-in.low(), in.high())), len(q.weight)/len(q.bias)
	for channel := range slices.Chunk(q.weight, per) {
		sum := int64(0)
		for _, v := range channel {
			sum += int64(max(v, -v))
		}
		if sum*largest > nn.ExactSum {
			return false
		}
	}
	return true
}
