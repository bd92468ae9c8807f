// Package deployed holds networks as they are deployed: with batch
// normalisation folded into the weights, in float32 or quantised to int8, and
// as ONNX models of either.
//
// A [Net] runs in plain Go by the definition of each layer. That is slow, and
// meant for calibrating and checking: [Net.Quantise] turns it into an [Int8] with
// per-channel weights and calibrated activations, whose integer arithmetic is
// that of an int8 accelerator. Maps are rows × columns × channels.
package deployed

import (
	"fmt"

	"eyrie/stages/arch"
	"eyrie/stages/nn"
)

// Net is a network with its weights.
type Net struct {
	arch.Network
	layers []weights // one for each layer
}

// weights are those of a layer; of one without they are empty.
type weights struct {
	weight []float32 // as nn.Folded has them: [out, in, k, k]
	byTap  []float32 // [out, k, k, in]: what the inner loops read
	bias   []float32
	relu6  bool
}

// New returns the network with the folded layers, which must be those of the
// network: it panics where one is missing or of the wrong size.
func New(net arch.Network, layers []nn.Folded) *Net {
	n := &Net{Network: net, layers: make([]weights, len(net.Layers))}
	byName := map[string]nn.Folded{}
	for _, f := range layers {
		byName[f.Name] = f
	}
	for i, l := range net.Layers {
		if l.Weights() == 0 {
			continue
		}
		f, ok := byName[l.Name]
		if !ok || int64(len(f.Weight)) != l.Weights() || len(f.Bias) != l.Out.C {
			panic(fmt.Sprintf("deployed.New: layer %q has %d weights and %d biases, want %d and %d", l.Name, len(f.Weight), len(f.Bias), l.Weights(), l.Out.C))
		}
		n.layers[i] = weights{f.Weight, byTap(&net.Layers[i], f.Weight), f.Bias, f.ReLU6}
	}
	return n
}

// inputs returns the input channels that an output channel sees.
func inputs(l *arch.Layer) int {
	switch l.Op {
	case arch.Depthwise:
		return 1
	case arch.Linear:
		return l.In.Size()
	}
	return l.In.C
}

// byTap reorders [out, in, k, k] to [out, k, k, in].
func byTap[T any](l *arch.Layer, w []T) []T {
	in, taps := inputs(l), l.Kernel*l.Kernel
	out := make([]T, len(w))
	for o := range l.Out.C {
		for i := range in {
			for tap := range taps {
				out[(o*taps+tap)*in+i] = w[(o*in+i)*taps+tap]
			}
		}
	}
	return out
}

// Logits runs one image. Its pixels are normalised, rows × columns × channels.
func (n *Net) Logits(image []float32) []float32 {
	maps := n.run(image)
	return maps[len(maps)-1]
}

// run returns what each layer writes.
func (n *Net) run(image []float32) [][]float32 {
	maps := make([][]float32, len(n.Layers))
	read := func(j int) []float32 {
		if j < 0 {
			return image
		}
		return maps[j]
	}
	for i := range n.Layers {
		l, w := &n.Layers[i], &n.layers[i]
		x, y := read(l.Inputs[0]), make([]float32, l.Out.Size())
		switch l.Op {
		case arch.Add:
			for k, v := range read(l.Inputs[1]) {
				y[k] = x[k] + v
			}
		case arch.Pool:
			mean(l, x, y)
		default:
			accumulate(l, x, w.byTap, w.bias, y)
		}
		if w.relu6 {
			for k, v := range y {
				y[k] = min(6, max(0, v))
			}
		}
		maps[i] = y
	}
	return maps
}

// mean averages over a whole map: the pooling at the end of a network.
func mean(l *arch.Layer, x, y []float32) {
	pixels := l.In.H * l.In.W
	for p := range pixels {
		for c := range y {
			y[c] += x[p*l.In.C+c]
		}
	}
	for c := range y {
		y[c] /= float32(pixels)
	}
}

// accumulate computes y = bias + w·x for a convolution or a fully connected
// layer, in floating point or in integers.
func accumulate[T int32 | float32](l *arch.Layer, x, w, bias, y []T) {
	if l.Op == arch.Linear {
		for o := range y {
			y[o] = bias[o] + dot(x, w[o*len(x):(o+1)*len(x)])
		}
		return
	}
	in, taps := inputs(l), l.Kernel*l.Kernel
	for oy := range l.Out.H {
		for ox := range l.Out.W {
			out := y[(oy*l.Out.W+ox)*l.Out.C:][:l.Out.C]
			copy(out, bias)
			for tap := range taps {
				iy, ix := oy*l.Stride+tap/l.Kernel-l.Pad, ox*l.Stride+tap%l.Kernel-l.Pad
				if iy < 0 || iy >= l.In.H || ix < 0 || ix >= l.In.W {
					continue
				}
				pixel := x[(iy*l.In.W+ix)*l.In.C:][:l.In.C]
				if l.Op == arch.Depthwise {
					for o := range out {
						out[o] += pixel[o] * w[o*taps+tap]
					}
					continue
				}
				for o := range out {
					out[o] += dot(pixel, w[(o*taps+tap)*in:][:in])
				}
			}
		}
	}
}

// dot returns the sum of the products, in a fixed order.
func dot[T int32 | float32](a, b []T) T {
	var s0, s1, s2, s3 T
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
