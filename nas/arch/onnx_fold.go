package arch

import (
	"fmt"
	"math"
	"slices"

	"eyrie/nas/onnx"
	"eyrie/pipeline/float"
)

// This file computes what does not depend on the network's input: with the input's shape
// known, the sizes that exporters compute before they reshape, slice or resize are, too.

// values are the elements of a constant: integers, or numbers, or none where they are not
// known, too many, or not needed.
type values struct {
	ints   []int64
	floats []float64
}

const (
	maxRank   = 16
	maxValues = 1 << 12 // elements that are followed: sizes, axes and factors are few
)

func (v *values) known() bool { return v.ints != nil || v.floats != nil }

func (v *values) len() int { return len(v.ints) + len(v.floats) }

// number returns the i-th element.
func (v *values) number(i int) float64 {
	if v.ints != nil {
		return float64(v.ints[i])
	}
	return v.floats[i]
}

// pick returns the elements at the indices.
func (v *values) pick(at []int) (to values) {
	if v.ints != nil {
		to.ints = make([]int64, len(at))
	} else if v.floats != nil {
		to.floats = make([]float64, len(at))
	}
	for k, i := range at {
		if v.ints != nil {
			to.ints[k] = v.ints[i]
		} else if v.floats != nil {
			to.floats[k] = v.floats[i]
		}
	}
	return to
}

// ofTensor returns what a tensor in the file holds.
func ofTensor(t *onnx.Tensor) (dims []int, v values, err error) {
	if dims, err = extents(t.Shape); err != nil {
		return nil, v, err
	}
	if t.External || elements(dims) > maxValues {
		return dims, v, nil
	}
	switch {
	case elements(dims) == len(t.Ints):
		v.ints = append([]int64{}, t.Ints...)
	case elements(dims) == len(t.Floats):
		v.floats = make([]float64, len(t.Floats))
		for i, f := range t.Floats {
			v.floats[i] = float64(f)
		}
	}
	return dims, v, nil
}

// extents checks the dimensions of a tensor.
func extents(shape []int64) ([]int, error) {
	dims := make([]int, len(shape))
	n := 1.0
	for i, d := range shape {
		if n *= float64(max(1, d)); d < 0 || n > maxElements || len(shape) > maxRank {
			return nil, fmt.Errorf("a tensor of the shape %v", shape)
		}
		dims[i] = int(d)
	}
	return dims, nil
}

