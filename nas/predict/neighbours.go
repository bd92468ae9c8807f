package predict

import (
	"cmp"
	"math"
	"slices"

	"eyrie/pipeline/float"
)

// Neighbours predicts the mean of the K measurements whose features are
// nearest. It assumes nothing, and cannot exceed what it has seen.
type Neighbours struct {
	X [][]float64
	Y []float64
	K int // chosen by leave-one-out
}

// Predict returns the mean over the K nearest; of equally near ones those
// measured first.
func (m Neighbours) Predict(x []float64) float64 {
	near := m.nearest(x, -1)
	sum := 0.0
	for _, i := range near[:m.K] {
		sum += m.Y[i]
	}
	return sum / float64(m.K)
}

// FitNeighbours keeps the measurements, and takes K = 1, 2, 4 … 32 by the least
// leave-one-out error.
func FitNeighbours(x [][]float64, y []float64) Neighbours {
	m := Neighbours{x, y, 1}
	var loss [6]float64
	for i := range x {
		sum, next := 0.0, 0
		for rank, j := range m.nearest(x[i], i) {
			sum += y[j]
			if k := 1 << next; rank+1 == k && next < len(loss) {
				d := sum/float64(k) - y[i]
				loss[next] += float64(d * d)
				next++
			}
		}
	}
	least := math.Inf(1)
	for e, l := range loss {
		if 1<<e < len(x) && l < least {
			least, m.K = l, 1<<e
		}
	}
	return m
}

// nearest returns the indices of all measurements but one by their distance.
func (m Neighbours) nearest(x []float64, but int) []int {
	order := make([]int, 0, len(m.X))
	distance := make([]float64, len(m.X)) // squared
	difference := make([]float64, len(x))
	for i := range m.X {
		if i != but {
			order = append(order, i)
			copy(difference, x)
			float.AddScaled(difference, -1, m.X[i])
			distance[i] = float.Dot(difference, difference)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(distance[i], distance[j]) })
	return order
}
