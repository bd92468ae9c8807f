package nn

// The output of an expansion, the widest map of a block, is never in memory as
// a whole. What the normalisation needs of it follows from its input x, which is
// narrow: with weights w and the covariance C of x's channels, an output
// channel's mean is wᵀ·mean(x) and its variance wᵀ·C·w. Knowing these, the
// depthwise layer behind makes the output image by image, in the cache, forward
// and again backward.
//
// Backward, the gradient g by the normalised output stays in the cache, too. The
// gradient by the output y itself is ga·g + gb·y + gc, where gb and gc depend on
// sums over all of g, and y = x·W. So the gradient by x is g·(ga·W)ᵀ, which
// is computed image by image, plus x·(W·gb·Wᵀ) + W·gc, added afterwards; and that
// by W is ga·(xᵀ·g) + gb·(xᵀ·x·W) + gc·Σx, where xᵀ·x is known from the covariance.

// gram holds what an expansion knows of its input.
type gram struct {
	products []float32 // per chunk: xᵀ·x
	xMean    []float64 // per input channel
	cov      []float32 // in × in
	covW     []float32 // in × ld: covariance · W
}

// mixing holds what an expansion makes of its weights to go backward.
type mixing struct {
	scaled []float32 // transposed, its rows scaled by ga or gb
	mix    []float32 // in × in: W·gb·Wᵀ
	mixed  []float32 // mix, packed
	offset []float32 // W·gc, and panelCols to read beyond
}

// expandGram computes a chunk's sums and products of the input's channels.
type expandGram layer

func (t *expandGram) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	part := l.clearPart(chunkNo)[:2*l.in]
	sum, sq := s.zeros(l.in), s.zeros(l.in)
	ld := pad16(l.in)
	products := l.products[chunkNo*l.in*ld:][:l.in*ld]
	block := blockRows(l.in, l.in)
	for r := lo * l.inRows; r < hi*l.inRows; r += block {
		rows := min(block, hi*l.inRows-r)
		x := l.src.x[r*l.in:]
		s.gemm(l.in, l.in, rows, x, 1, l.in, plainRight(x, l.in), products, ld, epilogue{acc: r > lo*l.inRows})
		s.moments(rows, l.in, x, l.in, sum, sq)
		flush(part, sum, sq)
	}
}

// normaliseExpansion derives mean, variance, scale and shift of the output from
// the chunks' sums and products of the input.
func (l *layer) normaliseExpansion(k *kernels) {
	m := float64(l.n * l.inRows)
	ld := pad16(l.in)
	l.cov = grow(l.cov, l.in*l.in)
	l.covW = grow(l.covW, l.in*l.covLd())
	if len(l.xMean) < l.in {
		l.xMean = make([]float64, l.in)
	}
	for i := range l.in {
		sum, _ := l.total(i)
		l.xMean[i] = sum / m
	}
	for i := range l.in {
		for j := range l.in {
			sum := 0.0
			for c := range chunks(l.n) {
				sum += float64(l.products[(c*l.in+i)*ld+j])
			}
			l.cov[i*l.in+j] = float32(sum/m - float64(l.xMean[i]*l.xMean[j]))
		}
	}
	k.gemm(l.in, l.out, l.in, l.cov, l.in, 1, packed(l.forward, l.maxIn), l.covW, l.covLd(), epilogue{})
	for c := range l.out {
		mean, variance := 0.0, 0.0
		for i := range l.in {
			w := float64(l.weight.value[i*l.maxOut+c])
			mean += float64(w * l.xMean[i])
			variance += float64(w * float64(l.covW[i*l.covLd()+c]))
		}
		l.mean[c], l.variance[c] = float32(mean), float32(variance)
		if variance < 0 { // by rounding; what is not a number stays so
			l.variance[c] = 0
		}
	}
	l.affine()
	if l.gradient != nil {
		copy(l.ga[:l.out], l.scale) // known before the sums over the gradient are
		l.scaleTransposed(l.ga)
	}
}

func (l *layer) covLd() int { return pad16(l.maxOut) }

