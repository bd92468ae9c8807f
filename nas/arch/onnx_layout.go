package arch

import (
	"cmp"
	"fmt"
	"slices"
)

// This file follows where the channels, rows and columns of a map are among the
// dimensions of a tensor, however it was transposed and reshaped.

// axis is one of those that a map has, or that of the images in a batch.
type axis byte

const (
	batchAxis axis = iota
	channelAxis
	rowAxis
	columnAxis
)

// digit is a part of an axis. The index along the axis is the sum of its digits' indices,
// each times its stride, as in a number of mixed radix: 12 channels in 3 groups are the
// digits {size 3, stride 4} and {size 4, stride 1}.
type digit struct {
	axis   axis
	size   int
	stride int
}

// layout says of which digits each dimension of a tensor consists, from the most
// significant. A dimension of 1 has none. All digits of an axis are somewhere.
type layout [][]digit

// plain returns the layout in which each dimension is one axis, whole.
func plain(dims []int, axes []axis) layout {
	l := make(layout, len(dims))
	for i, n := range dims {
		if n > 1 {
			l[i] = []digit{{axes[i], n, 1}}
		}
	}
	return l
}

// equal reports whether two layouts are the same.
func (l layout) equal(m layout) bool { return slices.EqualFunc(l, m, slices.Equal[[]digit]) }

// merged joins neighbours that are consecutive digits of an axis.
func merged(d []digit) []digit {
	var all []digit
	for _, next := range d {
		if n := len(all); n > 0 && all[n-1].axis == next.axis && all[n-1].stride == next.size*next.stride {
			all[n-1] = digit{next.axis, all[n-1].size * next.size, next.stride}
		} else {
			all = append(all, next)
		}
	}
	return all
}

// reshape divides the digits into other dimensions. It returns nil where a digit would have
// to be cut into unequal parts.
func (l layout) reshape(dims []int) layout {
	rest := slices.Concat(l...)
	to := make(layout, len(dims))
	for i, size := range dims {
		var d []digit
		for size > 1 {
			if len(rest) == 0 {
				return nil
			}
			switch next := &rest[0]; {
			case size%next.size == 0:
				d = append(d, *next)
				size /= next.size
				rest = rest[1:]
			case next.size%size == 0:
				next.size /= size
				d = append(d, digit{next.axis, size, next.stride * next.size})
				size = 1
			default:
				return nil
			}
		}
		to[i] = merged(d)
	}
	return to
}

// resized returns the layout after dimensions have other sizes: each of those has the
// digits of one axis at most, or will have one element. size is the axes' new sizes.
func (l layout) resized(change map[int]int) (to layout, size [4]int, ok bool) {
	to = make(layout, len(l))
	for i, d := range l {
		to[i] = slices.Clone(d)
		n, changes := change[i]
		switch {
		case !changes:
		case n == 1:
			to[i] = nil
		case len(d) == 1:
			to[i][0].size = n
		default:
			return nil, size, false
		}
	}
	// What remains of each axis is numbered anew.
	var all []*digit
	for i := range to {
		for j := range to[i] {
			all = append(all, &to[i][j])
		}
	}
	slices.SortStableFunc(all, func(a, b *digit) int { return cmp.Compare(a.stride, b.stride) })
	size = [4]int{1, 1, 1, 1}
	for _, d := range all {
		d.stride = size[d.axis]
		size[d.axis] *= d.size
	}
	for i := range to {
		to[i] = merged(to[i])
	}
	return to, size, true
}

// without returns the layout without dimensions of one element.
func (l layout) without(dims []int) layout {
	var to layout
	for i, d := range l {
		if !slices.Contains(dims, i) {
			to = append(to, d)
		}
	}
	return to
}

// sizes returns the number of elements along each dimension, without those of the batch.
func (l layout) sizes() []int {
	n := make([]int, len(l))
	for i, d := range l {
		n[i] = 1
		for _, part := range d {
			if part.axis != batchAxis {
				n[i] *= part.size
			}
		}
	}
	return n
}

