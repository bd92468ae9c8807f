package evolve

import (
	"slices"
	"sort"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/nas/search"
)

// choices is a space as a graph in which the best subnet is the best path. The
// first edge chooses the resolution, each further one a block (and the place
// of its result); its cost is the latency in seconds, its value what it adds to
// the objective.
type choices struct {
	model *model
	graph search.Graph
	steps [][]step // what each edge chooses
	adds  func(step, raptor.Edge) float64
}

// step is what an edge chooses: at the start a resolution, then a node of its
// raptor.Table.Graph.
type step struct {
	start      bool
	resolution int
	node       raptor.Node
}

// state is what the blocks to come have to know of those before them.
type state struct {
	group, index int
	place        raptor.Place
}

// choices returns the graph of all subnets that occupy at most memory bytes of local
// memory; 0 for no limit. A choice's value is what adds returns.
func (m *model) choices(memory int, adds func(step, raptor.Edge) float64) *choices {
	c := &choices{model: m, adds: adds}
	c.node()
	for _, r := range m.codec.space.Resolutions {
		c.add(r, memory)
	}
	last := c.node()
	for _, edges := range c.graph[:last] {
		for i := range edges {
			if edges[i].To == toLast {
				edges[i].To = last
			}
		}
	}
	return c
}

// toLast stands for the last node while the graph grows.
const toLast = -1

func (c *choices) node() int {
	c.graph, c.steps = append(c.graph, nil), append(c.steps, nil)
	return len(c.graph) - 1
}

// add adds the subnets of one resolution. Nodes of raptor's graph that differ
// in their block only have the same ways on, and are one node here.
func (c *choices) add(resolution, memory int) {
	nodes, edges := c.model.table.Graph(resolution)
	states := map[state]int{}
	of := func(n raptor.Node) int {
		if n.Group == len(c.model.codec.first) {
			return toLast
		}
		s := state{n.Group, n.Index, n.Place}
		if _, ok := states[s]; !ok {
			states[s] = c.node()
		}
		return states[s]
	}
	for _, n := range nodes { // in their order, so that edges lead to later nodes
		of(n)
	}
	c.edge(0, of(nodes[0]), raptor.Edge{}, step{start: true, resolution: resolution})
	for i, n := range nodes {
		from := of(n)
		if from == toLast || len(c.graph[from]) > 0 {
			continue // another block's node was first
		}
		for _, e := range edges[i] {
			if memory == 0 || e.Peak <= memory {
				c.edge(from, of(nodes[e.To]), e, step{resolution: resolution, node: nodes[e.To]})
			}
		}
	}
}

func (c *choices) edge(from, to int, e raptor.Edge, s step) {
	c.graph[from] = append(c.graph[from], search.Edge{To: to, Cost: e.Cycles / c.model.platform.Clock, Value: c.adds(s, e)})
	c.steps[from] = append(c.steps[from], s)
}

// subnet returns the subnet that a path chooses.
func (c *choices) subnet(p search.Path) arch.Subnet {
	var resolution int
	var passed []raptor.Node
	node := 0
	for _, i := range p.Edges {
		if s := c.steps[node][i]; s.start {
			resolution = s.resolution
		} else {
			passed = append(passed, s.node)
		}
		node = c.graph[node][i].To
	}
	return c.model.table.Subnet(resolution, passed)
}

// leastMemory returns how little local memory a subnet can do with.
func (m *model) leastMemory() int {
	var peaks []int
	for _, r := range m.codec.space.Resolutions {
		_, all := m.table.Graph(r)
		for _, edges := range all {
			for _, e := range edges {
				peaks = append(peaks, e.Peak)
			}
		}
	}
	slices.Sort(peaks)
	peaks = slices.Compact(peaks)
	return peaks[sort.Search(len(peaks)-1, func(i int) bool {
		_, ok := m.choices(max(1, peaks[i]), macs().adds).graph.Cheapest()
		return ok
	})]
}
