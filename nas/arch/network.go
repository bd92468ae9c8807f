// Package arch is the vocabulary of networks: layers, MobileNetV2 and its
// scalings, and the elastic space whose subnets a supernet holds.
//
// Three values describe the same kind of network at growing freedom: a
// [Backbone] at [Widths] is one network at each resolution, a [Space] is all
// the subnets that a supernet of that backbone holds, and a [Network] is the
// plain list of layers to which each of them comes down.
package arch

import (
	"fmt"
	"slices"
)

// Network is a feed-forward network: layers in an order in which each comes
// after those it reads.
type Network struct {
	Name   string  `json:"name"`
	Input  Shape   `json:"input"`
	Layers []Layer `json:"layers"`
}

// MACs returns the multiply-accumulate operations of one inference.
func (n Network) MACs() int64 { return n.sum(Layer.MACs) }

// Params returns the number of parameters, as published counts have them. Weights that
// several layers use count once.
func (n Network) Params() int64 { return n.sum(own(Layer.Params)) }

// WeightBytes returns the bytes of all int8 weights and int32 biases, those that several
// layers use once.
func (n Network) WeightBytes() int64 { return n.sum(own(Layer.WeightBytes)) }

// own counts what belongs to a layer that has weights of its own.
func own(count func(Layer) int64) func(Layer) int64 {
	return func(l Layer) int64 {
		if l.Reuses {
			return 0
		}
		return count(l)
	}
}

func (n Network) sum(f func(Layer) int64) (total int64) {
	for _, l := range n.Layers {
		total += f(l)
	}
	return total
}

// Blocks returns the names of its blocks, in order.
func (n Network) Blocks() []string {
	var names []string
	for i, l := range n.Layers {
		if i == 0 || l.Block != n.Layers[i-1].Block {
			names = append(names, l.Block)
		}
	}
	return names
}

// Range returns the index of the first layer of block first and the index after
// the last layer of block last. It panics where there is no such block.
func (n Network) Range(first, last string) (from, to int) {
	from = slices.IndexFunc(n.Layers, func(l Layer) bool { return l.Block == first })
	for i, l := range n.Layers {
		if l.Block == last {
			to = i + 1
		}
	}
	if from < 0 || to <= from {
		panic(fmt.Sprintf("arch.Network.Range: no blocks %q to %q", first, last))
	}
	return from, to
}

// Cut returns the layers from index from to before index to as a network of
// its own, whose input is what the layer before them writes. It panics where
// they read anything else from outside.
func (n Network) Cut(from, to int) Network {
	part := Network{Name: n.Name, Input: n.shape(from - 1), Layers: slices.Clone(n.Layers[from:to])}
	for i := range part.Layers {
		l := &part.Layers[i]
		l.Inputs = slices.Clone(l.Inputs)
		for k, j := range l.Inputs {
			if j < from-1 {
				panic(fmt.Sprintf("arch.Network.Cut: %q reads layer %d, from before the cut at %d", l.Name, j, from))
			}
			l.Inputs[k] = j - from
		}
	}
	return part
}

// Validate checks that every layer reads what exists before it, in the shape
// that it expects. The error names the layer.
func (n Network) Validate() error {
	if len(n.Layers) == 0 {
		return fmt.Errorf("network %q has no layers", n.Name)
	}
	for i, l := range n.Layers {
		if err := n.check(i, l); err != nil {
			return fmt.Errorf("layer %q: %w", l.Name, err)
		}
	}
	return nil
}

// operands says how many maps a layer of an operation reads; 0 is any number from one.
func (op Op) operands() int {
	switch op {
	case Add, Mul, MatMul:
		return 2
	case View:
		return 0
	}
	return 1
}

func (n Network) check(i int, l Layer) error {
	if want := l.Op.operands(); len(l.Inputs) != want && (want != 0 || len(l.Inputs) == 0) {
		return fmt.Errorf("inputs: got %d, want %d for op %s", len(l.Inputs), max(1, want), l.Op)
	}
	if len(l.Others) != 0 && len(l.Others) != len(l.Inputs)-1 {
		return fmt.Errorf("has the shapes of %d further operands, and reads %d", len(l.Others), len(l.Inputs)-1)
	}
	for k, j := range l.Inputs {
		if j < -1 || j >= i {
			return fmt.Errorf("reads layer %d, which does not come before it", j)
		}
		if got, want := n.shape(j), l.Operand(k); got != want {
			return fmt.Errorf("expects %v but reads %v", want, got)
		}
	}
	if out, err := l.result(); err != nil {
		return err
	} else if out != l.Out {
		return fmt.Errorf("writes %v, its window gives %v", l.Out, out)
	}
	return l.bounded()
}

// read sets the shapes of what the layer reads.
func (n Network) read(l *Layer) {
	l.In, l.Others = n.shape(l.Inputs[0]), nil
	differs := func(j int) bool { return n.shape(j) != l.In }
	if slices.ContainsFunc(l.Inputs, differs) {
		for _, j := range l.Inputs[1:] {
			l.Others = append(l.Others, n.shape(j))
		}
	}
}

