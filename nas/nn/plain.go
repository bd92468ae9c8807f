package nn

// plain is the set of kernels in Go. Products are converted to float32 before they
// are added: that forbids the compiler to fuse the two, which it does on
// some processors and not on others.
var plain = kernels{
	name:        "go",
	lanes:       group,
	panel:       plainPanel,
	affine:      plainAffine,
	affineAdd:   plainAffineAdd,
	add:         plainAdd,
	moments:     plainMoments,
	gradMoments: plainGradMoments,
	reluGrad:    plainReluGrad,
	normGrad:    plainNormGrad,
	sgd:         plainSGD,
}

// clamp6 is ReLU6; NaN stays NaN.
func clamp6(v float32) float32 {
	if v < 0 {
		return 0
	}
	if v > 6 {
		return 6
	}
	return v
}

func plainPanel(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, bias []float32, acc, relu6 bool) {
	for i := 0; i < m; i += 2 {
		i1 := min(i+1, m-1) // the last row of an odd m is computed twice
		for j := 0; j < n; j += 4 {
			var t [2][4]float32
			if acc {
				for q := range min(4, n-j) {
					t[0][q], t[1][q] = c[i*ldc+j+q], c[i1*ldc+j+q]
				}
			}
			plainTile(&t, k, a[i*ars:], a[i1*ars:], acs, b[j:], ldb)
			for q := range min(4, n-j) {
				v0, v1 := t[0][q], t[1][q]
				if bias != nil {
					v0, v1 = v0+bias[j+q], v1+bias[j+q]
				}
				if relu6 {
					v0, v1 = clamp6(v0), clamp6(v1)
				}
				c[i*ldc+j+q], c[i1*ldc+j+q] = v0, v1
			}
		}
	}
}

// plainTile adds to t the product of two rows of A and four columns of B.
func plainTile(t *[2][4]float32, k int, a0, a1 []float32, acs int, b []float32, ldb int) {
	t00, t01, t02, t03 := t[0][0], t[0][1], t[0][2], t[0][3]
	t10, t11, t12, t13 := t[1][0], t[1][1], t[1][2], t[1][3]
	ia, ib := 0, 0
	for range k {
		x, y := a0[ia], a1[ia]
		v := b[ib : ib+4 : ib+4]
		t00 += float32(x * v[0])
		t10 += float32(y * v[0])
		t01 += float32(x * v[1])
		t11 += float32(y * v[1])
		t02 += float32(x * v[2])
		t12 += float32(y * v[2])
		t03 += float32(x * v[3])
		t13 += float32(y * v[3])
		ia += acs
		ib += ldb
	}
	t[0] = [4]float32{t00, t01, t02, t03}
	t[1] = [4]float32{t10, t11, t12, t13}
}

func plainAffine(rows, cols int, dst []float32, ldd, step int, src []float32, lds int, scale, shift []float32, relu6 bool) {
	for r := range rows {
		for g := 0; g < cols; g += group {
			n := min(group, cols-g)
			d, s := dst[r*ldd+g/group*step:][:n], src[r*lds+g:][:n]
			a, b := scale[g:][:n], shift[g:][:n]
			for c, v := range s {
				v = float32(a[c]*v) + b[c]
				if relu6 {
					v = clamp6(v)
				}
				d[c] = v
			}
		}
	}
}

func plainAffineAdd(rows, cols int, dst []float32, ldd, step int, src []float32, lds int, res []float32, ldr int, scale, shift []float32) {
	for r := range rows {
		for g := 0; g < cols; g += group {
			n := min(group, cols-g)
			d, s, x := dst[r*ldd+g/group*step:][:n], src[r*lds+g:][:n], res[r*ldr+g:][:n]
			a, b := scale[g:][:n], shift[g:][:n]
			for c, v := range s {
				d[c] = float32(a[c]*v) + b[c] + x[c]
			}
		}
	}
}

func plainNormGrad(rows, cols int, dst []float32, ldd, step int, g []float32, ldg int, y []float32, ldy int, ga, gb, gc []float32) {
	for r := range rows {
		for at := 0; at < cols; at += group {
			n := min(group, cols-at)
			d, gr, yr := dst[r*ldd+at/group*step:][:n], g[r*ldg+at:][:n], y[r*ldy+at:][:n]
			a, b, c0 := ga[at:][:n], gb[at:][:n], gc[at:][:n]
			for c, v := range gr {
				d[c] = float32(a[c]*v) + (float32(b[c]*yr[c]) + c0[c])
			}
		}
	}
}

func plainAdd(dst, src []float32) {
	for i, v := range src {
		dst[i] += v
	}
}