// whole reports whether a dimension is the axis of n elements, and nothing else.
func (l layout) whole(dim int, a axis, n int) bool {
	if n == 1 {
		return len(l[dim]) == 0
	}
	return len(l[dim]) == 1 && l[dim][0] == digit{a, n, 1}
}

// holds reports whether a dimension has a part of any of the axes.
func (l layout) holds(dim int, axes ...axis) bool {
	return slices.ContainsFunc(l[dim], func(d digit) bool { return slices.Contains(axes, d.axis) })
}

// along names which dimensions are to be read as channels, rows and columns. Several are
// read as one, in their order; none is an extent of 1.
type along struct{ c, h, w []int }

// shape returns the channels, rows and columns of dimensions of these sizes.
func (a along) shape(sizes []int) Shape {
	product := func(dims []int) int {
		n := 1
		for _, i := range dims {
			n *= sizes[i]
		}
		return n
	}
	return Shape{product(a.c), product(a.h), product(a.w)}
}

// tensor is a value of the graph: a map, which depends on the network's input, or a constant.
type tensor struct {
	dims []int // its shape; of a constant nil where it could not be followed

	constant bool
	values           // of a constant, where they are known
	root     string  // of a constant: the initializer, or the output of the node, that it was made of
	layer    int     // of a map: what wrote it; −1 for the input
	layout   layout  // of a map
	pad      Padding // of a map: zeros around what the layer wrote, for the window that reads it
	product  bool    // of a map: a product by weights to which no bias was added yet
	lost     bool    // behind an operator that is not supported
}

// same reports whether two maps are the same elements in the same order, but for what was
// done to each of them by itself.
func (t *tensor) same(u *tensor) bool {
	return t.layer == u.layer && t.pad == u.pad && slices.Equal(t.dims, u.dims) && t.layout.equal(u.layout)
}

// shape returns the map's channels, rows and columns.
func (g *importer) shape(t *tensor) Shape {
	s := g.net.shape(t.layer)
	return Shape{s.C, s.H + t.pad.Rows(), s.W + t.pad.Columns()}
}

// extent returns the elements along an axis.
func (g *importer) extent(t *tensor, a axis) int {
	s := g.shape(t)
	return [...]int{g.batch, s.C, s.H, s.W}[a]
}

