package calibrate

import (
	"math"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// confidence is that of the intervals.
const confidence = 0.95

// posterior is what is known of the parameters after the measurements: on their scales they
// are about normally distributed around the fit (Laplace's approximation).
type posterior struct {
	*problem
	at         vector
	platform   raptor.Platform // at the fit
	variance   float64         // of an error, as a logarithm
	covariance matrix          // symmetric, both halves
	determined float64         // how many parameters' worth the measurements determine
}

// newPosterior returns the posterior of a fit.
func newPosterior(p *problem, f *fitted, platform raptor.Platform) posterior {
	e := p.evaluate(f.x, f.variance)
	q := posterior{problem: p, at: f.x, platform: platform, variance: f.variance}
	var h matrix
	for a := range p.n {
		for b := range a + 1 {
			h[a][b] = e.data[a][b] / f.variance
		}
		h[a][a] += 1 / float64(p.width[a]*p.width[a])
	}
	h.factorise(p.n)
	for a := range p.n {
		var column vector
		column[a] = 1
		h.solve(p.n, &column)
		for b := range p.n {
			q.covariance[b][a] = column[b]
		}
	}
	for a := range p.n {
		for b := range p.n {
			data := e.data[a][b]
			if b > a {
				data = e.data[b][a]
			}
			q.determined += float64(data / f.variance * q.covariance[b][a])
		}
	}
	return q
}

// terms takes a network apart on the fitted platform.
func (q *posterior) terms(net *arch.Network) ([]term, error) {
	p := q.platform
	return terms(&p, net, p.DoubleBuffer || p.Overlap > 0 || p.OutputRate > 0)
}

// gradients returns the derivatives of ln latency and of ln μ of a network by the
// parameters on their scales.
func (q *posterior) gradients(ts []term) (latency, mu vector) {
	c := pricesOf(&q.platform)
	v := predict(ts, &c)
	byLatency := v.latency()
	_, byMu := v.mu()
	slopes := q.slopes(&q.at)
	return q.toParameters(&byLatency, &slopes), q.toParameters(&byMu, &slopes)
}

// z is how many standard deviations from the centre a normal distribution has 95 %.
const z = 1.96

// spread returns the standard deviation of the k-th parameter, as a share of its prior's.
func (q *posterior) spread(k int) float64 { return math.Sqrt(q.covariance[k][k]) / q.width[k] }

// priorInterval returns where the k-th parameter's value lies, in 95 of 100 cases, before
// anything was measured: near that of the fit which it is relative to, if it is.
func (q *posterior) priorInterval(k int) []float64 {
	at := func(sign float64) float64 {
		x := q.at
		x[k] = min(max(q.centre[k]+float64(sign*z*q.width[k]), q.low[k]), q.high[k])
		v, _ := q.value(&x, k)
		return v
	}
	return []float64{at(-1), at(1)}
}

// correlation returns that of two parameters' values, whatever they are relative to.
func (q *posterior) correlation(a, b int) float64 {
	return q.covaries(a, b) / math.Sqrt(float64(q.covaries(a, a)*q.covaries(b, b)))
}

// covaries returns the covariance of two parameters' values on their scales.
func (q *posterior) covaries(a, b int) (sum float64) {
	for _, i := range []int{a, q.to[a]} {
		for _, j := range []int{b, q.to[b]} {
			if i >= 0 && j >= 0 {
				sum += q.covariance[i][j]
			}
		}
	}
	return sum
}

// fisher returns F/dof, where F is the quantile of Fisher's distribution with 1
// and dof degrees of freedom: the square of Student's t. In the angle
// arctan(t/√dof) the probability of |T| ≤ t is a finite sum (Abramowitz and
// Stegun, 26.7.3 and 26.7.4), which rises with the angle.
func fisher(dof int) float64 {
	low, high := 0.0, math.Pi/2
	for range 60 {
		if angle := (low + high) / 2; student(angle, dof) < confidence {
			low = angle
		} else {
			high = angle
		}
	}
	tangent := float.Sin(low) / float.Cos(low)
	return tangent * tangent
}

// student returns the probability of |T| ≤ √dof·tan(angle).
func student(angle float64, dof int) float64 {
	sin, cos := float.Sin(angle), float.Cos(angle)
	term, sum := 1.0, 0.0
	if dof%2 == 1 {
		term = cos
	}
	for i := dof % 2; i < dof-1; i += 2 {
		sum += float64(sin * term)
		term = float64(term * cos * cos * float64(i+1) / float64(i+2))
	}
	if dof%2 == 1 {
		return (angle + sum) * (2 / math.Pi)
	}
	return sum
}
