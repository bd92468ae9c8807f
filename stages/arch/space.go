package arch

// Backbone is a family of networks in the shape of MobileNetV2: a stem, groups
// of inverted bottlenecks, a head and a classifier (table 2 of the paper).
// Channel counts are base widths, before the multipliers.
type Backbone struct {
	Input   int     `json:"input"`   // input channels
	Stem    Stem    `json:"stem"`    //
	Groups  []Group `json:"groups"`  //
	Head    int     `json:"head"`    // channels of the last 1×1 convolution
	Classes int     `json:"classes"` //
}

// Stem is the first convolution.
type Stem struct {
	Channels int `json:"channels"`
	Kernel   int `json:"kernel"`
	Stride   int `json:"stride"`
}

// Group is a run of inverted bottlenecks of one width.
type Group struct {
	Expansion int `json:"t"`
	Channels  int `json:"c"`
	Repeats   int `json:"n"`
	Stride    int `json:"s"` // of the first block; the others have 1
}

// Widths holds a width multiplier per row of table 2: the stem, each group,
// the head.
type Widths []float64

// Space is an elastic space: a backbone at fixed widths whose groups choose,
// per block, expansion and kernel, and per group, depth. A group with t = 1 is
// not elastic; one with a single repeat is not elastic in depth.
type Space struct {
	Backbone    Backbone `json:"backbone"`
	Widths      Widths   `json:"widths"`
	Resolutions []int    `json:"resolutions"`
	Expansions  []int    `json:"expansions"`
	Depths      []int    `json:"depths"`
	Kernels     []int    `json:"kernels"`
}

// Subnet is one network of a Space. It is canonical by construction: blocks
// beyond a group's depth are not there, so that equal subnets are equal values.
type Subnet struct {
	Resolution int       `json:"resolution"`
	Groups     [][]Block `json:"groups"` // one per group of the backbone; len = depth
}

// Block is the choice made for one inverted bottleneck.
type Block struct {
	Expansion int `json:"t"`
	Kernel    int `json:"k"`
}
