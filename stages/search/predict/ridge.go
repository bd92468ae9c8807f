package predict

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
)

// Ridge is a linear model. As each feature contributes by itself, the best of
// many candidates can be found exactly where features belong to choices.
type Ridge struct {
	Intercept float64
	Weights   []float64 // per feature
	Penalty   float64   // λ, chosen by leave-one-out
}

// Predict returns Intercept + Weights·x.
func (r Ridge) Predict(x []float64) float64 { return r.Intercept + floats.Dot(r.Weights, x) }

// FitRidge minimises ‖y − Xw‖² + λ‖w‖², with an unpenalised intercept. Of
// λ = 10⁻³ … 10⁴ it takes that with the least leave-one-out error.
func FitRidge(x [][]float64, y []float64) Ridge {
	d := decompose(x, y)
	best, least := 0.0, math.Inf(1)
	for exponent := -3.0; exponent <= 4; exponent += 0.5 {
		penalty := math.Pow(10, exponent)
		if e := d.leaveOneOut(penalty); e < least {
			best, least = penalty, e
		}
	}
	return d.ridge(best)
}

// decomposition holds centred measurements in the basis of those eigenvectors of
// XᵀX that the measurements span, where the solution for each λ is a division.
type decomposition struct {
	centre []float64 // mean of each feature
	level  float64   // mean of y
	target []float64 // y − level
	basis  mat.Dense // its columns are the eigenvectors
	values []float64 // eigenvalues
	design mat.Dense // X·basis
	moment []float64 // designᵀ·target
}

func decompose(x [][]float64, y []float64) *decomposition {
	n, p := len(x), len(x[0])
	d := &decomposition{centre: make([]float64, p), level: mean(y), target: make([]float64, n)}
	for i, row := range x {
		floats.AddScaled(d.centre, 1/float64(n), row)
		d.target[i] = y[i] - d.level
	}
	centred := mat.NewDense(n, p, nil)
	for i, row := range x {
		centred.SetRow(i, floats.SubTo(make([]float64, p), row, d.centre))
	}
	var svd mat.SVD
	if !svd.Factorize(centred, mat.SVDThin) {
		panic("predict: the singular values of X did not converge")
	}
	svd.VTo(&d.basis)
	d.values = svd.Values(nil)
	for j, v := range d.values {
		d.values[j] = v * v
	}
	d.design.Mul(centred, &d.basis)
	var moment mat.VecDense
	moment.MulVec(d.design.T(), mat.NewVecDense(n, d.target))
	d.moment = moment.RawVector().Data
	return d
}

// solve returns the weights in the eigenvectors' basis.
func (d *decomposition) solve(penalty float64) []float64 {
	w := make([]float64, len(d.values))
	for j, v := range d.values {
		w[j] = d.moment[j] / (v + penalty)
	}
	return w
}

// leaveOneOut returns the sum of the squared errors that each measurement would
// have under the model of all others: residual / (1 − leverage).
func (d *decomposition) leaveOneOut(penalty float64) (sum float64) {
	w := d.solve(penalty)
	for i, target := range d.target {
		row := d.design.RawRowView(i)
		leverage := 1 / float64(len(d.target))
		for j, v := range row {
			leverage += v * v / (d.values[j] + penalty)
		}
		e := (target - floats.Dot(row, w)) / max(1e-9, 1-leverage)
		sum += e * e
	}
	return sum
}

// ridge returns the model for a penalty.
func (d *decomposition) ridge(penalty float64) Ridge {
	var w mat.VecDense
	w.MulVec(&d.basis, mat.NewVecDense(len(d.values), d.solve(penalty)))
	weights := w.RawVector().Data
	return Ridge{d.level - floats.Dot(weights, d.centre), weights, penalty}
}