// elements returns the number of elements of a shape that was checked.
func elements(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// indices returns, for each element of a tensor of the shape dims, where it comes from.
func indices(dims []int, from func(at []int) int) []int {
	all := make([]int, elements(dims))
	at := make([]int, len(dims))
	for k := range all {
		all[k] = from(at)
		for i := len(dims) - 1; i >= 0; i-- {
			if at[i]++; at[i] < dims[i] {
				break
			}
			at[i] = 0
		}
	}
	return all
}

// offset returns the place of an element in a tensor; along dimensions of 1 it repeats.
func offset(at, dims []int) int {
	n := 0
	shift := len(at) - len(dims)
	for i, d := range dims {
		n *= d
		if d > 1 {
			n += at[i+shift]
		}
	}
	return n
}

// broadcast returns the shape of several tensors combined element by element.
func broadcast(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	to := slices.Repeat([]int{1}, rank)
	for _, s := range shapes {
		for i, d := range s {
			at := &to[rank-len(s)+i]
			if *at == 1 {
				*at = d
			} else if d != 1 && d != *at {
				return nil, fmt.Errorf("shapes %v do not fit together element by element", shapes)
			}
		}
	}
	return to, tooLarge(to)
}

func tooLarge(dims []int) error {
	n := 1.0
	for _, d := range dims {
		n *= float64(max(1, d))
	}
	if n > maxElements || len(dims) > maxRank {
		return fmt.Errorf("it makes a tensor of the shape %v", dims)
	}
	return nil
}

// fold returns the node's results where all that it reads is constant. What it cannot
// compute has no shape.
func (g *importer) fold(n *onnx.Node, in []*tensor) ([]*tensor, error) {
	to := &tensor{constant: true, root: n.Outputs[0]}
	all := []*tensor{to}
	if len(in) > 0 && in[0] != nil && slices.Contains(rewritten, n.Op) {
		to.root = in[0].root
	}
	if n.Op == "Constant" || n.Op == "ConstantOfShape" || n.Op == "Range" {
		return all, g.generate(n, in, to)
	}
	if len(in) == 0 || in[0] == nil || in[0].dims == nil {
		return all, nil
	}
	if arithmetic[n.Op] != nil || n.Op == "Where" {
		return all, foldElements(n, in, to)
	}
	switch x := in[0]; n.Op {
	case "Identity", "DequantizeLinear", "QuantizeLinear", "Dropout", "BatchNormalization", "LayerNormalization", "InstanceNormalization", "Softmax":
		if to.dims = x.dims; n.Op == "Identity" {
			to.values = x.values
		}
	case "Cast", "CastLike":
		to.dims, to.values = x.dims, cast(n, x.values)
	case "Floor", "Ceil", "Round", "Neg", "Abs", "Sqrt", "Reciprocal", "Not", "Relu", "Exp", "Log", "Tanh", "Sigmoid", "Erf":
		to.dims, to.values = x.dims, unary(n.Op, x.values)
	case "Shape":
		return all, shapeOf(n, x.dims, to)
	case "Size":
		to.dims, to.ints = []int{}, []int64{int64(elements(x.dims))}
	case "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile", "Slice", "Gather", "Split":
		return g.foldMoves(n, in, to)
	case "Concat":
		return all, foldConcat(n, in, to)
	case "ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean":
		return all, g.foldReduce(n, in, to)
	}
	return all, nil
}

// rewritten are operators whose result is their first input in another form.
var rewritten = []string{"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "QuantizeLinear", "DequantizeLinear"}

// generate makes what takes no tensor, or only sizes.
func (g *importer) generate(n *onnx.Node, in []*tensor, to *tensor) (err error) {
	switch n.Op {
	case "Range":
		if len(in) < 3 || in[0] == nil || in[1] == nil || in[2] == nil || in[0].len() != 1 || in[1].len() != 1 || in[2].len() != 1 {
			return nil
		}
		from, limit, step := in[0].number(0), in[1].number(0), in[2].number(0)
		size := math.Ceil((limit - from) / step)
		if math.IsNaN(size) || size > maxElements {
			return fmt.Errorf("a range from %v to %v by %v", from, limit, step)
		}
		to.dims = []int{int(max(0, size))}
		for i := 0; i < to.dims[0] && to.dims[0] <= maxValues && in[0].ints != nil; i++ {
			to.ints = append(to.ints, int64(from)+int64(i)*int64(step))
		}
		return nil
	case "ConstantOfShape":
		if len(in) == 0 || in[0] == nil || in[0].ints == nil {
			return nil
		}
		if to.dims, err = extents(in[0].ints); err != nil || elements(to.dims) > maxValues {
			return err
		}
		value, _ := n.Attribute("value").(onnx.Tensor)
		if len(value.Ints) == 1 {
			to.ints = slices.Repeat(value.Ints, elements(to.dims))
		} else {
			to.floats = make([]float64, elements(to.dims))
			for i := range to.floats {
				if len(value.Floats) == 1 {
					to.floats[i] = float64(value.Floats[0])
				}
			}
		}
		return nil
	}
	for _, a := range n.Attributes {
		switch v := a.Value.(type) {
		case onnx.Tensor:
			to.dims, to.values, err = ofTensor(&v)
		case []int64:
			to.dims, to.ints = []int{len(v)}, v
		case []float32:
			to.dims = []int{len(v)}
			for _, f := range v {
				to.floats = append(to.floats, float64(f))
			}
		case int64:
			to.dims, to.ints = []int{}, []int64{v}
		case float32:
			to.dims, to.floats = []int{}, []float64{float64(v)}
		}
	}
	return err
}

// arithmetic has the operators of two tensors.
var arithmetic = map[string]func(a, b float64) float64{
	"Add": func(a, b float64) float64 { return a + b }, "Sub": func(a, b float64) float64 { return a - b },
	"Mul": func(a, b float64) float64 { return a * b }, "Div": func(a, b float64) float64 { return a / b },
	"Mod": math.Mod, "Pow": float.Pow, "Min": math.Min, "Max": math.Max, "PRelu": func(a, b float64) float64 { return max(a, 0) + float64(b*min(a, 0)) },
	"Equal": func(a, b float64) float64 { return truth(a == b) }, "Greater": func(a, b float64) float64 { return truth(a > b) },
	"Less": func(a, b float64) float64 { return truth(a < b) }, "GreaterOrEqual": func(a, b float64) float64 { return truth(a >= b) },
	"LessOrEqual": func(a, b float64) float64 { return truth(a <= b) },
	"And":         func(a, b float64) float64 { return truth(a != 0 && b != 0) }, "Or": func(a, b float64) float64 { return truth(a != 0 || b != 0) },
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// integers has the operators of two integers whose result would be lost in floating point.
var integers = map[string]func(a, b int64) int64{
	"Add": func(a, b int64) int64 { return a + b }, "Sub": func(a, b int64) int64 { return a - b },
	"Mul": func(a, b int64) int64 { return a * b },
	"Div": func(a, b int64) int64 {
		if b == 0 {
			return 0
		}
		return a / b
	},
	"Mod": func(a, b int64) int64 {
		if b == 0 {
			return 0
		}
		return ((a % b) + b) % b
	},
	"Min": func(a, b int64) int64 { return min(a, b) }, "Max": func(a, b int64) int64 { return max(a, b) },
}

// foldElements computes element by element.
func foldElements(n *onnx.Node, in []*tensor, to *tensor) (err error) {
	var shapes [][]int
	known := true
	for _, t := range in {
		if t == nil || t.dims == nil {
			return nil
		}
		shapes = append(shapes, t.dims)
		known = known && t.known()
	}
	if to.dims, err = broadcast(shapes...); err != nil || !known || elements(to.dims) > maxValues {
		return err
	}
	operand := func(t *tensor) values {
		return t.pick(indices(to.dims, func(at []int) int { return offset(at, t.dims) }))
	}
	if n.Op == "Where" {
		if len(in) != 3 || (in[1].ints == nil) != (in[2].ints == nil) {
			return nil
		}
		cond, a, b := operand(in[0]), operand(in[1]), operand(in[2])
		to.values = a
		for i := range elements(to.dims) {
			if cond.number(i) != 0 {
				continue
			}
			if a.ints != nil {
				to.ints[i] = b.ints[i]
			} else {
				to.floats[i] = b.floats[i]
			}
		}
		return nil
	}
	to.values = operand(in[0])
	for _, t := range in[1:] {
		a, b := to.values, operand(t)
		whole := a.ints != nil && b.ints != nil
		to.values = values{}
		compare := slices.Contains([]string{"Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And", "Or"}, n.Op)
		for i := range elements(to.dims) {
			switch f := integers[n.Op]; {
			case whole && f != nil:
				to.ints = append(to.ints, f(a.ints[i], b.ints[i]))
			case whole || compare:
				to.ints = append(to.ints, toInt(arithmetic[n.Op](a.number(i), b.number(i))))
			default:
				to.floats = append(to.floats, arithmetic[n.Op](a.number(i), b.number(i)))
			}
		}
	}
	return nil
}

// toInt truncates a number; one beyond the integers becomes the nearest.
func toInt(f float64) int64 {
	switch {
	case math.IsNaN(f):
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// cast converts between integers and numbers.
func cast(n *onnx.Node, v values) (to values) {
	kind, _ := n.Attribute("to").(int64)
	switch number := kind == 1 || kind == 10 || kind == 11 || kind == 16; {
	case !v.known() || n.Op == "CastLike" || number == (v.floats != nil):
		return v
	case number:
		for _, i := range v.ints {
			to.floats = append(to.floats, float64(i))
		}
	default:
		for _, f := range v.floats {
			to.ints = append(to.ints, toInt(f))
		}
	}
	return to
}

// unary computes a function of each element.
func unary(op string, v values) (to values) {
	f := map[string]func(float64) float64{
		"Floor": math.Floor, "Ceil": math.Ceil, "Round": math.RoundToEven, "Neg": func(x float64) float64 { return -x }, "Abs": math.Abs,
		"Sqrt": math.Sqrt, "Reciprocal": func(x float64) float64 { return 1 / x }, "Not": func(x float64) float64 { return truth(x == 0) },
	}[op]
	if f == nil {
		return to
	}
	for i := range v.len() {
		if v.ints != nil {
			to.ints = append(to.ints, toInt(f(v.number(i))))
		} else {
			to.floats = append(to.floats, f(v.number(i)))
		}
	}
	return to
}

// shapeOf sets the dimensions that a Shape node asks for.
func shapeOf(n *onnx.Node, dims []int, to *tensor) error {
	from, until := 0, len(dims)
	bound := func(name string, at *int) {
		if v, ok := n.Attribute(name).(int64); ok {
			if v < 0 {
				v += int64(len(dims))
			}
			*at = int(min(max(v, 0), int64(len(dims))))
		}
	}
	bound("start", &from)
	bound("end", &until)
	to.ints = []int64{}
	for _, d := range dims[from:max(from, until)] {
		to.ints = append(to.ints, int64(d))
	}
	to.dims = []int{len(to.ints)}
	return nil
}

// foldMoves computes what moves elements.
func (g *importer) foldMoves(n *onnx.Node, in []*tensor, to *tensor) ([]*tensor, error) {
	x := in[0]
	set := func(t *tensor, dims []int, from func(at []int) int) {
		if t.dims = dims; x.known() && elements(dims) <= maxValues {
			t.values = x.pick(indices(dims, from))
		}
	}
	switch n.Op {
	case "Transpose":
		perm, err := permutation(n, len(x.dims))
		if err != nil {
			return nil, err
		}
		dims := make([]int, len(perm))
		for i, p := range perm {
			dims[i] = x.dims[p]
		}
		set(to, dims, func(at []int) int {
			old := make([]int, len(at))
			for i, p := range perm {
				old[p] = at[i]
			}
			return offset(old, x.dims)
		})
	case "Reshape", "Flatten", "Squeeze", "Unsqueeze":
		dims, err := g.reshaped(n, in)
		if err != nil {
			return nil, err
		}
		to.dims, to.values = dims, x.values
	case "Expand", "Tile":
		dims, err := g.expanded(n, in)
		if err != nil {
			return nil, err
		}
		set(to, dims, func(at []int) int {
			old := make([]int, len(x.dims))
			for i, d := range x.dims {
				old[i] = at[len(at)-len(x.dims)+i] % max(1, d)
			}
			return offset(old, x.dims)
		})
	case "Slice":
		parts, err := g.slices(n, in)
		if err != nil {
			return nil, err
		}
		dims := slices.Clone(x.dims)
		for i, p := range parts {
			dims[i] = p.count
		}
		set(to, dims, func(at []int) int {
			old := slices.Clone(at)
			for i, p := range parts {
				old[i] = p.from + at[i]*p.step
			}
			return offset(old, x.dims)
		})
	case "Gather":
		if len(in) < 2 || in[1] == nil || in[1].dims == nil {
			return []*tensor{to}, nil
		}
		a, err := axisOf(n, 0, len(x.dims))
		if err != nil {
			return nil, err
		}
		index := in[1]
		dims := append([]int{}, x.dims[:a]...) // a scalar's are none, which are not unknown ones
		dims = append(append(dims, index.dims...), x.dims[a+1:]...)
		if err := tooLarge(dims); err != nil || index.ints == nil {
			to.dims = dims
			return []*tensor{to}, err
		}
		for _, i := range index.ints {
			if i < -int64(x.dims[a]) || i >= int64(x.dims[a]) {
				return nil, fmt.Errorf("index %d of %d elements", i, x.dims[a])
			}
		}
		set(to, dims, func(at []int) int {
			i := index.ints[offset(at[a:a+len(index.dims)], index.dims)]
			old := slices.Concat(at[:a], []int{int((i + int64(x.dims[a])) % int64(x.dims[a]))}, at[a+len(index.dims):])
			return offset(old, x.dims)
		})
	case "Split":
		a, sizes, err := g.split(n, in)
		if err != nil {
			return nil, err
		}
		var all []*tensor
		from := 0
		for k := range n.Outputs {
			dims := slices.Clone(x.dims)
			dims[a] = sizes[k]
			t := &tensor{constant: true, root: n.Outputs[k]}
			begin := from
			set(t, dims, func(at []int) int {
				old := slices.Clone(at)
				old[a] += begin
				return offset(old, x.dims)
			})
			from += sizes[k]
			all = append(all, t)
		}
		return all, nil
	}
	return []*tensor{to}, nil
}

// foldConcat joins constants along an axis.
func foldConcat(n *onnx.Node, in []*tensor, to *tensor) error {
	known := true
	for _, t := range in {
		if t == nil || t.dims == nil || len(t.dims) != len(in[0].dims) {
			return nil
		}
		known = known && t.known() && (t.ints == nil) == (in[0].ints == nil)
	}
	a, err := axisOf(n, 0, len(in[0].dims))
	if err != nil {
		return err
	}
	dims := slices.Clone(in[0].dims)
	dims[a] = 0
	for _, t := range in {
		dims[a] += t.dims[a]
	}
	if err := tooLarge(dims); err != nil {
		return err
	}
	if to.dims = dims; !known || elements(dims) > maxValues {
		return nil
	}
	outer := elements(dims[:a])
	for o := range outer {
		for _, t := range in {
			size := elements(t.dims[a:])
			for i := o * size; i < (o+1)*size && i < t.len(); i++ {
				if t.ints != nil {
					to.ints = append(to.ints, t.ints[i])
				} else {
					to.floats = append(to.floats, t.floats[i])
				}
			}
		}
	}
	if to.len() != elements(dims) { // operands of unequal shapes
		to.values = values{}
	}
	return nil
}

// foldReduce reduces constants, and computes where all is reduced.
func (g *importer) foldReduce(n *onnx.Node, in []*tensor, to *tensor) error {
	x := in[0]
	axes, err := g.axes(n, in, len(x.dims))
	if err != nil || axes == nil && len(x.dims) > 0 {
		return err
	}
	keep := true
	if v, ok := n.Attribute("keepdims").(int64); ok {
		keep = v != 0
	}
	to.dims = []int{}
	for i, d := range x.dims {
		if !slices.Contains(axes, i) {
			to.dims = append(to.dims, d)
		} else if keep {
			to.dims = append(to.dims, 1)
		}
	}
	if elements(to.dims) != 1 || x.len() == 0 || n.Op == "ReduceMean" {
		return nil
	}
	f := map[string]string{"ReduceProd": "Mul", "ReduceSum": "Add", "ReduceMax": "Max", "ReduceMin": "Min"}[n.Op]
	if x.ints != nil {
		v := x.ints[0]
		for _, i := range x.ints[1:] {
			v = integers[f](v, i)
		}
		to.ints = []int64{v}
		return nil
	}
	v := x.floats[0]
	for _, i := range x.floats[1:] {
		v = arithmetic[f](v, i)
	}
	to.floats = []float64{v}
	return nil
}
