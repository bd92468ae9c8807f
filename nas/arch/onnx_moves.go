package arch

import (
	"fmt"
	"math"
	"slices"

	"eyrie/nas/onnx"
)

// This file says what the operators that move elements are: nothing where only dimensions
// get other names, and views where maps are cut, joined or put into another order.

// sizes makes the node's result the sizes of a map, which are known.
func (g *importer) sizes(n *onnx.Node, in []*tensor) error {
	if in[0] == nil {
		return fmt.Errorf("it has no first input")
	}
	t := &tensor{constant: true, root: n.Outputs[0]}
	g.set(n, t)
	if n.Op == "Size" {
		t.dims, t.ints = []int{}, []int64{int64(elements(in[0].dims))}
		return nil
	}
	return shapeOf(n, in[0].dims, t)
}

// integersOf returns the integers that a node takes as an input or, in older opsets, as an
// attribute; ok is false where there are neither.
func integersOf(n *onnx.Node, in []*tensor, input int, attribute string) (v []int64, ok bool, err error) {
	if input < len(in) && in[input] != nil {
		if in[input].ints == nil {
			return nil, false, fmt.Errorf("its %s, %q, are not a constant in the model: export it with constant %s, and small constants in the file itself", attribute, n.Inputs[input], attribute)
		}
		return in[input].ints, true, nil
	}
	switch v := n.Attribute(attribute).(type) {
	case []int64:
		return v, true, nil
	case int64:
		return []int64{v}, true, nil
	}
	return nil, false, nil
}

// axisAt returns which of the dimensions an axis is; negative ones count from the end.
func axisAt(a int64, rank int) (int, error) {
	if a < -int64(rank) || a >= int64(rank) {
		return 0, fmt.Errorf("axis %d of %d dimensions", a, rank)
	}
	return int(a+int64(rank)) % rank, nil
}

// axisOf returns the node's axis.
func axisOf(n *onnx.Node, usual int64, rank int) (int, error) {
	if v, ok := n.Attribute("axis").(int64); ok {
		usual = v
	}
	return axisAt(usual, rank)
}

