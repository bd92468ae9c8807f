// Package tflite reads models in TensorFlow Lite's format: the operators of their main
// graph, the shapes of tensors, and small constants. Weights are not read.
//
// The format is FlatBuffers': tables whose fields are where offsets say. Numbers of fields,
// operators and types are those of TensorFlow's schema.fbs, version 3.
package tflite

// Model is the main graph of a model.
type Model struct {
	Name      string
	Tensors   []Tensor
	Inputs    []int // indices of tensors
	Outputs   []int
	Operators []Operator // in an order in which they can run
}

// Tensor is a value of the graph: computed, or a constant.
type Tensor struct {
	Name   string
	Shape  []int
	Buffer int     // where its content is; tensors of one buffer have the same. 0 is no buffer
	Ints   []int64 // the content of a small constant of integers
}

// Operator computes tensors from others.
type Operator struct {
	Name    string // CONV_2D, …; CUSTOM, a space and its name for one that TensorFlow does not define
	Inputs  []int  // indices of tensors; −1 is one that is left out
	Outputs []int
	Options Options
}

// Options are what operators say beside their inputs. Each has those of its kind.
type Options struct {
	Same                         bool // padding as TensorFlow's SAME, not VALID
	StrideH, StrideW             int
	DilationH, DilationW         int
	FilterH, FilterW             int  // of pools
	Axis                         int  // of CONCATENATION, PACK, UNPACK and GATHER
	Block                        int  // of SPACE_TO_DEPTH and DEPTH_TO_SPACE
	TransposeFirst, TransposeSec bool // of BATCH_MATMUL
	Shrink                       int  // of STRIDED_SLICE: bits for the dimensions that it removes
}
