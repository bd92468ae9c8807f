package data

import (
	"math"
	"math/rand/v2"
	"testing"
)

func randomPixels(rng *rand.Rand, h, w, c int) pixels {
	p := pixels{height: h, width: w, channels: c, data: make([]byte, h*w*c)}
	for i := range p.data {
		p.data[i] = byte(rng.UintN(256))
	}
	return p
}

// An image at its own resolution comes out as it went in, to the bit.
func TestResizeIdentity(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []int{1, 3} {
		img := randomPixels(rng, 28, 28, c)
		out := make([]float32, len(img.data))
		new(scratch).resize(img, centre(img, 0), 28, false, out)
		for i, v := range out {
			if v != float32(img.data[i]) {
				t.Fatalf("%d channels: value %d is %v, want %d", c, i, v, img.data[i])
			}
		}
	}
}

// A constant image stays constant at every size: the weights sum to one.
func TestResizeConstant(t *testing.T) {
	img := pixels{height: 31, width: 31, channels: 1, data: make([]byte, 31*31)}
	for i := range img.data {
		img.data[i] = 255
	}
	var sc scratch
	for r := 1; r < 80; r++ {
		out := make([]float32, r*r)
		sc.resize(img, box{0, 0, 31, 31}, r, false, out)
		for i, v := range out {
			if v != 255 {
				t.Fatalf("resolution %d: value %d is %v, want 255", r, i, v)
			}
		}
	}
}

// Halving averages with the triangle filter, and matches it computed in
// floating point, for boxes inside and beyond the image.
func TestResizeAgainstFloat(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var sc scratch
	for range 200 {
		img := randomPixels(rng, 5+rng.IntN(40), 5+rng.IntN(40), 1+2*rng.IntN(2))
		b := box{rng.IntN(9) - 4, rng.IntN(9) - 4, 1 + rng.IntN(img.width), 1 + rng.IntN(img.height)}
		r, flip := 1+rng.IntN(48), rng.IntN(2) == 0
		out := make([]float32, r*r*img.channels)
		sc.resize(img, b, r, flip, out)
		for y := range r {
			for x := range r {
				for c := range img.channels {
					got := out[(y*r+x)*img.channels+c]
					fx := x
					if flip {
						fx = r - 1 - x
					}
					if want := naive(img, b, r, fx, y, c); math.Abs(float64(got)-want) > 0.1 {
						t.Fatalf("%dx%d box %+v to %d, at (%d, %d, %d): %v, want %v", img.width, img.height, b, r, x, y, c, got, want)
					}
				}
			}
		}
	}
}

// naive is the definition of the filter, in two dimensions at once.
func naive(img pixels, b box, r, x, y, c int) float64 {
	axis := func(i, n, start, length int) map[int]float64 {
		scale := float64(length) / float64(r)
		support := max(scale, 1)
		centre := float64(start) + (float64(i)+0.5)*scale
		ws, sum := map[int]float64{}, 0.0
		for p := min(0, start); p < max(n, start+length); p++ {
			w := 1 - math.Abs(float64(p)+0.5-centre)/support
			if w > 0 {
				ws[p] = w
				sum += w
			}
		}
		for p := range ws {
			ws[p] /= sum
		}
		return ws
	}
	var v float64
	for py, wy := range axis(y, img.height, b.y, b.h) {
		for px, wx := range axis(x, img.width, b.x, b.w) {
			if py >= 0 && py < img.height && px >= 0 && px < img.width {
				v += wy * wx * float64(img.data[(py*img.width+px)*img.channels+c])
			}
		}
	}
	return v
}

func BenchmarkResize(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, bench := range []struct {
		name    string
		from, c int
		to      int
	}{{"28to28x1", 28, 1, 28}, {"28to20x1", 28, 1, 20}, {"400to224x3", 400, 3, 224}} {
		b.Run(bench.name, func(b *testing.B) {
			img := randomPixels(rng, bench.from, bench.from, bench.c)
			out := make([]float32, bench.to*bench.to*bench.c)
			var sc scratch
			b.ReportAllocs()
			for b.Loop() {
				sc.resize(img, box{0, 0, bench.from, bench.from}, bench.to, false, out)
			}
		})
	}
}
