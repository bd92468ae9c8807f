package arch

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"eyrie/pipeline/mistake"
)

// Space is an elastic space: a backbone at fixed widths whose groups choose,
// per block, expansion and kernel, and per group, depth. A group with t = 1 is
// not elastic; one with a single repeat is not elastic in depth. The others
// have as many blocks as Depths allows, whatever their Repeats.
type Space struct {
	Backbone    Backbone `json:"backbone" doc:"the family of networks"`
	Widths      Widths   `json:"widths" doc:"a multiplier for the stem, each group, the head"`
	Rounding    Rounding `json:"rounding,omitzero" doc:"how widths become channels"`
	Resolutions []int    `json:"resolutions" min:"1" doc:"input sizes in pixels, ascending"`
	Expansions  []int    `json:"expansions" min:"2" doc:"choices of t per block, ascending"`
	Depths      []int    `json:"depths" min:"1" doc:"choices of blocks per group, ascending"`
	Kernels     []int    `json:"kernels" min:"1" doc:"choices of k per block, odd, ascending"`
}

// Subnet is one network of a Space. It is canonical by construction: blocks
// beyond a group's depth are not there, so that equal subnets are equal values.
type Subnet struct {
	Resolution int       `json:"resolution" doc:"input size in pixels"`
	Groups     [][]Block `json:"groups" doc:"the blocks of each group; as many as its depth"`
}

// Block is the choice made for one inverted bottleneck.
type Block struct {
	Expansion int `json:"t" doc:"expansion"`
	Kernel    int `json:"k" doc:"kernel"`
}

// fixed is the block of a group that is not elastic.
var fixed = Block{Expansion: 1, Kernel: 3}

// Validate returns the mistakes of the space, a [mistake.List], or nil.
func (s Space) Validate() error { return mistake.In(s) }

// Check reports the mistakes of the backbone, widths that do not fit it, and choices
// that are missing or impossible.
func (s Space) Check(r *mistake.Report) {
	s.Backbone.Check(r.At("backbone"))
	if r.Knows("widths", "backbone.groups") {
		r.At("widths").Add(s.Backbone.CheckWidths(s.Widths))
	}
	checkChoices(r.At("resolutions"), s.Resolutions, 1, mostExtent)
	checkChoices(r.At("expansions"), s.Expansions, 2, mostExtent)
	checkChoices(r.At("depths"), s.Depths, 1, mostBlocks)
	checkChoices(r.At("kernels"), s.Kernels, 1, mostExtent)
	for i, k := range s.Kernels {
		if in := r.At("kernels", i); in.Knows() && k%2 == 0 {
			in.Badf("%d is even: want odd sizes, which have a centre", k)
		}
	}
}

func checkChoices(r *mistake.Report, values []int, least, most int) {
	if !r.Knows() {
		return
	}
	if len(values) == 0 {
		r.Badf("want at least one value")
	}
	for i, v := range values {
		if v < least || v > most {
			r.At(i).Badf("must be between %d and %d, not %d", least, most, v)
		} else if i > 0 && v <= values[i-1] {
			r.At(i).Badf("%d is behind %d: want ascending values without repeats", v, values[i-1])
		}
	}
}

// Elastic reports whether the blocks of group i choose expansion and kernel.
func (s Space) Elastic(i int) bool { return s.Backbone.Groups[i].Expansion != 1 }

// GroupDepths returns the depths that group i can have, ascending.
func (s Space) GroupDepths(i int) []int {
	if g := s.Backbone.Groups[i]; g.Repeats == 1 || !s.Elastic(i) {
		return []int{g.Repeats}
	}
	return s.Depths
}

// Blocks returns the blocks that group i can have, by ascending expansion, then
// kernel.
func (s Space) Blocks(i int) []Block {
	if !s.Elastic(i) {
		return []Block{fixed}
	}
	var blocks []Block
	for _, t := range s.Expansions {
		for _, k := range s.Kernels {
			blocks = append(blocks, Block{t, k})
		}
	}
	return blocks
}

// Largest returns the subnet with the largest choice everywhere.
func (s Space) Largest() Subnet {
	return s.pick(func(n int) int { return n - 1 })
}

// Smallest returns the subnet with the smallest choice everywhere.
func (s Space) Smallest() Subnet {
	return s.pick(func(int) int { return 0 })
}

// Sample draws a subnet as Once-for-All does: resolution, each group's depth
// and each block's expansion and kernel independently and uniformly.
func (s Space) Sample(rng *rand.Rand) Subnet { return s.pick(rng.IntN) }