// axes returns the dimensions that a node is about, in order: all where none is written,
// unless that is to mean none.
func (g *importer) axes(n *onnx.Node, in []*tensor, rank int) (all []int, err error) {
	v, ok, err := integersOf(n, in, 1, "axes")
	if err != nil {
		return nil, err
	}
	if !ok || len(v) == 0 {
		if none, _ := n.Attribute("noop_with_empty_axes").(int64); none != 0 {
			return nil, nil
		}
		for i := range rank {
			all = append(all, i)
		}
		return all, nil
	}
	for _, i := range v {
		a, err := axisAt(i, rank)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// permutation returns the order of a Transpose.
func permutation(n *onnx.Node, rank int) ([]int, error) {
	perm, ok := n.Attribute("perm").([]int64)
	order := make([]int, rank)
	for i := range order {
		order[i] = rank - 1 - i
		if ok {
			if len(perm) != rank || perm[i] < 0 || perm[i] >= int64(rank) || slices.Contains(perm[:i], perm[i]) {
				return nil, fmt.Errorf("perm %v does not permute %d dimensions", perm, rank)
			}
			order[i] = int(perm[i])
		}
	}
	return order, nil
}

// reshaped returns the dimensions that a node makes of its input without moving an element.
func (g *importer) reshaped(n *onnx.Node, in []*tensor) (dims []int, err error) {
	old := in[0].dims
	dims = []int{} // of one element, and not unknown
	switch n.Op {
	case "Flatten":
		a := 1
		if v, ok := n.Attribute("axis").(int64); ok {
			if v < -int64(len(old)) || v > int64(len(old)) {
				return nil, fmt.Errorf("axis %d of %d dimensions", v, len(old))
			}
			if a = int(v); a < 0 {
				a += len(old)
			}
		}
		a = min(a, len(old))
		return []int{elements(old[:a]), elements(old[a:])}, nil
	case "Squeeze":
		v, ok, err := integersOf(n, in, 1, "axes")
		if err != nil {
			return nil, err
		}
		drop := map[int]bool{}
		for _, i := range v {
			a, err := axisAt(i, len(old))
			if err != nil {
				return nil, err
			}
			if drop[a] = true; old[a] != 1 {
				return nil, fmt.Errorf("dimension %d of %v is not 1", a, old)
			}
		}
		for i, d := range old {
			if !drop[i] && (ok || d != 1) {
				dims = append(dims, d)
			}
		}
		return dims, nil
	case "Unsqueeze":
		v, ok, err := integersOf(n, in, 1, "axes")
		if err != nil || !ok {
			return nil, cmpErr(err, "it has no axes")
		}
		rank := len(old) + len(v)
		if rank > maxRank {
			return nil, fmt.Errorf("%d dimensions", rank)
		}
		one := map[int]bool{}
		for _, i := range v {
			a, err := axisAt(i, rank)
			if err != nil {
				return nil, err
			}
			one[a] = true
		}
		if len(one) != len(v) {
			return nil, fmt.Errorf("axes %v have one twice", v)
		}
		for i := range rank {
			if one[i] {
				dims = append(dims, 1)
			} else {
				dims, old = append(dims, old[0]), old[1:]
			}
		}
		return dims, nil
	}
	v, ok, err := integersOf(n, in, 1, "shape")
	if err != nil || !ok || len(v) > maxRank {
		return nil, cmpErr(err, fmt.Sprintf("it has no shape, or one of more than %d dimensions", maxRank))
	}
	zero, _ := n.Attribute("allowzero").(int64)
	infer, product := -1, 1.0
	for i, d := range v {
		switch {
		case d == 0 && zero == 0 && i < len(old):
			d = int64(old[i])
		case d == -1 && infer < 0:
			infer, d = i, 1
		case d < 0 || d > maxElements:
			return nil, fmt.Errorf("shape %v", v)
		}
		dims = append(dims, int(d))
		product *= float64(d)
	}
	size := elements(old)
	if infer >= 0 && product > 0 && product <= float64(size) {
		dims[infer] = size / int(product)
		product *= float64(dims[infer])
	}
	if product != float64(size) {
		return nil, fmt.Errorf("shape %v of %d elements in %v", v, size, old)
	}
	return dims, nil
}

func cmpErr(err error, usual string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s", usual)
}

// expanded returns the dimensions that an Expand or a Tile makes.
func (g *importer) expanded(n *onnx.Node, in []*tensor) (dims []int, err error) {
	what := map[string]string{"Expand": "shape", "Tile": "repeats"}[n.Op]
	v, ok, err := integersOf(n, in, 1, what)
	if err != nil || !ok {
		return nil, cmpErr(err, "it has no "+what)
	}
	if n.Op == "Expand" {
		if dims, err = extents(v); err != nil {
			return nil, err
		}
		return broadcast(in[0].dims, dims)
	}
	if len(v) != len(in[0].dims) {
		return nil, fmt.Errorf("repeats %v of %d dimensions", v, len(in[0].dims))
	}
	for i, d := range in[0].dims {
		if v[i] < 0 || v[i] > maxElements {
			return nil, fmt.Errorf("repeats %v", v)
		}
		dims = append(dims, d*int(v[i]))
	}
	return dims, tooLarge(dims)
}

// part is what a slice takes of a dimension.
type part struct{ from, step, count int }

// slices returns what a Slice takes of each dimension.
func (g *importer) slices(n *onnx.Node, in []*tensor) ([]part, error) {
	dims := in[0].dims
	parts := make([]part, len(dims))
	for i, d := range dims {
		parts[i] = part{0, 1, d}
	}
	starts, ok, err := integersOf(n, in, 1, "starts")
	if err != nil || !ok {
		return nil, cmpErr(err, "it has no starts")
	}
	ends, _, err := integersOf(n, in, 2, "ends")
	if err != nil {
		return nil, err
	}
	which, some, err := integersOf(n, in, 3, "axes")
	if err != nil {
		return nil, err
	}
	steps, stepped, err := integersOf(n, in, 4, "steps")
	if err != nil {
		return nil, err
	}
	if len(ends) != len(starts) || some && len(which) != len(starts) || stepped && len(steps) != len(starts) || !some && len(starts) > len(dims) {
		return nil, fmt.Errorf("starts %v, ends %v, axes %v and steps %v are not of one length", starts, ends, which, steps)
	}
	for k := range starts {
		a, step := k, int64(1)
		if some {
			if a, err = axisAt(which[k], len(dims)); err != nil {
				return nil, err
			}
		}
		if stepped {
			step = steps[k]
		}
		d := int64(dims[a])
		if step == 0 || step < -maxElements || step > maxElements {
			return nil, fmt.Errorf("steps %v", steps)
		}
		at := func(v, low, high int64) int64 {
			if v < 0 {
				v = max(v, -d-1) + d
			}
			return min(max(v, low), high)
		}
		var p part
		if step > 0 {
			from, until := at(starts[k], 0, d), at(ends[k], 0, d)
			p = part{int(from), int(step), int(max(0, (until-from+step-1)/step))}
		} else {
			from := at(starts[k], -1, d-1)
			until := at(ends[k], -1, d-1)
			if ends[k] < -d {
				until = -1
			}
			p = part{int(from), int(step), int(max(0, (until-from+step+1)/step))}
		}
		parts[a] = p
	}
	return parts, nil
}

// split returns along which dimension a Split cuts, and into what sizes.
func (g *importer) split(n *onnx.Node, in []*tensor) (a int, sizes []int, err error) {
	dims := in[0].dims
	if a, err = axisOf(n, 0, len(dims)); err != nil {
		return 0, nil, err
	}
	v, ok, err := integersOf(n, in, 1, "split")
	if err != nil {
		return 0, nil, err
	}
	if !ok {
		parts := len(n.Outputs)
		each := (dims[a] + parts - 1) / parts
		for range parts {
			v = append(v, int64(each))
		}
		v[parts-1] = int64(dims[a] - each*(parts-1))
	}
	sum := int64(0)
	for _, size := range v {
		if size < 0 || size > maxElements {
			return 0, nil, fmt.Errorf("split %v", v)
		}
		sizes = append(sizes, int(size))
		sum += size
	}
	if len(v) != len(n.Outputs) || sum != int64(dims[a]) {
		return 0, nil, fmt.Errorf("split %v of %d into %d results", v, dims[a], len(n.Outputs))
	}
	return a, sizes, nil
}

// reshape gives a map other dimensions.
func (g *importer) reshape(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	dims, err := g.reshaped(n, in)
	if err != nil {
		return err
	}
	if err := g.settle(x); err != nil {
		return err
	}
	t := *x
	t.dims = dims
	if t.layout = x.layout.reshape(dims); t.layout == nil {
		err = g.moved(&t, dims)
	}
	g.set(n, &t)
	return err
}

// transpose gives the dimensions of a map another order.
func (g *importer) transpose(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	perm, err := permutation(n, len(x.dims))
	if err != nil {
		return err
	}
	t := *x
	t.dims, t.layout = nil, nil
	for _, p := range perm {
		t.dims, t.layout = append(t.dims, x.dims[p]), append(t.layout, x.layout[p])
	}
	g.set(n, &t)
	return nil
}

// moved makes of a map one of other dimensions, whose layout does not follow from its own:
// its channels are what comes after the batch, its columns the last dimension.
func (g *importer) moved(t *tensor, dims []int) error {
	to, lay, err := g.anew(dims)
	if err != nil {
		return err
	}
	if err := g.settle(t); err != nil {
		return err
	}
	t.dims, t.layout = dims, lay
	return g.view(t, to)
}

// anew returns the usual shape and layout of dimensions.
func (g *importer) anew(dims []int) (Shape, layout, error) {
	first := 0
	if g.batch > 1 {
		if len(dims) == 0 || dims[0] != g.batch {
			return Shape{}, nil, fmt.Errorf("it makes the shape %v, whose first dimension is not the batch of %d", dims, g.batch)
		}
		first = 1
	} else if len(dims) > 1 && dims[0] == 1 {
		first = 1
	}
	lay, to := make(layout, len(dims)), Shape{1, 1, 1}
	if first == 1 && g.batch > 1 {
		lay[0] = []digit{{batchAxis, g.batch, 1}}
	}
	rest := dims[first:]
	if len(rest) > 0 {
		to.C = rest[0]
	}
	if len(rest) > 1 {
		to.W = rest[len(rest)-1]
		to.H = elements(rest[1 : len(rest)-1])
	}
	if !to.positive() {
		return to, nil, fmt.Errorf("it makes the shape %v, which is empty", dims)
	}
	copy(lay[first:], plain([]int{to.C, to.H, to.W}, []axis{channelAxis, rowAxis, columnAxis}).reshape(rest))
	return to, lay, nil
}

// cut makes of a map one of which some dimensions have other sizes.
func (g *importer) cut(t *tensor, change map[int]int) error {
	dims := slices.Clone(t.dims)
	for i, size := range change {
		if size == dims[i] {
			delete(change, i)
			continue
		}
		if size < 1 || size > maxElements {
			return fmt.Errorf("it leaves %d elements along dimension %d", size, i)
		}
		if t.layout.holds(i, batchAxis) {
			return fmt.Errorf("it changes the images of a batch, dimension %d", i)
		}
		dims[i] = size
	}
	if len(change) == 0 {
		return nil
	}
	if err := tooLarge(dims); err != nil {
		return err
	}
	if err := g.settle(t); err != nil {
		return err
	}
	for i := range change {
		if len(t.layout[i]) != 1 && dims[i] != 1 {
			return g.moved(t, dims)
		}
	}
	lay, size, _ := t.layout.resized(change)
	t.dims, t.layout = dims, lay
	return g.view(t, Shape{size[channelAxis], size[rowAxis], size[columnAxis]})
}

// slice cuts a map.
func (g *importer) slice(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	parts, err := g.slices(n, in)
	if err != nil {
		return err
	}
	change, reversed := map[int]int{}, false
	for i, p := range parts {
		change[i] = p.count
		reversed = reversed || p.step < 0 && p.count > 1
	}
	t := *x
	t.product = false
	if err = g.cut(&t, change); err == nil && reversed && len(change) == 0 {
		if err = g.settle(&t); err == nil {
			err = g.view(&t, g.shape(&t)) // the same elements, from the end
		}
	}
	g.set(n, &t)
	return err
}

// splits cuts a map into several.
func (g *importer) splits(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	a, sizes, err := g.split(n, in)
	if err != nil {
		return err
	}
	for k, out := range n.Outputs {
		t := *x
		t.product = false
		if sizes[k] == 0 { // nobody can read nothing
			continue
		}
		if err := g.cut(&t, map[int]int{a: sizes[k]}); err != nil {
			return err
		}
		g.tensors[out] = &t
	}
	return nil
}

// gather takes some of a map along a dimension.
func (g *importer) gather(n *onnx.Node, in []*tensor) error {
	if in[0].constant {
		return fmt.Errorf("it looks up in a table what a map says, as an embedding: that is not supported")
	}
	x, err := data(in)
	if err != nil {
		return err
	}
	if len(in) < 2 || in[1] == nil || !in[1].constant || in[1].dims == nil {
		return fmt.Errorf("its indices are not a constant: looking up what a map says is not supported")
	}
	a, err := axisOf(n, 0, len(x.dims))
	if err != nil {
		return err
	}
	index := in[1].dims
	t := *x
	t.product = false
	if err := g.cut(&t, map[int]int{a: elements(index)}); err != nil {
		return err
	}
	dims := slices.Concat(t.dims[:a], index, t.dims[a+1:])
	if err := tooLarge(dims); err != nil {
		return err
	}
	lay := t.layout.reshape(dims)
	if lay == nil {
		return fmt.Errorf("it makes the shape %v of %v", dims, t.dims)
	}
	t.dims, t.layout = dims, lay
	g.set(n, &t)
	return nil
}

// concat joins maps along a dimension. Constants among them, as class tokens, only add to
// the result.
func (g *importer) concat(n *onnx.Node, in []*tensor) error {
	var maps []*tensor
	sum, rank := 0, 0
	for _, t := range in {
		if t == nil || t.dims == nil {
			return fmt.Errorf("it joins a constant whose shape is not known")
		}
		if rank == 0 {
			rank = len(t.dims)
		}
		if len(t.dims) != rank {
			return fmt.Errorf("it joins %d and %d dimensions", rank, len(t.dims))
		}
	}
	a, err := axisOf(n, 0, rank)
	if err != nil {
		return err
	}
	for _, t := range in {
		for i, d := range t.dims {
			if i != a && d != in[0].dims[i] {
				return fmt.Errorf("it joins the shapes %v and %v along dimension %d", in[0].dims, t.dims, a)
			}
		}
		if sum += t.dims[a]; sum > maxElements {
			return fmt.Errorf("it makes %d elements along dimension %d", sum, a)
		}
		if !t.constant {
			maps = append(maps, t)
		}
	}
	x := maps[0]
	if sum == x.dims[a] {
		g.set(n, x)
		return nil
	}
	var inputs []int
	for _, t := range maps {
		if t.layout.holds(a, batchAxis) {
			return fmt.Errorf("it joins the images of batches")
		}
		if err := g.settle(t); err != nil {
			return err
		}
		inputs = append(inputs, t.layer)
	}
	dims := slices.Clone(x.dims)
	dims[a] = sum
	if err := tooLarge(dims); err != nil {
		return err
	}
	to, lay, ok := g.joined(maps, a, sum)
	if !ok {
		if to, lay, err = g.anew(dims); err != nil {
			return err
		}
	}
	layer, err := g.push(Layer{Op: View, Kernel: Square(1), Stride: Square(1), Inputs: inputs, Out: to})
	g.set(n, &tensor{layer: layer, dims: dims, layout: lay})
	return err
}

// joined returns what maps of one layout become along a dimension that is one axis of each.
func (g *importer) joined(maps []*tensor, a, sum int) (to Shape, lay layout, ok bool) {
	x := maps[0]
	which := batchAxis
	for _, t := range maps {
		if d := t.layout[a]; len(d) == 1 {
			which = d[0].axis
		}
	}
	rest := func(t *tensor) layout {
		l := slices.Clone(t.layout)
		l[a] = nil
		return l
	}
	to = g.shape(x)
	stacked := which == batchAxis // each of them has one element: one after the other, as channels
	for _, t := range maps {
		if !rest(t).equal(rest(x)) || !stacked && !t.layout.whole(a, which, g.extent(t, which)) {
			return to, nil, false
		}
	}
	lay = rest(x)
	if stacked {
		lay[a] = []digit{{channelAxis, sum, to.C}}
		to.C *= sum
		return to, lay, to.positive()
	}
	lay[a] = []digit{{which, sum, 1}}
	*map[axis]*int{channelAxis: &to.C, rowAxis: &to.H, columnAxis: &to.W}[which] = sum
	return to, lay, true
}

// padding adds to a map. What a constant adds around rows and columns costs nothing where a
// window reads it.
func (g *importer) padding(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	pads, ok, err := integersOf(n, in, 1, "pads")
	if err != nil || !ok {
		return cmpErr(err, "it has no pads")
	}
	var which []int
	for i := range x.dims {
		which = append(which, i)
	}
	if len(in) > 3 && in[3] != nil {
		if in[3].ints == nil {
			return fmt.Errorf("its axes, %q, are not a constant in the model", n.Inputs[3])
		}
		which = nil
		for _, v := range in[3].ints {
			a, err := axisAt(v, len(x.dims))
			if err != nil {
				return err
			}
			which = append(which, a)
		}
	}
	if len(pads) != 2*len(which) {
		return fmt.Errorf("pads %v of %d dimensions", pads, len(which))
	}
	mode, _ := n.Attribute("mode").(string)
	t := *x
	t.product = false
	t.dims, t.layout = slices.Clone(x.dims), slices.Clone(x.layout)
	change, free := map[int]int{}, mode == "" || mode == "constant"
	pad := t.pad
	s := g.shape(x)
	for k, i := range which {
		begin, end := pads[k], pads[len(which)+k]
		if max(begin, end) > maxExtent || min(begin, end) < -maxExtent {
			return fmt.Errorf("pads %v", pads)
		}
		if begin == 0 && end == 0 {
			continue
		}
		change[i] = t.dims[i] + int(begin) + int(end)
		switch {
		case begin < 0 || end < 0:
			free = false
		case s.H > 1 && t.layout.whole(i, rowAxis, s.H):
			pad.Top, pad.Bottom = pad.Top+int(begin), pad.Bottom+int(end)
			t.layout[i] = []digit{{rowAxis, change[i], 1}}
		case s.W > 1 && t.layout.whole(i, columnAxis, s.W):
			pad.Left, pad.Right = pad.Left+int(begin), pad.Right+int(end)
			t.layout[i] = []digit{{columnAxis, change[i], 1}}
		default:
			free = false
		}
	}
	if free {
		for i, size := range change {
			t.dims[i] = size
		}
		t.pad = pad
		g.set(n, &t)
		return tooLarge(t.dims)
	}
	t.dims, t.layout = slices.Clone(x.dims), slices.Clone(x.layout)
	err = g.cut(&t, change)
	g.set(n, &t)
	return err
}

// expand repeats a map along dimensions.
func (g *importer) expand(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	dims, err := g.expanded(n, in)
	if err != nil {
		return err
	}
	t, err := g.spread(x, dims)
	if err == nil {
		g.set(n, t)
	}
	return err
}

// spread returns a map repeated along dimensions.
func (g *importer) spread(x *tensor, dims []int) (*tensor, error) {
	t := *x
	if len(dims) < len(t.dims) {
		return nil, fmt.Errorf("it makes the shape %v of %v", dims, t.dims)
	}
	t.lift(len(dims))
	err := g.repeat(&t, dims)
	return &t, err
}

// repeat makes of a map one that is repeated along dimensions.
func (g *importer) repeat(t *tensor, dims []int) error {
	if slices.Equal(t.dims, dims) {
		return nil
	}
	return g.moved(t, dims)
}

// resize adds an up- or downsampling.
func (g *importer) resize(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	which := make([]int, len(x.dims))
	for i := range which {
		which[i] = i
	}
	if v, ok := n.Attribute("axes").([]int64); ok {
		which = nil
		for _, i := range v {
			a, err := axisAt(i, len(x.dims))
			if err != nil {
				return err
			}
			which = append(which, a)
		}
	}
	if p, ok := n.Attribute("keep_aspect_ratio_policy").(string); ok && p != "stretch" {
		return fmt.Errorf("keep_aspect_ratio_policy %q is not supported", p)
	}
	// Opset 9 has an Upsample with scales, opset 10 a Resize with them as second input, and
	// what came after has them third, beside sizes.
	var scales, sizes values
	at := func(i int) values {
		if i < len(in) && in[i] != nil {
			return in[i].values
		}
		return values{}
	}
	if len(in) < 3 {
		scales = at(1)
		if v, ok := n.Attribute("scales").([]float32); ok && len(in) < 2 {
			for _, f := range v {
				scales.floats = append(scales.floats, float64(f))
			}
		}
	} else {
		scales, sizes = at(2), at(3)
	}
	change := map[int]int{}
	for k, i := range which {
		switch {
		case sizes.len() == len(which):
			change[i] = int(min(sizes.number(k), maxElements+1))
		case scales.len() == len(which):
			// The epsilon is for scales that were sizes, divided in single precision.
			change[i] = int(min(math.Floor(float64(float64(x.dims[i])*scales.number(k))+1e-3), maxElements+1))
		default:
			return fmt.Errorf("its sizes are not known: export the model for one size, or with small constants in the file itself")
		}
		if change[i] < 1 || change[i] > maxElements {
			return fmt.Errorf("it makes %d elements along dimension %d", change[i], i)
		}
		if change[i] == x.dims[i] {
			delete(change, i)
		} else if x.layout.holds(i, batchAxis) {
			return fmt.Errorf("it changes the images of a batch, dimension %d", i)
		}
	}
	t := *x
	t.product = false
	if len(change) == 0 {
		g.set(n, &t)
		return nil
	}
	if err := g.settle(&t); err != nil {
		return err
	}
	dims := slices.Clone(t.dims)
	known := true
	for i, size := range change {
		dims[i] = size
		known = known && len(t.layout[i]) == 1 && size > 1
	}
	if err := tooLarge(dims); err != nil {
		return err
	}
	to, lay, channels := Shape{}, layout(nil), g.shape(&t).C
	if known {
		var size [4]int
		lay, size, known = t.layout.resized(change)
		to = Shape{size[channelAxis], size[rowAxis], size[columnAxis]}
	}
	if !known { // of a single row, say
		a := g.usual(&t)
		if _, err := g.read(&t, a); err != nil {
			return err
		}
		sizes := t.layout.sizes()
		for i, size := range change {
			sizes[i] = size
		}
		to, lay = a.shape(sizes), laidOut(t.layout, sizes, a)
		channels = g.shape(&t).C
	}
	if to.C != channels {
		return fmt.Errorf("it resizes channels: %v to %v", t.dims, dims)
	}
	layer, err := g.push(Layer{Op: Resize, Kernel: Square(1), Stride: Square(1), Inputs: []int{t.layer}, Out: to})
	t.layer, t.dims, t.layout = layer, dims, lay
	g.set(n, &t)
	return err
}

// regroup moves channels to rows and columns, or back.
func (g *importer) regroup(n *onnx.Node, in []*tensor) error {
	x, err := data(in)
	if err != nil {
		return err
	}
	b64, _ := n.Attribute("blocksize").(int64)
	b := int(min(max(b64, 0), maxExtent))
	if b < 1 || len(x.dims) != 4 {
		return fmt.Errorf("a block of %d in the shape %v", b, x.dims)
	}
	c, h, w := x.dims[1], x.dims[2], x.dims[3]
	if n.Op == "DepthToSpace" {
		if c%(b*b) != 0 {
			return fmt.Errorf("%d channels in blocks of %d×%d", c, b, b)
		}
		c, h, w = c/(b*b), h*b, w*b
	} else {
		if h%b != 0 || w%b != 0 {
			return fmt.Errorf("%d rows and %d columns in blocks of %d×%d", h, w, b, b)
		}
		c, h, w = c*b*b, h/b, w/b
	}
	t := *x
	t.product = false
	err = g.moved(&t, []int{x.dims[0], c, h, w})
	g.set(n, &t)
	return err
}
