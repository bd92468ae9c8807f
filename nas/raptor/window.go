package raptor

import "eyrie/nas/arch"

// kind groups operations by how their tiles share operands.
type kind int

const (
	dense   kind = iota // every output channel needs every input channel: conv, pointwise, linear, deconv, matmul
	planar              // output channel c needs input channel c: depthwise, pool, elementwise, resize
	pairing             // planar with several operands: add, mul, view
)

// axis is how a layer's window moves along rows or columns.
type axis struct {
	k      int // taps
	span   int // positions from the first tap to the last
	stride int
	pad    int // zeros before the first position
}

// window is a layer as the tiler sees it: extents, not names.
type window struct {
	kind       kind
	rows, cols axis
	ci, hi, wi int  // input channels, rows, columns
	co, ho, wo int  // output channels, rows, columns
	perWeight  int  // weight bytes per output channel and input channel (dense) or per channel (planar)
	bias       int  // further weight bytes per output channel
	operands   int  // maps read
	in, out, w int  // bytes of one operand, of the result, of the weights
	used       int  // bytes of one operand that windows touch
	free       bool // nothing is charged for it
}

// window returns a layer as the platform sees it.
func (p *Platform) window(l *arch.Layer) window {
	g := newWindow(l)
	g.free = p.free(l.Op)
	if p.streamed(l.Op) {
		g.perWeight, g.bias, g.w = 0, 0, 0
	}
	return g
}

func newWindow(l *arch.Layer) window {
	g := window{
		rows: axis{l.Kernel.H, l.Span().H, l.Stride.H, l.Pad.Top}, cols: axis{l.Kernel.W, l.Span().W, l.Stride.W, l.Pad.Left},
		ci: l.In.C, hi: l.In.H, wi: l.In.W, co: l.Out.C, ho: l.Out.H, wo: l.Out.W,
		operands: 1, in: l.In.Size(), out: l.Out.Size(), w: int(l.WeightBytes()),
	}
	switch l.Op {
	case arch.Linear:
		g.ci, g.hi, g.wi = g.in, 1, 1
		g.perWeight, g.bias = 1, 4
	case arch.Conv, arch.Pointwise:
		g.perWeight, g.bias = ceilDiv(l.Kernel.Size(), max(1, l.Groups)), 4
	case arch.Depthwise:
		g.kind, g.perWeight, g.bias = planar, l.Kernel.Size(), 4
	case arch.Pool:
		g.kind = planar
	case arch.Deconv:
		g.perWeight, g.bias = ceilDiv(l.Kernel.Size(), max(1, l.Groups)), 4
		g.opaque()
	case arch.Elementwise, arch.Resize:
		g.kind = planar
		g.opaque()
	case arch.Add, arch.Mul, arch.View, arch.MatMul:
		g.kind, g.operands = pairing, len(l.Inputs)
		for k := range l.Inputs { // the largest stands for all of them
			g.in = max(g.in, l.Operand(k).Size())
		}
		if g.in != g.out || len(l.Others) > 0 {
			g.opaque()
		}
	}
	g.used = g.in
	if g.rows.k != 1 || g.rows.stride != 1 {
		g.used = g.readRows(g.ho) * g.wi * g.ci
	}
	return g
}

// opaque makes of the window one that needs all of a channel for any row of the result:
// which rows of it the layer reads is not modelled.
func (g *window) opaque() {
	if g.kind != dense {
		g.ci = g.co
	}
	g.hi, g.wi = 1, ceilDiv(g.in, g.ci)
	g.rows, g.cols = axis{1, 1, 1, 0}, axis{1, 1, 1, 0}
}

// tileRows returns the most input rows that a tile of th output rows reads.
func (g *window) tileRows(th int) int {
	return min(g.hi, (th-1)*min(g.rows.stride, g.rows.span)+g.rows.span)
}

// readRows returns the input rows read by all tiles of th output rows
// together: rows that two tiles share (the halo) count twice; padding does not
// count, nor do rows that no window touches.
func (g *window) readRows(th int) int {
	if g.rows.span < g.rows.stride { // the windows of two rows have rows between them
		th = 1
	}
	n := ceilDiv(g.ho, th)
	// Tile t covers rows [max(0, t·step − pad), min(hi, t·step − pad + span)),
	// and the last tile may be shorter.
	step, span := th*g.rows.stride, (th-1)*g.rows.stride+g.rows.span
	total := 0
	full := n - 1 // tiles but the last
	if full > 0 {
		total += clippedSum(full, step, span-g.rows.pad, g.hi) - clippedSum(full, step, -g.rows.pad, g.hi)
	}
	last := g.ho - full*th
	lo := full*step - g.rows.pad
	hi := lo + (last-1)*g.rows.stride + g.rows.span
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

func ceilDiv(a, b int) int { return (a + b - 1) / b }
