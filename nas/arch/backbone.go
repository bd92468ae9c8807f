package arch

import (
	"fmt"
	"math"

	"eyrie/pipeline/mistake"
)

// Backbone is a family of networks in the shape of MobileNetV2: a stem, groups
// of inverted bottlenecks, a head and a classifier (table 2 of the paper).
// Channel counts are base widths, before the multipliers.
type Backbone struct {
	Input   int     `json:"input" min:"1" doc:"channels of the image"`
	Stem    Stem    `json:"stem" doc:"the first convolution"`
	Groups  []Group `json:"groups" doc:"runs of inverted bottlenecks of one width"`
	Head    int     `json:"head" min:"1" doc:"channels of the last 1×1 convolution"`
	Classes int     `json:"classes" min:"1" doc:"outputs of the classifier"`
}

// Stem is the first convolution.
type Stem struct {
	Channels int `json:"channels" min:"1"`
	Kernel   int `json:"kernel" min:"1"`
	Stride   int `json:"stride" min:"1"`
}

// Group is a run of inverted bottlenecks of one width.
type Group struct {
	Expansion int `json:"t" min:"1" doc:"middle channels per input channel"`
	Channels  int `json:"c" min:"1" doc:"output channels"`
	Repeats   int `json:"n" min:"1" doc:"blocks"`
	Stride    int `json:"s" min:"1" doc:"stride of the first block; the others have 1"`
}

// MobileNetV2 returns the backbone of Sandler et al. (CVPR 2018), table 2:
// for ImageNet's 3 channels and 1000 classes.
func MobileNetV2() Backbone {
	return Backbone{
		Input: 3,
		Stem:  Stem{Channels: 32, Kernel: 3, Stride: 2},
		Groups: []Group{
			{Expansion: 1, Channels: 16, Repeats: 1, Stride: 1},
			{Expansion: 6, Channels: 24, Repeats: 2, Stride: 2},
			{Expansion: 6, Channels: 32, Repeats: 3, Stride: 2},
			{Expansion: 6, Channels: 64, Repeats: 4, Stride: 2},
			{Expansion: 6, Channels: 96, Repeats: 3, Stride: 1},
			{Expansion: 6, Channels: 160, Repeats: 3, Stride: 2},
			{Expansion: 6, Channels: 320, Repeats: 1, Stride: 1},
		},
		Head:    1280,
		Classes: 1000,
	}
}

// Validate returns the mistakes of the backbone, a [mistake.List], or nil.
func (b Backbone) Validate() error { return mistake.In(b) }

// mostExtent bounds channels, windows, steps and expansions, mostBlocks the blocks of a
// group: mistyped numbers must not take all memory.
const (
	mostExtent = 1 << 20
	mostBlocks = 1000
)

// Check reports extents below 1, and a backbone without groups.
func (b Backbone) Check(r *mistake.Report) {
	extent := func(r *mistake.Report, path string, v int) {
		if r.Knows(path) && (v < 1 || v > mostExtent) {
			r.In(path).Badf("must be between 1 and %d, not %d", mostExtent, v)
		}
	}
	extent(r, "input", b.Input)
	extent(r, "stem.channels", b.Stem.Channels)
	extent(r, "stem.kernel", b.Stem.Kernel)
	extent(r, "stem.stride", b.Stem.Stride)
	if r.Knows("groups") && len(b.Groups) == 0 {
		r.At("groups").Badf("a backbone needs at least one group")
	}
	for i, g := range b.Groups {
		in := r.At("groups", i)
		extent(in, "t", g.Expansion)
		extent(in, "c", g.Channels)
		extent(in, "n", g.Repeats)
		if in.Knows("n") && in.At("n").Sound() && g.Repeats > mostBlocks {
			in.At("n").Badf("a group has at most %d blocks, not %d", mostBlocks, g.Repeats)
		}
		extent(in, "s", g.Stride)
	}
	extent(r, "head", b.Head)
	extent(r, "classes", b.Classes)
}

// Widths holds a width multiplier per row of table 2: the stem, each group,
// the head.
type Widths []float64

// Uniform returns MobileNetV2's uniform scaling by one multiplier, as the
// paper's table 1 has it: stem and head stay as they are.
func (b Backbone) Uniform(width float64) Widths {
	w := b.Scaled(width)
	w[0], w[len(w)-1] = 1, 1
	return w
}

// Scaled returns one multiplier for every row, stem and head included.
func (b Backbone) Scaled(width float64) Widths {
	w := make(Widths, len(b.Groups)+2)
	for i := range w {
		w[i] = width
	}
	return w
}

