package nn

import (
	"math"

	"eyrie/nas/arch"
)

// layer runs a unit. It keeps its output as the convolution left it: readers normalise
// and clamp on the fly (see view), which saves two passes over memory in each direction.
type layer struct {
	sized
	statistics
	gram      // of an expansion
	*gradient // nil where layers run forward only

	src     view      // what it reads
	y       []float32 // n·outH·outW × out, before normalisation; not of an expansion
	expand  *layer    // of a depthwise layer: the expansion before it, whose output is not kept
	taps    []float32 // of a depthwise layer: the bound kernel, in strips
	smaller []resized // of a depthwise layer: the kernels that its transforms make
}

// sized is a unit at the extents at which a subnet uses it.
type sized struct {
	*unit
	shape
}

// statistics are those of a layer's output and what normalises by them.
type statistics struct {
	mean, variance []float32 // of y, per channel
	scale, shift   []float32 // what normalises: scale·y + shift
	parts          []float64 // per chunk: two sums per channel, of either direction
}

// gradient is what a layer needs to go backward.
type gradient struct {
	dWeight, dGamma, dBeta []float32 // the trainer's gradients by the weights, which backward adds to

	g          []float32 // gradient of the loss by the normalised and clamped output
	ga, gb, gc []float32 // ga·g + gb·y + gc is the gradient by y
	dst        sink      // where the gradient by the input goes
	transposed []float32 // packed weights; of a depthwise layer, strips turned around
	partial    []float32 // per chunk: gradient of the weights
	mixing               // of an expansion
}

// shape is the extent of a layer's maps: those of the subnet that runs.
type shape struct {
	n               int // images
	inH, inW, in    int
	outH, outW, out int
	kernel, pad     int
	inLen, outLen   int // elements per image
	inRows, outRows int // pixels per image
}

// view is an activation map as its reader sees it: x itself, or, with a layer
// whose output x is, ReLU6 of its normalisation.
type view struct {
	x    []float32
	norm *layer
}

// sink is where a gradient goes.
type sink struct {
	g    []float32 // nil: nowhere
	add  []float32 // added to it: the gradient that comes over the residual connection
	norm *layer    // the layer whose normalised output this is the gradient of
	y    []float32 // that output before normalisation
}

// newLayer returns a layer that runs u: forward only, or, given gradients to add
// to, also backward.
func newLayer(u *unit, grads arena) *layer {
	l := &layer{sized: sized{unit: u}, statistics: statistics{parts: make([]float64, 2*maxChunks*u.maxOut)}}
	vectors := []*[]float32{&l.mean, &l.variance, &l.scale, &l.shift}
	if grads != nil {
		l.gradient = &gradient{dWeight: grads.of(u.weight), dGamma: grads.of(u.gamma), dBeta: grads.of(u.beta)}
		vectors = append(vectors, &l.ga, &l.gb, &l.gc)
	}
	for _, v := range vectors {
		*v = aligned(pad16(u.maxOut))
	}
	for i := range u.transforms {
		l.smaller = append(l.smaller, newResized(&u.transforms[i], u, grads))
	}
	return l
}

// bind sets the extents: n images of h × w × in, out channels, a k × k kernel.
func (l *layer) bind(n, h, w, in, out, k int) {
	p := k / 2
	oh, ow := arch.OutSize(h, k, l.stride, p), arch.OutSize(w, k, l.stride, p)
	l.shape = newShape(n, arch.Shape{C: in, H: h, W: w}, arch.Shape{C: out, H: oh, W: ow}, k, p)
}

func newShape(n int, in, out arch.Shape, kernel, pad int) shape {
	return shape{
		n: n, inH: in.H, inW: in.W, in: in.C, outH: out.H, outW: out.W, out: out.C, kernel: kernel, pad: pad,
		inRows: in.H * in.W, outRows: out.H * out.W, inLen: in.Size(), outLen: out.Size(),
	}
}

// keep makes room for the output.
func (l *layer) keep() { l.y = grow(l.y, l.n*l.outLen) }

// eps is what is added to a variance before its root is taken.
const eps = 1e-5

// normalise turns the chunks' moments of y into mean, variance, scale and shift.
func (l *layer) normalise() {
	m := float64(l.n * l.outRows)
	for c := range l.out {
		sum, sq := l.total(c)
		mean := sum / m
		variance := max(0, sq/m-float64(mean*mean))
		if math.IsNaN(sq) {
			variance = sq
		}
		l.mean[c], l.variance[c] = float32(mean), float32(variance)
	}
	l.affine()
}

// affine derives scale and shift from mean and variance.
func (l *layer) affine() {
	for c := range l.out {
		scale := float64(l.gamma.value[c]) / math.Sqrt(float64(l.variance[c])+eps)
		l.scale[c] = float32(scale)
		l.shift[c] = float32(float64(l.beta.value[c]) - float64(scale*float64(l.mean[c])))
	}
}

// normaliseGrad turns the chunks' moments of g into the gradients of gamma and
// beta and into what turns g into the gradient by y.
func (l *layer) normaliseGrad() {
	m := float64(l.n * l.outRows)
	for c := range l.out {
		sum, dot := l.total(c)
		mean, invStd := float64(l.mean[c]), 1/math.Sqrt(float64(l.variance[c])+eps)
		dgamma := invStd * (dot - float64(mean*sum))
		l.dBeta[c] += float32(sum)
		l.dGamma[c] += float32(dgamma)
		a := float64(l.gamma.value[c]) * invStd
		b := -a * invStd * dgamma / m
		l.ga[c], l.gb[c], l.gc[c] = float32(a), float32(b), float32(-a*sum/m-float64(b*mean))
	}
}

// total adds the chunks' pairs of sums of channel c, in their order.
func (l *layer) total(c int) (a, b float64) {
	for i := range chunks(l.n) {
		p := l.parts[2*i*l.maxOut:]
		a += p[2*c]
		b += p[2*c+1]
	}
	return a, b
}

// clearPart sets a chunk's sums to zero and returns them.
func (l *layer) clearPart(chunk int) []float64 {
	p := l.parts[2*chunk*l.maxOut:][:2*l.out]
	clear(p)
	return p
}

// flush adds single-precision sums of a block to a chunk's, and clears them.
func flush(part []float64, a, b []float32) {
	for c := range len(part) / 2 {
		part[2*c] += float64(a[c])
		part[2*c+1] += float64(b[c])
		a[c], b[c] = 0, 0
	}
}

// finish completes a block of the gradient by a map, of rows × cols elements
// from offset off: it adds what comes over the residual connection, clears
// what ReLU6 held back, and takes the moments that the normalisation's
// gradient needs.
func (d *sink) finish(k *kernels, rows, cols, off int, sum, dot []float32) {
	l := d.norm
	g := d.g[off:][:rows*cols]
	if d.add != nil {
		k.add(g, d.add[off:][:rows*cols])
	}
	if l.relu {
		k.reluGrad(rows, cols, g, cols, d.y[off:], cols, l.scale, l.shift, sum, dot)
	} else {
		k.gradMoments(rows, cols, g, cols, d.y[off:], cols, sum, dot)
	}
}
