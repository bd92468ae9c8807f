package nn

// Depthwise convolutions go image by image over strips of channels, as many as
// a vector holds: the strip of an image is copied with a border of
// zeros, normalised on the way, and stays in the cache.

// momentRows bounds over how many pixels moments are summed in single precision.
const momentRows = 256

// strips returns how many strips the layer's channels make.
func (l *layer) strips(lanes int) int { return (l.out + lanes - 1) / lanes }

// border returns the width of the border of zeros.
func (l *layer) border() int { return l.kernel / 2 }

// frame returns how many floats a bordered strip of the input takes, and its
// distance between rows.
func (l *layer) frame(lanes int) (size, row int) {
	p := 2 * l.border()
	return (l.inH + p) * (l.inW + p) * lanes, (l.inW + p) * lanes
}

// load copies cols channels from c on of one image of the input into a frame.
func (l *layer) load(s *scratch, frame []float32, img, c, cols int) {
	_, row := l.frame(s.lanes)
	p := l.border()
	for y := range l.inH {
		dst := frame[(y+p)*row+p*s.lanes:]
		src := l.src.x[img*l.inLen+y*l.inW*l.in+c:]
		if n := l.src.norm; n != nil {
			s.affine(l.inW, cols, dst, s.lanes, src, l.in, n.scale[c:], n.shift[c:], true)
			continue
		}
		for x := range l.inW {
			copy(dst[x*s.lanes:][:cols], src[x*l.in:])
		}
	}
}

// depthwiseForward computes a chunk of y.
type depthwiseForward layer

func (t *depthwiseForward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	part := l.clearPart(chunkNo)
	sum, sq := s.zeros(l.out), s.zeros(l.out)
	size, row := l.frame(s.lanes)
	frame := s.zeros(size)
	taps := l.kernel * l.kernel * s.lanes
	for img := lo; img < hi; img++ {
		for c := 0; c < l.out; c += s.lanes {
			cols := min(s.lanes, l.out-c)
			l.load(s, frame, img, c, cols)
			y := l.y[img*l.outLen+c:]
			s.dwConv(l.kernel, l.stride, l.outH, l.outW, y, l.outW*l.out, l.out, cols, frame, row, l.forward[c/s.lanes*taps:], nil, false)
			for r := 0; r < l.outRows; r += momentRows {
				s.moments(min(momentRows, l.outRows-r), cols, y[r*l.out:], l.out, sum[c:], sq[c:])
				flush(part[2*c:2*(c+cols)], sum[c:], sq[c:])
			}
		}
	}
}

// depthwiseBackward computes a chunk of the gradient by the input and the
// chunk's part of the gradient by the weights.
type depthwiseBackward layer

func (t *depthwiseBackward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	taps := l.kernel * l.kernel * s.lanes
	all := l.strips(s.lanes) * taps
	dw := l.partial[chunkNo*all:][:all]
	clear(dw)
	sum, dot := s.zeros(l.in), s.zeros(l.in)
	var part []float64
	if p := l.dst.norm; p != nil {
		part = p.clearPart(chunkNo)
	}
	size, row := l.frame(s.lanes)
	frame, grad := s.zeros(size), s.zeros(size)
	compact := s.floats(l.outRows * s.lanes)
	for img := lo; img < hi; img++ {
		for c := 0; c < l.out; c += s.lanes {
			cols := min(s.lanes, l.out-c)
			l.load(s, frame, img, c, cols)
			dy, dyRow := l.loadGrad(s, grad, compact, img, c, cols)
			at := c / s.lanes * taps
			s.dwGrad(l.kernel, l.stride, l.outH, l.outW, dw[at:], frame, row, dy, dyRow)
			off := img*l.inLen + c
			s.dwConv(l.kernel, 1, l.inH, l.inW, l.dst.g[off:], l.inW*l.in, l.in, cols, grad, row, l.transposed[at:], nil, false)
			for r := 0; r < l.inRows; r += momentRows {
				l.dst.finish(s.kernels, min(momentRows, l.inRows-r), cols, off+r*l.in, l.in, c, sum[c:], dot[c:])
				if part != nil {
					flush(part[2*c:2*(c+cols)], sum[c:], dot[c:])
				}
			}
		}
	}
}

// loadGrad writes the gradient by y of one image's strip into a frame of the
// input's size, its pixels as far apart as the stride. It returns where the
// pixels lie close to each other in a row.
func (l *layer) loadGrad(s *scratch, frame, compact []float32, img, c, cols int) (dy []float32, dyRow int) {
	_, row := l.frame(s.lanes)
	p := l.border()
	ga, gb, gc := l.ga[c:], l.gb[c:], l.gc[c:]
	at := img*l.outLen + c
	if l.stride == 1 {
		dy = frame[p*row+p*s.lanes:]
		for y := range l.outH {
			off := at + y*l.outW*l.out
			s.normGrad(l.outW, cols, dy[y*row:], s.lanes, l.g[off:], l.out, l.y[off:], l.out, ga, gb, gc)
		}
		return dy, row
	}
	s.normGrad(l.outRows, cols, compact, s.lanes, l.g[at:], l.out, l.y[at:], l.out, ga, gb, gc)
	for y := range l.outH {
		dst := frame[(y*l.stride+p)*row+p*s.lanes:]
		for x := range l.outW {
			copy(dst[x*l.stride*s.lanes:][:s.lanes], compact[(y*l.outW+x)*s.lanes:])
		}
	}
	return compact, l.outW * s.lanes
}

// depthwisePack lays out the weights (kernel² × channels) in strips, as they
// are and turned around.
func (l *layer) depthwisePack(w []float32, ld, lanes int) {
	k2 := l.kernel * l.kernel
	n := l.strips(lanes) * k2 * lanes
	l.forward, l.transposed = grow(l.forward, n), grow(l.transposed, n)
	for c := 0; c < l.out; c += lanes {
		cols := min(lanes, l.out-c)
		for i := range k2 {
			at := (c/lanes*k2 + i) * lanes
			back := (c/lanes*k2 + k2 - 1 - i) * lanes
			copy(l.forward[at:at+cols], w[i*ld+c:])
			copy(l.transposed[back:back+cols], w[i*ld+c:])
			clear(l.forward[at+cols : at+lanes])
			clear(l.transposed[back+cols : back+lanes])
		}
	}
}

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
