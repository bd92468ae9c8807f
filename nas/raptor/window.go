package raptor

import "eyrie/nas/arch"

// window is a layer as the tiler sees it: extents, not names.
//
// A layer has groups that share nothing: those of a convolution, the channels of a
// depthwise one, of a pool or of work element by element, the matrices of a product.
// Within a group every output channel needs every input channel.
type window struct {
	view       bool // it only moves, see [step.view]
	groups     int
	ci, co     int // input and output channels of a group
	hi, wi     int // rows and columns of its first operand
	ho, wo     int // rows and columns of the result
	rows, cols axis
	perWeight  int        // weight bytes per output channel and input channel of its group
	bias       int        // further weight bytes per output channel
	operands   [2]operand // of a view none
	read       int        // operands
	mapped     bool       // the second operand stands for weights
	in, out, w int        // bytes of all operands, of the result, of the weights
	used       int        // bytes of the operands that windows touch
	free       bool       // nothing is charged for it
	spills     bool       // the platform's policy does
}

// operand is a map that a layer reads.
type operand struct {
	index       int  // among the layer's operands
	size, used  int  // bytes, and those that windows touch
	row         int  // bytes of a row of one channel
	rows, chans bool // it has rows and channels of its own for those of the result; else they are repeated
}

// window makes of g the window of a layer as the platform sees it.
func (p *Platform) window(l *arch.Layer, g *window) {
	g.set(l)
	g.free, g.spills = p.free(l.Op), p.Policy.conduct().spills
	if p.streamed(l.Op) {
		g.perWeight, g.bias, g.w = 0, 0, 0
	}
}

// set makes of the window that of a layer.
func (g *window) set(l *arch.Layer) {
	*g = window{
		groups: 1, ci: l.In.C, co: l.Out.C, hi: l.In.H, wi: l.In.W, ho: l.Out.H, wo: l.Out.W,
		rows: axis{k: l.Kernel.H, dilation: max(1, l.Dilation.H), stride: l.Stride.H, pad: l.Pad.Top},
		cols: axis{k: l.Kernel.W, dilation: max(1, l.Dilation.W), stride: l.Stride.W, pad: l.Pad.Left},
		in:   int(l.InputBytes()), out: l.Out.Size(), w: int(l.WeightBytes()), read: 1,
	}
	each := axis{k: 1, dilation: 1, stride: 1}
	switch l.Op {
	case arch.View:
		g.view, g.read = true, 0
		return
	case arch.Linear:
		g.ci, g.hi, g.wi = l.In.Size(), 1, 1
		g.perWeight, g.bias = 1, 4
	case arch.Conv, arch.Pointwise, arch.Deconv:
		g.perWeight, g.bias = l.Kernel.Size(), 4
		g.group(max(1, l.Groups))
		if l.Op == arch.Deconv {
			g.rows.motion, g.cols.motion = spreading, spreading
		}
	case arch.Depthwise:
		g.perWeight, g.bias = l.Kernel.Size(), 4
		g.group(l.In.C)
	case arch.Pool:
		g.group(l.In.C)
	case arch.Resize:
		g.group(l.In.C)
		g.rows.motion, g.cols.motion = scaling, scaling
	case arch.Elementwise:
		g.rows, g.cols = reduced(each, l.In.H, l.Out.H), reduced(each, l.In.W, l.Out.W)
		if l.Out.C == l.In.C {
			g.group(l.In.C)
		}
	case arch.Add, arch.Mul:
		g.rows, g.cols, g.read = each, each, 2
		g.groups, g.ci, g.co, g.hi = l.Out.C, 1, 1, l.Out.H
		for k := range g.operands {
			s := l.Operand(k)
			g.operands[k] = operand{index: k, size: s.Size(), used: s.Size(), row: s.W, rows: s.H == l.Out.H, chans: s.C == l.Out.C}
		}
		g.used = g.in
		return
	case arch.MatMul:
		g.product(l, each)
		return
	}
	o := &g.operands[0]
	*o = operand{size: l.In.Size(), used: l.In.Size(), row: g.wi, rows: true, chans: true}
	if g.rows.motion != scaling && (g.rows.k != 1 || g.rows.stride != 1) {
		o.used = g.readRows(g.ho) * g.wi * g.ci * g.groups
	}
	g.used = o.used
}

// group divides the channels into groups.
func (g *window) group(n int) { g.groups, g.ci, g.co = n, g.ci/n, g.co/n }

// reduced returns the axis of work that reads each element once: along it, or all of it
// for one result.
func reduced(each axis, in, out int) axis {
	if out < in {
		each.k, each.stride = in, in
	}
	return each
}

// product sets the window of a matrix product: rows of the first operand by columns of
// the second, which stands for weights. A matrix that all channels share takes the
// weights' part, and the rows of all channels are one matrix's.
func (g *window) product(l *arch.Layer, each axis) {
	a, b := l.In, l.Operand(1)
	rows, columns := a.H, b.W
	first, second := operand{index: 0, size: a.Size()}, operand{index: 1, size: b.Size()}
	shared := b.C
	if a.C < b.C { // the transposed product, of b's columns by a's rows
		rows, columns, shared = b.W, a.H, a.C
		first, second = second, first
	}
	g.groups, g.ci, g.co, g.ho = l.Out.C, a.W, columns, rows
	if shared < l.Out.C {
		g.groups, g.ho = 1, rows*l.Out.C
	}
	g.hi, g.wi, g.wo = g.ho, 1, 1
	g.rows, g.cols = each, each
	g.perWeight, g.mapped, g.read = 1, true, 2
	first.used, first.row, first.rows, first.chans = first.size, 1, true, true
	second.used, second.chans = second.size, true
	g.operands = [2]operand{first, second}
	g.used = g.in
}