// pick makes a subnet by asking for the index of every choice among n.
func (s Space) pick(choose func(n int) int) Subnet {
	n := Subnet{
		Resolution: s.Resolutions[choose(len(s.Resolutions))],
		Groups:     make([][]Block, len(s.Backbone.Groups)),
	}
	for i := range n.Groups {
		depths := s.GroupDepths(i)
		n.Groups[i] = make([]Block, depths[choose(len(depths))])
		for j := range n.Groups[i] {
			b := fixed
			if s.Elastic(i) {
				b = Block{s.Expansions[choose(len(s.Expansions))], s.Kernels[choose(len(s.Kernels))]}
			}
			n.Groups[i][j] = b
		}
	}
	return n
}

// Contains returns nil if n is a subnet of the space, else why it is not.
func (s Space) Contains(n Subnet) error {
	if !slices.Contains(s.Resolutions, n.Resolution) {
		return fmt.Errorf("resolution %d is not one of %v", n.Resolution, s.Resolutions)
	}
	if len(n.Groups) != len(s.Backbone.Groups) {
		return fmt.Errorf("%d groups, want %d", len(n.Groups), len(s.Backbone.Groups))
	}
	for i, blocks := range n.Groups {
		if depths := s.GroupDepths(i); !slices.Contains(depths, len(blocks)) {
			return fmt.Errorf("group %d: depth %d is not one of %v", i+1, len(blocks), slices.Clone(depths))
		}
		for j, b := range blocks {
			if err := s.contains(i, b); err != nil {
				return fmt.Errorf("group %d, block %d: %w", i+1, j+1, err)
			}
		}
	}
	return nil
}

func (s Space) contains(group int, b Block) error {
	switch {
	case !s.Elastic(group):
		if b != fixed {
			return fmt.Errorf("t %d, k %d: this group is not elastic, want t %d, k %d", b.Expansion, b.Kernel, fixed.Expansion, fixed.Kernel)
		}
	case !slices.Contains(s.Expansions, b.Expansion):
		return fmt.Errorf("expansion %d is not one of %v", b.Expansion, s.Expansions)
	case !slices.Contains(s.Kernels, b.Kernel):
		return fmt.Errorf("kernel %d is not one of %v", b.Kernel, s.Kernels)
	}
	return nil
}

// Network returns the layers of a subnet, named as those of Backbone.Scale. It
// panics unless Contains(n) is nil.
func (s Space) Network(n Subnet) Network {
	if err := s.Contains(n); err != nil {
		panic("arch.Space.Network: " + err.Error())
	}
	return s.Backbone.build(s.Widths, n.Resolution, s.Rounding, func(i int) []Block { return n.Groups[i] })
}

// Around returns the space that has n, and as little else as a space can: the choices are
// those that n makes.
func (s Space) Around(n Subnet) Space {
	var expansions, depths, kernels []int
	for i, g := range n.Groups {
		if !s.Elastic(i) {
			continue
		}
		if s.Backbone.Groups[i].Repeats > 1 {
			depths = append(depths, len(g))
		}
		for _, b := range g {
			expansions, kernels = append(expansions, b.Expansion), append(kernels, b.Kernel)
		}
	}
	s.Resolutions = []int{n.Resolution}
	s.Expansions, s.Depths, s.Kernels = choices(expansions, 2), choices(depths, 1), choices(kernels, 3)
	return s
}

// choices returns the distinct values, ascending; where there are none, one that is not used.
func choices(values []int, unused int) []int {
	if len(values) == 0 {
		return []int{unused}
	}
	return slices.Compact(slices.Sorted(slices.Values(values)))
}

// Size returns how many subnets the space has.
func (s Space) Size() *big.Int {
	size := big.NewInt(int64(len(s.Resolutions)))
	perBlock := big.NewInt(int64(len(s.Expansions) * len(s.Kernels)))
	for i := range s.Backbone.Groups {
		if !s.Elastic(i) {
			continue
		}
		group := new(big.Int)
		for _, d := range s.GroupDepths(i) {
			group.Add(group, new(big.Int).Exp(perBlock, big.NewInt(int64(d)), nil))
		}
		size.Mul(size, group)
	}
	return size
}

// Clone returns a copy that shares nothing with n.
func (n Subnet) Clone() Subnet {
	c := Subnet{Resolution: n.Resolution, Groups: make([][]Block, len(n.Groups))}
	for i, g := range n.Groups {
		c.Groups[i] = slices.Clone(g)
	}
	return c
}

// Equal reports whether two subnets are the same.
func (n Subnet) Equal(m Subnet) bool {
	return n.Resolution == m.Resolution && slices.EqualFunc(n.Groups, m.Groups, slices.Equal[[]Block])
}

// String writes the subnet on one line, the same for equal subnets only:
// "160: 1×3 | 6×3 4×5 | 3×3", resolution, then t×k of the blocks by group.
func (n Subnet) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(n.Resolution) + ":")
	for i, g := range n.Groups {
		if i > 0 {
			b.WriteString(" |")
		}
		for _, block := range g {
			b.WriteString(" " + strconv.Itoa(block.Expansion) + "×" + strconv.Itoa(block.Kernel))
		}
	}
	return b.String()
}
