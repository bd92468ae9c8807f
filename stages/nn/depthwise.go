package nn

// Depthwise convolutions go image by image. Memory is read in its order: the
// image is spread, normalised on the way, over frames, one for each strip of as
// many channels as a vector holds, with a border of zeros. The frames stay in
// the cache.

// momentRows bounds over how many pixels moments are summed in single precision.
const momentRows = 256

// strips returns how many strips the layer's channels make.
func (l *sized) strips(lanes int) int { return (l.out + lanes - 1) / lanes }

// border returns the width of the border of zeros.
func (l *sized) border() int { return l.kernel / 2 }

// frame returns how many floats a bordered strip of the input takes, and its
// distance between rows.
func (l *sized) frame(lanes int) (size, row int) {
	p := 2 * l.border()
	return (l.inH + p) * (l.inW + p) * lanes, (l.inW + p) * lanes
}

// read returns one image of the input, before its normalisation by norm (nil for
// none). What an expansion yields is computed in the scratch y.
func (l *layer) read(s *scratch, img int, y []float32) (x []float32, norm *layer) {
	if l.expand != nil {
		l.expand.image(s, img, y)
		return y, l.expand
	}
	return l.src.x[img*l.inLen:][:l.inLen], l.src.norm
}

// load spreads one image over frames.
func (l *layer) load(s *scratch, frames, x []float32, norm *layer) {
	size, row := l.frame(s.lanes)
	scale, shift := s.constant(1, l.in), s.constant(0, l.in)
	if norm != nil {
		scale, shift = norm.scale, norm.shift
	}
	p := l.border()
	for y := range l.inH {
		s.affine(l.inW, l.in, frames[(y+p)*row+p*s.lanes:], s.lanes, size, x[y*l.inW*l.in:], l.in, scale, shift, norm != nil)
	}
}

// depthwiseForward computes a chunk of y.
type depthwiseForward layer

func (t *depthwiseForward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	part := l.clearPart(chunkNo)
	sum, sq := s.zeros(l.out), s.zeros(l.out)
	size, _ := l.frame(s.lanes)
	frames := s.zeros(size * l.strips(s.lanes))
	wide := s.floats(l.wideLen())
	for img := lo; img < hi; img++ {
		x, norm := l.read(s, img, wide)
		l.load(s, frames, x, norm)
		y := l.y[img*l.outLen:][:l.outLen]
		l.slide(s, frames, l.taps, l.stride, l.outH, l.outW, y, nil, false)
		for r := 0; r < l.outRows; r += momentRows {
			s.moments(min(momentRows, l.outRows-r), l.out, y[r*l.out:], l.out, sum, sq)
			flush(part, sum, sq)
		}
	}
}

// wideLen returns how many floats an image of the expansion takes; 0 without one.
func (l *layer) wideLen() int {
	if l.expand == nil {
		return 0
	}
	return l.inLen
}

// slide convolves the frames of one image with weights in strips and writes
// h × w pixels.
func (l *sized) slide(s *scratch, frames, weight []float32, stride, h, w int, dst, bias []float32, relu6 bool) {
	size, row := l.frame(s.lanes)
	s.dwConv(l.kernel, stride, h, w, dst, w*l.out, l.out, l.out, frames, row, size, weight, bias, relu6)
}

// depthwiseBackward computes a chunk of the gradient by the input and the
// chunk's part of the gradient by the weights.
type depthwiseBackward layer

