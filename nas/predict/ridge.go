package predict

import (
	"math"
	"slices"

	"eyrie/pipeline/float"
)

// Ridge is a linear model. As each feature contributes by itself, the best of
// many candidates can be found exactly where features belong to choices.
type Ridge struct {
	Intercept float64
	Weights   []float64 // per feature
	Penalty   float64   // λ, chosen by leave-one-out
}

// Predict returns Intercept + Weights·x.
func (r Ridge) Predict(x []float64) float64 { return r.Intercept + float.Dot(r.Weights, x) }

// FitRidge minimises ‖y − Xw‖² + λ‖w‖², with an unpenalised intercept. Of
// λ = 10⁻³ … 10⁴ it takes that with the least leave-one-out error.
func FitRidge(x [][]float64, y []float64) Ridge {
	d := decompose(x, y)
	best, least := 0.0, math.Inf(1)
	for exponent := -3.0; exponent <= 4; exponent += 0.5 {
		penalty := float.Pow(10, exponent)
		if e := d.leaveOneOut(penalty); e < least {
			best, least = penalty, e
		}
	}
	return d.ridge(best)
}

// decomposition holds centred measurements in the basis of those eigenvectors of
// XᵀX that the measurements span, where the solution for each λ is a division.
type decomposition struct {
	centre []float64   // mean of each feature
	level  float64     // mean of y
	target []float64   // y − level
	basis  [][]float64 // the eigenvectors
	values []float64   // their eigenvalues
	design [][]float64 // of each measurement: its coordinates in the basis
	moment []float64   // designᵀ·target
}

func decompose(x [][]float64, y []float64) *decomposition {
	n, p := len(x), len(x[0])
	d := &decomposition{centre: make([]float64, p), level: mean(y), target: make([]float64, n), design: make([][]float64, n)}
	for i, row := range x {
		float.AddScaled(d.centre, 1/float64(n), row)
		d.target[i] = y[i] - d.level
	}
	centred := matrix(n, p)
	for i, row := range x {
		copy(centred[i], row)
		float.AddScaled(centred[i], -1, d.centre)
	}
	d.span(centred)
	d.moment = make([]float64, len(d.basis))
	for i, row := range centred {
		d.design[i] = make([]float64, len(d.basis))
		for j, b := range d.basis {
			d.design[i][j] = float.Dot(row, b)
		}
		float.AddScaled(d.moment, d.target[i], d.design[i])
	}
	return d
}

// span finds the basis, from the smaller one of XᵀX and XXᵀ: if u is a unit
// eigenvector of the latter, Xᵀu/√value is one of the former. Where a value is
// next to none of the largest it is rounding errors; beside any λ it adds
// nothing.
func (d *decomposition) span(x [][]float64) {
	n, p := len(x), len(x[0])
	gram := matrix(min(n, p), min(n, p))
	if n < p {
		for i := range gram {
			for j := range gram {
				gram[i][j] = float.Dot(x[i], x[j])
			}
		}
	} else {
		for _, row := range x {
			for i, v := range row {
				float.AddScaled(gram[i], v, row)
			}
		}
	}
	values, vectors := eigen(gram)
	least := float64(1e-10 * slices.Max(values))
	for j, v := range vectors {
		if values[j] <= least {
			continue
		}
		if n < p {
			u := v
			v = make([]float64, p)
			for i, row := range x {
				float.AddScaled(v, u[i]/math.Sqrt(values[j]), row)
			}
		}
		d.basis, d.values = append(d.basis, v), append(d.values, values[j])
	}
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
		row := d.design[i]
		leverage := 1 / float64(len(d.target))
		for j, v := range row {
			leverage += v * v / (d.values[j] + penalty)
		}
		e := (target - float.Dot(row, w)) / max(1e-9, 1-leverage)
		sum += float64(e * e)
	}
	return sum
}

// ridge returns the model for a penalty.
func (d *decomposition) ridge(penalty float64) Ridge {
	weights := make([]float64, len(d.centre))
	for j, w := range d.solve(penalty) {
		float.AddScaled(weights, w, d.basis[j])
	}
	return Ridge{d.level - float.Dot(weights, d.centre), weights, penalty}
}
