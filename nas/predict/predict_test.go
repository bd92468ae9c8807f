package predict

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// measurements returns n noisy measurements of a function of one-hot features:
// of each of five slots a choice among four contributes, and the first two
// interact.
func measurements(n int, interaction, noise float64, seed uint64) (x [][]float64, y []float64) {
	truth := rand.New(rand.NewPCG(9, 9))
	var effect [5][4]float64
	for i := range effect {
		for j := range effect[i] {
			effect[i][j] = truth.NormFloat64()
		}
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	for range n {
		row := make([]float64, 20)
		sum := 0.0
		var choices [5]int
		for i := range choices {
			choices[i] = rng.IntN(4)
			row[4*i+choices[i]] = 1
			sum += effect[i][choices[i]]
		}
		if choices[0] == choices[1] {
			sum += interaction
		}
		x, y = append(x, row), append(y, sum+noise*rng.NormFloat64())
	}
	return x, y
}

// Each method ranks what it has not seen: almost perfectly where it can
// represent the truth, and far better than chance elsewhere.
func TestMethodsGeneralise(t *testing.T) {
	for _, c := range []struct {
		interaction float64
		least       map[string]float64
	}{
		{0, map[string]float64{"ridge": 0.95, "k-nn": 0.5, "mlp": 0.85}},
		{4, map[string]float64{"ridge": 0.5, "k-nn": 0.35, "mlp": 0.8}},
	} {
		x, y := measurements(300, c.interaction, 0.05, 1)
		unseen, truth := measurements(200, c.interaction, 0.05, 2)
		for _, method := range Methods(1) {
			model := method.Fit(x, y)
			predicted := make([]float64, len(unseen))
			for i := range unseen {
				predicted[i] = model.Predict(unseen[i])
			}
			score := Compare(predicted, truth)
			t.Logf("interaction %v: %s: %+v", c.interaction, method.Name, score)
			if score.Kendall < c.least[method.Name] {
				t.Errorf("interaction %v: %s: τ %.3f on unseen, want %.2f", c.interaction, method.Name, score.Kendall, c.least[method.Name])
			}
		}
	}
}

// Cross-validation prefers the linear model for a linear truth, and the
// network where choices interact.
func TestCrossValidatePicks(t *testing.T) {
	for _, c := range []struct {
		interaction float64
		best        string
	}{{0, "ridge"}, {4, "mlp"}} {
		x, y := measurements(200, c.interaction, 0.1, 3)
		methods := Methods(1)
		best, tau := "", -2.0
		for i, score := range CrossValidate(methods, x, y, 5, 1) {
			if score.Kendall > tau {
				best, tau = methods[i].Name, score.Kendall
			}
		}
		if best != c.best {
			t.Errorf("interaction %v: %s has the best τ, %.3f; want %s", c.interaction, best, tau, c.best)
		}
	}
}

// Every prediction in cross-validation is by a model that has not seen it.
func TestCrossValidateHoldsOut(t *testing.T) {
	x, y := measurements(23, 0, 0.1, 4)
	fits := 0
	spy := Method{"spy", func(fitX [][]float64, fitY []float64) Model {
		fits++
		if len(fitX) < 23-5 || len(fitX) > 23-4 {
			t.Errorf("fitted to %d of 23 measurements in 5 folds", len(fitX))
		}
		return refuse{t, fitX}
	}}
	CrossValidate([]Method{spy}, x, y, 5, 1)
	if fits != 5 {
		t.Errorf("%d models for 5 folds", fits)
	}
}

// refuse fails the test when it is to predict what it was fitted to.
type refuse struct {
	t    *testing.T
	seen [][]float64
}

func (m refuse) Predict(x []float64) float64 {
	for _, s := range m.seen {
		if &s[0] == &x[0] {
			m.t.Error("predicts what it has seen")
		}
	}
	return 0
}

// The closed form of leave-one-out is what leaving one out yields.
func TestLeaveOneOut(t *testing.T) {
	x, y := measurements(40, 1, 0.3, 5)
	for _, penalty := range []float64{0.1, 1, 10} {
		want := 0.0
		for i := range x {
			others := slices.Delete(slices.Clone(x), i, i+1)
			model := decompose(others, slices.Delete(slices.Clone(y), i, i+1)).ridge(penalty)
			e := model.Predict(x[i]) - y[i]
			want += e * e
		}
		if got := decompose(x, y).leaveOneOut(penalty); math.Abs(got-want) > 1e-9*want {
			t.Errorf("λ = %v: %v, want %v", penalty, got, want)
		}
	}
}

// A line is found, but for what the least penalty costs.
func TestRidgeRecoversLine(t *testing.T) {
	x := [][]float64{{0}, {1}, {2}, {3}}
	r := FitRidge(x, []float64{1, 3, 5, 7})
	if math.Abs(r.Intercept-1) > 1e-2 || math.Abs(r.Weights[0]-2) > 1e-2 {
		t.Errorf("1 + 2x becomes %+v", r)
	}
}

// One measurement, or equal ones, are predicted as they are by every method.
func TestDegenerate(t *testing.T) {
	for _, method := range Methods(1) {
		for _, n := range []int{1, 2, 5} {
			x, y := make([][]float64, n), make([]float64, n)
			for i := range x {
				x[i], y[i] = []float64{1, 0, 1}, 0.75
			}
			if got := method.Fit(x, y).Predict([]float64{1, 0, 1}); math.Abs(got-0.75) > 1e-6 {
				t.Errorf("%s of %d equal measurements predicts %v, want 0.75", method.Name, n, got)
			}
		}
	}
}

// Kendall's τ-b on known cases, among them ties as in its definition.
func TestKendall(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{10, 20, 30, 40}, 1},
		{[]float64{1, 2, 3, 4}, []float64{4, 3, 2, 1}, -1},
		{[]float64{1, 2, 3, 4, 5}, []float64{3, 4, 1, 2, 5}, 0.2},
		{[]float64{1, 1, 2, 3}, []float64{1, 2, 2, 3}, 4 / 5.0},
		{[]float64{1, 1, 1}, []float64{1, 2, 3}, 0},
		{nil, nil, 0},
	} {
		if got := Kendall(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("Kendall(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// The standard error is about how much τ differs from one sample to the next.
func TestKendallError(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var taus []float64
	stated := 0.0
	for range 300 {
		a, b := make([]float64, 40), make([]float64, 40)
		for i := range a {
			a[i] = rng.NormFloat64()
			b[i] = a[i] + 0.7*rng.NormFloat64()
		}
		taus = append(taus, Kendall(a, b))
		stated += KendallError(a, b) / 300
	}
	variance := 0.0
	for _, v := range taus {
		variance += (v - mean(taus)) * (v - mean(taus)) / 299
	}
	if observed := math.Sqrt(variance); math.Abs(stated/observed-1) > 0.15 {
		t.Errorf("stated %.4f, observed %.4f", stated, observed)
	}
	for _, few := range [][]float64{nil, {1}, {1, 2}, {1, 1, 1}} {
		if e := KendallError(few, few); e != 0 && !(e > 0 && e <= 1) {
			t.Errorf("the error of %v is %v", few, e)
		}
	}
}

func BenchmarkFitNetwork(b *testing.B) {
	x, y := measurements(200, 4, 0.1, 3)
	for b.Loop() {
		FitNetwork(x, y, 1)
	}
}
