package calibrate

import (
	"math"
	"math/rand/v2"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// problem is a least-squares fit of the free parameters to log μ and log
// latency of some measurements.
type problem struct {
	ms       []measurement
	terms    [][]term         // by measurement
	free     []int            // parameters that are fitted
	start    vector           // of all; those that are not free stay
	skip     int              // group of measurements that is left out; −1 for none
	platform *raptor.Platform // where the limits and the clock are read
}

// fitted is the result of a fit.
type fitted struct {
	x   vector
	sse float64 // sum of squared log errors
}

// fit minimises from the start and from further starts drawn around it.
func (p *problem) fit(starts int, rng *rand.Rand) fitted {
	best := p.descend(p.start)
	for range starts - 1 {
		x := p.start
		for _, j := range p.free {
			x[j] += float.Normal(rng)
		}
		if f := p.descend(p.clamp(x)); f.sse < best.sse {
			best = f
		}
	}
	return best
}

// clamp moves the free parameters into their limits.
func (p *problem) clamp(x vector) vector {
	for _, j := range p.free {
		low, high := limits(j, p.platform)
		x[j] = min(max(x[j], low), high)
	}
	return x
}

// descend is the Levenberg–Marquardt method within the parameters' limits.
func (p *problem) descend(x vector) fitted {
	sse, gradient, hessian := p.evaluate(x)
	damping := 1e-3
	for range 200 {
		y := p.clamp(step(x, p.inner(x, &gradient), &gradient, &hessian, damping))
		next, g, h := p.evaluate(y)
		if !(next < sse) {
			if damping *= 8; damping > 1e9 {
				break
			}
			continue
		}
		done := sse-next < 1e-9*sse
		x, sse, gradient, hessian = y, next, g, h
		if damping = max(damping/8, 1e-9); done {
			break
		}
	}
	return fitted{x, sse}
}

// inner returns the free parameters that may move: not those at a limit that
// the gradient pushes against.
func (p *problem) inner(x vector, gradient *vector) []int {
	var inner [params]int
	n := 0
	for _, j := range p.free {
		low, high := limits(j, p.platform)
		if x[j] <= low && gradient[j] >= 0 || x[j] >= high && gradient[j] <= 0 {
			continue
		}
		inner[n] = j
		n++
	}
	return inner[:n]
}

// step solves (H + damping·diag H)·d = −gradient for the parameters given, by
// Cholesky's factorisation, and returns x + d.
func step(x vector, free []int, gradient *vector, hessian *[params]vector, damping float64) vector {
	var l [params]vector
	var y vector
	for a, i := range free {
		for b := range a + 1 {
			sum := hessian[i][free[b]]
			if a == b {
				sum += float64(damping*sum) + 1e-12
			}
			for k := range b {
				sum -= float64(l[a][k] * l[b][k])
			}
			if a == b {
				l[a][a] = math.Sqrt(max(sum, 1e-12))
			} else {
				l[a][b] = sum / l[b][b]
			}
		}
		y[a] = -gradient[i]
		for k := range a {
			y[a] -= float64(l[a][k] * y[k])
		}
		y[a] /= l[a][a]
	}
	for a := len(free) - 1; a >= 0; a-- {
		for k := a + 1; k < len(free); k++ {
			y[a] -= float64(l[k][a] * y[k])
		}
		y[a] /= l[a][a]
		x[free[a]] += max(-2, min(2, y[a])) // at most a factor of 7
	}
	return x
}

// evaluate returns the sum of squared errors, half its gradient, and the
// Gauss–Newton approximation of half its Hessian.
func (p *problem) evaluate(x vector) (sse float64, gradient vector, hessian [params]vector) {
	var costs vector
	for j := range x {
		costs[j] = float.Exp(x[j])
	}
	residual := func(r float64, by *vector) {
		sse += float64(r * r)
		for i, a := range by {
			gradient[i] += float64(r * a)
			for j := range i + 1 {
				hessian[i][j] += float64(a * by[j])
			}
		}
	}
	for i := range p.ms {
		m := &p.ms[i]
		if m.group == p.skip || m.mu == 0 && m.latency == 0 {
			continue
		}
		v := predict(p.terms[i], &costs)
		var by vector
		if m.mu > 0 {
			for j := range by {
				by[j] = v.byNPU[j]/v.npu - v.bySYS[j]/v.sys
			}
			residual(float.Log(v.npu/v.sys/m.mu), &by)
		}
		if m.latency > 0 {
			for j := range by {
				by[j] = v.byCycles[j] / v.cycles
			}
			residual(float.Log(v.cycles/p.platform.Clock/m.latency), &by)
		}
	}
	return sse, gradient, hessian
}
