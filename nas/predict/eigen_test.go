package predict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"

	"eyrie/pipeline/float"
)

// wide returns measurements of random 0-or-1 features, of which some repeat
// others, as blocks' features do.
func wide(n, p int, seed uint64) (x [][]float64, y []float64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	x, y = matrix(n, p), make([]float64, n)
	for i, row := range x {
		for j := range row {
			if row[j] = float64(rng.IntN(2)); j > 4 && j%3 == 0 {
				row[j] = row[j-4]
			}
			y[i] += row[j] * math.Sin(float64(j))
		}
		y[i] += rng.NormFloat64() / 10
	}
	return x, y
}

// The vectors are orthonormal, and the matrix stretches each by its value;
// also where values repeat or are 0.
func TestEigen(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 3, 10, 60} {
		for rank := range min(n, 4) + 1 {
			if rank == 4 {
				rank = n
			}
			a := matrix(n, n)
			for range rank {
				v := make([]float64, n)
				for i := range v {
					v[i] = rng.NormFloat64()
				}
				for i := range v {
					float.AddScaled(a[i], v[i], v)
				}
			}
			original := matrix(n, n)
			for i := range a {
				copy(original[i], a[i])
			}
			values, vectors := eigen(a)
			for j, v := range vectors {
				for i := range original {
					if got, want := float.Dot(original[i], v), values[j]*v[i]; math.Abs(got-want) > 1e-12*float64(n*n) {
						t.Fatalf("%d×%d of rank %d: row %d times vector %d is %v, want %v", n, n, rank, i, j, got, want)
					}
				}
				for k := range vectors[:j+1] {
					want := 0.0
					if k == j {
						want = 1
					}
					if got := float.Dot(v, vectors[k]); math.Abs(got-want) > 1e-13*float64(n) {
						t.Fatalf("%d×%d of rank %d: vector %d · vector %d is %v", n, n, rank, j, k, got)
					}
				}
			}
		}
	}
}

// The model is the solution of the normal equations, with more measurements
// than features or fewer.
func TestRidgeSolvesNormalEquations(t *testing.T) {
	for _, c := range []struct{ n, p int }{{60, 20}, {20, 60}, {30, 30}, {2, 9}} {
		x, y := wide(c.n, c.p, 1)
		for _, penalty := range []float64{1e-3, 1, 1e4} {
			d := decompose(x, y)
			got := d.ridge(penalty)
			centred := mat.NewDense(c.n, c.p, nil)
			for i, row := range x {
				for j, v := range row {
					centred.Set(i, j, v-d.centre[j])
				}
			}
			var left mat.Dense
			left.Mul(centred.T(), centred)
			for j := range c.p {
				left.Set(j, j, left.At(j, j)+penalty)
			}
			var right, want mat.VecDense
			right.MulVec(centred.T(), mat.NewVecDense(c.n, d.target))
			if err := want.SolveVec(&left, &right); err != nil {
				t.Fatal(err)
			}
			for j, w := range got.Weights {
				if math.Abs(w-want.AtVec(j)) > 1e-8 {
					t.Errorf("%d measurements of %d features, λ = %v: weight %d is %v, want %v", c.n, c.p, penalty, j, w, want.AtVec(j))
				}
			}
		}
	}
}

// A fit does not change what it is given: the next method is fitted to it.
func TestFitsLeaveMeasurements(t *testing.T) {
	x, y := wide(30, 10, 2)
	again, same := wide(30, 10, 2)
	for _, m := range Methods(1) {
		m.Fit(x, y)
	}
	if !slices.Equal(y, same) || fmt.Sprint(x) != fmt.Sprint(again) {
		t.Error("the measurements changed")
	}
}

func BenchmarkFitRidge(b *testing.B) {
	for _, c := range []struct{ n, p int }{{240, 700}, {1000, 500}} {
		b.Run(fmt.Sprintf("%dx%d", c.n, c.p), func(b *testing.B) {
			x, y := wide(c.n, c.p, 1)
			for b.Loop() {
				FitRidge(x, y)
			}
		})
	}
}
