package calibrate

import (
	"math"
	"math/rand/v2"
	"slices"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// What is known of a fitted form's own error beforehand: it is about usualError, as a
// logarithm, as if usualCount measurements had said so. It weighs priors against measurements.
const (
	usualError = 0.02
	usualCount = 8
)

// maxFree is how many parameters can be fitted at once.
const maxFree = 14

// vector holds the parameters that are fitted, on their scales, in the form's order.
type vector [maxFree]float64

// matrix is a symmetric one, of which the lower triangle is used.
type matrix [maxFree]vector

// problem is a fit of parameters to the logarithms of measured μ and latency, by least
// squares with priors: the maximum of the posterior.
type problem struct {
	ms     []measurement
	terms  [][]term // by measurement
	clock  float64
	pes    int
	base   prices // of the platform
	origin vector // logarithms of its parameters
	n      int    // parameters
	free   [maxFree]int
	start  vector
	centre vector // of the priors
	width  vector // of the priors
	low    vector
	high   vector
	to     [maxFree]int       // index of the parameter that one is relative to; −1 for none
	most   vector             // greatest of the values that a parameter moves, as a multiple of the first
	moves  [features]struct { // what moves a price
		by   int // index among the fitted; −1 for none
		sign float64
	}
	left    func(group int) bool // measurements that are left out
	stopped func() bool          // nobody waits for the fit any more; nil where that cannot be told
}

// newProblem returns the fit of some of a platform's parameters, by their indices. The priors'
// centres are the parameters of base.
func newProblem(ms []measurement, ts [][]term, p, base *raptor.Platform, f *form, free []int) *problem {
	q := &problem{ms: ms, terms: ts, clock: p.Clock, pes: p.PEs, base: pricesOf(p), n: len(free), left: func(int) bool { return false }}
	copy(q.free[:], free)
	q.connect()
	for k, j := range free {
		par := &parameters[j]
		q.origin[k] = float.Log(par.first(p))
		q.most[k] = 1
		for _, m := range par.moves {
			if q.moves[m].by == k {
				q.most[k] = max(q.most[k], par.get(p, m)/par.first(p))
			}
		}
		q.start[k], q.centre[k] = par.scaled(par.first(p)*q.most[k], p.PEs), par.scaled(par.first(base)*q.most[k], base.PEs)
		q.width[k] = f.prior(par).width
		q.low[k], q.high[k] = par.limits(p.PEs)
		q.to[k] = -1
		if par.relative != "" {
			q.to[k] = slices.Index(free, par.relativeTo())
		}
		if q.to[k] >= 0 {
			to := &parameters[par.relativeTo()]
			q.start[k] -= to.scaled(to.first(p), p.PEs)
			q.centre[k] -= to.scaled(to.first(base), base.PEs)
			q.low[k], q.high[k] = q.low[k]-q.high[k], q.high[k]-q.low[k]
		}
	}
	q.start = q.clamp(q.start)
	return q
}

// connect says which parameter moves a price: of several that of the fewest prices.
func (p *problem) connect() {
	for f := range p.moves {
		p.moves[f].by = -1
	}
	for k, j := range p.free[:p.n] {
		par := &parameters[j]
		for _, f := range par.moves {
			if by := p.moves[f].by; by >= 0 && len(parameters[p.free[by]].moves) <= len(par.moves) {
				continue
			}
			p.moves[f].by, p.moves[f].sign = k, 1
			if par.rate {
				p.moves[f].sign = -1
			}
		}
	}
}

// value returns the k-th parameter's first value at x, and the derivative of its logarithm.
func (p *problem) value(x *vector, k int) (v, slope float64) {
	at := x[k]
	if to := p.to[k]; to >= 0 {
		at += x[to]
	}
	v, slope = parameters[p.free[k]].value(at, p.pes)
	return v / p.most[k], slope
}

// prices returns the prices at x.
func (p *problem) prices(x *vector) prices {
	var scale vector
	for k := range p.n {
		v, _ := p.value(x, k)
		scale[k] = v / float.Exp(p.origin[k])
	}
	c := p.base
	for f := range c {
		switch m := &p.moves[f]; {
		case m.by < 0:
		case m.sign > 0:
			c[f] *= scale[m.by]
		default:
			c[f] /= scale[m.by]
		}
	}
	return c
}

// apply returns a platform with the parameters at x, what is not fitted to the bit as it is.
func (p *problem) apply(x *vector, to raptor.Platform) raptor.Platform {
	q := to
	for k := range p.n {
		par := &parameters[p.free[k]]
		v, _ := p.value(x, k)
		for _, f := range par.moves {
			if p.moves[f].by == k {
				par.set(&q, f, v*(par.get(&to, f)/par.first(&to)))
			}
		}
	}
	return q
}

// fitted is the result of a fit: the parameters and the error that are likeliest.
type fitted struct {
	x        vector
	sse      float64 // sum of squared errors
	variance float64 // of an error
	prior    float64 // sum of squares of what parameters are away from their priors' centres, in widths
	cost     float64 // −2 ln of the likelihood with the priors, up to a constant
}

// restart returns the best of a fit and of those from further starts, drawn from the priors'
// widths around the first.
func (p *problem) restart(best fitted, starts int, rng *rand.Rand) fitted {
	for range starts {
		x := p.start
		for k := range p.n {
			x[k] += float64(p.width[k] * float.Normal(rng))
		}
		if f := p.descend(p.clamp(x)); f.cost < best.cost {
			best = f
		}
	}
	return best
}

// descend finds the likeliest parameters from a start, and with them the error's variance:
// each is known given the other, and taken in turn they soon stay.
func (p *problem) descend(x vector) (f fitted) {
	f = fitted{x: x, variance: usualError * usualError}
	for range 6 {
		at := p.minimise(f.x, f.variance)
		variance := (usualCount*usualError*usualError + at.sse) / float64(usualCount+at.values)
		done := math.Abs(variance-f.variance) < 1e-6*variance
		f = fitted{at.x, at.sse, variance, at.prior, float64(float64(usualCount+at.values)*float.Log(variance)) + at.prior}
		if done {
			break
		}
	}
	return f
}

// clamp moves the parameters into their limits.
func (p *problem) clamp(x vector) vector {
	for k := range p.n {
		x[k] = min(max(x[k], p.low[k]), p.high[k])
	}
	return x
}

// minimise is the Levenberg–Marquardt method within the parameters' limits, for a variance
// of the errors.
func (p *problem) minimise(x vector, variance float64) evaluation {
	now := p.evaluate(x, variance)
	damping := 1e-3
	for range 200 {
		if p.stopped != nil && p.stopped() {
			break
		}
		y := p.clamp(step(now.x, p.inner(now.x, &now.gradient), &now, damping))
		next := p.evaluate(y, variance)
		if !(next.cost < now.cost) {
			if damping *= 8; damping > 1e9 {
				break
			}
			continue
		}
		done := now.cost-next.cost < 1e-9*now.cost
		now = next
		if damping = max(damping/8, 1e-9); done {
			break
		}
	}
	return now
}

// inner returns the parameters that may move: not those at a limit that the gradient
// pushes against, nor those that are pinned.
func (p *problem) inner(x vector, gradient *vector) []int {
	var inner [maxFree]int
	n := 0
	for k := range p.n {
		if x[k] <= p.low[k] && gradient[k] >= 0 || x[k] >= p.high[k] && gradient[k] <= 0 {
			continue
		}
		inner[n] = k
		n++
	}
	return inner[:n]
}

// step solves (H + damping·diag H)·d = −gradient for the parameters given and returns x + d.
func step(x vector, free []int, at *evaluation, damping float64) vector {
	var h matrix
	var g vector
	for a, i := range free {
		for b := range a + 1 {
			h[a][b] = at.hessian[i][free[b]]
		}
		h[a][a] += float64(damping*h[a][a]) + 1e-12
		g[a] = -at.gradient[i]
	}
	h.factorise(len(free))
	h.solve(len(free), &g)
	for a, i := range free {
		x[i] += max(-2, min(2, g[a])) // at most a factor of 7
	}
	return x
}

// factorise replaces the matrix by Cholesky's factor of its first n rows.
func (m *matrix) factorise(n int) {
	for a := range n {
		for b := range a + 1 {
			sum := m[a][b]
			for k := range b {
				sum -= float64(m[a][k] * m[b][k])
			}
			if a == b {
				m[a][a] = math.Sqrt(max(sum, 1e-12))
			} else {
				m[a][b] = sum / m[b][b]
			}
		}
	}
}

// solve replaces y by the solution of L·Lᵀ·x = y, where the matrix is the factor L.
func (m *matrix) solve(n int, y *vector) {
	for a := range n {
		for k := range a {
			y[a] -= float64(m[a][k] * y[k])
		}
		y[a] /= m[a][a]
	}
	for a := n - 1; a >= 0; a-- {
		for k := a + 1; k < n; k++ {
			y[a] -= float64(m[k][a] * y[k])
		}
		y[a] /= m[a][a]
	}
}

// evaluation is the cost at a point, sse + variance · prior, with half its gradient, and the
// Gauss–Newton approximation of half its Hessian: that of the errors alone, and with the
// priors.
type evaluation struct {
	x             vector
	values        int
	sse           float64 // sum of squared errors
	prior         float64 // sum of squares of what parameters are away from their priors' centres, in widths
	cost          float64
	gradient      vector
	data, hessian matrix
}

func (p *problem) evaluate(x vector, variance float64) (e evaluation) {
	e.x = x
	c := p.prices(&x)
	slopes := p.slopes(&x)
	residual := func(r float64, by *[features]float64) {
		j := p.toParameters(by, &slopes)
		e.values++
		e.sse += float64(r * r)
		for a := range p.n {
			e.gradient[a] += float64(r * j[a])
			for b := range a + 1 {
				e.data[a][b] += float64(j[a] * j[b])
			}
		}
	}
	for i := range p.ms {
		m := &p.ms[i]
		if m.held || m.mu == 0 && m.latency == 0 || p.left(m.group) {
			continue
		}
		v := predict(p.terms[i], &c)
		if m.mu > 0 {
			mu, by := v.mu()
			residual(float.Log(mu/m.mu), &by)
		}
		if m.latency > 0 {
			by := v.latency()
			residual(float.Log(v.cycles/p.clock/m.latency), &by)
		}
	}
	e.hessian = e.data
	for k := range p.n {
		d := (x[k] - p.centre[k]) / p.width[k]
		e.prior += float64(d * d)
		e.gradient[k] += float64(variance * d / p.width[k])
		e.hessian[k][k] += variance / float64(p.width[k]*p.width[k])
	}
	e.cost = e.sse + float64(variance*e.prior)
	return e
}

// slopes returns the derivatives of the logarithms of the parameters' values, at x.
func (p *problem) slopes(x *vector) (s vector) {
	for k := range p.n {
		_, s[k] = p.value(x, k)
	}
	return s
}

// toParameters turns derivatives by the logarithms of prices into those by the parameters.
func (p *problem) toParameters(by *[features]float64, slopes *vector) (j vector) {
	for f, d := range by {
		m := &p.moves[f]
		if m.by < 0 {
			continue
		}
		d = float64(d * (m.sign * slopes[m.by])) // not to be fused with the sums below
		j[m.by] += d
		if to := p.to[m.by]; to >= 0 {
			j[to] += d
		}
	}
	return j
}
