package nn

// momentRows bounds over how many pixels moments are summed in single precision.
const momentRows = 256

// frame returns the geometry of the input's frames.
func (l *sized) frame(lanes int) frame { return frame{l.inH, l.inW, l.in, l.pad, lanes} }

// stripsLen returns how many floats weights take in strips.
func (l *sized) stripsLen(lanes int) int { return stripsOf(l.out, lanes) * l.kernel * l.kernel * lanes }

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
	if norm == nil {
		s.spread(l.frame(s.lanes), frames, x, s.constant(1, l.in), s.constant(0, l.in), false)
		return
	}
	s.spread(l.frame(s.lanes), frames, x, norm.scale, norm.shift, true)
}

// depthwiseForward computes a chunk of y.
type depthwiseForward layer

func (t *depthwiseForward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	part := l.clearPart(chunkNo)
	sum, sq := s.zeros(l.out), s.zeros(l.out)
	frames := s.zeros(l.frame(s.lanes).all())
	wide := s.floats(l.wideLen())
	for img := lo; img < hi; img++ {
		x, norm := l.read(s, img, wide)
		l.load(s, frames, x, norm)
		y := l.y[img*l.outLen:][:l.outLen]
		l.slide(s.kernels, frames, l.taps, l.stride, l.outH, l.outW, y, nil, false)
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
func (l *sized) slide(k *kernels, frames, weight []float32, stride, h, w int, dst, bias []float32, relu6 bool) {
	f := l.frame(k.lanes)
	k.dwConv(l.kernel, stride, h, w, dst, w*l.out, l.out, l.out, frames, f.row(), f.size(), weight, bias, relu6)
}

// depthwiseBackward computes a chunk of the gradient by the input and the
// chunk's part of the gradient by the weights.
type depthwiseBackward layer

func (t *depthwiseBackward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	f := l.frame(s.lanes)
	strips, size, row := f.strips(), f.size(), f.row()
	taps := l.kernel * l.kernel * s.lanes
	dw := l.partial[chunkNo*strips*taps:][:strips*taps]
	clear(dw)
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
		l.slide(s.kernels, grads, l.transposed, 1, l.inH, l.inW, dst.g[at:], nil, false)
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
	f := l.frame(s.lanes)
	size, row = f.size(), f.row()
	at := img * l.outLen
	if l.stride == 1 {
		dy = frames[f.at(0):]
		for y := range l.outH {
			off := at + y*l.outW*l.out
			s.normGrad(l.outW, l.out, dy[y*row:], s.lanes, size, l.g[off:], l.out, l.y[off:], l.out, l.ga, l.gb, l.gc)
		}
		return dy, size, row
	}
	small := l.outRows * s.lanes
	s.normGrad(l.outRows, l.out, compact, s.lanes, small, l.g[at:], l.out, l.y[at:], l.out, l.ga, l.gb, l.gc)
	for i := range f.strips() {
		for y := range l.outH {
			dst := frames[i*size+f.at(y*l.stride):]
			src := compact[i*small+y*l.outW*s.lanes:]
			for x := range l.outW {
				copy(dst[x*l.stride*s.lanes:][:s.lanes], src[x*s.lanes:])
			}
		}
	}
	return compact, small, l.outW * s.lanes
}

// depthwiseReduce adds the chunks' gradients of the weights, in their order,
// to grad (kernel² × channels).
func (l *layer) depthwiseReduce(k *kernels, grad []float32, ld int) {
	k2 := l.kernel * l.kernel
	all := l.stripsLen(k.lanes)
	for ch := range chunks(l.n) {
		for c := 0; c < l.out; c += k.lanes {
			cols := min(k.lanes, l.out-c)
			for i := range k2 {
				k.add(grad[i*ld+c:][:cols], l.partial[ch*all+(c/k.lanes*k2+i)*k.lanes:][:cols])
			}
		}
	}
}
