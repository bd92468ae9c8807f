package nn

import (
	"math"
)

// This file is an independent implementation to compare with: float64, channels
// first, no blocking, no fusion, gradients by a tape.

// tensor is a value, its gradient and how to pass the gradient on.
type tensor struct {
	shape []int
	v, g  []float64
	back  func()
}

func newTensor(shape ...int) *tensor {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return &tensor{shape: shape, v: make([]float64, n), g: make([]float64, n)}
}

type tape []*tensor

func (tp *tape) push(t *tensor) *tensor {
	*tp = append(*tp, t)
	return t
}

// backward runs the tape from its last tensor, a scalar.
func (tp tape) backward() {
	tp[len(tp)-1].g[0] = 1
	for i := len(tp) - 1; i >= 0; i-- {
		tp[i].back()
	}
}

// conv is a grouped 2-d convolution: x [n,c,h,w], w [o,c/groups,k,k].
func (tp *tape) conv(x, w *tensor, stride, pad, groups int) *tensor {
	n, c, h, wd := x.shape[0], x.shape[1], x.shape[2], x.shape[3]
	o, ci, k := w.shape[0], w.shape[1], w.shape[2]
	oh, ow := (h+2*pad-k)/stride+1, (wd+2*pad-k)/stride+1
	y := newTensor(n, o, oh, ow)
	each := func(f func(xi, wi, yi int)) {
		for b := range n {
			for q := range o {
				for i := range oh {
					for j := range ow {
						for p := range ci {
							for u := range k {
								for v := range k {
									r, s := i*stride+u-pad, j*stride+v-pad
									if r < 0 || s < 0 || r >= h || s >= wd {
										continue
									}
									ch := q/(o/groups)*ci + p
									f(((b*c+ch)*h+r)*wd+s, ((q*ci+p)*k+u)*k+v, ((b*o+q)*oh+i)*ow+j)
								}
							}
						}
					}
				}
			}
		}
	}
	each(func(xi, wi, yi int) { y.v[yi] += x.v[xi] * w.v[wi] })
	y.back = func() {
		each(func(xi, wi, yi int) {
			x.g[xi] += y.g[yi] * w.v[wi]
			w.g[wi] += y.g[yi] * x.v[xi]
		})
	}
	return tp.push(y)
}

// norm is batch normalisation with the batch's statistics.
func (tp *tape) norm(x, gamma, beta *tensor) *tensor {
	n, c, hw := x.shape[0], x.shape[1], x.shape[2]*x.shape[3]
	y := newTensor(x.shape...)
	m := float64(n * hw)
	xhat := make([]float64, len(x.v))
	inv := make([]float64, c)
	at := func(b, q, i int) int { return (b*c+q)*hw + i }
	for q := range c {
		mean, vr := 0.0, 0.0
		for b := range n {
			for i := range hw {
				mean += x.v[at(b, q, i)] / m
			}
		}
		for b := range n {
			for i := range hw {
				vr += (x.v[at(b, q, i)] - mean) * (x.v[at(b, q, i)] - mean) / m
			}
		}
		inv[q] = 1 / math.Sqrt(vr+1e-5)
		for b := range n {
			for i := range hw {
				xhat[at(b, q, i)] = (x.v[at(b, q, i)] - mean) * inv[q]
				y.v[at(b, q, i)] = gamma.v[q]*xhat[at(b, q, i)] + beta.v[q]
			}
		}
	}
	y.back = func() {
		for q := range c {
			sg, sx := 0.0, 0.0
			for b := range n {
				for i := range hw {
					sg += y.g[at(b, q, i)]
					sx += y.g[at(b, q, i)] * xhat[at(b, q, i)]
				}
			}
			beta.g[q] += sg
			gamma.g[q] += sx
			for b := range n {
				for i := range hw {
					j := at(b, q, i)
					x.g[j] += gamma.v[q] * inv[q] * (y.g[j] - sg/m - xhat[j]*sx/m)
				}
			}
		}
	}
	return tp.push(y)
}

func (tp *tape) relu6(x *tensor) *tensor {
	y := newTensor(x.shape...)
	for i, v := range x.v {
		y.v[i] = min(6, max(0, v))
	}
	y.back = func() {
		for i, v := range x.v {
			if v > 0 && v < 6 {
				x.g[i] += y.g[i]
			}
		}
	}
	return tp.push(y)
}

