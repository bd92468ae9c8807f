package calibrate

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize"
	"gonum.org/v1/gonum/stat/distuv"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

func within(a, b, relative float64) bool { return math.Abs(a-b) <= relative*math.Abs(b) }

// The fit's own formula of a network's cycles is that of the cost model: for every form, with
// any values of its parameters, and also with transfers that overlap.
func TestPredictionEqualsEstimate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	viewed := probe(t, "conv")
	last := viewed.Layers[len(viewed.Layers)-1]
	viewed.Layers = append(viewed.Layers, arch.Layer{Name: "view", Op: arch.View, In: last.Out, Out: last.Out, Kernel: arch.Square(1), Stride: arch.Square(1), Inputs: []int{len(viewed.Layers) - 1}})
	nets := []arch.Network{mobilenet(0.5, 96), mobilenet(1, 224), probe(t, "sums and pools"), probe(t, "depthwise"), probe(t, "linear"), viewed}
	for i := range forms {
		f := &forms[i]
		for range 10 {
			p := drawn(t, rng, f, 2)
			if rng.IntN(2) == 0 {
				p.WeightLimit, p.OversizeCost, p.TileCost, p.LayerCost = 100_000, 1e5, 50*rng.Float64(), 100*rng.Float64()
			}
			p.DoubleBuffer = f.policy != raptor.Spill && rng.IntN(2) == 0
			for _, net := range nets {
				want, err := p.Estimate(net)
				if err != nil {
					t.Fatal(err)
				}
				ts, err := terms(&p, &net, !f.adds(&p))
				if err != nil {
					t.Fatal(err)
				}
				c := pricesOf(&p)
				got := predict(ts, &c)
				if !within(got.npu, want.NPUCycles, 1e-9) || !within(got.sys, want.SYSCycles, 1e-9) || !within(got.cycles, want.Latency*p.Clock, 1e-9) {
					t.Errorf("form %s, %s on %+v: %v, %v, %v cycles; want %v, %v, %v", f.name, net.Name, p, got.npu, got.sys, got.cycles, want.NPUCycles, want.SYSCycles, want.Latency*p.Clock)
				}
			}
		}
	}
}

// problemOf returns the fit of a form's parameters to measurements that a platform makes, with
// some noise; the priors have their centres at the platform.
func problemOf(t testing.TB, rng *rand.Rand, f *form, p raptor.Platform, noise float64) *problem {
	t.Helper()
	var ms []measurement
	var all [][]term
	nets := []arch.Network{mobilenet(0.35, 96), mobilenet(0.5, 160), mobilenet(1, 128), probe(t, "conv"), probe(t, "pointwise"), probe(t, "linear"), probe(t, "sums and pools"), probe(t, "few channels")}
	for i, net := range nets {
		e, err := p.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		ts, err := terms(&p, &net, !f.adds(&p))
		if err != nil {
			t.Fatal(err)
		}
		m := measurement{net: net, group: i, latency: e.Latency * math.Exp(noise*rng.NormFloat64())}
		if i%2 == 0 {
			m.mu = e.Mu * math.Exp(noise*rng.NormFloat64())
		}
		ms, all = append(ms, m), append(all, ts)
	}
	return newProblem(ms, all, &p, &p, f, indices(f.fit))
}

// What a fit moves is what it writes into the platform: the prices at any point are those of
// the platform at that point, also of parameters that are shares, or relative to another.
func TestPricesEqualPlatforms(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range forms {
		f := &forms[i]
		p := drawn(t, rng, f, 1)
		q := problemOf(t, rng, f, p, 0)
		for range 20 {
			x := q.start
			for k := range q.n {
				x[k] += q.width[k] * rng.NormFloat64()
			}
			x = q.clamp(x)
			got, at := q.prices(&x), q.apply(&x, p)
			want := pricesOf(&at)
			for f := range got {
				if !within(got[f], want[f], 1e-9) {
					t.Fatalf("form %s: price %d is %v, the platform's %v", forms[i].name, f, got[f], want[f])
				}
			}
			if err := at.Validate(); err != nil {
				t.Fatalf("form %s: %v", forms[i].name, err)
			}
		}
	}
}

