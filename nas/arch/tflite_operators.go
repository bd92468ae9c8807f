package arch

import (
	"fmt"

	"eyrie/nas/onnx"
)

// This file says what each operator of TensorFlow Lite is in operators of ONNX.

// how says how an operator is converted, and how many operands it needs at least. The function
// returns the name of the result, or "" where it has named all results itself.
type how struct {
	operands int
	convert  func(*conversion) (string, error)
}

var conversions map[string]how

func init() {
	conversions = map[string]how{
		"CONV_2D": {2, (*conversion).conv}, "DEPTHWISE_CONV_2D": {2, (*conversion).conv}, "TRANSPOSE_CONV": {3, (*conversion).deconv},
		"FULLY_CONNECTED": {2, (*conversion).linear}, "BATCH_MATMUL": {2, (*conversion).matMul},
		"AVERAGE_POOL_2D": {1, (*conversion).pool}, "MAX_POOL_2D": {1, (*conversion).pool}, "L2_POOL_2D": {1, (*conversion).pool},
		"RESHAPE": {1, (*conversion).reshaped}, "SQUEEZE": {1, (*conversion).reshaped}, "EXPAND_DIMS": {1, (*conversion).reshaped},
		"TRANSPOSE": {2, (*conversion).transpose}, "PAD": {2, (*conversion).pad}, "PADV2": {2, (*conversion).pad}, "MIRROR_PAD": {2, (*conversion).pad},
		"CONCATENATION": {1, (*conversion).concat}, "PACK": {1, (*conversion).pack}, "UNPACK": {1, (*conversion).unpack},
		"SPLIT": {2, (*conversion).split}, "SPLIT_V": {3, (*conversion).split}, "SLICE": {1, (*conversion).slice}, "STRIDED_SLICE": {1, (*conversion).slice},
		"GATHER": {2, (*conversion).gather}, "TILE": {2, (*conversion).expand}, "BROADCAST_TO": {2, (*conversion).expand},
		"RESIZE_BILINEAR": {1, (*conversion).resize}, "RESIZE_NEAREST_NEIGHBOR": {1, (*conversion).resize},
		"SPACE_TO_DEPTH": {1, (*conversion).regroup}, "DEPTH_TO_SPACE": {1, (*conversion).regroup},
		"SHAPE": {1, op("Shape", 1)}, "ARG_MAX": {2, (*conversion).reduce}, "ARG_MIN": {2, (*conversion).reduce},
		"SQUARED_DIFFERENCE": {2, op("Sub", 2)}, "SELECT_V2": {3, op("Where", 3)}, "SELECT": {3, op("Where", 3)},
		"SOFTMAX": {1, (*conversion).channelwise}, "LOG_SOFTMAX": {1, (*conversion).channelwise}, "L2_NORMALIZATION": {1, (*conversion).channelwise},
		"LOCAL_RESPONSE_NORMALIZATION": {1, (*conversion).channelwise},
	}
	for _, name := range []string{"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"} {
		conversions[name] = how{2, (*conversion).reduce}
	}
	for name, to := range map[string]string{
		"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div", "MAXIMUM": "Max", "MINIMUM": "Min", "POW": "Pow", "FLOOR_DIV": "Div", "FLOOR_MOD": "Mod", "PRELU": "PRelu",
		"EQUAL": "Equal", "GREATER": "Greater", "LESS": "Less", "GREATER_EQUAL": "GreaterOrEqual", "LESS_EQUAL": "LessOrEqual", "LOGICAL_AND": "And", "LOGICAL_OR": "Or",
	} {
		conversions[name] = how{2, op(to, 2)}
	}
	for _, name := range []string{
		"RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LOGISTIC", "TANH", "HARD_SWISH", "ELU", "LEAKY_RELU", "GELU", "ABS", "NEG", "EXP", "LOG", "SQRT", "RSQRT", "SQUARE",
		"FLOOR", "CEIL", "ROUND", "SIN", "COS", "SIGN", "LOGICAL_NOT",
	} {
		conversions[name] = how{1, op("Relu", 1)} // whichever it is, it is part of the layer before
	}
	for _, name := range []string{"QUANTIZE", "DEQUANTIZE", "CAST", "FAKE_QUANT"} {
		conversions[name] = how{1, op("DequantizeLinear", 1)}
	}
}

