package nn

import "fmt"

// transform makes a smaller kernel of a depthwise layer from the next larger
// one, as Once-for-All does: the centre of the larger kernel, flattened, times
// a learned matrix that all channels share and that begins as the identity.
type transform struct {
	from, to int
	matrix   *param // to² × to²
}

// resized is a smaller kernel as a transform makes it for the bound subnet.
type resized struct {
	*transform
	centre  []float32 // to² × ld: the centre of the larger kernel
	taps    []float32 // to² × ld: the smaller kernel
	dMatrix []float32 // gradient by matrix; like the next two nil where layers run forward only
	grad    []float32 // to² × ld: gradient by taps
	turned  []float32 // centre, transposed and packed
}

// addTransforms declares the matrices for the kernels, which ascend.
func (u *unit) addTransforms(ps *params, kernels []int) {
	for i := len(kernels) - 1; i > 0; i-- {
		from, to := kernels[i], kernels[i-1]
		m := ps.add(fmt.Sprintf("%s.transform.%dto%d", u.name, from, to), to*to, to*to, true, square)
		u.transforms = append(u.transforms, transform{from: from, to: to, matrix: m})
	}
}

// newResized returns room for what t makes of u's kernels.
func newResized(t *transform, u *unit, grads arena) resized {
	taps := t.to * t.to
	r := resized{transform: t, centre: aligned(taps * u.ld()), taps: aligned(taps * u.ld())}
	if grads != nil {
		r.dMatrix, r.grad, r.turned = grads.of(t.matrix), aligned(taps*u.ld()), aligned(packedLen(u.maxOut, taps))
	}
	return r
}

// ld returns the distance between the taps of a transformed kernel.
func (u *unit) ld() int { return (u.maxOut + panelCols - 1) / panelCols * panelCols }

// kernelTaps returns the weights of the bound kernel, kernel² × channels, and
// the distance between taps.
func (l *layer) kernelTaps(k *kernels) ([]float32, int) {
	w, ld := l.weight.value, l.maxOut
	for i := range l.smaller {
		t := &l.smaller[i]
		if t.to < l.kernel {
			break
		}
		n := t.to * t.to
		for tap := range n {
			copy(t.centre[tap*l.ld():][:l.out], w[t.source(tap)*ld:])
		}
		k.gemm(n, l.out, n, t.matrix.value, n, 1, plainRight(t.centre, l.ld()), t.taps, l.ld(), epilogue{})
		w, ld = t.taps, l.ld()
	}
	return w, ld
}

// kernelGrad adds the chunks' gradients of the bound kernel to those of the
// weights and matrices that it was made of.
func (l *layer) kernelGrad(k *kernels) {
	last := -1
	for i, t := range l.smaller {
		if t.to >= l.kernel {
			last = i
		}
	}
	if last < 0 {
		l.depthwiseReduce(k, l.dWeight, l.maxOut)
		return
	}
	clear(l.smaller[last].grad)
	l.depthwiseReduce(k, l.smaller[last].grad, l.ld())
	for i := last; i >= 0; i-- {
		t := &l.smaller[i]
		n := t.to * t.to
		packTransposed(t.turned, t.centre, n, l.out, l.ld())
		k.gemm(n, n, l.out, t.grad, l.ld(), 1, packed(t.turned, l.out), t.dMatrix, n, epilogue{acc: true})
		// taps is not needed any more: it takes the gradient by the centre.
		k.gemm(n, l.out, n, t.matrix.value, 1, n, plainRight(t.grad, l.ld()), t.taps, l.ld(), epilogue{})
		grad, ld := l.dWeight, l.maxOut
		if i > 0 {
			grad, ld = l.smaller[i-1].grad, l.ld()
			clear(grad)
		}
		for tap := range n {
			k.add(grad[t.source(tap)*ld:][:l.out], t.taps[tap*l.ld():][:l.out])
		}
	}
}

// source returns where a tap of the smaller kernel lies in the larger one.
func (t *transform) source(tap int) int {
	d := (t.from - t.to) / 2
	return (tap/t.to+d)*t.from + tap%t.to + d
}
