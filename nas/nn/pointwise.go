package nn

import "eyrie/nas/arch"

// Pointwise convolutions and the stem, whose patches are laid out as rows, are
// products of a tall matrix (pixels × channels) with a small one. They go over
// the pixels in blocks of rows that stay in the cache: normalised, multiplied
// and summed up while they are there.

// blockRows returns how many rows a block has. It depends on the shape alone.
func blockRows(in, out int) int {
	return min(192, max(24, 32768/(in+out)/24*24))
}

// pointwiseForward computes a chunk of y.
type pointwiseForward layer

func (t *pointwiseForward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	part := l.clearPart(chunkNo)
	sum, sq := s.zeros(l.out), s.zeros(l.out)
	w := packed(l.forward, l.depth(l.maxIn))
	block := blockRows(l.depth(l.in), l.out)
	mark := s.used
	for r := lo * l.outRows; r < hi*l.outRows; r += block {
		s.used = mark
		rows := min(block, hi*l.outRows-r)
		a, lda := l.input(s, r, rows)
		y := l.y[r*l.out:]
		s.gemm(rows, l.out, l.depth(l.in), a, lda, 1, w, y, l.out, epilogue{})
		s.moments(rows, l.out, y, l.out, sum, sq)
		flush(part, sum, sq)
	}
}

// depth returns over how many elements a dot product goes.
func (l *sized) depth(in int) int {
	if l.op == arch.Conv {
		return l.kernel * l.kernel * in
	}
	return in
}

// input returns a block of rows of the left operand and its leading dimension.
func (l *layer) input(s *scratch, r, rows int) ([]float32, int) {
	if l.op == arch.Conv {
		return l.patches(s, l.src.x, r, rows)
	}
	x := l.src.x[r*l.in:]
	p := l.src.norm
	if p == nil {
		return x, l.in
	}
	ld := pad16(l.in)
	a := s.floats(rows * ld)
	s.affine(rows, l.in, a, ld, s.lanes, x, l.in, p.scale, p.shift, true)
	return a, ld
}

// patches returns the windows of x at a block of output pixels, see layOut, and the
// length of one.
func (l *sized) patches(s *scratch, x []float32, r, rows int) ([]float32, int) {
	depth := l.depth(l.in)
	a := s.floats(rows * depth)
	l.layOut(a, x, r, rows)
	return a, depth
}

// layOut lays out the windows of x at a block of output pixels as rows of a: kernel
// row, kernel column, channel.
func (l *sized) layOut(a, x []float32, r, rows int) {
	depth, span := l.depth(l.in), l.kernel*l.in
	for done := 0; done < rows; {
		img, pix := (r+done)/l.outRows, (r+done)%l.outRows
		oy, ox := pix/l.outW, pix%l.outW
		n := min(rows-done, l.outW-ox) // pixels of one row of the output
		for ky := range l.kernel {
			y := oy*l.stride - l.pad + ky
			dst := a[done*depth+ky*span:]
			if y < 0 || y >= l.inH {
				for i := range n {
					clear(dst[i*depth:][:span])
				}
				continue
			}
			row := x[img*l.inLen+y*l.inW*l.in:][:l.inW*l.in]
			windows(dst, depth, span, n, row, (ox*l.stride-l.pad)*l.in, l.stride*l.in)
		}
		done += n
	}
}

// windows copies n windows of a row, span elements each, to places ld apart. The first
// window begins at element x, the next ones step further on. What lies outside the row is 0.
func windows(dst []float32, ld, span, n int, row []float32, x, step int) {
	i := 0
	for ; i < n && x < 0; i, x = i+1, x+step {
		clipped(dst[i*ld:][:span], row, x)
	}
	inside := i
	if room := len(row) - span - x; room >= 0 {
		inside = min(n, i+room/step+1)
	}
	for ; i < inside; i, x = i+1, x+step {
		if span == 3 { // one channel, the most frequent case
			*(*[3]float32)(dst[i*ld:]) = *(*[3]float32)(row[x:])
		} else {
			copy(dst[i*ld:][:span], row[x:])
		}
	}
	for ; i < n; i, x = i+1, x+step {
		clipped(dst[i*ld:][:span], row, x)
	}
}

// clipped copies the part of a row that begins at element x, with zeros where it
// lies outside.
func clipped(dst, row []float32, x int) {
	for i := range dst {
		dst[i] = 0
		if at := x + i; at >= 0 && at < len(row) {
			dst[i] = row[at]
		}
	}
}

// pointwiseBackward computes a chunk of the gradient by the input and the
// chunk's part of the gradient by the weights.
type pointwiseBackward layer

func (t *pointwiseBackward) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	depth := l.depth(l.in)
	ld := pad16(l.out)
	dw := l.partial[chunkNo*depth*ld:][:depth*ld]
	sum, dot := s.zeros(l.in), s.zeros(l.in)
	var part []float64
	if p := l.dst.norm; p != nil {
		part = p.clearPart(chunkNo)
	}
	block := blockRows(depth, l.out)
	dy := s.floats(block*ld + panelCols)
	mark := s.used
	for r := lo * l.outRows; r < hi*l.outRows; r += block {
		s.used = mark
		rows := min(block, hi*l.outRows-r)
		s.normGrad(rows, l.out, dy, ld, s.lanes, l.g[r*l.out:], l.out, l.y[r*l.out:], l.out, l.ga, l.gb, l.gc)
		a, lda := l.input(s, r, rows)
		s.gemm(depth, l.out, rows, a, 1, lda, plainRight(dy, ld), dw, ld, epilogue{acc: r > lo*l.outRows})
		if l.dst.g == nil {
			continue
		}
		s.gemm(rows, l.in, l.out, dy, ld, 1, packed(l.transposed, l.maxOut), l.dst.g[r*l.in:], l.in, epilogue{})
		l.dst.finish(s.kernels, rows, l.in, r*l.in, sum, dot)
		flush(part, sum, dot)
	}
}

// reduceParts is into how many parts the sum over chunks is cut.
const reduceParts = 8

// pointwiseReduce adds the chunks' gradients of the weights, in their order.
type pointwiseReduce layer

func (t *pointwiseReduce) run(i int, s *scratch) {
	l := (*layer)(t)
	depth, ld := l.depth(l.in), pad16(l.out)
	for r := i * depth / reduceParts; r < (i+1)*depth/reduceParts; r++ {
		for c := range chunks(l.n) {
			s.add(l.dWeight[r*l.maxOut:][:l.out], l.partial[(c*depth+r)*ld:][:l.out])
		}
	}
}
