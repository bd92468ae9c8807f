package search

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// points returns n points with small integer coordinates, so that ties and
// equal points are frequent.
func points(rng *rand.Rand, n, objectives, values int) [][]float64 {
	ps := make([][]float64, n)
	for i := range ps {
		ps[i] = make([]float64, objectives)
		for m := range ps[i] {
			ps[i][m] = float64(rng.IntN(values))
		}
	}
	return ps
}

// Fronts and ranks are those of the definition, peeled one front after the
// other by comparing all pairs.
func TestRanksEqualBruteForce(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		ps := points(rng, rng.IntN(40), 1+rng.IntN(4), 1+rng.IntN(12))
		want := make([]int, len(ps))
		for i := range want {
			want[i] = -1
		}
		for r, left := 0, len(ps); left > 0; r++ {
			var front []int
			for i := range ps {
				dominated := want[i] >= 0
				for j := range ps {
					dominated = dominated || want[j] < 0 && Dominates(ps[j], ps[i])
				}
				if !dominated {
					front = append(front, i)
				}
			}
			for _, i := range front {
				want[i] = r
			}
			left -= len(front)
			if r == 0 {
				if got := Front(ps); !slices.Equal(got, front) {
					t.Fatalf("Front(%v) = %v, want %v", ps, got, front)
				}
			}
		}
		if got := Ranks(ps); !slices.Equal(got, want) {
			t.Fatalf("Ranks(%v) = %v, want %v", ps, got, want)
		}
	}
}

// On integer coordinates the hypervolume is the number of unit cells below
// some point.
func TestHypervolumeCountsCells(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const side = 6
	for range 300 {
		d := 1 + rng.IntN(4)
		ps := points(rng, rng.IntN(10), d, side+1)
		reference := points(rng, 1, d, 3)[0]
		cells := 0
		cell := make([]float64, d)
		for i := range int(math.Pow(side, float64(d))) {
			for m := range cell {
				cell[m] = float64(i % side)
				i /= side
			}
			if slices.ContainsFunc(ps, func(p []float64) bool {
				for m := range p {
					if cell[m] < reference[m] || cell[m] >= p[m] || p[m] <= reference[m] {
						return false
					}
				}
				return true
			}) {
				cells++
			}
		}
		if got := Hypervolume(ps, reference); got != float64(cells) {
			t.Fatalf("Hypervolume(%v, %v) = %v, want %d", ps, reference, got, cells)
		}
	}
}

// Crowding is the relative distance between neighbours, infinite at the ends
// of each objective and 0 where nothing lies between.
func TestCrowding(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		front [][]float64
		want  []float64
	}{
		{nil, []float64{}},
		{[][]float64{{1, 1}}, []float64{inf}},
		{[][]float64{{0, 10}, {4, 5}, {1, 6}, {10, 0}}, []float64{inf, 0.9 + 0.6, 0.4 + 0.5, inf}},
		{[][]float64{{2, 2}, {2, 2}, {2, 2}}, []float64{inf, 0, inf}},
	} {
		got := Crowding(c.front)
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-12 && got[i] != c.want[i] || len(got) != len(c.want) {
				t.Errorf("Crowding(%v) = %v, want %v", c.front, got, c.want)
				break
			}
		}
	}
}

func BenchmarkFront(b *testing.B) {
	ps := make([][]float64, 1_000_000)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range ps {
		ps[i] = []float64{rng.Float64(), rng.Float64()}
	}
	for b.Loop() {
		Front(ps)
	}
}

func BenchmarkRanks(b *testing.B) {
	ps := points(rand.New(rand.NewPCG(1, 1)), 200, 3, 1000)
	for b.Loop() {
		Ranks(ps)
	}
}
