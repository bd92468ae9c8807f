package report

import (
	"fmt"
	"html"
	"html/template"
	"slices"
	"strings"
	"time"

	"eyrie/pipeline"
)

// node is a box of the drawing: a step, or all instances of one with for_each.
// Nodes without a name are bends of edges that cross a column.
type node struct {
	name, anchor, stage string
	ran, cached, others int
	elapsed             time.Duration
	column, row         int
	x, y                int // upper left corner
	order               float64
	in, out             []*node
	bend                *node // in the next column, of all edges that go beyond it
}

// The drawing's measures, in pixels.
const (
	nodeWidth  = 168
	nodeHeight = 46
	bendHeight = 4
	columnGap  = 56
	rowGap     = 14
)

// drawGraph draws the steps from left to right: each in the column behind the
// last of those that it needs, rows ordered so that few edges cross (Sugiyama,
// Tagawa and Toda, 1981: barycentres, some sweeps).
func drawGraph(lineage []pipeline.Ancestor) template.HTML {
	if len(lineage) == 0 {
		return ""
	}
	columns := layOut(join(lineage))
	width := len(columns)*(nodeWidth+columnGap) - columnGap + 4
	height := stack(columns) + 4
	var edges, boxes strings.Builder
	for _, c := range columns {
		for _, n := range c {
			drawNode(&edges, &boxes, n)
		}
	}
	return template.HTML(fmt.Sprintf(`<svg class="graph" role="img" aria-label="the steps and what they need" width="%d" height="%d" viewBox="0 0 %d %d">%s%s</svg>`,
		width, height, width, height, edges.String(), boxes.String()))
}

// join makes a node of each step's name and connects them.
func join(lineage []pipeline.Ancestor) []*node {
	byName := map[string]*node{}
	var nodes []*node
	at := func(id string) *node { return byName[baseName(id)] }
	for _, a := range lineage {
		n := at(a.ID)
		if n == nil {
			n = &node{name: baseName(a.ID), anchor: pipeline.Anchor(a.ID), stage: a.Stage}
			byName[n.name] = n
			nodes = append(nodes, n)
		}
		switch {
		case !a.Finished:
			n.others++
		case a.Cached:
			n.cached++
		default:
			n.ran++
		}
		n.elapsed += a.Elapsed
		for _, d := range a.Deps {
			if from := at(d); from != nil && from != n && !slices.Contains(n.in, from) {
				n.in = append(n.in, from)
				n.column = max(n.column, from.column+1)
			}
		}
	}
	return nodes
}

// baseName is the ID without the key of an instance.
func baseName(id string) string {
	name, _, _ := strings.Cut(id, "[")
	return name
}

// layOut puts nodes into columns and orders the rows. The edges of a node that
// reach over several columns share a bend in each.
func layOut(nodes []*node) [][]*node {
	var columns [][]*node
	place := func(n *node) {
		for len(columns) <= n.column {
			columns = append(columns, nil)
		}
		columns[n.column] = append(columns[n.column], n)
	}
	for _, n := range nodes {
		place(n)
	}
	for _, n := range nodes {
		for i, from := range n.in {
			for from.column+1 < n.column {
				if from.bend == nil {
					from.bend = &node{column: from.column + 1, in: []*node{from}}
					from.out = append(from.out, from.bend)
					place(from.bend)
				}
				from = from.bend
			}
			n.in[i] = from
			from.out = append(from.out, n)
		}
	}
	for sweep := range 8 {
		for i := range columns {
			c := columns[i]
			if sweep%2 == 1 {
				c = columns[len(columns)-1-i]
			}
			sortColumn(c, sweep%2 == 0)
		}
	}
	return columns
}

// sortColumn orders a column by the mean rows of what its nodes are joined to,
// before or behind it.
func sortColumn(c []*node, before bool) {
	for row, n := range c {
		neighbours := n.out
		if before {
			neighbours = n.in
		}
		n.order = float64(row)
		if len(neighbours) > 0 {
			n.order = 0
			for _, m := range neighbours {
				n.order += float64(m.row) / float64(len(neighbours))
			}
		}
	}
	slices.SortStableFunc(c, func(a, b *node) int {
		switch {
		case a.order < b.order:
			return -1
		case a.order > b.order:
			return 1
		}
		return 0
	})
	for row, n := range c {
		n.row = row
	}
}

// stack gives each node its corner, columns centred beside each other, and
// returns the height of the highest.
func stack(columns [][]*node) int {
	heights, highest := make([]int, len(columns)), 0
	for i, c := range columns {
		for _, n := range c {
			n.x, n.y = 2+i*(nodeWidth+columnGap), 2+heights[i]
			heights[i] += n.height() + rowGap
		}
		heights[i] -= rowGap
		highest = max(highest, heights[i])
	}
	for i, c := range columns {
		for _, n := range c {
			n.y += (highest - heights[i]) / 2
		}
	}
	return highest
}

func (n *node) height() int {
	if n.name == "" {
		return bendHeight
	}
	return nodeHeight
}

func (n *node) middle() int { return n.y + n.height()/2 }

func drawNode(edges, boxes *strings.Builder, n *node) {
	x, y, mid := n.x, n.y, n.middle()
	for _, from := range n.in {
		fx, fy := from.x+nodeWidth, from.middle()
		bend := columnGap / 2
		fmt.Fprintf(edges, `<path class="edge" d="M%d,%d C%d,%d %d,%d %d,%d"/>`, fx, fy, fx+bend, fy, x-bend, mid, x, mid)
	}
	if n.name == "" { // a bend: straight through the column
		fmt.Fprintf(edges, `<path class="edge" d="M%d,%d H%d"/>`, x, mid, x+nodeWidth)
		return
	}
	class := "cached"
	if n.ran > 0 {
		class = "ran"
	}
	fmt.Fprintf(boxes, `<a href="#%s"><g class="node %s"><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="6"/><text class="name" x="%d" y="%d">%s</text><text x="%d" y="%d">%s</text></g></a>`,
		n.anchor, class, html.EscapeString(n.name+": "+n.stage+", "+n.sum()), x, y, nodeWidth, nodeHeight,
		x+10, y+19, html.EscapeString(short(n.name, 20)), x+10, y+36, html.EscapeString(short(n.sum(), 26)))
}

// sum says how the node's steps ended: "ran, 12 s", "3 cached, 1.2 s".
func (n *node) sum() string {
	var parts []string
	total := n.ran + n.cached + n.others
	for _, p := range []struct {
		n    int
		word string
	}{{n.ran, "ran"}, {n.cached, "cached"}, {n.others, "not finished"}} {
		switch {
		case p.n == 0:
		case total == 1:
			parts = append(parts, p.word)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return strings.Join(append(parts, took(n.elapsed)), ", ")
}

func short(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
