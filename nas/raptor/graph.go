package raptor

import "eyrie/nas/arch"

// Node is a state on the way through a subnet: the block just passed and the
// place of its result. The first node comes before the stem (Group −1), the
// last one after the classifier (Group = number of groups).
type Node struct {
	Group, Index int // from 0
	Block        arch.Block
	Place        Place
}

// Edge leads from a node to a later one through a block (and stem or tail).
type Edge struct {
	To     int // index of a node
	Cycles float64
	MACs   int64
	Params int64
	Peak   int // most bytes of local memory occupied on the way
}

// Graph returns all subnets of one resolution of the space as the paths from
// the first node to the last. A path's cycles are those of the subnet run with
// maps in the places of its nodes; the least over the paths of one subnet is
// the subnet's estimate. So the best path under a limit is the best subnet
// under it. Layers whose weights are beyond the platform's limit are left out.
func (t *Table) Graph(pixels int) (nodes []Node, edges [][]Edge) {
	r := t.find(pixels)
	if r == nil {
		return nil, nil
	}
	g := graph{table: t, r: r}
	g.node(Node{Group: -1, Place: Stored})
	g.part(&r.stem, []int{0}, Node{Group: -1, Index: 1})
	last := g.level
	for i := range r.groups {
		last = g.group(i, last)
	}
	g.part(&r.tail, last, Node{Group: len(r.groups)})
	return g.nodes, g.edges
}

// Subnet returns the subnet whose blocks a path through Graph's nodes passes.
func (t *Table) Subnet(pixels int, path []Node) arch.Subnet {
	n := arch.Subnet{Resolution: pixels, Groups: make([][]arch.Block, len(t.space.Backbone.Groups))}
	for _, v := range path {
		if v.Group >= 0 && v.Group < len(n.Groups) {
			n.Groups[v.Group] = append(n.Groups[v.Group], v.Block)
		}
	}
	return n
}

// graph is a Graph being built.
type graph struct {
	table *Table
	r     *resolution
	nodes []Node
	edges [][]Edge
	level []int // nodes made by the last call of part
}

func (g *graph) node(n Node) int {
	g.nodes = append(g.nodes, n)
	g.edges = append(g.edges, nil)
	return len(g.nodes) - 1
}

// group adds the blocks of group i after the nodes in before, and returns the
// nodes with which the group can end.
func (g *graph) group(i int, before []int) (ends []int) {
	parts := &g.r.groups[i]
	depths := g.table.space.GroupDepths(i)
	for j, depth := 0, depths[len(depths)-1]; j < depth; j++ {
		var level []int
		for _, b := range g.table.space.Blocks(i) {
			g.part(g.table.part(parts, j, b), before, Node{Group: i, Index: j, Block: b})
			level = append(level, g.level...)
		}
		before = level
		for _, d := range depths {
			if d != j+1 {
				continue
			}
			for _, n := range level {
				if !parts.closes || g.nodes[n].Place == Stored {
					ends = append(ends, n)
				}
			}
		}
	}
	return ends
}

// part adds a part after the nodes in before: a node for each place of its
// result that some way leads to.
func (g *graph) part(p *Part, before []int, to Node) {
	g.level = nil
	if p.Oversize > 0 {
		return
	}
	for out := range places {
		index := -1
		for _, from := range before {
			w := p.Ways[g.nodes[from].Place][out]
			if !w.exists() {
				continue
			}
			if index < 0 {
				to.Place = out
				index = g.node(to)
				g.level = append(g.level, index)
			}
			g.edges[from] = append(g.edges[from], Edge{index, w.Cycles, p.MACs, p.Params, w.Peak})
		}
	}
}