// The fit's derivatives are those of finite differences, for every form: with a limit of
// results, transfers that hide each other, shares, and parameters relative to others.
func TestDerivatives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range forms {
		f := &forms[i]
		for _, double := range []bool{false, true} {
			p := drawn(t, rng, f, 1)
			if p.DoubleBuffer = double; double && f.policy == raptor.Spill {
				continue
			}
			q := problemOf(t, rng, f, p, 0.1)
			for range 5 {
				x := q.start
				for k := range q.n {
					x[k] += rng.NormFloat64() / 2
				}
				const variance, h = 0.01, 1e-6
				e := q.evaluate(x, variance)
				for k := range q.n {
					up, down := x, x
					up[k] += h
					down[k] -= h
					want := (q.evaluate(up, variance).cost - q.evaluate(down, variance).cost) / (4 * h)
					if math.Abs(e.gradient[k]-want) > 1e-5*(1+math.Abs(want)) {
						t.Errorf("form %s, double buffer %v: by %s: %v, want %v", f.name, double, parameters[q.free[k]].name, e.gradient[k], want)
					}
				}
			}
		}
	}
}

// A method that knows no derivatives finds nothing better.
func TestNelderMeadAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, name := range []string{"spill", "mixed", "overlap"} {
		f := formOf(t, name)
		p := problemOf(t, rng, f, drawn(t, rng, f, 1), 0.05)
		best := p.restart(p.descend(p.start), 5, rng)
		cost := func(free []float64) float64 {
			var x vector
			copy(x[:], free)
			return p.evaluate(p.clamp(x), best.variance).cost
		}
		result, err := optimize.Minimize(optimize.Problem{Func: cost}, best.x[:p.n], &optimize.Settings{MajorIterations: 3000}, &optimize.NelderMead{})
		if result == nil {
			t.Fatal(err)
		}
		if ours := cost(best.x[:p.n]); result.F < ours*(1-1e-3) {
			t.Errorf("form %s: Nelder–Mead goes on from %v to %v", name, ours, result.F)
		}
	}
}

// Where nothing is measured, a fit is the prior: its centre and its width. Measurements narrow
// it, and move it.
func TestPriors(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for i := range forms {
		f := &forms[i]
		p := f.on(raptor.Platform{Clock: 1e8, PEs: 64, Memory: 1 << 18}, f.fit)
		q := newProblem(nil, nil, &p, &p, f, indices(f.fit))
		fit := q.descend(q.clamp(vector{}))
		post := newPosterior(q, &fit, p)
		for k := range q.n {
			name := parameters[q.free[k]].name
			if math.Abs(fit.x[k]-q.centre[k]) > 1e-3*q.width[k] || math.Abs(post.spread(k)-1) > 1e-9 {
				t.Errorf("form %s: %s is at %v ± %v widths, want %v ± 1", f.name, name, fit.x[k], post.spread(k), q.centre[k])
			}
		}
		if post.determined > 1e-9 {
			t.Errorf("form %s: nothing determines %v parameters", f.name, post.determined)
		}
		truth := drawn(t, rng, f, 1)
		truth.Memory = p.Memory
		measured := problemOf(t, rng, f, truth, 0)
		again := newProblem(measured.ms, measured.terms, &truth, &p, f, indices(f.fit))
		fit = again.descend(again.start)
		narrowed := newPosterior(again, &fit, truth)
		if narrowed.determined < 2 || narrowed.determined > float64(q.n) {
			t.Errorf("form %s: the measurements determine %v of %d parameters", f.name, narrowed.determined, q.n)
		}
		for k := range q.n {
			if narrowed.spread(k) > 1+1e-9 {
				t.Errorf("form %s: measurements widen %s to %v of its prior", f.name, parameters[q.free[k]].name, narrowed.spread(k))
			}
		}
	}
}