func (tp *tape) add(a, b *tensor) *tensor {
	y := newTensor(a.shape...)
	for i := range y.v {
		y.v[i] = a.v[i] + b.v[i]
	}
	y.back = func() {
		for i := range y.g {
			a.g[i] += y.g[i]
			b.g[i] += y.g[i]
		}
	}
	return tp.push(y)
}

func (tp *tape) pool(x *tensor) *tensor {
	n, c, hw := x.shape[0], x.shape[1], x.shape[2]*x.shape[3]
	y := newTensor(n, c)
	for i, v := range x.v {
		y.v[i/hw] += v / float64(hw)
	}
	y.back = func() {
		for i := range x.g {
			x.g[i] += y.g[i/hw] / float64(hw)
		}
	}
	return tp.push(y)
}

// linear is x [n,f] · wᵀ [o,f] + b.
func (tp *tape) linear(x, w, b *tensor) *tensor {
	n, f, o := x.shape[0], x.shape[1], w.shape[0]
	y := newTensor(n, o)
	for i := range n {
		for j := range o {
			y.v[i*o+j] = b.v[j]
			for p := range f {
				y.v[i*o+j] += x.v[i*f+p] * w.v[j*f+p]
			}
		}
	}
	y.back = func() {
		for i := range n {
			for j := range o {
				g := y.g[i*o+j]
				b.g[j] += g
				for p := range f {
					x.g[i*f+p] += g * w.v[j*f+p]
					w.g[j*f+p] += g * x.v[i*f+p]
				}
			}
		}
	}
	return tp.push(y)
}

// crossEntropy is the mean over the rows of z [n,k] of -Σ want·log softmax(z).
func (tp *tape) crossEntropy(z *tensor, want []float64) *tensor {
	n, k := z.shape[0], z.shape[1]
	y := newTensor(1)
	p := make([]float64, len(z.v))
	for i := range n {
		sum := 0.0
		for j := range k {
			p[i*k+j] = math.Exp(z.v[i*k+j])
			sum += p[i*k+j]
		}
		for j := range k {
			p[i*k+j] /= sum
			y.v[0] -= want[i*k+j] * math.Log(p[i*k+j]) / float64(n)
		}
	}
	y.back = func() {
		for i := range n {
			total := 0.0
			for j := range k {
				total += want[i*k+j]
			}
			for j := range k {
				z.g[i*k+j] += y.g[0] * (p[i*k+j]*total - want[i*k+j]) / float64(n)
			}
		}
	}
	return tp.push(y)
}

// slice takes the first extents of w [o,i,k,k] and the centre of the kernel.
func (tp *tape) slice(w *tensor, o, in, k int) *tensor {
	y := newTensor(o, in, k, k)
	W, K := w.shape[1], w.shape[2]
	d := (K - k) / 2
	each := func(f func(wi, yi int)) {
		for a := range o {
			for b := range in {
				for u := range k {
					for v := range k {
						f(((a*W+b)*K+u+d)*K+v+d, ((a*in+b)*k+u)*k+v)
					}
				}
			}
		}
	}
	each(func(wi, yi int) { y.v[yi] = w.v[wi] })
	y.back = func() { each(func(wi, yi int) { w.g[wi] += y.g[yi] }) }
	return tp.push(y)
}

// transform multiplies each kernel of w [o,1,k,k], flattened, with m [k²,k²].
func (tp *tape) transform(w, m *tensor) *tensor {
	y := newTensor(w.shape...)
	n := m.shape[0]
	each := func(f func(yi, mi, wi int)) {
		for o := range w.shape[0] {
			for i := range n {
				for j := range n {
					f(o*n+i, i*n+j, o*n+j)
				}
			}
		}
	}
	each(func(yi, mi, wi int) { y.v[yi] += m.v[mi] * w.v[wi] })
	y.back = func() {
		each(func(yi, mi, wi int) {
			m.g[mi] += y.g[yi] * w.v[wi]
			w.g[wi] += y.g[yi] * m.v[mi]
		})
	}
	return tp.push(y)
}
