// Package arch is the vocabulary of networks: layers, MobileNetV2 and its
// scalings, and the elastic space whose subnets a supernet holds.
package arch

// Op is the kind of a layer.
type Op string

// The operations of the networks that Eyrie knows.
const (
	Conv      Op = "conv"      // k×k convolution over all channels
	Depthwise Op = "depthwise" // k×k convolution of each channel
	Pointwise Op = "pointwise" // 1×1 convolution
	Linear    Op = "linear"    // fully connected
	Pool      Op = "pool"      // average or max pooling; global when Kernel covers the input
	Add       Op = "add"       // residual addition
)

// Shape is the shape of an activation map.
type Shape struct {
	C int `json:"c"` // channels
	H int `json:"h"` // rows
	W int `json:"w"` // columns
}

// Size returns the number of elements.
func (s Shape) Size() int { return s.C * s.H * s.W }

// Layer is one operation of a network.
type Layer struct {
	Name   string `json:"name"`
	Block  string `json:"block"` // the block it belongs to, as in figure 1 of the paper
	Op     Op     `json:"op"`
	In     Shape  `json:"in"`
	Out    Shape  `json:"out"`
	Kernel int    `json:"kernel"`
	Stride int    `json:"stride"`
	Pad    int    `json:"pad"`
	Inputs []int  `json:"inputs"` // indices of the layers it reads; -1 is the network's input; an Add has two
}

// Network is a feed-forward network: layers in an order in which each comes
// after those it reads.
type Network struct {
	Name   string  `json:"name"`
	Input  Shape   `json:"input"`
	Layers []Layer `json:"layers"`
}