// The posterior's covariance is the inverse of the cost's second derivatives, found by finite
// differences where nothing is missed. (Elsewhere Gauss and Newton's method is approximate.)
func TestPosteriorCovariance(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, name := range []string{"spill", "spill-depthwise", "mixed"} {
		f := formOf(t, name)
		p := drawn(t, rng, f, 1)
		q := problemOf(t, rng, f, p, 0)
		fit := fitted{x: q.centre, variance: 0.02 * 0.02}
		post := newPosterior(q, &fit, p)
		cost := func(x vector) float64 { return q.evaluate(x, fit.variance).cost / fit.variance / 2 }
		const h = 1e-3
		hessian := mat.NewDense(q.n, q.n, nil)
		for a := range q.n {
			for b := range q.n {
				sum := 0.0
				for _, s := range [][2]float64{{1, 1}, {1, -1}, {-1, 1}, {-1, -1}} {
					x := fit.x
					x[a] += s[0] * h
					x[b] += s[1] * h
					sum += s[0] * s[1] * cost(x)
				}
				hessian.Set(a, b, sum/(4*h*h))
			}
		}
		var want mat.Dense
		if err := want.Inverse(hessian); err != nil {
			t.Fatal(err)
		}
		for a := range q.n {
			for b := range q.n {
				scale := math.Sqrt(want.At(a, a) * want.At(b, b))
				if math.Abs(post.covariance[a][b]-want.At(a, b)) > 0.01*scale {
					t.Errorf("form %s: covariance %d, %d is %v, want %v", name, a, b, post.covariance[a][b], want.At(a, b))
				}
			}
		}
	}
}

// The correlation that is reported is of the values: a rate that is fitted relative to another
// is not taken for another one when both rise together.
func TestCorrelationOfValues(t *testing.T) {
	q := posterior{problem: &problem{n: 2, to: [maxFree]int{-1, 0}}}
	q.covariance[0][0], q.covariance[1][1] = 4, 1
	q.covariance[0][1], q.covariance[1][0] = -1, -1
	// x0 and x0 + x1: covariance 4 − 1, variances 4 and 4 − 2 + 1
	if got, want := q.correlation(0, 1), 3/math.Sqrt(12); !within(got, want, 1e-12) {
		t.Errorf("correlation %v, want %v", got, want)
	}
}

// The quantile is that of Fisher's distribution.
func TestFisher(t *testing.T) {
	for dof := 1; dof < 300; dof++ {
		want := distuv.F{D1: 1, D2: float64(dof)}.Quantile(confidence) / float64(dof)
		if got := fisher(dof); math.Abs(got/want-1) > 1e-9 {
			t.Errorf("%d degrees of freedom: %v, want %v", dof, got, want)
		}
	}
}

// Many memories are searched by a coarse step first, and then around the best: what is found is
// what a scan of all finds.
func TestCoarseToFineEqualsFullScan(t *testing.T) {
	truth := preset(t, "tinyraptor")
	file, networks := made(t, truth, false)
	c := config(t, file)
	c.Networks, c.Starts, c.MemoryMin, c.MemoryMax, c.MemoryStep = networks, 1, 64<<10, 512<<10, 256
	ms, err := (&reader{networks: networks}).read(c.Measurements)
	if err != nil {
		t.Fatal(err)
	}
	cal := newCalibration(new(pipeline.Task), c, ms)
	f := formOf(t, "spill")
	got, err := cal.fitForm(t.Context(), f, 0)
	if err != nil {
		t.Fatal(err)
	}
	var memories []int64
	for m := c.MemoryMin; m <= c.MemoryMax; m += c.MemoryStep {
		memories = append(memories, m)
	}
	if len(memories)*len(cal.distinct) <= 2*pricings {
		t.Fatalf("%d memories and %d networks: nothing is searched coarsely", len(memories), len(cal.distinct))
	}
	want := &formFit{form: f, free: got.free, base: got.base, step: got.step}
	if err := cal.fitAt(t.Context(), want, want.base, memories, 0); err != nil {
		t.Fatal(err)
	}
	a, b := &got.designs[got.best], &want.designs[want.best]
	if a.memory != b.memory || a.cost != b.cost {
		t.Errorf("%d bytes at %v, the full scan %d at %v", a.memory, a.cost, b.memory, b.cost)
	}
}
