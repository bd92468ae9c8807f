package search

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomGraph returns a graph of n layers of up to width nodes, in which edges
// may skip layers as a group's depth does, with integer costs and values, which
// add up the same in any order.
func randomGraph(rng *rand.Rand, layers, width int) Graph {
	starts := []int{0}
	next := 1
	for range layers {
		starts = append(starts, next)
		next += 1 + rng.IntN(width)
	}
	starts = append(starts, next, next+1)
	g := make(Graph, next+1)
	for layer := range layers + 1 {
		for node := starts[layer]; node < starts[layer+1]; node++ {
			for to := starts[layer+1]; to < min(starts[min(layer+3, len(starts)-1)], len(g)); to++ {
				if rng.IntN(4) > 0 {
					g[node] = append(g[node], Edge{to, float64(rng.IntN(20)), float64(rng.IntN(20))})
				}
			}
		}
	}
	return g
}

// paths enumerates all paths.
func (g Graph) paths(node int, so Path, yield func(Path)) {
	if node == len(g)-1 {
		yield(so)
		return
	}
	for i, e := range g[node] {
		edges := append(slices.Clone(so.Edges), i)
		g.paths(e.To, Path{edges, so.Cost + e.Cost, so.Value + e.Value}, yield)
	}
}

// The optimum, the cheapest path and the front are those of enumeration, on
// random graphs and at every limit.
func TestExactEqualsEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		g := randomGraph(rng, 1+rng.IntN(5), 4)
		var all []Path
		g.paths(0, Path{}, func(p Path) { all = append(all, p) })
		least := math.Inf(1)
		for _, p := range all {
			least = min(least, p.Cost)
		}
		if p, ok := g.Cheapest(); ok != (len(all) > 0) || ok && p.Cost != least {
			t.Fatalf("Cheapest() = %v, %v; want cost %v of %d paths", p, ok, least, len(all))
		}
		limits := []float64{math.Inf(1)}
		for limit := -1.0; limit < 100; limit += 1 + float64(rng.IntN(5)) {
			limits = append(limits, limit)
		}
		for _, limit := range limits {
			want := Path{Value: -1}
			points := [][]float64{}
			for _, p := range all {
				if p.Cost > limit {
					continue
				}
				points = append(points, []float64{p.Value, -p.Cost})
				if p.Value > want.Value || p.Value == want.Value && p.Cost < want.Cost {
					want = p
				}
			}
			got, ok := g.Best(limit)
			if ok != (want.Value >= 0) || ok && (got.Value != want.Value || got.Cost != want.Cost) {
				t.Fatalf("Best(%v) = %v, %v; want %v", limit, got, ok, want)
			}
			checkPath(t, g, got, ok)
			front := map[[2]float64]bool{}
			for _, i := range Front(points) {
				front[[2]float64(points[i])] = true
			}
			paths := g.Front(limit)
			for _, p := range paths {
				if !front[[2]float64{p.Value, -p.Cost}] {
					t.Fatalf("Front(%v) has %v, which is not on the enumerated front", limit, p)
				}
				checkPath(t, g, p, true)
			}
			if len(paths) != len(front) {
				t.Fatalf("Front(%v) has %d points, want %d", limit, len(paths), len(front))
			}
		}
	}
}

// checkPath verifies that the path leads to the last node and that its edges
// add up to its cost and value.
func checkPath(t *testing.T, g Graph, p Path, ok bool) {
	t.Helper()
	if !ok {
		return
	}
	node, cost, value := 0, 0.0, 0.0
	for _, i := range p.Edges {
		e := g[node][i]
		node, cost, value = e.To, cost+e.Cost, value+e.Value
	}
	if node != len(g)-1 || cost != p.Cost || value != p.Value {
		t.Fatalf("%v leads to node %d of %d with cost %v, value %v", p, node, len(g)-1, cost, value)
	}
}

// elastic returns a graph the size of the paper's space: 5 groups of 2 to 4
// blocks, 6 choices each, costs that are no integers.
func elastic(rng *rand.Rand) Graph {
	const groups, depth, choices = 5, 4, 6
	node := func(group, block, choice int) int { return 1 + (group*depth+block)*choices + choice }
	end := node(groups, 0, 0)
	g := make(Graph, end+1)
	for from := range end {
		at := (from - 1) / choices
		group, block := at/depth, at%depth
		var next []int
		if from == 0 {
			next = []int{node(0, 0, 0)}
		} else {
			if block+1 < depth {
				next = append(next, node(group, block+1, 0))
			}
			if block > 0 {
				next = append(next, node(group+1, 0, 0))
			}
		}
		for _, to := range next {
			for choice := range choices {
				macs := math.Round(1e5 * float64(1+choice) * (1 + rng.Float64()/10))
				if to == end {
					g[from] = append(g[from], Edge{end, 1e-3, 1e5})
					break
				}
				g[from] = append(g[from], Edge{to + choice, macs * 1e-8 * (0.7 + 0.6*rng.Float64()), macs})
			}
		}
	}
	return g
}

func BenchmarkBest(b *testing.B) {
	g := elastic(rand.New(rand.NewPCG(1, 1)))
	cheapest, _ := g.Cheapest()
	for b.Loop() {
		if _, ok := g.Best(2.5 * cheapest.Cost); !ok {
			b.Fatal("no path")
		}
	}
}