// What a layer may have at most, so that no count of a network overflows.
const (
	maxElements = 1 << 31 // of a map, and weights
	maxMACs     = 1 << 50
	maxExtent   = 1 << 24 // along an axis
)

// bounded checks that the layer's counts are within what is counted. It counts
// in floating point, which does not overflow.
func (l Layer) bounded() error {
	size := func(s Shape) float64 { return float64(s.C) * float64(s.H) * float64(s.W) }
	weights, macs := 0.0, 0.0
	switch l.Op {
	case Conv, Pointwise, Depthwise, Pool, Deconv:
		weights = float64(l.Kernel.H) * float64(l.Kernel.W) * float64(l.Out.C)
		if l.Op != Depthwise && l.Op != Pool {
			weights *= float64(l.In.C) / float64(max(1, l.Groups))
		}
		macs = weights * float64(l.Out.H) * float64(l.Out.W)
		if l.Op == Deconv {
			macs = weights * float64(l.In.H) * float64(l.In.W)
		}
	case Linear:
		weights = size(l.In) * float64(l.Out.C)
		macs = weights
	case MatMul:
		macs = size(l.Out) * float64(l.In.W)
	}
	type count struct {
		n, most float64
		what    string
	}
	counts := []count{{size(l.In), maxElements, "elements to read"}, {size(l.Out), maxElements, "elements to write"}, {weights, maxElements, "weights"}, {macs, maxMACs, "MACs"}}
	for _, s := range l.Others {
		counts = append(counts, count{size(s), maxElements, "elements to read"})
	}
	for _, c := range counts {
		if c.n > c.most {
			return fmt.Errorf("%v to %v: %.3g %s, at most %.3g can be counted", l.In, l.Out, c.n, c.what, c.most)
		}
	}
	return nil
}

// shape returns the shape of what layer i writes; -1 is the input.
func (n Network) shape(i int) Shape {
	if i < 0 {
		return n.Input
	}
	return n.Layers[i].Out
}

// result derives the output's shape from those of the operands and the window. Of a view
// and a resize it is what they were made for.
func (l Layer) result() (Shape, error) {
	for k := range max(1, len(l.Inputs)) {
		if s := l.Operand(k); !s.positive() || l.Out.C < 1 {
			return Shape{}, fmt.Errorf("shapes %v to %v: every extent must be at least 1", s, l.Out)
		}
	}
	switch l.Op {
	case Add, Mul:
		return l.broadcast()
	case MatMul:
		a, b := l.In, l.Operand(1)
		if a.W != b.H || a.C != b.C && a.C != 1 && b.C != 1 {
			return Shape{}, fmt.Errorf("%v by %v is no product: want as many columns as the second has rows, and as many channels or one", a, b)
		}
		return Shape{max(a.C, b.C), a.H, b.W}, nil
	case Elementwise:
		if l.Out.positive() && l.In.C%l.Out.C == 0 && l.In.H%l.Out.H == 0 && l.In.W%l.Out.W == 0 {
			return l.Out, nil
		}
		return Shape{}, fmt.Errorf("writes %v of %v: want the same, or parts where it reduces", l.Out, l.In)
	case Resize, View:
		if !l.Out.positive() || l.Op == Resize && l.Out.C != l.In.C {
			return Shape{}, fmt.Errorf("writes %v of %v", l.Out, l.In)
		}
		return l.Out, nil
	case Linear:
		return Shape{C: l.Out.C, H: 1, W: 1}, nil
	case Conv, Pointwise, Depthwise, Pool, Deconv:
		return l.windowed()
	}
	return Shape{C: l.In.C}, fmt.Errorf("unknown operation %q", l.Op)
}

func (s Shape) positive() bool {
	most := max(s.C, s.H, s.W)
	return min(s.C, s.H, s.W) >= 1 && most <= maxElements
}

// broadcast returns the shape of two operands combined element by element: along each
// axis they are equal, or one of them is 1 and is repeated.
func (l Layer) broadcast() (Shape, error) {
	a, b := l.In, l.Operand(1)
	if fit := func(a, b int) bool { return a == b || a == 1 || b == 1 }; !fit(a.C, b.C) || !fit(a.H, b.H) || !fit(a.W, b.W) {
		return Shape{}, fmt.Errorf("reads %v and %v: want equal shapes, or 1 where one is repeated", a, b)
	}
	return Shape{max(a.C, b.C), max(a.H, b.H), max(a.W, b.W)}, nil
}