// Published returns the multipliers of the MobileNetV2 that was published and
// trained: everything is scaled, but the head never below its base.
func (b Backbone) Published(width float64) Widths {
	w := b.Scaled(width)
	w[len(w)-1] = max(1, width)
	return w
}

// CheckWidths returns the mistakes of w, which is to have a positive multiplier for each
// row of b.
func (b Backbone) CheckWidths(w Widths) error {
	if want := len(b.Groups) + 2; len(w) != want {
		return fmt.Errorf("got %d multipliers, want %d: the stem, %d groups, the head", len(w), want, len(b.Groups))
	}
	r := mistake.New()
	for i, v := range w {
		if !(v > 0) || v > 100 {
			r.At(i).Badf("%v is not a multiplier: want one above 0 and at most 100", v)
		}
	}
	return r.Err()
}

// RoundingMode is in which direction a width is rounded; as Nearest where none is written.
type RoundingMode string

// The modes.
const (
	Nearest RoundingMode = "nearest"
	Up      RoundingMode = "up"
)

// Choices returns the modes.
func (RoundingMode) Choices() []string { return []string{string(Nearest), string(Up)} }

// Rounding is how a scaled width becomes a whole number of channels. The zero
// value is MobileNetV2's: the nearest multiple of 8, but not below 90 %.
type Rounding struct {
	Mode    RoundingMode `json:"mode,omitempty" doc:"nearest multiple (and at least 90 % of the width), or the next one above; nearest when empty"`
	Divisor int          `json:"divisor,omitempty" min:"0" max:"1024" doc:"channels come in multiples of it; 8 when 0"`
}

// Round returns the channel count for a width.
func (r Rounding) Round(v float64) int {
	v = float64(v) // callers inline this: not to be fused with their product
	d := r.Divisor
	if d == 0 {
		d = 8
	}
	if r.Mode == Up {
		return max(d, int(math.Ceil(v/float64(d)-1e-9))*d)
	}
	n := max(d, int(v+float64(float64(d)/2))/d*d)
	if float64(n) < 0.9*v {
		n += d
	}
	return n
}

// MakeDivisible rounds a width to the nearest multiple of 8 that is not below
// 90 % of it, as MobileNetV2's and Once-for-All's code does.
func MakeDivisible(v float64) int { return Rounding{}.Round(v) }

// Middle returns the middle width of a bottleneck with in input channels and
// expansion t: a multiple of 8 as in Once-for-All; exactly in for t = 1.
func Middle(in, t int) int {
	if t == 1 {
		return in
	}
	return MakeDivisible(float64(in * t))
}

// Channels returns the channel counts of the stem, each group and the head
// under the multipliers. It panics unless CheckWidths(w) is nil.
func (b Backbone) Channels(w Widths, round Rounding) (stem int, groups []int, head int) {
	if err := b.CheckWidths(w); err != nil {
		panic("arch.Channels: " + err.Error())
	}
	groups = make([]int, len(b.Groups))
	for i, g := range b.Groups {
		groups[i] = round.Round(float64(g.Channels) * w[i+1])
	}
	return round.Round(float64(b.Stem.Channels) * w[0]), groups, round.Round(float64(b.Head) * w[len(w)-1])
}

// Scale returns the network of the backbone under the multipliers at a
// resolution, with 3×3 kernels. Layers are named "stem", "g2.b1.expand",
// "g2.b1.depthwise", "g2.b1.project", "g2.b1.add", "head", "pool" and
// "classifier"; groups and blocks count from 1. It panics unless
// CheckWidths(w) is nil and the resolution is positive.
func (b Backbone) Scale(w Widths, resolution int, round Rounding) Network {
	return b.build(w, resolution, round, func(i int) []Block {
		blocks := make([]Block, b.Groups[i].Repeats)
		for j := range blocks {
			blocks[j] = Block{b.Groups[i].Expansion, 3}
		}
		return blocks
	})
}

// build makes the network whose group i has the given blocks.
func (b Backbone) build(w Widths, resolution int, round Rounding, blocks func(group int) []Block) Network {
	if resolution < 1 {
		panic(fmt.Sprintf("arch: resolution %d", resolution))
	}
	stem, groups, head := b.Channels(w, round)
	n := newBuilder("mobilenetv2", Shape{b.Input, resolution, resolution})
	n.block = "stem"
	n.window("stem", Conv, stem, b.Stem.Kernel, b.Stem.Stride)
	for i, g := range b.Groups {
		stride := g.Stride
		for j, block := range blocks(i) {
			n.bottleneck(fmt.Sprintf("g%d.b%d", i+1, j+1), block.Expansion, block.Kernel, groups[i], stride)
			stride = 1
		}
	}
	return n.tail(head, b.Classes)
}
