package predict

import (
	"math"
	"math/rand/v2"

	"eyrie/pipeline/float"
)

// Network is a multilayer perceptron with two hidden layers of rectified
// units, after the accuracy predictor of Once-for-All (which has three, of 400).
type Network struct {
	Level, Spread float64 // of the measurements: the network's outputs are standardised
	layers        [3]dense
}

const (
	hidden = 32
	steps  = 3000
	batch  = 16
	rate   = 3e-3 // Adam's, falling to 0 as a cosine
	decay  = 1e-4 // of the weights
)

// dense is a fully connected layer with the state of its optimiser.
type dense struct {
	in, out               int
	weights, bias         []float64 // out × in
	gradients, biasGrad   []float64
	moments, biasMoments  [2][]float64 // Adam's mean and mean square
	inputs, sums, outputs []float64    // of the last forward pass
}

// FitNetwork trains on mini-batches with Adam, for a fixed number of steps. The
// seed decides the first weights and the batches.
func FitNetwork(x [][]float64, y []float64, seed uint64) *Network {
	rng := rand.New(rand.NewPCG(seed, 2))
	n := &Network{Level: mean(y)}
	for _, v := range y {
		n.Spread += (v - n.Level) * (v - n.Level) / float64(len(y))
	}
	if n.Spread = math.Sqrt(n.Spread); n.Spread == 0 {
		n.Spread = 1
	}
	sizes := [4]int{len(x[0]), hidden, hidden, 1}
	for l := range n.layers {
		n.layers[l] = newDense(sizes[l], sizes[l+1], rng)
	}
	for step := range steps {
		for range batch {
			i := rng.IntN(len(x))
			n.backward(n.forward(x[i]) - (y[i]-n.Level)/n.Spread)
		}
		rate := rate * (1 + float.Cos(math.Pi*float64(step)/steps)) / 2
		for l := range n.layers {
			n.layers[l].update(step+1, rate)
		}
	}
	return n
}

// Predict returns the network's estimate. It must not be called concurrently.
func (n *Network) Predict(x []float64) float64 { return n.Level + float64(n.Spread*n.forward(x)) }

func (n *Network) forward(x []float64) float64 {
	for l := range n.layers {
		x = n.layers[l].forward(x, l < len(n.layers)-1)
	}
	return x[0]
}

// backward adds the gradient of half the squared error to every layer's.
func (n *Network) backward(err float64) {
	delta := []float64{err}
	for l := len(n.layers) - 1; l >= 0; l-- {
		delta = n.layers[l].backward(delta, l < len(n.layers)-1)
	}
}

func newDense(in, out int, rng *rand.Rand) dense {
	d := dense{in: in, out: out, weights: make([]float64, in*out), bias: make([]float64, out)}
	scale := math.Sqrt(2 / float64(in)) // He et al., ICCV 2015
	for i := range d.weights {
		d.weights[i] = scale * float.Normal(rng)
	}
	d.gradients, d.biasGrad = make([]float64, in*out), make([]float64, out)
	for m := range d.moments {
		d.moments[m], d.biasMoments[m] = make([]float64, in*out), make([]float64, out)
	}
	d.sums, d.outputs = make([]float64, out), make([]float64, out)
	return d
}

func (d *dense) forward(x []float64, rectify bool) []float64 {
	d.inputs = x
	for o := range d.out {
		d.sums[o] = d.bias[o] + float.Dot(d.weights[o*d.in:(o+1)*d.in], x)
		if d.outputs[o] = d.sums[o]; rectify {
			d.outputs[o] = max(0, d.sums[o])
		}
	}
	return d.outputs
}

func (d *dense) backward(delta []float64, rectified bool) []float64 {
	below := make([]float64, d.in)
	for o, v := range delta {
		if rectified && d.sums[o] <= 0 {
			continue
		}
		d.biasGrad[o] += float64(v / batch)
		float.AddScaled(d.gradients[o*d.in:(o+1)*d.in], v/batch, d.inputs)
		float.AddScaled(below, v, d.weights[o*d.in:(o+1)*d.in])
	}
	return below
}

func (d *dense) update(step int, rate float64) {
	adam(step, rate, decay, d.weights, d.gradients, d.moments)
	adam(step, rate, 0, d.bias, d.biasGrad, d.biasMoments)
}

// adam takes one step of AdamW (Loshchilov and Hutter, ICLR 2019) and clears
// the gradient.
func adam(step int, rate, decay float64, weights, gradient []float64, moments [2][]float64) {
	const first, second, epsilon = 0.9, 0.999, 1e-8
	scale := math.Sqrt(1-float.Pow(second, float64(step))) / (1 - float.Pow(first, float64(step)))
	for i, g := range gradient {
		moments[0][i] = float64(first*moments[0][i]) + float64((1-first)*g)
		moments[1][i] = float64(second*moments[1][i]) + float64((1-second)*g*g)
		weights[i] -= float64(rate * (scale*moments[0][i]/(math.Sqrt(moments[1][i])+epsilon) + float64(decay*weights[i])))
		gradient[i] = 0
	}
}
