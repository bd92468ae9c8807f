package pipeline

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/dominikbraun/graph"
)

// Graph holds a recipe's steps by ID; an edge leads from a step to each one
// that needs it.
type Graph = graph.Graph[string, *Step]

// CycleError reports steps that need each other.
type CycleError struct {
	Steps []*Step // each needs the next, the last needs the first
}

func (e *CycleError) Error() string {
	var b strings.Builder
	for _, s := range e.Steps {
		fmt.Fprintf(&b, "%s (%s) needs ", s.ID, s.Pos)
	}
	return "the steps need each other: " + b.String() + e.Steps[0].ID
}

// NewGraph builds the graph of the steps. Every dependency must be one of them.
func NewGraph(steps []*Step) (Graph, error) {
	g := graph.New(func(s *Step) string { return s.ID }, graph.Directed())
	for _, s := range steps {
		if err := g.AddVertex(s); err != nil {
			return nil, fmt.Errorf("%s: step %s: %w", s.Pos, s.ID, err)
		}
	}
	for _, s := range steps {
		for _, d := range s.Deps {
			err := g.AddEdge(d, s.ID)
			if err != nil && !errors.Is(err, graph.ErrEdgeAlreadyExists) {
				return nil, fmt.Errorf("%s: step %s needs %s: %w", s.Pos, s.ID, d, err)
			}
		}
	}
	return g, nil
}

// Reduce returns the graph of the steps, which must be in order, without the
// edges that follow from others. It looks, for 64 steps at a time, which others
// need them, and so takes linear space and a 64th of steps × edges in time.
// (The graph library's own reduction takes seconds for 10,000 steps.)
func Reduce(sorted []*Step) (Graph, error) {
	g, err := NewGraph(sorted)
	if err != nil {
		return nil, err
	}
	deps := indices(sorted)
	needs := make([]uint64, len(sorted)) // by step: a bit for each of the 64 that it needs, directly or not
	for first := 0; first < len(sorted); first += 64 {
		clear(needs)
		for i := first; i < len(sorted); i++ {
			var direct, indirect uint64
			for _, d := range deps[i] {
				indirect |= needs[d]
				if k := d - first; 0 <= k && k < 64 {
					direct |= 1 << k
				}
			}
			needs[i] = direct | indirect
			for both := direct & indirect; both != 0; both &= both - 1 {
				if err := g.RemoveEdge(sorted[first+bits.TrailingZeros64(both)].ID, sorted[i].ID); err != nil {
					return nil, err
				}
			}
		}
	}
	return g, nil
}

// indices returns the dependencies of each step as indices into steps.
func indices(steps []*Step) [][]int {
	index := make(map[string]int, len(steps))
	for i, s := range steps {
		index[s.ID] = i
	}
	deps := make([][]int, len(steps))
	for i, s := range steps {
		for _, d := range s.Deps {
			deps[i] = append(deps[i], index[d])
		}
	}
	return deps
}

// Order returns the steps so that each comes after those it needs, otherwise
// in the order given. It fails with a [CycleError]. It takes linear time, in which a list
// of dependencies that many steps share counts once, and does not recurse. (The graph
// library's own sort is quadratic and not stable.)
func Order(steps []*Step) ([]*Step, error) {
	index := make(map[string]int, len(steps))
	for i, s := range steps {
		index[s.ID] = i
	}
	const visiting, done = 1, 2
	state := make([]byte, len(steps))
	next := make([]int, len(steps)) // how many of the dependencies were looked at
	sorted := make([]*Step, 0, len(steps))
	over := make(map[*string]int) // by where a list of dependencies begins: how many of it are done
	var path []int
	for root := range steps {
		if state[root] == 0 {
			state[root] = visiting
			path = append(path, root)
		}
		for len(path) > 0 {
			i := path[len(path)-1]
			s := steps[i]
			if next[i] == 0 && len(s.Deps) > 0 {
				next[i] = min(over[&s.Deps[0]], len(s.Deps))
			}
			if next[i] == len(s.Deps) {
				if next[i] > 0 {
					over[&s.Deps[0]] = max(over[&s.Deps[0]], next[i])
				}
				state[i] = done
				sorted = append(sorted, s)
				path = path[:len(path)-1]
				continue
			}
			d, ok := index[s.Deps[next[i]]]
			if !ok {
				return nil, fmt.Errorf("%s: step %s needs %s, which is not in the recipe", s.Pos, s.ID, s.Deps[next[i]])
			}
			next[i]++
			switch state[d] {
			case visiting:
				return nil, cycle(steps)
			case 0:
				state[d] = visiting
				path = append(path, d)
			}
		}
	}
	return sorted, nil
}

// cycle finds the first of the steps' cycles: a shortest one through the first
// step, in the order given, that lies in a strongly connected component.
func cycle(steps []*Step) error {
	g, err := NewGraph(steps)
	if err != nil {
		return err
	}
	components, err := graph.StronglyConnectedComponents(g)
	if err != nil {
		return err
	}
	component := make(map[string]int, len(steps))
	for i, c := range components {
		for _, id := range c {
			component[id] = i
		}
	}
	byID := make(map[string]*Step, len(steps))
	for _, s := range steps {
		byID[s.ID] = s
	}
	for _, s := range steps {
		if slices.Contains(s.Deps, s.ID) {
			return &CycleError{[]*Step{s}}
		}
		if c := component[s.ID]; len(components[c]) > 1 {
			return &CycleError{loop(s, byID, func(id string) bool { return component[id] == c })}
		}
	}
	return errors.New("the steps need each other, but no cycle was found")
}

// loop returns the shortest way from start over dependencies back to start.
func loop(start *Step, byID map[string]*Step, inside func(id string) bool) []*Step {
	from := map[string]*Step{} // breadth first: who reached this step
	queue := []*Step{start}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for _, d := range s.Deps {
			if d == start.ID {
				way := []*Step{s}
				for s != start {
					s = from[s.ID]
					way = append(way, s)
				}
				slices.Reverse(way)
				return way
			}
			if _, seen := from[d]; !seen && inside(d) {
				from[d] = s
				queue = append(queue, byID[d])
			}
		}
	}
	return []*Step{start}
}