// op converts to an operator of the first operands.
func op(name string, operands int) func(*conversion) (string, error) {
	return func(x *conversion) (string, error) { return x.node(name, x.in[:operands]), nil }
}

// auto returns padding as the options say.
func (x *conversion) auto() onnx.Attribute {
	if x.o.Options.Same {
		return attribute("auto_pad", "SAME_UPPER")
	}
	return attribute("auto_pad", "VALID")
}

func (x *conversion) strides() onnx.Attribute {
	return attribute("strides", []int64{int64(x.o.Options.StrideH), int64(x.o.Options.StrideW)})
}

func (x *conversion) dilations() onnx.Attribute {
	return attribute("dilations", []int64{int64(x.o.Options.DilationH), int64(x.o.Options.DilationW)})
}

// conv has weights of output channels × rows × columns × input channels, a depthwise one those
// of 1 × rows × columns × output channels.
func (x *conversion) conv() (string, error) {
	for k := range 2 {
		if err := x.images(k); err != nil {
			return "", err
		}
	}
	channels := x.shapes[0][3]
	order, groups := channelsFirst[4], channels
	if x.o.Name == "DEPTHWISE_CONV_2D" {
		order = []int64{3, 0, 1, 2}
	} else {
		each := x.shapes[1][3]
		if each < 1 || channels%each != 0 {
			return "", fmt.Errorf("its weights are for %d input channels, its input has %d", each, channels)
		}
		groups = channels / each
	}
	w := x.node("Transpose", []string{x.in[1]}, attribute("perm", order))
	return x.last(x.node("Conv", []string{x.first(x.in[0]), w}, attribute("group", int64(groups)), x.strides(), x.dilations(), x.auto())), nil
}

// deconv reads the shape of its result, weights of output channels × rows × columns × input
// channels, and a map.
func (x *conversion) deconv() (string, error) {
	for k := 1; k < 3; k++ {
		if err := x.images(k); err != nil {
			return "", err
		}
	}
	if len(x.out) != 4 {
		return "", fmt.Errorf("its result has the shape %v", x.out)
	}
	o, in, w := &x.o.Options, x.shapes[2], x.shapes[1]
	var begin, end, extra []int64
	for i, stride := range []int{o.StrideH, o.StrideW} {
		over := int64(in[i+1]-1)*int64(stride) + int64(w[i+1]) - int64(x.out[i+1])
		begin, end = append(begin, max(0, over)/2), append(end, max(0, over)-max(0, over)/2)
		extra = append(extra, max(0, -over))
	}
	weights := x.node("Transpose", []string{x.in[1]}, attribute("perm", []int64{3, 0, 1, 2}))
	return x.last(x.node("ConvTranspose", []string{x.first(x.in[2]), weights}, x.strides(), attribute("pads", append(begin, end...)), attribute("output_padding", extra))), nil
}

func (x *conversion) pool() (string, error) {
	if err := x.images(0); err != nil {
		return "", err
	}
	kernel := attribute("kernel_shape", []int64{int64(x.o.Options.FilterH), int64(x.o.Options.FilterW)})
	return x.last(x.node("AveragePool", []string{x.first(x.in[0])}, kernel, x.strides(), x.auto())), nil
}

// linear has weights of output × input features, and makes vectors of as many of what it
// reads.
func (x *conversion) linear() (string, error) {
	if len(x.shapes[1]) != 2 || x.shapes[1][1] < 1 {
		return "", fmt.Errorf("its weights have the shape %v", x.shapes[1])
	}
	features := x.shapes[1][1]
	in := x.shapes[0]
	rows := elements(in) / features
	if tooLarge(in) != nil || rows < 1 || rows*features != elements(in) {
		return "", fmt.Errorf("its weights are for %d inputs, its input has the shape %v", features, in)
	}
	y := x.in[0]
	if len(in) != 2 || in[1] != features {
		y = x.reshape(y, []int{rows, features})
	}
	if len(x.in) > 2 && x.in[2] != "" {
		y = x.node("Gemm", []string{y, x.in[1], x.in[2]}, attribute("transB", int64(1)))
	} else {
		w := x.node("Transpose", []string{x.in[1]}, attribute("perm", []int64{1, 0}))
		y = x.node("MatMul", []string{y, w})
	}
	if len(x.out) != 2 {
		y = x.reshape(y, x.out)
	}
	return y, nil
}

