package arch

// Span is a run of a network's layers, From the first to before To.
type Span struct{ From, To int }

// Blocks divides a network into blocks by its graph alone, whatever its layers are
// called:
//
//   - What a bypass spans is one block: from the layer after the map that is read twice
//     to the one that reads it last, such as a residual addition or a concatenation.
//   - A depthwise convolution is one block with the pointwise one before it, unless
//     that ends a block of this kind, and with the one after it.
//   - What scales or rearranges a map, such as squeeze and excitation, belongs to the
//     block before it.
//   - The last pool, if what follows it has one pixel, begins the classifier.
//   - Any other layer is a block.
//
// MobileNetV2's blocks are those of its table: the stem, the bottlenecks, the head, the
// classifier.
func Blocks(n Network) []Span {
	units := n.units()
	tail := n.classifier()
	var blocks []Span
	state := closed
	for _, u := range units {
		joins, next := n.joins(u, state)
		switch {
		case u.From > tail && len(blocks) > 0 && blocks[len(blocks)-1].From >= tail:
			joins = true
		case u.From >= tail:
			joins = false
		}
		if joins && len(blocks) > 0 {
			blocks[len(blocks)-1].To = u.To
		} else {
			blocks = append(blocks, u)
		}
		state = next
	}
	return blocks
}

// Groups divides a network's blocks into runs of blocks whose results have one shape,
// as a [Backbone]'s groups do where their neighbours differ.
func Groups(n Network) []Span {
	var groups []Span
	for i, b := range Blocks(n) {
		if i > 0 && n.Layers[b.To-1].Out == n.Layers[b.From-1].Out {
			groups[len(groups)-1].To = b.To
		} else {
			groups = append(groups, b)
		}
	}
	return groups
}

// units divides a network at every map that nothing bypasses.
func (n Network) units() []Span {
	last := make([]int, len(n.Layers)+1) // last reader of map j−1
	for i := range n.Layers {
		for _, j := range n.Layers[i].Inputs {
			last[j+1] = i
		}
	}
	var units []Span
	from, reach := 0, 0
	for i := range n.Layers {
		reach = max(reach, last[i]) // the farthest reader of the maps before layer i's
		if reach <= i {
			units = append(units, Span{from, i + 1})
			from = i + 1
		}
	}
	return units
}

// classifier returns the layer with which the classifier begins: the last pool, where
// that and all that follow have results of one pixel. It is len(n.Layers) if there is
// none.
func (n Network) classifier() int {
	for i := len(n.Layers) - 1; i >= 0; i-- {
		l := &n.Layers[i]
		switch {
		case l.Out.H != 1 || l.Out.W != 1:
			return len(n.Layers)
		case l.Op == Pool:
			return i
		}
	}
	return len(n.Layers)
}

// unfinished is what a block may go on with.
type unfinished int

const (
	closed   unfinished = iota // no layer in particular
	expanded                   // a depthwise convolution: it is a pointwise one
	deep                       // a pointwise convolution: it ends in a depthwise one
)

// joins reports whether a unit belongs to the block before it, and with what that, or
// the block that it begins, may go on.
func (n Network) joins(u Span, before unfinished) (joins bool, next unfinished) {
	first, last := &n.Layers[u.From], &n.Layers[u.To-1]
	lone := u.To == u.From+1
	switch {
	case last.follows():
		return true, before
	case lone && first.Op == Depthwise:
		return before == expanded, deep
	case lone && first.pointwise() && before == deep:
		return true, closed
	case lone && first.pointwise():
		return false, expanded
	}
	return false, closed
}

// follows reports whether a unit that ends with the layer only changes the map of the
// block before it.
func (l *Layer) follows() bool {
	switch l.Op {
	case Mul:
		return true
	case Elementwise, View:
		return len(l.Inputs) == 1
	}
	return false
}

// pointwise reports whether each result depends on one pixel of a map.
func (l *Layer) pointwise() bool {
	return l.Op == Pointwise || l.Op == Conv && l.Kernel.Size() == 1 && l.Stride.Size() == 1
}