// windowed derives the result of a layer with a window.
func (l Layer) windowed() (s Shape, err error) {
	switch g := max(1, l.Groups); {
	case l.Op == Pool:
		s.C = l.In.C
	case l.Op == Depthwise && (l.Out.C%l.In.C != 0 || l.Groups != 0):
		return s, fmt.Errorf("%d to %d channels in %d groups: a depthwise has a multiple of its input's, and no groups", l.In.C, l.Out.C, l.Groups)
	case l.Op != Depthwise && (l.In.C%g != 0 || l.Out.C%g != 0 || l.Groups < 0):
		return s, fmt.Errorf("%d to %d channels in %d groups: want groups of equal size", l.In.C, l.Out.C, l.Groups)
	default:
		s.C = l.Out.C
	}
	p, last := l.Pad, l.Pad
	if l.Op == Deconv { // what is cut off may be less than none at the end
		last.Bottom, last.Right = max(0, p.Bottom), max(0, p.Right)
	}
	if min(l.Kernel.H, l.Kernel.W, l.Stride.H, l.Stride.W) < 1 || min(p.Top, p.Left, last.Bottom, last.Right, l.Dilation.H, l.Dilation.W) < 0 {
		return s, fmt.Errorf("kernel %v, stride %v, pad %v: want kernel ≥ 1, stride ≥ 1, pad ≥ 0", l.Kernel, l.Stride, p)
	}
	if max(l.Kernel.H, l.Kernel.W, l.Stride.H, l.Stride.W, l.Dilation.H, l.Dilation.W, p.Top, p.Left, p.Bottom, p.Right) > maxExtent ||
		max(l.Span().H, l.Span().W) > maxExtent || min(p.Bottom, p.Right) < -maxExtent {
		return s, fmt.Errorf("kernel %v, stride %v, dilation %v, pad %v: want at most %d along an axis", l.Kernel, l.Stride, l.Dilation, p, maxExtent)
	}
	if l.Op == Pool && p == (Padding{}) && l.Kernel.H >= l.In.H && l.Kernel.W >= l.In.W {
		return Shape{l.In.C, 1, 1}, nil // global
	}
	over := l.Span()
	if l.Op == Deconv {
		s.H = (l.In.H-1)*l.Stride.H + over.H - p.Rows()
		s.W = (l.In.W-1)*l.Stride.W + over.W - p.Columns()
		if s.H < 1 || s.W < 1 {
			return s, fmt.Errorf("pad %v cuts off all that a %v window writes of %v", p, over, l.In)
		}
		return s, nil
	}
	height, width := l.In.H+p.Rows(), l.In.W+p.Columns()
	if height < over.H || width < over.W {
		return s, fmt.Errorf("a %v window does not fit in its padded input of %v", over, l.In)
	}
	s.H, s.W = (height-over.H)/l.Stride.H+1, (width-over.W)/l.Stride.W+1
	return s, nil
}

// builder appends layers, each reading the one before unless said otherwise.
type builder struct {
	Network
	block string
	at    int   // the layer whose output is current; -1 is the input
	cur   Shape // its shape
}

func newBuilder(name string, input Shape) *builder {
	return &builder{Network: Network{Name: name, Input: input}, at: -1, cur: input}
}

// window appends a layer with a window and "same" padding, k/2 on each side.
func (b *builder) window(name string, op Op, channels, kernel, stride int) {
	pad := kernel / 2
	b.push(Layer{Name: name, Op: op, Kernel: Square(kernel), Stride: Square(stride), Pad: Around(pad), Inputs: []int{b.at},
		Out: Shape{channels, OutSize(b.cur.H, kernel, stride, pad), OutSize(b.cur.W, kernel, stride, pad)}})
}

func (b *builder) globalPool(name string) {
	b.push(Layer{Name: name, Op: Pool, Kernel: Extent{b.cur.H, b.cur.W}, Stride: Square(1), Inputs: []int{b.at}, Out: Shape{b.cur.C, 1, 1}})
}

func (b *builder) linear(name string, classes int) {
	b.push(Layer{Name: name, Op: Linear, Kernel: Square(1), Stride: Square(1), Biases: classes, Inputs: []int{b.at}, Out: Shape{classes, 1, 1}})
}

// add appends the sum of layer from's output and the current one.
func (b *builder) add(name string, from int) {
	b.push(Layer{Name: name, Op: Add, Kernel: Square(1), Stride: Square(1), Inputs: []int{from, b.at}, Out: b.cur})
}

func (b *builder) push(l Layer) {
	l.Block, l.In = b.block, b.cur
	b.at, b.cur = len(b.Layers), l.Out
	b.Layers = append(b.Layers, l)
}

// bottleneck appends an inverted bottleneck: expand (unless t = 1),
// depthwise, project, and a residual add where the shapes allow it.
func (b *builder) bottleneck(name string, t, kernel, channels, stride int) {
	b.block = name
	from, in := b.at, b.cur
	if t != 1 {
		b.window(name+".expand", Pointwise, Middle(in.C, t), 1, 1)
	}
	b.window(name+".depthwise", Depthwise, b.cur.C, kernel, stride)
	b.window(name+".project", Pointwise, channels, 1, 1)
	if stride == 1 && in.C == channels {
		b.add(name+".add", from)
	}
}

// tail appends the head, the pooling and the classifier.
func (b *builder) tail(head, classes int) Network {
	b.block = "head"
	b.window("head", Pointwise, head, 1, 1)
	b.block = "classifier"
	b.globalPool("pool")
	b.linear("classifier", classes)
	return b.Network
}