// matMul may have either operand transposed.
func (x *conversion) matMul() (string, error) {
	operand := func(k int, transposed bool) string {
		rank := len(x.shapes[k])
		if !transposed || rank < 2 {
			return x.in[k]
		}
		order := make([]int64, rank)
		for i := range order {
			order[i] = int64(i)
		}
		order[rank-2], order[rank-1] = order[rank-1], order[rank-2]
		return x.node("Transpose", []string{x.in[k]}, attribute("perm", order))
	}
	a, b := operand(0, x.o.Options.TransposeFirst), operand(1, x.o.Options.TransposeSec)
	return x.node("MatMul", []string{a, b}), nil
}

// reshaped takes the shape of the result.
func (x *conversion) reshaped() (string, error) { return x.reshape(x.in[0], x.out), nil }

func (x *conversion) transpose() (string, error) {
	order, err := x.content(1)
	return x.node("Transpose", x.in[:1], attribute("perm", order)), err
}

// pad reads the elements before and after each dimension.
func (x *conversion) pad() (string, error) {
	v, err := x.content(1)
	if err != nil || len(v) != 2*len(x.shapes[0]) {
		return "", cmpErr(err, fmt.Sprintf("paddings %v of %d dimensions", v, len(x.shapes[0])))
	}
	var begin, end []int64
	for i := 0; i < len(v); i += 2 {
		begin, end = append(begin, v[i]), append(end, v[i+1])
	}
	mode := "constant"
	if x.o.Name == "MIRROR_PAD" {
		mode = "reflect"
	}
	return x.node("Pad", []string{x.in[0], x.ints(append(begin, end...))}, attribute("mode", mode)), nil
}

func (x *conversion) concat() (string, error) {
	return x.node("Concat", x.in, attribute("axis", int64(x.o.Options.Axis))), nil
}

// axis returns the axis that the options name, of a tensor of this rank.
func (x *conversion) axis(rank int) (int, error) { return axisAt(int64(x.o.Options.Axis), rank) }

// pack joins along a new dimension.
func (x *conversion) pack() (string, error) {
	a, err := x.axis(len(x.out))
	if err != nil {
		return "", err
	}
	one := append([]int{}, x.out...)
	one[a] = 1
	var parts []string
	for _, in := range x.in {
		parts = append(parts, x.reshape(in, one))
	}
	return x.node("Concat", parts, attribute("axis", int64(a))), nil
}

// unpack cuts along a dimension, which it removes.
func (x *conversion) unpack() (string, error) {
	a, err := x.axis(len(x.shapes[0]))
	if err != nil {
		return "", err
	}
	sizes := make([]int64, len(x.o.Outputs))
	for i := range sizes {
		sizes[i] = 1
	}
	return "", x.cut(a, sizes)
}

// split reads the axis before what it cuts, or after that and the sizes.
func (x *conversion) split() (string, error) {
	axis, data := 0, 1
	if x.o.Name == "SPLIT_V" {
		axis, data = 2, 0
	}
	v, err := x.content(axis)
	if err != nil || len(v) != 1 {
		return "", cmpErr(err, fmt.Sprintf("axis %v", v))
	}
	a, err := axisAt(v[0], len(x.shapes[data]))
	if err != nil {
		return "", err
	}
	x.in = x.in[data:]
	var sizes []int64
	for _, i := range x.o.Outputs {
		shape := x.m.Tensors[i].Shape
		if len(shape) <= a {
			return "", fmt.Errorf("a result has the shape %v", shape)
		}
		sizes = append(sizes, int64(shape[a]))
	}
	return "", x.cut(a, sizes)
}

// cut writes the operator's results: parts of the first operand, in their shapes.
func (x *conversion) cut(axis int, sizes []int64) error {
	n := onnx.Node{Name: x.operatorName(x.o), Op: "Split", Inputs: []string{x.in[0], x.ints(sizes)}, Attributes: []onnx.Attribute{attribute("axis", int64(axis))}}
	for range sizes {
		x.fresh++
		n.Outputs = append(n.Outputs, fmt.Sprintf("n%d", x.fresh))
	}
	x.graph.Nodes = append(x.graph.Nodes, n)
	for k, i := range x.o.Outputs {
		x.to(x.name(i), "Identity", []string{x.reshape(n.Outputs[k], x.m.Tensors[i].Shape)})
	}
	return nil
}

