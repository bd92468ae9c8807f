package search

import (
	"cmp"
	"math"
	"slices"
	"sort"
)

// Dominates reports whether a is nowhere worse than b and somewhere better. In
// this package larger is better in every objective: negate a cost.
func Dominates(a, b []float64) bool {
	better := false
	for i := range a {
		if a[i] < b[i] {
			return false
		}
		better = better || a[i] > b[i]
	}
	return better
}

// Front returns the indices, ascending, of the points that no other point
// dominates. Equal points stay together. It takes O(n log n) time for two
// objectives and O(n·(log n + front)) for more. No coordinate may be NaN.
func Front(points [][]float64) []int {
	var front []int
	for _, i := range descending(points) {
		if !dominated(points, front, i) {
			front = append(front, i)
		}
	}
	slices.Sort(front)
	return front
}

// Ranks sorts the points into fronts: rank 0 is the Pareto front, rank 1 the
// front of what is left without it, and so on. It is the efficient
// non-dominated sort of Zhang et al. (IEEE TEVC 2015) with binary search.
func Ranks(points [][]float64) []int {
	ranks := make([]int, len(points))
	var fronts [][]int
	for _, i := range descending(points) {
		r := sort.Search(len(fronts), func(r int) bool { return !dominated(points, fronts[r], i) })
		if r == len(fronts) {
			fronts = append(fronts, nil)
		}
		fronts[r] = append(fronts[r], i)
		ranks[i] = r
	}
	return ranks
}

// fronts returns the indices of the points by rank.
func fronts(points [][]float64) [][]int {
	var fronts [][]int
	for i, r := range Ranks(points) {
		for r >= len(fronts) {
			fronts = append(fronts, nil)
		}
		fronts[r] = append(fronts[r], i)
	}
	return fronts
}

// descending returns the indices of the points in descending lexicographic
// order, in which no point is dominated by a later one.
func descending(points [][]float64) []int {
	order := make([]int, len(points))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return slices.Compare(points[j], points[i]) })
	return order
}

// dominated reports whether a member of the front dominates point i, which comes
// after all of them in descending order. With two objectives the front's last
// member has the best second coordinate, so that it alone decides.
func dominated(points [][]float64, front []int, i int) bool {
	if len(front) > 0 && len(points[i]) <= 2 {
		front = front[len(front)-1:]
	}
	for _, j := range slices.Backward(front) {
		if Dominates(points[j], points[i]) {
			return true
		}
	}
	return false
}

// Crowding returns, for each point of one front, the sum over the objectives
// of the distance between its two neighbours, relative to the front's extent:
// +Inf at the ends (Deb et al., NSGA-II, IEEE TEVC 2002, section III.B).
func Crowding(front [][]float64) []float64 {
	distance := make([]float64, len(front))
	if len(front) == 0 {
		return distance
	}
	order := make([]int, len(front))
	for i := range order {
		order[i] = i
	}
	for m := range front[0] {
		slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(front[i][m], front[j][m]) })
		first, last := order[0], order[len(order)-1]
		distance[first], distance[last] = math.Inf(1), math.Inf(1)
		extent := front[last][m] - front[first][m]
		if extent == 0 {
			continue
		}
		for k := 1; k+1 < len(order); k++ {
			distance[order[k]] += (front[order[k+1]][m] - front[order[k-1]][m]) / extent
		}
	}
	return distance
}

// Hypervolume returns the volume that the points dominate above the reference
// point. What is not above it in every objective counts nothing. It slices
// objective by objective: O(n log n) for two, O(n^(d-1)) for d.
func Hypervolume(points [][]float64, reference []float64) float64 {
	var above [][]float64
	for _, p := range points {
		if !slices.ContainsFunc(p, math.IsNaN) && strictlyAbove(p, reference) {
			above = append(above, p)
		}
	}
	return volume(above, reference)
}

func strictlyAbove(p, reference []float64) bool {
	for i := range p {
		if p[i] <= reference[i] {
			return false
		}
	}
	return true
}

// volume cuts the dominated region into slabs along the last objective.
func volume(points [][]float64, reference []float64) float64 {
	last := len(reference) - 1
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b []float64) int { return cmp.Compare(b[last], a[last]) })
	sum, widest := 0.0, 0.0
	for i, p := range points {
		floor := reference[last]
		if i+1 < len(points) {
			floor = points[i+1][last]
		}
		switch last {
		case 0:
			return p[0] - reference[0]
		case 1:
			widest = max(widest, p[0]-reference[0])
			sum += float64((p[1] - floor) * widest)
		default:
			if p[last] > floor {
				sum += float64((p[last] - floor) * volume(points[:i+1], reference[:last]))
			}
		}
	}
	return sum
}
