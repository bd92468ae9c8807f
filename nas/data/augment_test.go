package data

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// Random crops lie within the image and keep the part of its area that they
// promise, but for rounding and for what does not fit.
func TestRandomCrop(t *testing.T) {
	img := pixels{height: 60, width: 90, channels: 1}
	for i := range 5000 {
		d := newRNG(1, 0, i)
		b := randomCrop(img, 0.3, &d)
		if b.x < 0 || b.y < 0 || b.x+b.w > img.width || b.y+b.h > img.height || b.w < 1 || b.h < 1 {
			t.Fatalf("crop %+v leaves the image", b)
		}
		area, aspect := float64(b.w*b.h)/float64(img.width*img.height), float64(b.w)/float64(b.h)
		if area < 0.28 || aspect < 0.7 || aspect > 1.45 && b.h < img.height {
			t.Fatalf("crop %+v: area %.3f, aspect %.2f", b, area, aspect)
		}
	}
}

// Half of the images are mirrored, shifts are even and within their bound, and
// factors within theirs.
func TestDraw(t *testing.T) {
	img := pixels{height: 28, width: 28, channels: 1}
	a := Augment{Shift: 0.11, Flip: true, Jitter: 0.4}
	const n = 10000
	flips, shifts := 0, map[int]int{}
	for i := range n {
		v := a.draw(img, newRNG(7, 3, i))
		if v.flip {
			flips++
		}
		shifts[v.box.x]++
		for _, f := range v.jitter {
			if f < 0.6 || f > 1.4 {
				t.Fatalf("factor %v", f)
			}
		}
	}
	if flips < n*48/100 || flips > n*52/100 {
		t.Errorf("%d of %d mirrored", flips, n)
	}
	for x := -3; x <= 3; x++ {
		if shifts[x] < n/7*9/10 || shifts[x] > n/7*11/10 {
			t.Errorf("shifted by %d: %d of %d", x, shifts[x], n)
		}
	}
	if len(shifts) != 7 {
		t.Errorf("shifts %v, want -3 … 3", shifts)
	}
}

// A shifted image is the image, shifted, with black behind it; a mirrored one
// is its mirror image.
func TestShiftAndFlip(t *testing.T) {
	img := randomPixels(rand.New(rand.NewPCG(5, 5)), 10, 10, 3)
	out := make([]float32, 300)
	new(scratch).resize(img, box{3, -2, 10, 10}, 10, true, out)
	for y := range 10 {
		for x := range 10 {
			sx, sy := 3+9-x, y-2
			for c := range 3 {
				want := float32(0)
				if sx < 10 && sy >= 0 {
					want = float32(img.data[(sy*10+sx)*3+c])
				}
				if got := out[(y*10+x)*3+c]; got != want {
					t.Fatalf("at (%d, %d, %d): %v, want %v", x, y, c, got, want)
				}
			}
		}
	}
}

// Factors of one change nothing, no saturation is grey, and no contrast is flat.
func TestJitter(t *testing.T) {
	x := []float32{10, 100, 200, 30, 60, 90}
	grey := append([]float32{}, x...)
	jitter{1, 1, 0}.apply(grey, 3)
	if grey[0] != grey[1] || grey[1] != grey[2] || grey[3] != grey[5] || grey[0] == grey[3] {
		t.Errorf("no saturation: %v", grey)
	}
	flat := append([]float32{}, x...)
	jitter{1, 0, 1}.apply(flat, 3)
	for _, v := range flat {
		if math.Abs(float64(v)-490.0/6) > 1e-3 {
			t.Errorf("no contrast: %v", flat)
		}
	}
	bright := append([]float32{}, x...)
	jitter{2, 1, 1}.apply(bright, 3)
	if bright[2] != 255 || math.Abs(float64(bright[0]-20)) > 1e-3 {
		t.Errorf("twice as bright: %v", bright)
	}
}

// A batch with every kind of augmentation has the same bits on every machine.
// Training is only as reproducible as this: a change of the digest changes all
// trained weights, so bump the version of train-supernet with it.
func TestBatchGolden(t *testing.T) {
	const want = "a27b0f3f7767c0b125ff1dab823d087c08ae785c73506c9cb1a896c9164d76ac"
	s := Shapes{Seed: 2, Size: 20, Noise: 0.1}.Split(0, 16)
	var b Batch
	v := View{Resolution: 17, Augment: Augment{Crop: 0.4, Shift: 0.1, Flip: true, Jitter: 0.3}, Seed: 9, Epoch: 4}
	if err := s.Batch(t.Context(), Order(16, 9, 4), v, &b); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if err := binary.Write(h, binary.LittleEndian, b.X); err != nil {
		t.Fatal(err)
	}
	if err := binary.Write(h, binary.LittleEndian, b.Labels); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
}

// BenchmarkStream measures what the loader delivers, on all threads.
func BenchmarkStream(b *testing.B) {
	for name, c := range map[string]struct {
		size, channels int
		augment        Augment
	}{
		"28x28x1":           {28, 1, Augment{}},
		"28x28x1/augmented": {28, 1, Augment{Shift: 0.1, Flip: true}},
		"96x96x3/augmented": {96, 3, fullAugment},
	} {
		b.Run(name, func(b *testing.B) {
			s := testSplit(512, c.size, c.channels)
			n := 0
			for batch, err := range s.Stream(b.Context(), Feed{Batch: 64, End: b.N, Resolution: At(c.size), Augment: c.augment}) {
				if err != nil {
					b.Fatal(err)
				}
				n += batch.N
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
