package data

import (
	"math"

	"eyrie/nas/data/picture"
)

// box is the part of an image that is looked at, in its pixels. It may reach
// beyond the image, where everything is black.
type box struct{ x, y, w, h int }

// centre returns the square box in the image's middle whose side is this
// fraction of the shorter side; 0 means 1.
func centre(img pixels, fraction float64) box {
	short := min(img.width, img.height)
	side := short
	if fraction > 0 && fraction < 1 {
		side = max(1, int(math.Round(float64(short)*fraction)))
	}
	return box{(img.width - side) / 2, (img.height - side) / 2, side, side}
}

// Resampling is done with a triangle filter as wide as the reduction: that is
// bilinear interpolation when enlarging and area averaging when reducing, with
// no aliasing. Weights are integers that sum to one exactly, so that a constant
// image stays constant, and all arithmetic is in integers.
const (
	weightBits = 14                          // of a filter weight
	midBits    = 6                           // fraction bits between the two passes
	midShift   = weightBits - midBits        // 8-bit grey levels become 8+6-bit
	outScale   = 1 << (weightBits + midBits) // fixed-point one of the result
)

// taps are the weights of the source pixels first, first+1 … for one result.
type taps struct {
	first   int
	weights []int32
}

// filter maps a line of n pixels to r results: what is seen are the pixels
// [start, start+length). It is kept from image to image while these are the
// same.
type filter struct {
	n, start, length, r int
	taps                []taps
	weights             []int32 // backing store of the taps
	exact               []float64
}

// scratch is what a goroutine needs to decode and resize an image.
type scratch struct {
	bytes      []byte
	decoder    picture.Decoder
	cols, rows filter
	mid        []int32 // rows of the box, resized horizontally: 8+6-bit fixed point
	line       []float32
	small      []byte
}

// resize writes the box of the image to out, r×r×channels grey levels
// 0 … 255, mirrored when flip is set.
func (sc *scratch) resize(img pixels, b box, r int, flip bool, out []float32) {
	cols := sc.cols.fit(img.width, b.x, b.w, r)
	rows := sc.rows.fit(img.height, b.y, b.h, r)
	lo, hi := img.height, 0 // rows that are needed
	for _, t := range rows {
		if len(t.weights) > 0 {
			lo, hi = min(lo, t.first), max(hi, t.first+len(t.weights))
		}
	}
	if hi <= lo {
		clear(out)
		return
	}
	line := r * img.channels
	sc.mid = grow(sc.mid, (hi-lo)*line)
	for y := lo; y < hi; y++ {
		src := img.data[y*img.width*img.channels:][:img.width*img.channels]
		horizontal(sc.mid[(y-lo)*line:][:line], src, cols, img.channels, flip)
	}
	for y, t := range rows {
		vertical(out[y*line:][:line], sc.mid, t, lo)
	}
}

// shrink returns the whole image with another size, valid until the next call.
func (sc *scratch) shrink(img pixels, width, height int) pixels {
	cols := sc.cols.fit(img.width, 0, img.width, width)
	rows := sc.rows.fit(img.height, 0, img.height, height)
	line := width * img.channels
	sc.mid, sc.line, sc.small = grow(sc.mid, img.height*line), grow(sc.line, line), grow(sc.small, height*line)
	for y := range img.height {
		horizontal(sc.mid[y*line:][:line], img.data[y*img.width*img.channels:][:img.width*img.channels], cols, img.channels, false)
	}
	for y, t := range rows {
		vertical(sc.line, sc.mid, t, 0)
		for i, v := range sc.line {
			sc.small[y*line+i] = byte(v + 0.5)
		}
	}
	return pixels{height: height, width: width, channels: img.channels, data: sc.small}
}

func horizontal(dst []int32, src []byte, cols []taps, channels int, flip bool) {
	for x, t := range cols {
		if flip {
			x = len(cols) - 1 - x
		}
		if channels == 1 {
			acc := int32(1 << (midShift - 1))
			for k, w := range t.weights {
				acc += w * int32(src[t.first+k])
			}
			dst[x] = acc >> midShift
			continue
		}
		r, g, b := int32(1<<(midShift-1)), int32(1<<(midShift-1)), int32(1<<(midShift-1))
		p := src[3*t.first:]
		for k, w := range t.weights {
			r += w * int32(p[3*k])
			g += w * int32(p[3*k+1])
			b += w * int32(p[3*k+2])
		}
		dst[3*x], dst[3*x+1], dst[3*x+2] = r>>midShift, g>>midShift, b>>midShift
	}
}

func vertical(dst []float32, mid []int32, t taps, lo int) {
	line := len(dst)
	switch len(t.weights) {
	case 0:
		clear(dst)
	case 1:
		w, a := t.weights[0], mid[(t.first-lo)*line:][:line]
		for i := range dst {
			dst[i] = float32(w*a[i]) * (1.0 / outScale)
		}
	case 2:
		w, a := t.weights[0], mid[(t.first-lo)*line:][:line]
		v, b := t.weights[1], mid[(t.first+1-lo)*line:][:line]
		for i := range dst {
			dst[i] = float32(w*a[i]+v*b[i]) * (1.0 / outScale)
		}
	default:
		for i := range dst {
			var acc int32
			for k, w := range t.weights {
				acc += w * mid[(t.first+k-lo)*line+i]
			}
			dst[i] = float32(acc) * (1.0 / outScale)
		}
	}
}

// fit computes the taps for these pixels and results. Pixels outside the line
// are black where the box reaches there and do not count elsewhere.
func (f *filter) fit(n, start, length, r int) []taps {
	if f.n == n && f.start == start && f.length == length && f.r == r {
		return f.taps
	}
	f.n, f.start, f.length, f.r = n, start, length, r
	f.taps, f.weights = f.taps[:0], f.weights[:0]
	scale := float64(length) / float64(r)
	support := max(scale, 1)
	lo, hi := min(0, start), max(n, start+length)
	for i := range r {
		centre := float64(start) + float64((float64(i)+0.5)*scale)
		first := max(lo, int(math.Floor(centre-support)))
		last := min(hi, int(math.Ceil(centre+support)))
		f.exact = f.exact[:0]
		sum := 0.0
		for x := first; x < last; x++ {
			w := max(0, 1-math.Abs(float64(x)+0.5-centre)/support)
			f.exact = append(f.exact, w)
			sum += w
		}
		f.taps = append(f.taps, f.quantise(first, sum))
	}
	return f.taps
}

// quantise rounds the exact weights to integers that sum to one, then drops
// zeros at the ends and what lies outside the line.
func (f *filter) quantise(first int, sum float64) taps {
	begin := len(f.weights)
	rest, largest := int32(1<<weightBits), 0
	for k, w := range f.exact {
		q := int32(math.Round(w / sum * (1 << weightBits)))
		f.weights = append(f.weights, q)
		rest -= q
		if w > f.exact[largest] {
			largest = k
		}
	}
	ws := f.weights[begin:]
	ws[largest] += rest
	for len(ws) > 0 && (ws[0] == 0 || first < 0) {
		ws, first = ws[1:], first+1
	}
	for len(ws) > 0 && (ws[len(ws)-1] == 0 || first+len(ws) > f.n) {
		ws = ws[:len(ws)-1]
	}
	if len(ws) == 0 {
		return taps{}
	}
	return taps{first, ws}
}
