package nn

// linear is the weights of the fully connected layer at the end.
type linear struct {
	weight, bias *param // features × classes, 1 × classes
	features     int
	classes      int
	forward      []float32 // weight, packed: see runner.pack
}

func newLinear(ps *params, features, classes int) *linear {
	return &linear{
		features: features, classes: classes,
		weight: ps.add("classifier.weight", features, classes, true, matrix),
		bias:   ps.add("classifier.bias", 1, classes, false, vector),
	}
}

// classifier runs what follows the head: the mean over the pixels, the fully
// connected layer, softmax and loss.
type classifier struct {
	*linear
	*linearGradient // nil where it runs forward only

	src     view
	n       int
	rows    int       // pixels per image
	pooled  []float32 // n × features
	logits  []float32 // n × classes
	probs   []float32 // n × classes
	loss    []float64 // n
	correct []bool    // n
	softmax softmaxLoss
}

// linearGradient is what a classifier needs to go backward.
type linearGradient struct {
	dWeight, dBias []float32 // the trainer's gradients by the weights, which backward adds to
	dLogits        []float32 // n × classes, padded
	dPooled        []float32 // n × features
	dst            sink      // where the gradient by the head's output goes
	transposed     []float32 // packed weights
}

// newClassifier returns a classifier that runs l: forward only, or, given
// gradients to add to, also backward.
func newClassifier(l *linear, grads arena) *classifier {
	c := &classifier{linear: l}
	if grads != nil {
		c.linearGradient = &linearGradient{dWeight: grads.of(l.weight), dBias: grads.of(l.bias)}
	}
	return c
}

// bind sets the extents: n images whose maps have rows pixels each.
func (c *classifier) bind(n, rows int, src view) {
	c.n, c.rows, c.src = n, rows, src
	c.pooled = grow(c.pooled, n*c.features)
	c.logits = grow(c.logits, n*c.classes)
	c.probs = grow(c.probs, n*c.classes)
	if c.linearGradient != nil {
		c.dPooled = grow(c.dPooled, n*c.features)
		c.dLogits = grow(c.dLogits, n*c.classes+panelCols)[:n*c.classes]
	}
	if cap(c.loss) < n {
		c.loss, c.correct = make([]float64, n), make([]bool, n)
	}
	c.loss, c.correct = c.loss[:n], c.correct[:n]
}

// set prepares the loss of the bound batch.
func (c *classifier) set(loss Loss, labels []int32, teacher []float32) {
	c.softmax = softmaxLoss{
		Loss: loss, classes: c.classes, n: c.n, logits: c.logits, labels: labels, teacher: teacher,
		probs: c.probs, loss: c.loss, correct: c.correct,
	}
	if c.linearGradient != nil {
		c.softmax.grad = c.dLogits
	}
}

// classifierForward computes a chunk's pooled features, logits and loss.
type classifierForward classifier

func (t *classifierForward) run(chunkNo int, s *scratch) {
	c := (*classifier)(t)
	lo, hi := chunk(chunkNo, c.n)
	block := min(c.rows, momentRows)
	act := s.floats(block * c.features)
	sum, sq := s.floats(c.features), s.floats(c.features)
	for i := lo; i < hi; i++ {
		clear(sum)
		for r := 0; r < c.rows; r += block {
			rows := min(block, c.rows-r)
			s.affine(rows, c.features, act, c.features, s.lanes, c.src.x[(i*c.rows+r)*c.features:], c.features, c.src.norm.scale, c.src.norm.shift, true)
			s.moments(rows, c.features, act, c.features, sum, sq)
		}
		for j := range c.features {
			c.pooled[i*c.features+j] = sum[j] / float32(c.rows)
		}
	}
	s.gemm(hi-lo, c.classes, c.features, c.pooled[lo*c.features:], c.features, 1, packed(c.forward, c.features), c.logits[lo*c.classes:], c.classes, epilogue{bias: c.bias.value})
	for i := lo; i < hi; i++ {
		c.softmax.image(i)
	}
}

// classifierBackward computes a chunk of the gradient by the head's output.
type classifierBackward classifier

func (t *classifierBackward) run(chunkNo int, s *scratch) {
	c := (*classifier)(t)
	lo, hi := chunk(chunkNo, c.n)
	head := c.dst.norm
	part := head.clearPart(chunkNo)
	sum, dot := s.zeros(c.features), s.zeros(c.features)
	s.gemm(hi-lo, c.features, c.classes, c.dLogits[lo*c.classes:], c.classes, 1, packed(c.transposed, c.classes), c.dPooled[lo*c.features:], c.features, epilogue{})
	for i := lo; i < hi; i++ {
		d := c.dPooled[i*c.features : (i+1)*c.features]
		for j := range d {
			d[j] /= float32(c.rows)
		}
		for r := range c.rows {
			copy(c.dst.g[(i*c.rows+r)*c.features:], d)
		}
		for r := 0; r < c.rows; r += momentRows {
			c.dst.finish(s.kernels, min(momentRows, c.rows-r), c.features, (i*c.rows+r)*c.features, sum, dot)
			flush(part, sum, dot)
		}
	}
}

// classifierGrad computes the gradient by a part of the weights: a panel of classes.
type classifierGrad classifier

func (t *classifierGrad) run(i int, s *scratch) {
	c := (*classifier)(t)
	j := i * panelCols
	cols := min(panelCols, c.classes-j)
	s.panel(c.features, cols, c.n, c.pooled, 1, c.features, c.dLogits[j:], c.classes, c.dWeight[j:], c.classes, nil, true, false)
	for r := range c.n {
		s.add(c.dBias[j:j+cols], c.dLogits[r*c.classes+j:][:cols])
	}
}
