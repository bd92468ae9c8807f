package calibrate

import (
	"math"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// What a form misses beyond its parameters is taken to be alike for networks that are alike: a
// Gaussian process over what a network's cycles are spent on. Many measurements of one family
// then say little of another.
const (
	missed = 0.08 // standard deviation of the process, at least
	times  = 4    // the same, in standard deviations of a single error
	alike  = 0.15 // Hellinger distance at which the correlation has fallen to e^(−1/2)
)

// mix is what a network's cycles are spent on: the square roots of their shares, by kind of
// layer.
type mix [5]float64

// outlook is a network as its prediction depends on what is not known.
type outlook struct {
	by  vector // derivatives by the parameters on their scales
	mix mix
	mu  bool // of μ, not of the latency
}

// newMix returns what a network's cycles are spent on.
func newMix(e *raptor.Estimate) (m mix) {
	for i := range e.Layers {
		m[kindOf(e.Layers[i].Op)] += e.Layers[i].Latency / e.Latency
	}
	for k := range m {
		m[k] = math.Sqrt(m[k])
	}
	return m
}

// kindOf returns the index of a layer's kind among those of outlook.mix.
func kindOf(op arch.Op) int {
	switch op {
	case arch.Conv, arch.Deconv:
		return 0
	case arch.Pointwise, arch.MatMul:
		return 1
	case arch.Depthwise:
		return 2
	case arch.Linear:
		return 3
	}
	return 4
}

// outlooks returns a network's outlooks, of its latency and of its μ.
func (q *posterior) outlooks(net *arch.Network, estimate *raptor.Estimate) (latency, mu outlook, err error) {
	ts, err := q.terms(net)
	if err != nil {
		return latency, mu, err
	}
	latency.mix = newMix(estimate)
	mu.mix, mu.mu = latency.mix, true
	latency.by, mu.by = q.gradients(ts)
	return latency, mu, nil
}

// prior returns the covariance of two values before anything was measured.
func (q *posterior) prior(a, b *outlook) (sum float64) {
	for k := range q.n {
		sum += float64(float64(a.by[k]*b.by[k]) * float64(q.width[k]*q.width[k]))
	}
	return sum + float64(q.missed()*shared(a, b))
}

// missed returns the variance of what the form misses of a network.
func (q *posterior) missed() float64 { return max(missed*missed, times*times*q.variance) }

// shared returns the correlation of what a form misses of two values.
func shared(a, b *outlook) float64 {
	if a.mu != b.mu {
		return 0
	}
	apart := 0.0
	for k := range a.mix {
		d := a.mix[k] - b.mix[k]
		apart += float64(d * d)
	}
	return float.Exp(-apart / (2 * alike * alike))
}

// triangle is a lower triangular matrix, by rows.
type triangle [][]float64

// factorise returns Cholesky's factor of the n×n matrix whose elements at gives.
func factorise(n int, at func(i, j int) float64) triangle {
	l := make(triangle, n)
	for i := range l {
		l[i] = make([]float64, i+1)
		for j := range i + 1 {
			sum := at(i, j)
			for k := range j {
				sum -= float64(l[i][k] * l[j][k])
			}
			if i == j {
				l[i][i] = math.Sqrt(max(sum, 1e-15))
			} else {
				l[i][j] = sum / l[j][j]
			}
		}
	}
	return l
}

// forward replaces y by L⁻¹·y.
func (l triangle) forward(y []float64) {
	for i := range y {
		for k := range i {
			y[i] -= float64(l[i][k] * y[k])
		}
		y[i] /= l[i][i]
	}
}

// knowledge is what the measurements say of values that were not measured.
type knowledge struct {
	*posterior
	seen   []outlook
	factor triangle // of the covariance of what was measured
}

// learn returns what the measurements say.
func (q *posterior) learn(seen []outlook) *knowledge {
	k := &knowledge{posterior: q, seen: seen}
	k.factor = factorise(len(seen), func(i, j int) float64 {
		v := q.prior(&seen[i], &seen[j])
		if i == j {
			v += q.variance
		}
		return v
	})
	return k
}

// whitened returns the covariance of a value with all that was measured, in coordinates in
// which these are independent.
func (k *knowledge) whitened(a *outlook) []float64 {
	y := make([]float64, len(k.seen))
	for i := range k.seen {
		y[i] = k.prior(a, &k.seen[i])
	}
	k.factor.forward(y)
	return y
}

// deviation returns the standard deviation of the logarithm of a value that would be
// measured, given what was.
func (k *knowledge) deviation(a *outlook) float64 {
	v := k.prior(a, a) + k.variance
	for _, w := range k.whitened(a) {
		v -= float64(w * w)
	}
	return math.Sqrt(max(v, k.variance))
}
