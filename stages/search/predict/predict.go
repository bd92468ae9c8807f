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

// Methods returns the methods that there are: ridge regression, nearest
// neighbours, and a small neural network whose start the seed decides.
func Methods(seed uint64) []Method {
	return []Method{
		{"ridge", func(x [][]float64, y []float64) Model { return FitRidge(x, y) }},
		{"k-nn", func(x [][]float64, y []float64) Model { return FitNeighbours(x, y) }},
		{"mlp", func(x [][]float64, y []float64) Model { return FitNetwork(x, y, seed) }},
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
	var agree, untiedA, untiedB float64
	for i := range a {
		for j := range i {
			da, db := sign(a[i]-a[j]), sign(b[i]-b[j])
			agree += da * db
			untiedA += da * da
			untiedB += db * db
		}
	}
	if untiedA == 0 || untiedB == 0 {
		return 0
	}
	return agree / math.Sqrt(untiedA*untiedB)
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
