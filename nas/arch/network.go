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
	"strings"
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

// GroupOf returns the group that a block belongs to: "g2" for "g2.b1", and the
// block itself where it stands alone.
func GroupOf(block string) string {
	group, _, _ := strings.Cut(block, ".")
	return group
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

func (n Network) check(i int, l Layer) error {
	want := 1
	if l.Op == Add {
		want = 2
	}
	if len(l.Inputs) != want {
		return fmt.Errorf("inputs: got %d, want %d for op %s", len(l.Inputs), want, l.Op)
	}
	for _, j := range l.Inputs {
		if j < -1 || j >= i {
			return fmt.Errorf("reads layer %d, which does not come before it", j)
		}
		if got := n.shape(j); got != l.In {
			return fmt.Errorf("expects %v but reads %v", l.In, got)
		}
	}
	if out, err := l.result(); err != nil {
		return err
	} else if out != l.Out {
		return fmt.Errorf("writes %v, its window gives %v", l.Out, out)
	}
	return l.bounded()
}

// What a layer may have at most, so that no count of a network overflows.
const (
	maxElements = 1 << 31 // of a map, and weights
	maxMACs     = 1 << 50
)

// bounded checks that the layer's counts are within what is counted. It counts
// in floating point, which does not overflow.
func (l Layer) bounded() error {
	size := func(s Shape) float64 { return float64(s.C) * float64(s.H) * float64(s.W) }
	weights := float64(l.Kernel) * float64(l.Kernel) * float64(l.In.C) * float64(l.Out.C)
	switch l.Op {
	case Linear:
		weights = size(l.In) * float64(l.Out.C)
	case Depthwise, Pool, Add:
		weights /= float64(l.In.C)
	}
	for _, c := range []struct {
		n, most float64
		what    string
	}{
		{size(l.In), maxElements, "elements to read"}, {size(l.Out), maxElements, "elements to write"},
		{weights, maxElements, "weights"}, {weights * float64(l.Out.H) * float64(l.Out.W), maxMACs, "MACs"},
	} {
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

// result derives the output's shape from the input's and the window.
func (l Layer) result() (Shape, error) {
	if l.In.C < 1 || l.In.H < 1 || l.In.W < 1 || l.Out.C < 1 {
		return Shape{}, fmt.Errorf("shapes %v to %v: every extent must be at least 1", l.In, l.Out)
	}
	s := Shape{C: l.In.C}
	switch l.Op {
	case Add:
		return l.In, nil
	case Linear:
		return Shape{C: l.Out.C, H: 1, W: 1}, nil
	case Conv, Pointwise:
		s.C = l.Out.C
	case Depthwise, Pool:
	default:
		return s, fmt.Errorf("unknown operation %q", l.Op)
	}
	if l.Kernel < 1 || l.Stride < 1 || l.Pad < 0 || l.Pad >= l.Kernel {
		return s, fmt.Errorf("kernel %d, stride %d, pad %d: want kernel ≥ 1, stride ≥ 1, 0 ≤ pad < kernel", l.Kernel, l.Stride, l.Pad)
	}
	if l.Op == Pool && l.Pad == 0 && l.Kernel >= max(l.In.H, l.In.W) {
		return Shape{l.In.C, 1, 1}, nil // global, also where rows and columns differ in number
	}
	if small := min(l.In.H, l.In.W) + 2*l.Pad; small < l.Kernel {
		return s, fmt.Errorf("a %d×%d window does not fit in its padded input of %v", l.Kernel, l.Kernel, l.In)
	}
	s.H = OutSize(l.In.H, l.Kernel, l.Stride, l.Pad)
	s.W = OutSize(l.In.W, l.Kernel, l.Stride, l.Pad)
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
	b.push(Layer{Name: name, Op: op, Kernel: kernel, Stride: stride, Pad: pad, Inputs: []int{b.at},
		Out: Shape{channels, OutSize(b.cur.H, kernel, stride, pad), OutSize(b.cur.W, kernel, stride, pad)}})
}

func (b *builder) globalPool(name string) {
	b.push(Layer{Name: name, Op: Pool, Kernel: max(b.cur.H, b.cur.W), Stride: 1, Inputs: []int{b.at}, Out: Shape{b.cur.C, 1, 1}})
}

func (b *builder) linear(name string, classes int) {
	b.push(Layer{Name: name, Op: Linear, Kernel: 1, Stride: 1, Inputs: []int{b.at}, Out: Shape{classes, 1, 1}})
}

// add appends the sum of layer from's output and the current one.
func (b *builder) add(name string, from int) {
	b.push(Layer{Name: name, Op: Add, Kernel: 1, Stride: 1, Inputs: []int{from, b.at}, Out: b.cur})
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
