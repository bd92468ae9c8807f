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

	"eyrie/nas/arch"
	"eyrie/nas/nn"
)

// Net is a network with its weights.
type Net struct {
	arch.Network
	layers []weights // one for each layer
}

// weights are those of a layer; of one without they are empty.
type weights struct {
	weight []float32 // as nn.Folded has them: [out, in, k, k]
	inner  []float32 // the same in the order of the inner loops
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
		n.layers[i] = weights{f.Weight, inner(&net.Layers[i], f.Weight), f.Bias, f.ReLU6}
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

// inner reorders [out, in, k, k] as the inner loops read it: [k, k, out, in].
func inner[T any](l *arch.Layer, w []T) []T {
	in, taps := inputs(l), l.Kernel.Size()
	v := make([]T, len(w))
	for o := range l.Out.C {
		for i := range in {
			for tap := range taps {
				v[(tap*l.Out.C+o)*in+i] = w[(o*in+i)*taps+tap]
			}
		}
	}
	return v
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
			pool(l, x, y, func(sum, pixels float32) float32 { return sum / pixels })
		default:
			for at := 0; at < len(y); at += copy(y[at:], w.bias) {
			}
			accumulate(l, x, w.inner, y)
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

// pool takes each channel's mean over a whole map: the pooling at the end of a
// network.
func pool(l *arch.Layer, x, y []float32, mean func(sum, pixels float32) float32) {
	pixels := l.In.H * l.In.W
	for p := range pixels {
		for c := range y {
			y[c] += x[p*l.In.C+c]
		}
	}
	for c := range y {
		y[c] = mean(y[c], float32(pixels))
	}
}

// accumulate adds w·x to y for a convolution or a fully connected layer, in
// floating point or in integers.
func accumulate[T int32 | float32](l *arch.Layer, x, w, y []T) {
	if l.Op == arch.Linear {
		products(x, w, y)
		return
	}
	in := inputs(l)
	for oy := range l.Out.H {
		for ox := range l.Out.W {
			out := y[(oy*l.Out.W+ox)*l.Out.C:][:l.Out.C]
			for tap := range l.Kernel.Size() {
				iy, ix := oy*l.Stride.H+tap/l.Kernel.W-l.Pad.Top, ox*l.Stride.W+tap%l.Kernel.W-l.Pad.Left
				if iy < 0 || iy >= l.In.H || ix < 0 || ix >= l.In.W {
					continue
				}
				pixel := x[(iy*l.In.W+ix)*l.In.C:][:l.In.C]
				weights := w[tap*l.Out.C*in:][:l.Out.C*in]
				if l.Op == arch.Depthwise {
					for o, v := range pixel {
						out[o] += T(v * weights[o])
					}
				} else {
					products(pixel, weights, out)
				}
			}
		}
	}
}

// products adds w·x to y; w is len(y) × len(x). Four rows at once share what is
// read of x.
func products[T int32 | float32](x, w, y []T) {
	n := len(x)
	o := 0
	for ; o+4 <= len(y); o += 4 {
		w0, w1, w2, w3 := w[o*n:][:n], w[(o+1)*n:][:n], w[(o+2)*n:][:n], w[(o+3)*n:][:n]
		var s0, s1, s2, s3 T
		for i, v := range x {
			s0 += T(v * w0[i])
			s1 += T(v * w1[i])
			s2 += T(v * w2[i])
			s3 += T(v * w3[i])
		}
		y[o] += s0
		y[o+1] += s1
		y[o+2] += s2
		y[o+3] += s3
	}
	for ; o < len(y); o++ {
		var sum T
		for i, v := range x {
			sum += T(v * w[o*n+i])
		}
		y[o] += sum
	}
}
