package nn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// guarded is a buffer whose content must only change within a block.
type guarded struct{ all, before []float32 }

func guard(rng *rand.Rand, n int) *guarded {
	g := &guarded{all: make([]float32, n+64)}
	for i := range g.all {
		g.all[i] = float32(rng.NormFloat64())
	}
	g.before = slices.Clone(g.all)
	return g
}

// sameOutside reports an element that changed outside of rows × cols.
func (g *guarded) sameOutside(rows, cols, ld int) error {
	for i, v := range g.all {
		if inside := i/ld < rows && i%ld < cols; !inside && v != g.before[i] {
			return fmt.Errorf("element %d, outside of %d × %d (ld %d), was written", i, rows, cols, ld)
		}
	}
	return nil
}

func near(a, b float32) bool {
	return math.Abs(float64(a-b)) <= 2e-5*(1+math.Abs(float64(b)))
}

// compare reports the first element of a that is not near b's.
func compare(a, b []float32) error {
	for i := range a {
		if !near(a[i], b[i]) {
			return fmt.Errorf("element %d is %v, want %v", i, a[i], b[i])
		}
	}
	return nil
}

func floatsOf(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// eachSet runs f on every set of kernels of this machine, with sizes at random
// that leave tails of every length.
func eachSet(t *testing.T, rounds int, f func(k *kernels, rng *rand.Rand) error) {
	for _, k := range sets() {
		t.Run(k.name, func(t *testing.T) {
			for i := range rounds {
				if err := f(k, rand.New(rand.NewPCG(1, uint64(i)))); err != nil {
					t.Fatalf("round %d: %v", i, err)
				}
			}
		})
	}
}

// Products of all shapes, with and without epilogue, from slices of larger matrices
// (NN, TN by strides, NT by packing) agree with the definition.
func TestGEMM(t *testing.T) {
	eachSet(t, 300, func(k *kernels, rng *rand.Rand) error {
		m, n, depth := 1+rng.IntN(30), 1+rng.IntN(70), 1+rng.IntN(40)
		pad := rng.IntN(5)
		ars, acs := depth+pad, 1
		if rng.IntN(2) == 0 { // A is stored transposed
			ars, acs = 1, m+pad
		}
		a := floatsOf(rng, m*depth+pad*max(m, depth))
		ldb := n + rng.IntN(9)
		src := floatsOf(rng, max(depth, n)*ldb+depth*depth+panelCols)
		b := plainRight(src, ldb)
		at := func(p, j int) float32 { return src[p*ldb+j] }
		full, cols := depth+rng.IntN(4), n+rng.IntN(4) // B is the corner of a larger matrix
		switch rng.IntN(3) {
		case 1:
			src = floatsOf(rng, full*cols)
			packedB := make([]float32, packedLen(full, cols))
			pack(packedB, src, full, cols, cols)
			b, at = packed(packedB, full), func(p, j int) float32 { return src[p*cols+j] }
		case 2:
			src = floatsOf(rng, full*cols)
			packedB := make([]float32, packedLen(full, cols))
			packTransposed(packedB, src, cols, full, full)
			b, at = packed(packedB, full), func(p, j int) float32 { return src[j*full+p] }
		}
		ldc := n + rng.IntN(9)
		c := guard(rng, m*ldc)
		ep := epilogue{acc: rng.IntN(2) == 0, relu6: rng.IntN(2) == 0}
		if rng.IntN(2) == 0 {
			ep.bias = floatsOf(rng, n)
		}
		k.gemm(m, n, depth, a, ars, acs, b, c.all, ldc, ep)
		for i := range m {
			for j := range n {
				want := 0.0
				for p := range depth {
					want += float64(a[i*ars+p*acs]) * float64(at(p, j))
				}
				if ep.acc {
					want += float64(c.before[i*ldc+j])
				}
				if ep.bias != nil {
					want += float64(ep.bias[j])
				}
				if ep.relu6 {
					want = min(6, max(0, want))
				}
				if got := c.all[i*ldc+j]; !near(got, float32(want)) {
					return fmt.Errorf("%d×%d over %d: C(%d,%d) is %v, want %v", m, n, depth, i, j, got, want)
				}
			}
		}
		return c.sameOutside(m, n, ldc)
	})
}

// An element of a product is the same to the bit wherever it lies in its block.
func TestGEMMRowsAreIndependent(t *testing.T) {
	eachSet(t, 20, func(k *kernels, rng *rand.Rand) error {
		m, n, depth := 1+rng.IntN(40), 1+rng.IntN(40), 1+rng.IntN(40)
		a, b := floatsOf(rng, m*depth), floatsOf(rng, depth*n+panelCols)
		c, row := make([]float32, m*n), make([]float32, n)
		k.gemm(m, n, depth, a, depth, 1, plainRight(b, n), c, n, epilogue{})
		for i := range m {
			k.gemm(1, n, depth, a[i*depth:], depth, 1, plainRight(b, n), row, n, epilogue{})
			if !slices.Equal(row, c[i*n:(i+1)*n]) {
				return fmt.Errorf("row %d of %d×%d over %d differs when it is alone", i, m, n, depth)
			}
		}
		return nil
	})
}

// The kernels over rows and columns agree with those in Go, and write nothing
// beside their block.
func TestElementwise(t *testing.T) {
	eachSet(t, 200, func(k *kernels, rng *rand.Rand) error {
		rows, cols := rng.IntN(12), 1+rng.IntN(40)
		ldd, ldg, ldy := cols+rng.IntN(5), cols+rng.IntN(5), cols+rng.IntN(5)
		y := floatsOf(rng, rows*ldy+1)
		for i := range y {
			y[i] *= 3
		}
		v := make([][]float32, 3)
		for i := range v {
			v[i] = floatsOf(rng, cols)
		}
		relu6 := rng.IntN(2) == 0
		dst, want := guard(rng, rows*ldd), []float32(nil)
		check := func(name string, cols, ld int) error {
			if err := compare(dst.all, want); err != nil {
				return fmt.Errorf("%s: %d×%d: %w", name, rows, cols, err)
			}
			if err := dst.sameOutside(rows, cols, ld); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			copy(dst.before, dst.all)
			return nil
		}
		want = slices.Clone(dst.all)
		k.affine(rows, cols, dst.all, ldd, k.lanes, y, ldy, v[0], v[1], relu6)
		plain.affine(rows, cols, want, ldd, plain.lanes, y, ldy, v[0], v[1], relu6)
		if err := check("affine", cols, ldd); err != nil {
			return err
		}
		g := floatsOf(rng, rows*ldg+1)
		k.normGrad(rows, cols, dst.all, ldd, k.lanes, g, ldg, y, ldy, v[0], v[1], v[2])
		plain.normGrad(rows, cols, want, ldd, plain.lanes, g, ldg, y, ldy, v[0], v[1], v[2])
		if err := check("normGrad", cols, ldd); err != nil {
			return err
		}
		sums := func(name string, f func(k *kernels, g, a, b []float32)) error {
			g1 := guard(rng, rows*ldg)
			g2 := slices.Clone(g1.all)
			a, b := guard(rng, cols), guard(rng, cols)
			a2, b2 := slices.Clone(a.all), slices.Clone(b.all)
			f(k, g1.all, a.all, b.all)
			f(&plain, g2, a2, b2)
			for _, c := range [][2][]float32{{g1.all, g2}, {a.all, a2}, {b.all, b2}} {
				if err := compare(c[0], c[1]); err != nil {
					return fmt.Errorf("%s: %d×%d: %w", name, rows, cols, err)
				}
			}
			return nil
		}
		if err := sums("moments", func(k *kernels, g, a, b []float32) { k.moments(rows, cols, y, ldy, a, b) }); err != nil {
			return err
		}
		if err := sums("gradMoments", func(k *kernels, g, a, b []float32) { k.gradMoments(rows, cols, g, ldg, y, ldy, a, b) }); err != nil {
			return err
		}
		return sums("reluGrad", func(k *kernels, g, a, b []float32) { k.reluGrad(rows, cols, g, ldg, y, ldy, v[0], v[1], a, b) })
	})
}

// Kernels over flat vectors agree with those in Go for every length.
func TestFlat(t *testing.T) {
	eachSet(t, 70, func(k *kernels, rng *rand.Rand) error {
		rows, cols := 1+rng.IntN(3), 1+rng.IntN(40)
		n := rows * cols
		scale, shift, src, res := floatsOf(rng, cols), floatsOf(rng, cols), floatsOf(rng, n), floatsOf(rng, n)
		nesterov := rng.IntN(2) == 0
		for name, f := range map[string]func(k *kernels, w, g, m []float32){
			"affineAdd": func(k *kernels, w, g, m []float32) {
				k.affineAdd(rows, cols, w, cols, k.lanes, src, cols, res, cols, scale, shift)
			},
			"add": func(k *kernels, w, g, m []float32) { k.add(w, src) },
			"sgd": func(k *kernels, w, g, m []float32) { k.sgd(w[:n], g, m, 0.1, 0.9, 0.01, nesterov) },
		} {
			var got, want [3]*guarded
			for i := range got {
				got[i] = guard(rng, n)
				want[i] = &guarded{all: slices.Clone(got[i].all)}
			}
			f(k, got[0].all, got[1].all, got[2].all)
			f(&plain, want[0].all, want[1].all, want[2].all)
			for i := range got {
				if err := compare(got[i].all, want[i].all); err != nil {
					return fmt.Errorf("%s of %d: %w", name, n, err)
				}
				if err := got[i].sameOutside(1, n, len(got[i].all)); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		return nil
	})
}

// Depthwise convolutions of every kernel, stride and width agree with the
// definition, as do their gradients by the weights.
func TestDepthwiseKernels(t *testing.T) {
	eachSet(t, 300, func(k *kernels, rng *rand.Rand) error {
		size, stride := 1+2*rng.IntN(5), 1+rng.IntN(3)
		h, w, cols := 1+rng.IntN(5), 1+rng.IntN(35), 1+rng.IntN(40)
		strips := (cols + k.lanes - 1) / k.lanes
		row := ((w-1)*stride + size + rng.IntN(3)) * k.lanes
		strip := ((h-1)*stride+size)*row + 16*rng.IntN(2)
		src := floatsOf(rng, strips*strip)
		taps := size * size * k.lanes
		weight := floatsOf(rng, strips*taps)
		pix := cols + rng.IntN(4)
		dst := guard(rng, h*w*pix)
		relu6 := rng.IntN(2) == 0
		var bias []float32
		if rng.IntN(2) == 0 {
			bias = floatsOf(rng, cols)
		}
		k.dwConv(size, stride, h, w, dst.all, w*pix, pix, cols, src, row, strip, weight, bias, relu6)
		dy := floatsOf(rng, strips*h*w*k.lanes)
		dw := floatsOf(rng, strips*taps)
		grad := make([]float64, len(dw))
		for i, v := range dw {
			grad[i] = float64(v)
		}
		for i := range strips {
			k.dwGrad(size, stride, h, w, dw[i*taps:], src[i*strip:], row, dy[i*h*w*k.lanes:], w*k.lanes)
		}
		for y := range h {
			for x := range w {
				for c := range strips * k.lanes {
					at, lane := c/k.lanes, c%k.lanes
					sum := 0.0
					for i := range size {
						for j := range size {
							s := float64(src[at*strip+(y*stride+i)*row+(x*stride+j)*k.lanes+lane])
							tap := at*taps + (i*size+j)*k.lanes + lane
							sum += s * float64(weight[tap])
							grad[tap] += s * float64(dy[((at*h+y)*w+x)*k.lanes+lane])
						}
					}
					if c >= cols {
						continue
					}
					if bias != nil {
						sum += float64(bias[c])
					}
					if relu6 {
						sum = min(6, max(0, sum))
					}
					if got := dst.all[(y*w+x)*pix+c]; !near(got, float32(sum)) {
						return fmt.Errorf("kernel %d, stride %d, %d×%d: (%d,%d,%d) is %v, want %v", size, stride, h, w, y, x, c, got, sum)
					}
				}
			}
		}
		for i, v := range dw {
			if math.Abs(float64(v)-grad[i]) > 1e-4*(1+math.Abs(grad[i])) {
				return fmt.Errorf("kernel %d, stride %d, %d×%d: gradient %d is %v, want %v", size, stride, h, w, i, v, grad[i])
			}
		}
		return dst.sameOutside(h*w, cols, pix)
	})
}

// What is not a number stays so through every clamp: divergence is seen.
func TestClampKeepsNaN(t *testing.T) {
	nan := float32(math.NaN())
	eachSet(t, 1, func(k *kernels, rng *rand.Rand) error {
		one, y := []float32{1}, []float32{0}
		k.affine(1, 1, y, 1, 1, []float32{nan}, 1, one, one, true)
		if y[0] == y[0] {
			return fmt.Errorf("affine gives %v", y[0])
		}
		k.gemm(1, 1, 1, []float32{nan}, 1, 1, plainRight(make([]float32, panelCols), 1), y, 1, epilogue{relu6: true})
		if y[0] == y[0] {
			return fmt.Errorf("gemm gives %v", y[0])
		}
		src := make([]float32, k.lanes*9)
		src[0] = nan
		k.dwConv(3, 1, 1, 1, y, 1, 1, 1, src, 3*k.lanes, 0, make([]float32, 9*k.lanes), nil, true)
		if y[0] == y[0] {
			return fmt.Errorf("dwConv gives %v", y[0])
		}
		return nil
	})
}