// slice takes as much as the result has of each dimension: from where is the same to us.
func (x *conversion) slice() (string, error) {
	in, out := x.shapes[0], x.out
	if !x.map_ { // of sizes, which are known from the shapes of results
		return x.node("Slice", []string{x.in[0], x.ints(make([]int64, len(out))), x.ints(wide(out))}), nil
	}
	if shrink := x.o.Options.Shrink; shrink != 0 {
		out = nil
		for i := range in {
			switch {
			case shrink>>i&1 != 0:
				out = append(out, 1)
			case len(out)-ones(shrink, i) < len(x.out):
				out = append(out, x.out[len(out)-ones(shrink, i)])
			}
		}
	}
	if len(out) != len(in) {
		return "", fmt.Errorf("it makes the shape %v of %v", x.out, in)
	}
	y := x.node("Slice", []string{x.in[0], x.ints(make([]int64, len(in))), x.ints(wide(out))})
	if len(out) != len(x.out) {
		y = x.reshape(y, x.out)
	}
	return y, nil
}

// ones returns how many of the lowest n bits are set.
func ones(bits, n int) (k int) {
	for i := range n {
		k += bits >> i & 1
	}
	return k
}

func (x *conversion) gather() (string, error) {
	return x.node("Gather", x.in[:2], attribute("axis", int64(x.o.Options.Axis))), nil
}

func (x *conversion) expand() (string, error) {
	in := x.shapes[0]
	if x.o.Name == "BROADCAST_TO" {
		return x.node("Expand", []string{x.in[0], x.ints(wide(x.out))}), nil
	}
	repeats := make([]int64, len(in))
	for i, n := range in {
		if len(x.out) != len(in) || n < 1 || x.out[i]%n != 0 {
			return "", fmt.Errorf("it makes the shape %v of %v", x.out, in)
		}
		repeats[i] = int64(x.out[i] / n)
	}
	return x.node("Tile", []string{x.in[0], x.ints(repeats)}), nil
}

func (x *conversion) resize() (string, error) {
	if err := x.images(0); err != nil {
		return "", err
	}
	if len(x.out) != 4 {
		return "", fmt.Errorf("its result has the shape %v", x.out)
	}
	sizes := []int64{int64(x.shapes[0][0]), int64(x.shapes[0][3]), int64(x.out[1]), int64(x.out[2])}
	return x.last(x.node("Resize", []string{x.first(x.in[0]), "", "", x.ints(sizes)})), nil
}

func (x *conversion) regroup() (string, error) {
	if err := x.images(0); err != nil {
		return "", err
	}
	name := map[string]string{"SPACE_TO_DEPTH": "SpaceToDepth", "DEPTH_TO_SPACE": "DepthToSpace"}[x.o.Name]
	return x.last(x.node(name, []string{x.first(x.in[0])}, attribute("blocksize", int64(x.o.Options.Block)))), nil
}

// channelwise is work on each element that depends on others of its position.
func (x *conversion) channelwise() (string, error) {
	return x.node("Softmax", x.in[:1], attribute("axis", int64(-1))), nil
}

// reduce reads the axes. Images have their channels first, as in ONNX, where a mean over rows
// and columns is a pool even of one element.
func (x *conversion) reduce() (string, error) {
	axes, err := x.content(1)
	if err != nil {
		return "", err
	}
	name := map[string]string{
		"MEAN": "ReduceMean", "SUM": "ReduceSum", "REDUCE_MAX": "ReduceMax", "REDUCE_MIN": "ReduceMin", "REDUCE_PROD": "ReduceProd", "ARG_MAX": "ReduceMax", "ARG_MIN": "ReduceMin",
	}[x.o.Name]
	rank := len(x.shapes[0])
	var all []int64
	for _, v := range axes {
		a, err := axisAt(v, rank)
		if err != nil {
			return "", err
		}
		if rank == 4 {
			a = []int{0, 2, 3, 1}[a]
		}
		all = append(all, int64(a))
	}
	if len(all) == 0 {
		return x.in[0], nil
	}
	if rank != 4 {
		return x.reshape(x.node(name, []string{x.in[0], x.ints(all)}), x.out), nil
	}
	return x.reshape(x.last(x.node(name, []string{x.first(x.in[0]), x.ints(all)})), x.out), nil
}
