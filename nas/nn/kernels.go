package nn

import (
	"fmt"
	"strings"
)

// kernels is a set of the innermost loops, for one kind of processor. All
// sets compute the same up to rounding; each set alone always rounds the same
// way, whatever the position of an element within a block.
//
// Blocks are rows × cols of float32 with a leading dimension (ld…), the
// distance between rows. Vectors (scale, shift, sum …) have one element per
// column.
type kernels struct {
	name  string
	lanes int // channels that a strip of a depthwise convolution holds

	// panel computes C = A·B for one panel of B: C is m × n with n ≤ panelCols,
	// A(i,p) is a[i·ars+p·acs], B(p,j) is b[p·ldb+j] and readable up to
	// panelCols. With acc it adds to C, it adds bias (when not nil), and
	// with relu6 it clamps the result.
	panel func(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, bias []float32, acc, relu6 bool)

	// affine computes dst = scale·src + shift, clamped with relu6. Like the next
	// two it goes over memory in its order, and the groups of lanes of a row
	// of dst are step apart: lanes where dst is a matrix, or more, to spread
	// the channels of pixels over strips.
	affine func(rows, cols int, dst []float32, ldd, step int, src []float32, lds int, scale, shift []float32, relu6 bool)
	// affineAdd computes dst = scale·src + shift + res.
	affineAdd func(rows, cols int, dst []float32, ldd, step int, src []float32, lds int, res []float32, ldr int, scale, shift []float32)
	// normGrad computes dst = ga·g + gb·y + gc.
	normGrad func(rows, cols int, dst []float32, ldd, step int, g []float32, ldg int, y []float32, ldy int, ga, gb, gc []float32)
	// add computes dst += src.
	add func(dst, src []float32)
	// moments adds to sum and sq each column's Σy and Σy².
	moments func(rows, cols int, y []float32, ld int, sum, sq []float32)
	// gradMoments adds to sum and dot each column's Σg and Σg·y.
	gradMoments func(rows, cols int, g []float32, ldg int, y []float32, ldy int, sum, dot []float32)
	// reluGrad is gradMoments after zeroing g where scale·y + shift is not within (0, 6).
	reluGrad func(rows, cols int, g []float32, ldg int, y []float32, ldy int, scale, shift, sum, dot []float32)
	// sgd updates w by its gradient g and momentum m, and clears g: g += decay·w; m = momentum·m + g;
	// w -= rate·(nesterov ? g + momentum·m : m).
	sgd func(w, g, m []float32, rate, momentum, decay float32, nesterov bool)

	// peak does n·8 multiply-adds of vectors of lanes in registers; nil: unknown.
	peak func(n int)

	conv [8][3]convFunc // by kernel and stride; nil: as plain
	grad [8]gradFunc    // by kernel; nil: as plain
}

type (
	convFunc func(h, w int, dst []float32, dstRow, dstPix, cols int, src []float32, srcRow, srcStrip int, weight, bias []float32, relu6 bool)
	gradFunc func(stride, h, w int, dw []float32, src []float32, srcRow int, dy []float32, dyRow int)
)

// dwConv convolves with a k×k kernel for each channel: dst(y,x,c) = bias(c) + Σ w(i,j,c)·src(y·stride+i, x·stride+j, c),
// clamped with relu6. Channels of src are in strips of lanes, srcStrip apart,
// in which pixels follow each other and rows are srcRow apart; pixels of dst
// are dstPix and rows dstRow apart and have cols channels. weight holds k·k·lanes for
// each strip; bias may be nil.
func (s *kernels) dwConv(k, stride, h, w int, dst []float32, dstRow, dstPix, cols int, src []float32, srcRow, srcStrip int, weight, bias []float32, relu6 bool) {
	if k < len(s.conv) && stride < len(s.conv[k]) && s.conv[k][stride] != nil {
		s.conv[k][stride](h, w, dst, dstRow, dstPix, cols, src, srcRow, srcStrip, weight, bias, relu6)
		return
	}
	plainConv(s.lanes, k, stride, h, w, dst, dstRow, dstPix, cols, src, srcRow, srcStrip, weight, bias, relu6)
}

// dwGrad adds to dw(i,j,c) the Σ over y, x of src(y·stride+i, x·stride+j, c)·dy(y,x,c)
// of one strip. Pixels of both follow each other at a distance of lanes.
func (s *kernels) dwGrad(k, stride, h, w int, dw []float32, src []float32, srcRow int, dy []float32, dyRow int) {
	if k < len(s.grad) && s.grad[k] != nil {
		s.grad[k](stride, h, w, dw, src, srcRow, dy, dyRow)
		return
	}
	plainGrad(s.lanes, k, stride, h, w, dw, src, srcRow, dy, dyRow)
}

// panelCols is the width of a panel of the right-hand matrix.
const panelCols = 32

// Arithmetic is which kernels compute. Each rounds in its own way, the same on all
// machines that have it; "go" is on every machine.
type Arithmetic string

// Auto is the fastest arithmetic of this machine.
const Auto Arithmetic = "auto"

// Choices returns all that there are, on whatever machine.
func (Arithmetic) Choices() []string { return []string{string(Auto), "go", "avx2", "avx512"} }

// Kernels returns the names of the kernel sets that run on this machine, the
// fastest first. "go" is always there: it rounds the same on every machine.
func Kernels() []string {
	var names []string
	for _, k := range sets() {
		names = append(names, k.name)
	}
	return names
}

// pick returns the kernels of a name; "auto" and "" mean the fastest.
func pick(name string) (*kernels, error) {
	all := sets()
	if name == "" || name == "auto" {
		return all[0], nil
	}
	for _, k := range all {
		if k.name == name {
			return k, nil
		}
	}
	return nil, fmt.Errorf("kernels %q do not run on this machine, which has %s", name, strings.Join(Kernels(), ", "))
}
