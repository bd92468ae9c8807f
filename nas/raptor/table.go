package raptor

import (
	"fmt"

	"eyrie/nas/arch"
)

// Cost is what a subnet costs on a platform: an Estimate without its layers.
type Cost struct {
	Latency     float64 // s
	Energy      float64 // J
	Mu          float64 // NPU cycles / SYS cycles; 0 where nothing is moved
	NPUCycles   float64
	SYSCycles   float64
	MACs        int64
	Params      int64
	PeakMemory  int // bytes
	Unsupported int // layers whose weights are beyond the platform's limit
}

// Table prices the subnets of a space by adding up what was priced once for
// every block that a subnet can have. Its results are those of
// [Platform.Estimate], up to the order of summation. It is safe for use by
// several goroutines.
type Table struct {
	platform   Platform
	space      arch.Space
	expansions []int8 // index of an expansion among the space's, or −1
	kernels    []int8
	at         []resolution // by index in the space's resolutions
}

// resolution holds the parts of subnets at one resolution.
type resolution struct {
	pixels     int
	stem, tail Part
	groups     []groupParts
}

// groupParts holds the blocks that a group can have. Blocks after its first
// all have the same shapes.
type groupParts struct {
	elastic     bool
	closes      bool // the scope of what may stay ends with the group
	first, next []Part
}

// NewTable prices every block that subnets of the space can have on the
// platform. What does not fit is an error only for a subnet that has it.
func NewTable(p Platform, s arch.Space) (*Table, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("platform: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("space: %w", err)
	}
	t := &Table{platform: p, space: s, expansions: indices(s.Expansions), kernels: indices(s.Kernels)}
	for _, r := range s.Resolutions {
		t.at = append(t.at, newResolution(&p, s, r))
	}
	return t, nil
}

// indices inverts a list of choices.
func indices(values []int) []int8 {
	inv := make([]int8, values[len(values)-1]+1)
	for v := range inv {
		inv[v] = -1
	}
	for i, v := range values {
		inv[v] = int8(i)
	}
	return inv
}

func newResolution(p *Platform, s arch.Space, pixels int) resolution {
	n := s.Largest()
	n.Resolution = pixels
	r := resolution{pixels: pixels, groups: make([]groupParts, len(s.Backbone.Groups))}
	blocks, most := make([][]arch.Block, len(r.groups)), 0
	for i := range r.groups {
		r.groups[i].elastic = s.Elastic(i)
		blocks[i] = s.Blocks(i)
		most = max(most, len(blocks[i]))
	}
	// What a part costs depends on no other part: one network has a choice for all groups.
	for choice := range most {
		for i := range n.Groups {
			for j := range n.Groups[i] {
				n.Groups[i][j] = blocks[i][min(choice, len(blocks[i])-1)]
			}
		}
		r.price(p, s.Network(n), n, blocks, choice)
	}
	return r
}

// price prices the parts of a subnet whose groups have the choice of their blocks.
func (r *resolution) price(p *Platform, net arch.Network, n arch.Subnet, blocks [][]arch.Block, choice int) {
	closes := p.closes(&net)
	price := func(from, to string) Part {
		first, last := net.Range(from, to)
		part, _ := p.part(&net, closes, first, last) // what does not fit has no ways
		if last < len(net.Layers) && closes != nil && closes[last-1] {
			part.close()
		}
		return part
	}
	if choice == 0 {
		r.stem = price("stem", "stem")
		r.tail = price("head", "classifier")
	}
	for i := range r.groups {
		if choice >= len(blocks[i]) {
			continue
		}
		g, name := &r.groups[i], fmt.Sprintf("g%d.b", i+1)
		g.first = append(g.first, price(name+"1", name+"1"))
		if len(n.Groups[i]) > 1 {
			g.next = append(g.next, price(name+"2", name+"2"))
		}
		_, end := net.Range("stem", fmt.Sprint(name, len(n.Groups[i])))
		g.closes = closes != nil && closes[end-1]
	}
}

// part returns the part of block j of a group, or nil if the block is not in the
// space.
func (t *Table) part(g *groupParts, j int, b arch.Block) *Part {
	parts := g.next
	if j == 0 {
		parts = g.first
	}
	i := 0
	if g.elastic {
		if uint(b.Expansion) >= uint(len(t.expansions)) || uint(b.Kernel) >= uint(len(t.kernels)) {
			return nil
		}
		e, k := t.expansions[b.Expansion], t.kernels[b.Kernel]
		if e < 0 || k < 0 {
			return nil
		}
		i = int(e)*len(t.space.Kernels) + int(k)
	}
	if i >= len(parts) {
		return nil
	}
	return &parts[i]
}

// Estimate prices a subnet into c. It fails where the subnet is not in the
// space, and with an [InfeasibleError] where it does not fit.
func (t *Table) Estimate(n *arch.Subnet, c *Cost) error {
	r := t.find(n.Resolution)
	if r == nil || len(n.Groups) != len(r.groups) {
		return t.space.Contains(*n)
	}
	*c = Cost{}
	here, there := Start(), Prefix{}
	s, next := &here, &there
	add := func(p *Part) {
		next.Extend(s, p)
		s, next = next, s
		c.count(p)
	}
	add(&r.stem)
	for i, blocks := range n.Groups {
		g := &r.groups[i]
		for j, b := range blocks {
			p := t.part(g, j, b)
			if p == nil {
				return t.space.Contains(*n)
			}
			add(p)
		}
	}
	add(&r.tail)
	whole := &s[Stored]
	if !whole.exists() {
		return t.explain(n)
	}
	c.SYSCycles, c.PeakMemory = whole.SYS, whole.Peak
	c.Latency = whole.Cycles / t.platform.Clock
	c.Energy = c.Latency * t.platform.Power
	c.Mu = Mu(c.NPUCycles, c.SYSCycles)
	return nil
}

func (c *Cost) count(p *Part) {
	c.NPUCycles += p.NPU
	c.MACs += p.MACs
	c.Params += p.Params
	c.Unsupported += p.Oversize
}

// explain says why a subnet has no cost.
func (t *Table) explain(n *arch.Subnet) error {
	if err := t.space.Contains(*n); err != nil {
		return err
	}
	if _, err := t.platform.Estimate(t.space.Network(*n)); err != nil {
		return err
	}
	panic(fmt.Sprintf("raptor.Table: %v has an estimate, but not through the table", *n))
}

func (t *Table) find(pixels int) *resolution {
	for i := range t.at {
		if t.at[i].pixels == pixels {
			return &t.at[i]
		}
	}
	return nil
}
