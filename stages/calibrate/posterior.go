package calibrate

import (
	"math"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// confidence is that of the intervals.
const confidence = 0.95

// posterior is what is known of the parameters after the measurements: their logarithms are
// about normally distributed around the fit (Laplace's approximation).
type posterior struct {
	*problem
	at         vector
	platform   raptor.Platform // at the fit
	error      float64         // variance of an error, as a logarithm
	covariance matrix          // symmetric, both halves
	determined float64         // how many parameters' worth the measurements determine
}

// newPosterior returns the posterior of a fit.
func newPosterior(p *problem, f *fitted, platform raptor.Platform) posterior {
	e := p.evaluate(f.x, f.error)
	q := posterior{problem: p, at: f.x, platform: platform, error: f.error}
	var h matrix
	for a := range p.n {
		for b := range a + 1 {
			h[a][b] = e.data[a][b] / f.error
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
			q.determined += float64(data / f.error * q.covariance[b][a])
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
// parameters' logarithms.
func (q *posterior) gradients(ts []term) (latency, mu vector) {
	c := pricesOf(&q.platform)
	v := predict(ts, &c)
	byLatency := v.latency()
	_, byMu := v.mu()
	slopes := q.slopes(&q.at)
	return q.toParameters(&byLatency, &slopes), q.toParameters(&byMu, &slopes)
}

// variance returns that of a quantity whose derivatives are j.
func (m *matrix) variance(n int, j *vector) (sum float64) {
	for a := range n {
		for b := range n {
			sum += float64(j[a] * m[a][b] * j[b])
		}
	}
	return sum
}

// correlation returns that of two parameters.
func (q *posterior) correlation(a, b int) float64 {
	return q.covariance[a][b] / math.Sqrt(float64(q.covariance[a][a]*q.covariance[b][b]))
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