func plainMoments(rows, cols int, y []float32, ld int, sum, sq []float32) {
	sum, sq = sum[:cols], sq[:cols]
	for r := range rows {
		for c, v := range y[r*ld : r*ld+cols] {
			sum[c] += v
			sq[c] += float32(v * v)
		}
	}
}

func plainGradMoments(rows, cols int, g []float32, ldg int, y []float32, ldy int, sum, dot []float32) {
	sum, dot = sum[:cols], dot[:cols]
	for r := range rows {
		yr := y[r*ldy : r*ldy+cols]
		for c, v := range g[r*ldg : r*ldg+cols] {
			sum[c] += v
			dot[c] += float32(v * yr[c])
		}
	}
}

func plainReluGrad(rows, cols int, g []float32, ldg int, y []float32, ldy int, scale, shift, sum, dot []float32) {
	scale, shift, sum, dot = scale[:cols], shift[:cols], sum[:cols], dot[:cols]
	for r := range rows {
		gr, yr := g[r*ldg:r*ldg+cols], y[r*ldy:r*ldy+cols]
		for c, v := range gr {
			z := float32(scale[c]*yr[c]) + shift[c]
			if !(z > 0 && z < 6) {
				gr[c] = 0
				continue
			}
			sum[c] += v
			dot[c] += float32(v * yr[c])
		}
	}
}

// group is how many channels the kernels in Go compute at a time.
const group = 8

func plainConv(lanes, k, stride, h, w int, dst []float32, dstRow, dstPix, cols int, src []float32, srcRow, srcStrip int, weight, bias []float32, relu6 bool) {
	for g := 0; g < cols; g += group {
		n := min(group, cols-g)
		strip := src[g/lanes*srcStrip+g%lanes:]
		taps := weight[g/lanes*k*k*lanes+g%lanes:]
		for y := range h {
			for x := range w {
				var t [group]float32
				if bias != nil {
					copy(t[:], bias[g:g+n])
				}
				for i := range k {
					plainTaps(&t, lanes, k, strip[(y*stride+i)*srcRow+x*stride*lanes:], taps[i*k*lanes:])
				}
				d := dst[y*dstRow+x*dstPix+g:][:n]
				for c := range d {
					if d[c] = t[c]; relu6 {
						d[c] = clamp6(t[c])
					}
				}
			}
		}
	}
}

// plainTaps adds to t the products of k pixels and weights in a row.
func plainTaps(t *[group]float32, lanes, k int, s, w []float32) {
	for j := range k {
		sj, wj := (*[group]float32)(s[j*lanes:]), (*[group]float32)(w[j*lanes:])
		t[0] += float32(sj[0] * wj[0])
		t[1] += float32(sj[1] * wj[1])
		t[2] += float32(sj[2] * wj[2])
		t[3] += float32(sj[3] * wj[3])
		t[4] += float32(sj[4] * wj[4])
		t[5] += float32(sj[5] * wj[5])
		t[6] += float32(sj[6] * wj[6])
		t[7] += float32(sj[7] * wj[7])
	}
}

func plainGrad(lanes, k, stride, h, w int, dw []float32, src []float32, srcRow int, dy []float32, dyRow int) {
	for at := 0; at < k*k*lanes; at += group {
		i, j, g := at/lanes/k, at/lanes%k, at%lanes
		t := (*[group]float32)(dw[at:])
		t0, t1, t2, t3, t4, t5, t6, t7 := t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]
		for y := range h {
			s, d := src[(y*stride+i)*srcRow+j*lanes+g:], dy[y*dyRow+g:]
			for x := range w {
				sx, dx := (*[group]float32)(s[x*stride*lanes:]), (*[group]float32)(d[x*lanes:])
				t0 += float32(sx[0] * dx[0])
				t1 += float32(sx[1] * dx[1])
				t2 += float32(sx[2] * dx[2])
				t3 += float32(sx[3] * dx[3])
				t4 += float32(sx[4] * dx[4])
				t5 += float32(sx[5] * dx[5])
				t6 += float32(sx[6] * dx[6])
				t7 += float32(sx[7] * dx[7])
			}
		}
		*t = [group]float32{t0, t1, t2, t3, t4, t5, t6, t7}
	}
}

func plainSGD(w, g, m []float32, rate, momentum, decay float32, nesterov bool) {
	g, m = g[:len(w)], m[:len(w)]
	for i, v := range w {
		d := g[i] + float32(decay*v)
		mi := float32(momentum*m[i]) + d
		m[i] = mi
		if nesterov {
			mi = d + float32(momentum*mi)
		}
		w[i] = v - float32(rate*mi)
		g[i] = 0
	}
}
