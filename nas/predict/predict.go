// Package predict learns to estimate a number, such as a subnet's accuracy,
// from the features of those for which it was measured.
//
// A [Method] fits a [Model] to measurements. Which method suits is decided by
// [CrossValidate], and how far to trust it by the rank correlation ([Kendall])
// and the error on measurements that it has not seen.
package predict

import (
	"math"
	"math/rand/v2"
)

// Model predicts a number from features.
type Model interface {
	Predict(x []float64) float64
}

// Method is a way to make a model.
type Method struct {
	Name string
	// Fit makes a model of at least one measurement: x[i] are the features, all
	// of one length, of what measured y[i].
	Fit func(x [][]float64, y []float64) Model
}

// The methods' names.
const (
	RidgeRegression   = "ridge"
	NearestNeighbours = "k-nn"
	NeuralNetwork     = "mlp"
)

// Methods returns the methods that there are: ridge regression, nearest
// neighbours, and a small neural network whose start the seed decides.
func Methods(seed uint64) []Method {
	return []Method{
		{RidgeRegression, func(x [][]float64, y []float64) Model { return FitRidge(x, y) }},
		{NearestNeighbours, func(x [][]float64, y []float64) Model { return FitNeighbours(x, y) }},
		{NeuralNetwork, func(x [][]float64, y []float64) Model { return FitNetwork(x, y, seed) }},
	}
}

// Score says how well predictions agree with measurements.
type Score struct {
	Kendall float64 // rank correlation τ-b, in [−1, 1]
	RMSE    float64 // root mean square error
	MAE     float64 // mean absolute error
}

// Compare scores the predictions of what was measured.
func Compare(predicted, measured []float64) Score {
	s := Score{Kendall: Kendall(predicted, measured)}
	n := float64(max(1, len(measured)))
	for i := range measured {
		d := predicted[i] - measured[i]
		s.RMSE += d * d / n
		s.MAE += math.Abs(d) / n
	}
	s.RMSE = math.Sqrt(s.RMSE)
	return s
}

// CrossValidate scores each method on measurements that its model was not
// fitted to: they are dealt at random into folds, and each fold is predicted by
// a model of all others. There must be at least two folds, and no more than
// measurements.
func CrossValidate(methods []Method, x [][]float64, y []float64, folds int, seed uint64) []Score {
	fold := rand.New(rand.NewPCG(seed, 1)).Perm(len(x))
	scores := make([]Score, len(methods))
	for m, method := range methods {
		predicted := make([]float64, len(y))
		for f := range folds {
			var fitX [][]float64
			var fitY []float64
			for i := range x {
				if fold[i]%folds != f {
					fitX, fitY = append(fitX, x[i]), append(fitY, y[i])
				}
			}
			model := method.Fit(fitX, fitY)
			for i := range x {
				if fold[i]%folds == f {
					predicted[i] = model.Predict(x[i])
				}
			}
		}
		scores[m] = Compare(predicted, y)
	}
	return scores
}

// Kendall returns the rank correlation τ-b of two equally long series: the
// share of pairs that they order alike, less that of pairs ordered otherwise,
// corrected for ties. It is 0 where one of the series is constant.
func Kendall(a, b []float64) float64 {
	var all concord
	for i := range a {
		for j := range i {
			all.add(concordOf(a[i]-a[j], b[i]-b[j]), 1)
		}
	}
	return all.tau()
}

// KendallError returns the standard error of [Kendall], by the jackknife: from how
// much it changes when one of the pairs of values is left out.
func KendallError(a, b []float64) float64 {
	var all concord
	of := make([]concord, len(a)) // the pairs that i is in
	for i := range a {
		for j := range i {
			c := concordOf(a[i]-a[j], b[i]-b[j])
			all.add(c, 1)
			of[i].add(c, 1)
			of[j].add(c, 1)
		}
	}
	tau := make([]float64, len(a))
	for i := range of {
		rest := all
		rest.add(of[i], -1)
		tau[i] = rest.tau()
	}
	centre, sum := mean(tau), 0.0
	for _, v := range tau {
		sum += float64((v - centre) * (v - centre))
	}
	n := float64(max(1, len(a)))
	return math.Sqrt(sum * (n - 1) / n)
}

// concord counts pairs: those ordered alike less those ordered otherwise, and
// those not tied in either series.
type concord struct{ agree, untiedA, untiedB float64 }

// concordOf counts one pair, whose values differ by da and db.
func concordOf(da, db float64) concord {
	da, db = sign(da), sign(db)
	return concord{da * db, da * da, db * db}
}

func (c *concord) add(d concord, times float64) {
	c.agree += float64(times * d.agree)
	c.untiedA += float64(times * d.untiedA)
	c.untiedB += float64(times * d.untiedB)
}

func (c concord) tau() float64 {
	if c.untiedA == 0 || c.untiedB == 0 {
		return 0
	}
	return c.agree / math.Sqrt(c.untiedA*c.untiedB)
}

func sign(v float64) float64 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

func mean(y []float64) (sum float64) {
	for _, v := range y {
		sum += v
	}
	return sum / float64(len(y))
}