// usual says which dimensions are channels, rows and columns where the graph does not: the
// channels are those that have been so far, or come before the rest, and the last
// dimension is the columns.
func (g *importer) usual(t *tensor) along {
	var rest []int
	for i := range t.dims {
		if i > 0 || t.layout.holds(0, channelAxis, rowAxis, columnAxis) {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 {
		return along{}
	}
	channels := 0
	for k, i := range rest {
		if n := g.extent(t, channelAxis); n > 1 && t.layout.whole(i, channelAxis, n) {
			channels = k
		}
	}
	a := along{c: rest[channels : channels+1]}
	rest = slices.Delete(slices.Clone(rest), channels, channels+1)
	if n := len(rest); n > 0 {
		a.w, a.h = rest[n-1:], rest[:n-1]
	}
	return a
}

// read returns the layer that writes the map as channels, rows and columns are asked for:
// the layer that wrote it, where they are there so, else a view of it. The tensor is that
// view's from then on.
func (g *importer) read(t *tensor, a along) (layer int, err error) {
	if g.isRead(t, a) {
		return t.layer, nil
	}
	if err := g.settle(t); err != nil {
		return 0, err
	}
	if t.layer < 0 && !g.inputRead && g.arrange(t, a) {
		return 0, errRearranged
	}
	sizes := t.layout.sizes()
	if err := g.view(t, a.shape(sizes)); err != nil {
		return 0, err
	}
	t.layout = laidOut(t.layout, sizes, a)
	return t.layer, nil
}

// isRead reports whether the map's axes are as asked for.
func (g *importer) isRead(t *tensor, a along) bool {
	want := func(dims []int, x axis) bool {
		n := g.extent(t, x)
		all := slices.Concat(pickDims(t.layout, dims)...)
		all = merged(slices.DeleteFunc(all, func(d digit) bool { return d.axis == batchAxis }))
		if n == 1 {
			return len(all) == 0
		}
		return len(all) == 1 && all[0] == digit{x, n, 1}
	}
	return want(a.c, channelAxis) && want(a.h, rowAxis) && want(a.w, columnAxis)
}

func pickDims(l layout, dims []int) (all [][]digit) {
	for _, i := range dims {
		all = append(all, l[i])
	}
	return all
}

// laidOut returns a layout of dimensions of these sizes, without the batch, whose axes are as
// asked for.
func laidOut(old layout, sizes []int, a along) layout {
	to := make(layout, len(old))
	for i, d := range old { // the images of a batch stay where they are
		for _, part := range d {
			if part.axis == batchAxis {
				to[i] = append(to[i], part)
			}
		}
	}
	for _, x := range []struct {
		dims []int
		axis axis
	}{{a.c, channelAxis}, {a.h, rowAxis}, {a.w, columnAxis}} {
		stride := 1
		for _, i := range slices.Backward(x.dims) {
			if sizes[i] > 1 {
				to[i] = append(to[i], digit{x.axis, sizes[i], stride})
				stride *= sizes[i]
			}
		}
	}
	return to
}

// view appends a layer that makes a map of another shape of a map, and makes it the
// tensor's. The tensor's layout is the caller's to set.
func (g *importer) view(t *tensor, to Shape) error {
	l := Layer{Op: View, Kernel: Square(1), Stride: Square(1), Inputs: []int{t.layer}, Out: to}
	layer, err := g.push(l)
	t.layer, t.pad, t.product = layer, Padding{}, false
	return err
}

// settle makes padding that no window has taken over a layer.
func (g *importer) settle(t *tensor) error {
	if t.pad == (Padding{}) {
		return nil
	}
	return g.view(t, g.shape(t))
}

// usually reads a map in the usual way, and makes its layout that of the dimensions.
func (g *importer) usually(t *tensor) error {
	_, err := g.read(t, g.usual(t))
	return err
}

// errRearranged says that the network's input is to be read in another way, and the graph
// from its beginning.
var errRearranged = fmt.Errorf("the input is read in another way")

// arrange notes how the network's input is read first: a model whose images have their
// channels last transposes them before all else, which is no work but a name for what
// an image is. It reports whether that differs from what was assumed only in which axis is
// which.
func (g *importer) arrange(t *tensor, a along) bool {
	if g.arranged != nil {
		return false
	}
	name := map[axis]axis{batchAxis: batchAxis}
	to := Shape{1, 1, 1}
	for _, x := range []struct {
		dims []int
		axis axis
		size *int
	}{{a.c, channelAxis, &to.C}, {a.h, rowAxis, &to.H}, {a.w, columnAxis, &to.W}} {
		all := slices.Concat(pickDims(t.layout, x.dims)...)
		all = slices.DeleteFunc(all, func(d digit) bool { return d.axis == batchAxis })
		switch {
		case len(all) == 0:
		case len(all) > 1 || all[0].size != g.extent(t, all[0].axis):
			return false // a patch, or channels in another order
		default:
			name[all[0].axis], *x.size = x.axis, all[0].size
		}
	}
	if to.Size() != g.net.Input.Size() { // a part was cut off before
		return false
	}
	g.arranged = &arrangement{input: to, layout: make(layout, len(g.first))}
	for i, d := range g.first {
		if len(d) > 0 {
			g.arranged.layout[i] = []digit{{name[d[0].axis], d[0].size, 1}}
		}
	}
	return true
}

// arrangement is how the network's input is read.
type arrangement struct {
	input  Shape
	layout layout
}
