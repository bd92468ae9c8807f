package search

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Graph is an acyclic graph of choices, whose paths from the first node to the
// last are what there is to choose from. A node's edges lead to later nodes.
// Where a network's cost couples only neighbours, a node is what the next block
// has to know of those before it, and an edge is a choice for that block.
type Graph [][]Edge

// Edge is a step of a path.
type Edge struct {
	To    int     // a later node
	Cost  float64 // what is limited; not negative
	Value float64 // what is wanted
}

// Path is a way from a graph's first node to its last.
type Path struct {
	Edges []int // the index of the edge taken from each node on the way
	Cost  float64
	Value float64
}

// Cheapest returns a path of the least cost. ok is false where no path leads
// to the last node.
func (g Graph) Cheapest() (p Path, ok bool) {
	return g.longest(0, -1).path(g)
}

// Best returns the path of the most value among those that cost no more than
// the limit, and of several such the cheapest. ok is false where there is none.
//
// It is dynamic programming over labels (cost, value), of which a node keeps
// those that no other dominates. A label is dropped when the cheapest way on
// exceeds the limit, or when its Lagrangian bound, the most of
// value − λ·(cost − limit) over all ways on, is below a path already known:
// with the λ of the tightest bound only the core of the problem is left.
func (g Graph) Best(limit float64) (p Path, ok bool) {
	limit = min(limit, math.MaxFloat64) // +Inf times a λ of 0 is no number
	known, ok := g.Cheapest()
	if !ok || known.Cost > limit {
		return Path{}, false
	}
	lambda, known := g.relax(limit, known)
	cheapest, way := g.longest(0, -1).most, g.longest(1, -lambda)
	slack := float64(1e-9 * (math.Abs(known.Value) + float64(lambda*limit))) // sums in another order differ in their last digits
	goal := known.Value
	labels := g.label(func(node int, l label) bool {
		if l.cost-cheapest[node] > limit || l.value-float64(lambda*(l.cost-limit))+way.most[node] < goal-slack {
			return false
		}
		if e := way.end[node]; l.cost+e.cost <= limit {
			goal = max(goal, l.value+e.value) // the relaxed way on is a way on
		}
		return true
	})
	last := len(g) - 1
	if len(labels[last]) == 0 { // the limit is met only in the other order of summation
		return known, true
	}
	return g.trace(labels, len(labels[last])-1), true
}

// Front returns the paths within a limit on the cost that no other dominates,
// by ascending cost and value.
func (g Graph) Front(limit float64) []Path {
	cheapest := g.longest(0, -1).most
	labels := g.label(func(node int, l label) bool { return l.cost-cheapest[node] <= limit })
	paths := make([]Path, len(labels[len(g)-1]))
	for i := range paths {
		paths[i] = g.trace(labels, i)
	}
	return paths
}

// relax returns the λ that bounds the value under the limit most tightly, and
// the best path within the limit that it met on its way there.
func (g Graph) relax(limit float64, known Path) (lambda float64, best Path) {
	best = known
	within := func(lambda float64) bool {
		p, _ := g.longest(1, -lambda).path(g)
		if p.Cost > limit {
			return false
		}
		if p.Value > best.Value {
			best = p
		}
		return true
	}
	if within(0) {
		return 0, best
	}
	low, high := 0.0, 1.0
	for !within(high) && high < math.MaxFloat64/2 {
		low, high = high, 2*high
	}
	for range 64 {
		mid := low + float64((high-low)/2)
		if within(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high, best
}

// ways holds, for each node, the most of a weighted sum that a way to the last
// node collects (−Inf where none leads there), that way's first edge, and its
// cost and value.
type ways struct {
	most []float64
	next []int
	end  []label
}

// longest weighs each edge by value·Value + cost·Cost.
func (g Graph) longest(value, cost float64) ways {
	w := ways{make([]float64, len(g)), make([]int, len(g)), make([]label, len(g))}
	for node := len(g) - 2; node >= 0; node-- {
		w.most[node] = math.Inf(-1)
		for i, e := range g[node] {
			if e.To <= node {
				panic(fmt.Sprintf("search: an edge leads from node %d back to %d", node, e.To))
			}
			if m := float64(value*e.Value) + float64(cost*e.Cost) + w.most[e.To]; m > w.most[node] {
				w.most[node], w.next[node] = m, i
				w.end[node] = label{cost: e.Cost + w.end[e.To].cost, value: e.Value + w.end[e.To].value}
			}
		}
	}
	return w
}

// path follows the ways from the first node.
func (w ways) path(g Graph) (p Path, ok bool) {
	if math.IsInf(w.most[0], -1) {
		return p, false
	}
	for node := 0; node < len(g)-1; {
		e := g[node][w.next[node]]
		p.Edges = append(p.Edges, w.next[node])
		p.Cost += e.Cost
		p.Value += e.Value
		node = e.To
	}
	return p, true
}

// label is a way from the first node to some node.
type label struct {
	cost, value float64
	node, index int32 // the label it goes on from
	edge        int32 // the edge that it takes there
}

// label returns for each node the labels, of those kept, that no other one
// there dominates, by ascending cost and value.
func (g Graph) label(keep func(node int, l label) bool) [][]label {
	labels := make([][]label, len(g))
	labels[0] = []label{{}}
	for node, edges := range g {
		labels[node] = undominated(labels[node])
		for k, e := range edges {
			for i, l := range labels[node] {
				l = label{l.cost + e.Cost, l.value + e.Value, int32(node), int32(i), int32(k)}
				if keep(e.To, l) {
					labels[e.To] = append(labels[e.To], l)
				}
			}
		}
	}
	return labels
}

// undominated sorts the labels and keeps those that are worth more than
// every cheaper one.
func undominated(labels []label) []label {
	slices.SortFunc(labels, func(a, b label) int {
		if a.cost != b.cost {
			return cmp.Compare(a.cost, b.cost)
		}
		return cmp.Compare(b.value, a.value)
	})
	kept := labels[:0]
	for _, l := range labels {
		if len(kept) == 0 || l.value > kept[len(kept)-1].value {
			kept = append(kept, l)
		}
	}
	return kept
}

// trace returns the path that ends in one of the last node's labels.
func (g Graph) trace(labels [][]label, index int) Path {
	node := len(g) - 1
	p := Path{Cost: labels[node][index].cost, Value: labels[node][index].value}
	for node != 0 {
		l := labels[node][index]
		p.Edges = append(p.Edges, int(l.edge))
		node, index = int(l.node), int(l.index)
	}
	slices.Reverse(p.Edges)
	return p
}
