package evolve

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"eyrie/nas/arch"
)

// genome is a subnet in few bytes, one per slot of its codec: 1 + the index of
// the choice made there, or 0 where the slot is a block beyond its group's
// depth. Equal subnets have equal genomes.
type genome string

// slot is one choice in a space: the resolution, a group's depth, or a block's
// expansion and kernel.
type slot struct {
	choices int
	depths  []int // of a block: what its group's depth can be
	depth   int   // of a block: the slot that chooses it
	block   int   // of a block: its index in the group
}

// codec translates between the subnets of a space and genomes. Its slots are
// the resolution, then for each elastic group the depth and each block.
type codec struct {
	space  arch.Space
	slots  []slot
	first  []int        // of each group: the slot of its depth; 0 where nothing is elastic
	depths [][]int      // of each group: the depths that it can have
	blocks []arch.Block // what a block can be, by choice
}

func newCodec(space arch.Space) (*codec, error) {
	c := &codec{space: space, slots: []slot{{choices: len(space.Resolutions)}}, first: make([]int, len(space.Backbone.Groups))}
	for _, t := range space.Expansions {
		for _, k := range space.Kernels {
			c.blocks = append(c.blocks, arch.Block{Expansion: t, Kernel: k})
		}
	}
	for i := range space.Backbone.Groups {
		depths := space.GroupDepths(i)
		c.depths = append(c.depths, depths)
		if !space.Elastic(i) {
			continue
		}
		c.first[i] = len(c.slots)
		c.slots = append(c.slots, slot{choices: len(depths)})
		for j := range depths[len(depths)-1] {
			c.slots = append(c.slots, slot{len(c.blocks), depths, c.first[i], j})
		}
	}
	for _, s := range c.slots {
		if s.choices > 255 {
			return nil, fmt.Errorf("a choice among %d: want at most 255 resolutions, depths, or pairs of expansion and kernel", s.choices)
		}
	}
	return c, nil
}

// present reports whether the slot is part of the subnet whose earlier slots are
// in g.
func (s *slot) present(g []byte) bool {
	return s.depths == nil || s.block < s.depths[g[s.depth]-1]
}

// buffer is the memory for a genome in the making.
type buffer [64]byte

// of returns n zeros, from the buffer where they fit there.
func (b *buffer) of(n int) []byte {
	if n > len(b) {
		return make([]byte, n)
	}
	return b[:n]
}

// sample draws a genome as arch.Space.Sample draws a subnet.
func (c *codec) sample(rng *rand.Rand) genome {
	var b buffer
	g := b.of(len(c.slots))
	for i := range c.slots {
		if s := &c.slots[i]; s.present(g) {
			g[i] = byte(1 + rng.IntN(s.choices))
		}
	}
	return genome(g)
}

// mutate draws anew the resolution, and each other choice, with the given
// probabilities, as Once-for-All does. Blocks that become part of the subnet
// are drawn.
func (c *codec) mutate(rng *rand.Rand, parent genome, resolution, choice float64) genome {
	var b buffer
	g := b.of(len(c.slots))
	probability := resolution
	for i := range c.slots {
		if s := &c.slots[i]; s.present(g) {
			if g[i] = parent[i]; g[i] == 0 || rng.Float64() < probability {
				g[i] = byte(1 + rng.IntN(s.choices))
			}
		}
		probability = choice
	}
	return genome(g)
}

// crossover takes each choice from either parent: uniform crossover. Where only
// one parent has a block, the block is that parent's.
func (c *codec) crossover(rng *rand.Rand, a, b genome) genome {
	var child buffer
	g := child.of(len(c.slots))
	var coins uint64
	for i := range c.slots {
		if i%64 == 0 {
			coins = rng.Uint64()
		}
		one, other := a[i], b[i]
		if coins>>(i%64)&1 == 0 {
			one, other = other, one
		}
		if c.slots[i].present(g) {
			if g[i] = one; one == 0 {
				g[i] = other
			}
		}
	}
	return genome(g)
}

// all yields every genome once.
func (c *codec) all(yield func(genome) bool) {
	g := make([]byte, len(c.slots))
	var from func(i int) bool
	from = func(i int) bool {
		if i == len(g) {
			return yield(genome(g))
		}
		if !c.slots[i].present(g) {
			g[i] = 0
			return from(i + 1)
		}
		for choice := range c.slots[i].choices {
			g[i] = byte(1 + choice)
			if !from(i + 1) {
				return false
			}
		}
		return true
	}
	from(0)
}

// decode returns the genome's subnet.
func (c *codec) decode(g genome) arch.Subnet {
	n := c.space.Largest()
	c.decodeTo(&n, g)
	return n
}

// decodeTo sets n, which must have been the space's largest subnet once, to the
// genome's.
func (c *codec) decodeTo(n *arch.Subnet, g genome) {
	n.Resolution = c.space.Resolutions[g[0]-1]
	for i, first := range c.first {
		if first == 0 {
			continue
		}
		n.Groups[i] = n.Groups[i][:c.depths[i][g[first]-1]]
		for j := range n.Groups[i] {
			n.Groups[i][j] = c.blocks[g[first+1+j]-1]
		}
	}
}

// encode returns the genome of a subnet of the space.
func (c *codec) encode(n arch.Subnet) genome {
	g := make([]byte, len(c.slots))
	g[0] = byte(1 + slices.Index(c.space.Resolutions, n.Resolution))
	for i, first := range c.first {
		if first == 0 {
			continue
		}
		g[first] = byte(1 + slices.Index(c.depths[i], len(n.Groups[i])))
		for j, block := range n.Groups[i] {
			g[first+1+j] = byte(1 + slices.Index(c.blocks, block))
		}
	}
	return genome(g)
}