// dense reports whether several weights work on one value: whether there is reuse to gain.
func (g *window) dense() bool { return g.perWeight > 0 && g.ci > 1 }

// on reports whether an operand is in the local memory, given which are.
func (o *operand) on(chip operands) bool { return chip>>o.index&1 == 1 }

// operands is a set of a layer's operands, by index.
type operands uint8

// motion is how a window moves.
type motion uint8

const (
	sliding   motion = iota // over what it reads, by strides
	spreading               // over what it writes, by strides, as a transposed convolution's
	scaling                 // over both, in proportion
)

// axis is how a layer's window moves along rows or columns.
type axis struct {
	motion   motion
	k        int // taps
	dilation int // from one tap to the next
	stride   int
	pad      int // zeros before the first position; of what spreads, results cut off
}

// span returns the positions from the first tap to the last.
func (a *axis) span() int { return (a.k-1)*a.dilation + 1 }

// steady reports whether the windows of neighbours leave out no position between them.
func (a *axis) steady() bool { return a.motion == sliding && a.dilation == 1 && a.k >= a.stride }

// touched counts the positions of in that the results from first to before end, of out,
// are made from.
func (a *axis) touched(first, end, in, out int) (n int) {
	switch {
	case a.motion == scaling:
		return ceilDiv(end*in, out) - first*in/out
	case a.motion == spreading:
		// The first that reaches so far, and the last that begins so early.
		for r := max(0, ceilDiv(first+a.pad-a.span()+1, a.stride)); r < in && r*a.stride-a.pad < end; r++ {
			from := r*a.stride - a.pad
			tap := max(0, ceilDiv(first-from, a.dilation))
			if tap < a.k && from+tap*a.dilation < end {
				n++
			}
		}
		return n
	case a.dilation == 1 && (a.k >= a.stride || end == first+1):
		return min(in, max(0, (end-1)*a.stride-a.pad+a.k)) - min(in, max(0, first*a.stride-a.pad))
	}
	for r := max(0, first*a.stride-a.pad); r < min(in, (end-1)*a.stride-a.pad+a.span()); r++ {
		for tap := range a.k {
			if at := r + a.pad - tap*a.dilation; at >= first*a.stride && at < end*a.stride && at%a.stride == 0 {
				n++
				break
			}
		}
	}
	return n
}

// taps counts the pairs of a tap and a position that are not in the padding, or not cut
// off.
func (a *axis) taps(out, in int) (n int) {
	if a.motion == spreading {
		in, out = out, in // windows move over what is written
	}
	inside := func(o int) int { // taps of a window that are on a position
		first := o*a.stride - a.pad
		return max(0, min(a.k, ceilDiv(in-first, a.dilation))-max(0, ceilDiv(-first, a.dilation)))
	}
	// Windows in between have all of them.
	low := min(out, ceilDiv(a.pad, a.stride))
	high := max(low, min(out, ceilDiv(in+a.pad-a.span()+1, a.stride)))
	for o := range low {
		n += inside(o)
	}
	for o := high; o < out; o++ {
		n += inside(o)
	}
	return n + (high-low)*a.k
}

// tileRows returns the most input rows that a tile of th output rows reads.
func (g *window) tileRows(th int) (most int) {
	a := &g.rows
	if a.steady() {
		return min(g.hi, (th-1)*a.stride+a.k)
	}
	for first := 0; first < g.ho; first += th {
		most = max(most, a.touched(first, min(g.ho, first+th), g.hi, g.ho))
	}
	return most
}

// readRows returns the input rows read by all tiles of th output rows
// together: rows that two tiles share (the halo) count twice; padding does not
// count, nor do rows that no window touches.
func (g *window) readRows(th int) (total int) {
	a := &g.rows
	if !a.steady() {
		for first := 0; first < g.ho; first += th {
			total += a.touched(first, min(g.ho, first+th), g.hi, g.ho)
		}
		return total
	}
	n := ceilDiv(g.ho, th)
	// Tile t covers rows [max(0, t·step − pad), min(hi, t·step − pad + span)),
	// and the last tile may be shorter.
	step, span := th*a.stride, (th-1)*a.stride+a.k
	full := n - 1 // tiles but the last
	if full > 0 {
		total += clippedSum(full, step, span-a.pad, g.hi) - clippedSum(full, step, -a.pad, g.hi)
	}
	last := g.ho - full*th
	lo := full*step - a.pad
	hi := lo + (last-1)*a.stride + a.k
	return total + min(g.hi, max(0, hi)) - min(g.hi, max(0, lo))
}

// clippedSum returns Σ over t in [0, n) of t·step + base clipped to [0, top].
func clippedSum(n, step, base, top int) int {
	low := 0 // terms below 0
	if base < 0 {
		low = min(n, ceilDiv(-base, step))
	}
	mid := 0 // terms at or below top, after those
	if first := low*step + base; first <= top {
		mid = min(n-low, (top-first)/step+1)
	}
	sum := (n - low - mid) * top
	if mid > 0 {
		first := low*step + base
		sum += mid*first + step*(mid*(mid-1)/2)
	}
	return sum
}

// ceilDiv returns a/b rounded up, for b > 0.
func ceilDiv(a, b int) int {
	if a > 0 {
		return (a + b - 1) / b
	}
	return a / b
}
