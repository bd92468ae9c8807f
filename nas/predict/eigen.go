package predict

import (
	"math"

	"eyrie/pipeline/float"
)

// eigen returns the eigenvalues of a symmetric matrix, in no order, and a unit
// eigenvector of each: vectors[j] belongs to values[j]. It overwrites the
// matrix.
//
// Householder's reflections make it tridiagonal, QR steps with Wilkinson's
// shift diagonal (Golub and Van Loan, Matrix Computations, §8.3). gonum's would
// do but for its last digits: its sums are in another order on amd64, and
// elsewhere the compiler fuses them.
func eigen(a [][]float64) (values []float64, vectors [][]float64) {
	reflections := tridiagonalise(a)
	n := len(a)
	d, e := make([]float64, n), make([]float64, n) // the diagonal, and beside it
	largest := 0.0
	for i := range n {
		d[i] = a[i][i]
		if i+1 < n {
			e[i] = a[i][i+1]
		}
		largest = max(largest, math.Abs(d[i]), math.Abs(e[i]))
	}
	vectors = accumulate(reflections, n)
	negligible := float64(0x1p-52 * largest)
	for last, steps := n-1, 0; last > 0; {
		if math.Abs(e[last-1]) <= negligible {
			last--
			continue
		}
		first := last - 1
		for first > 0 && math.Abs(e[first-1]) > negligible {
			first--
		}
		if steps++; steps > 50*n {
			panic("predict: the eigenvalues of X did not converge")
		}
		qrStep(d, e, vectors, first, last)
	}
	return d, vectors
}

// reflection is the matrix 1 − β·v·vᵀ; v is zero before its first element.
type reflection struct {
	v    []float64 // from row at on
	at   int
	beta float64
}

// tridiagonalise makes a symmetric matrix tridiagonal, and returns the
// reflections that did so.
func tridiagonalise(a [][]float64) []reflection {
	var done []reflection
	for k := 0; k+2 < len(a); k++ {
		v := append([]float64(nil), a[k][k+1:]...)
		length := math.Sqrt(float.Dot(v, v))
		if length == 0 {
			continue
		}
		edge := -math.Copysign(length, v[0])
		v[0] -= edge
		h := reflection{v, k + 1, 2 / float.Dot(v, v)}
		h.applyBothSides(a)
		a[k][k+1], a[k+1][k] = edge, edge
		clear(a[k][k+2:])
		done = append(done, h)
	}
	return done
}

// applyBothSides makes the matrix below and right of h.at H·A·H.
func (h *reflection) applyBothSides(a [][]float64) {
	rows := a[h.at:]
	w := make([]float64, len(rows))
	for i, row := range rows {
		w[i] = float64(h.beta * float.Dot(row[h.at:], h.v))
	}
	float.AddScaled(w, -float64(h.beta/2*float.Dot(w, h.v)), h.v)
	for i, row := range rows {
		float.AddScaled(row[h.at:], -h.v[i], w)
		float.AddScaled(row[h.at:], -w[i], h.v)
	}
}

// accumulate returns the transpose of the reflections' product: what is to
// become the eigenvectors.
func accumulate(reflections []reflection, n int) [][]float64 {
	q := matrix(n, n)
	for i := range q {
		q[i][i] = 1
	}
	for _, h := range reflections {
		sum := make([]float64, n)
		for i, v := range h.v {
			float.AddScaled(sum, v, q[h.at+i])
		}
		for i, v := range h.v {
			float.AddScaled(q[h.at+i], -float64(h.beta*v), sum)
		}
	}
	return q
}

// qrStep takes an implicit QR step on rows first to last of a tridiagonal
// matrix, between which nothing beside the diagonal is 0.
func qrStep(d, e []float64, vectors [][]float64, first, last int) {
	delta, b := float64((d[last-1]-d[last])/2), e[last-1]
	root := math.Sqrt(float64(delta*delta) + float64(b*b))
	shift := d[last] - float64(b/(delta+math.Copysign(root, delta))*b)
	x, z := d[first]-shift, e[first]
	for k := first; k < last; k++ {
		r := math.Sqrt(float64(x*x) + float64(z*z))
		c, s := 1.0, 0.0
		if r > 0 {
			c, s = x/r, z/r
		}
		if k > first {
			e[k-1] = r
		}
		low, beside, high := d[k], e[k], d[k+1]
		cross := float64(2 * c * s * beside)
		cc, ss := float64(c*c), float64(s*s)
		d[k] = float64(cc*low) + cross + float64(ss*high)
		d[k+1] = float64(ss*low) - cross + float64(cc*high)
		e[k] = float64(c*s*(high-low)) + float64((cc-ss)*beside)
		if k+1 < last {
			x, z = e[k], float64(s*e[k+1])
			e[k+1] = float64(c * e[k+1])
		}
		rotate(vectors[k], vectors[k+1], c, s)
	}
}

// rotate turns two vectors in their plane.
func rotate(a, b []float64, c, s float64) {
	for i, v := range a {
		w := b[i]
		a[i] = float64(c*v) + float64(s*w)
		b[i] = float64(c*w) - float64(s*v)
	}
}

func matrix(rows, columns int) [][]float64 {
	m := make([][]float64, rows)
	all := make([]float64, rows*columns)
	for i := range m {
		m[i] = all[i*columns : (i+1)*columns : (i+1)*columns]
	}
	return m
}