func (t *depthwiseBackward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	strips := l.strips(s.lanes)
	taps := l.kernel * l.kernel * s.lanes
	dw := l.partial[chunkNo*strips*taps:][:strips*taps]
	clear(dw)
	size, row := l.frame(s.lanes)
	frames, grads := s.zeros(size*strips), s.zeros(size*strips)
	compact := s.floats(l.outRows * s.lanes * strips)
	wide := s.floats(l.wideLen())
	dst := l.dst
	if e := l.expand; e != nil {
		dst = sink{g: s.floats(l.wideLen() + panelCols), norm: e, y: wide}
		clear(e.partialOf(chunkNo))
	}
	part := dst.norm.clearPart(chunkNo)
	sum, dot := s.zeros(l.in), s.zeros(l.in)
	for img := lo; img < hi; img++ {
		x, norm := l.read(s, img, wide)
		l.load(s, frames, x, norm)
		dy, dySize, dyRow := l.loadGrad(s, grads, compact, img)
		for i := range strips {
			s.dwGrad(l.kernel, l.stride, l.outH, l.outW, dw[i*taps:], frames[i*size:], row, dy[i*dySize:], dyRow)
		}
		at := img * l.inLen
		if l.expand != nil {
			at = 0
		}
		l.slide(s, grads, l.transposed, 1, l.inH, l.inW, dst.g[at:], nil, false)
		for r := 0; r < l.inRows; r += momentRows {
			dst.finish(s.kernels, min(momentRows, l.inRows-r), l.in, at+r*l.in, sum, dot)
			flush(part, sum, dot)
		}
		if e := l.expand; e != nil {
			e.imageGrad(s, img, dst.g, e.partialOf(chunkNo))
		}
	}
}

// loadGrad spreads the gradient by y of one image over frames of the input's
// size, its pixels as far apart as the stride. It returns strips in which the
// pixels of a row lie side by side, their size and distance between rows.
func (l *layer) loadGrad(s *scratch, frames, compact []float32, img int) (dy []float32, size, row int) {
	size, row = l.frame(s.lanes)
	p := l.border()
	at := img * l.outLen
	if l.stride == 1 {
		dy = frames[p*row+p*s.lanes:]
		for y := range l.outH {
			off := at + y*l.outW*l.out
			s.normGrad(l.outW, l.out, dy[y*row:], s.lanes, size, l.g[off:], l.out, l.y[off:], l.out, l.ga, l.gb, l.gc)
		}
		return dy, size, row
	}
	small := l.outRows * s.lanes
	s.normGrad(l.outRows, l.out, compact, s.lanes, small, l.g[at:], l.out, l.y[at:], l.out, l.ga, l.gb, l.gc)
	for i := range l.strips(s.lanes) {
		for y := range l.outH {
			dst := frames[i*size+(y*l.stride+p)*row+p*s.lanes:]
			src := compact[i*small+y*l.outW*s.lanes:]
			for x := range l.outW {
				copy(dst[x*l.stride*s.lanes:][:s.lanes], src[x*s.lanes:])
			}
		}
	}
	return compact, small, l.outW * s.lanes
}

// depthwisePack lays out weights (kernel² × channels) in strips, as they are and,
// unless transposed is nil, turned around.
func (l *sized) depthwisePack(forward, transposed, w []float32, ld, lanes int) {
	k2 := l.kernel * l.kernel
	for c := 0; c < l.out; c += lanes {
		cols := min(lanes, l.out-c)
		for i := range k2 {
			at := (c/lanes*k2 + i) * lanes
			copy(forward[at:at+cols], w[i*ld+c:])
			clear(forward[at+cols : at+lanes])
			if transposed != nil {
				back := (c/lanes*k2 + k2 - 1 - i) * lanes
				copy(transposed[back:back+cols], w[i*ld+c:])
				clear(transposed[back+cols : back+lanes])
			}
		}
	}
}

// stripsLen returns how many floats weights take in strips.
func (l *sized) stripsLen(lanes int) int { return l.strips(lanes) * l.kernel * l.kernel * lanes }

// depthwiseReduce adds the chunks' gradients of the weights, in their order,
// to grad (kernel² × channels).
func (l *layer) depthwiseReduce(k *kernels, grad []float32, ld int) {
	k2 := l.kernel * l.kernel
	all := l.strips(k.lanes) * k2 * k.lanes
	for ch := range chunks(l.n) {
		for c := 0; c < l.out; c += k.lanes {
			cols := min(k.lanes, l.out-c)
			for i := range k2 {
				k.add(grad[i*ld+c:][:cols], l.partial[ch*all+(c/k.lanes*k2+i)*k.lanes:][:cols])
			}
		}
	}
}