// scaleTransposed makes scaled the transposed weights, each row times its scale.
func (l *layer) scaleTransposed(scale []float32) {
	l.scaled = grow(l.scaled, len(l.transposed))
	for p := 0; p < len(l.transposed); p += l.maxOut * panelCols {
		for c := range l.out {
			src, dst := l.transposed[p+c*panelCols:][:panelCols], l.scaled[p+c*panelCols:][:panelCols]
			for j, v := range src {
				dst[j] = scale[c] * v
			}
		}
	}
}

// image computes the output for one image.
func (l *layer) image(s *scratch, img int, y []float32) {
	s.gemm(l.inRows, l.out, l.in, l.src.x[img*l.inLen:], l.in, 1, packed(l.forward, l.maxIn), y, l.out, epilogue{})
}

// imageGrad adds an image's part to the gradients by weights and input, g being
// the gradient by its normalised output.
func (l *layer) imageGrad(s *scratch, img int, g, dw []float32) {
	x := l.src.x[img*l.inLen:]
	s.gemm(l.in, l.out, l.inRows, x, 1, l.in, plainRight(g, l.out), dw, pad16(l.out), epilogue{acc: true})
	s.gemm(l.inRows, l.in, l.out, g, l.out, 1, packed(l.scaled, l.maxOut), l.dst.g[img*l.inLen:], l.in, epilogue{})
}

// partialOf returns a chunk's xᵀ·g.
func (l *layer) partialOf(chunkNo int) []float32 {
	n := l.in * pad16(l.out)
	return l.partial[chunkNo*n:][:n]
}

// mixExpansion prepares what expandMix adds, once gb and gc are known.
func (l *layer) mixExpansion(k *kernels) {
	l.scaleTransposed(l.gb)
	l.mix = grow(l.mix, l.in*l.in)
	l.mixed = grow(l.mixed, packedLen(l.in, l.in))
	l.offset = grow(l.offset, l.in)
	k.gemm(l.in, l.in, l.out, l.weight.value, l.maxOut, 1, packed(l.scaled, l.maxOut), l.mix, l.in, epilogue{})
	pack(l.mixed, l.mix, l.in, l.in, l.in)
	for i := range l.in {
		sum := 0.0
		for c := range l.out {
			sum += float64(float64(l.weight.value[i*l.maxOut+c]) * float64(l.gc[c]))
		}
		l.offset[i] = float32(sum)
	}
}

// expandMix completes a chunk of the gradient by the input.
type expandMix layer

func (t *expandMix) run(chunkNo int, s *scratch) {
	l := (*layer)(t)
	lo, hi := chunk(chunkNo, l.n)
	part := l.dst.norm.clearPart(chunkNo)
	sum, dot := s.zeros(l.in), s.zeros(l.in)
	block := blockRows(l.in, l.in)
	for r := lo * l.inRows; r < hi*l.inRows; r += block {
		rows := min(block, hi*l.inRows-r)
		s.gemm(rows, l.in, l.in, l.src.x[r*l.in:], l.in, 1, packed(l.mixed, l.in), l.dst.g[r*l.in:], l.in, epilogue{acc: true, bias: l.offset})
		l.dst.finish(s.kernels, rows, l.in, r*l.in, sum, dot)
		flush(part, sum, dot)
	}
}

// expandReduce adds the gradient of the weights: the chunks' xᵀ·g, in their order,
// and what follows from the covariance.
type expandReduce layer

func (t *expandReduce) run(i int, s *scratch) {
	l := (*layer)(t)
	ld := pad16(l.out)
	m := float64(l.n * l.inRows)
	sum := s.floats(l.out)
	for r := i * l.in / reduceParts; r < (i+1)*l.in/reduceParts; r++ {
		copy(sum, l.partial[r*ld:][:l.out])
		for c := 1; c < chunks(l.n); c++ {
			s.add(sum, l.partial[(c*l.in+r)*ld:][:l.out])
		}
		grad, covW := l.dWeight[r*l.maxOut:][:l.out], l.covW[r*l.covLd():][:l.out]
		for c := range grad {
			gb := float64(l.gb[c])
			rest := float64(gb*float64(covW[c])) + float64(l.xMean[r]*(float64(gb*float64(l.mean[c]))+float64(l.gc[c])))
			grad[c] += float32(float64(float64(l.ga[c])*float64(sum[c])) + float64(m*rest))
		}
	}
}
