package data

import (
	"math"
	"math/rand/v2"
)

// Augment says how training images are varied at random. The zero value
// leaves them alone: the centre crop, unchanged.
type Augment struct {
	Crop   float64 `json:"crop,omitempty" doc:"random resized crop: the least part of the image's area that is kept, with an aspect ratio of 3/4 to 4/3; 0 for none" min:"0" max:"1"`
	Shift  float64 `json:"shift,omitempty" doc:"random shift: at most this part of the side in each direction, black beyond the border" min:"0" max:"1"`
	Flip   bool    `json:"flip,omitempty" doc:"mirror each image left to right, or not, by the toss of a coin"`
	Jitter float64 `json:"jitter,omitempty" doc:"colour jitter: brightness, contrast and saturation are each multiplied by 1 ± at most this" min:"0" max:"1"`
}

// IsZero reports whether a leaves images alone.
func (a Augment) IsZero() bool { return a == Augment{} }

// variation is what was drawn for one image.
type variation struct {
	box    box
	flip   bool
	jitter jitter
}

// draw draws a variation of the image.
func (a Augment) draw(img pixels, d rng) variation {
	v := variation{box: centre(img, 1), jitter: jitter{1, 1, 1}}
	if a.Crop > 0 {
		v.box = randomCrop(img, a.Crop, &d)
	}
	if a.Shift > 0 {
		v.box.x += d.between(-a.Shift, a.Shift, v.box.w)
		v.box.y += d.between(-a.Shift, a.Shift, v.box.h)
	}
	if a.Flip {
		v.flip = d.uniform() < 0.5
	}
	if a.Jitter > 0 {
		for i := range v.jitter {
			v.jitter[i] = float32(1 + float64(a.Jitter*(2*d.uniform()-1)))
		}
	}
	return v
}

// randomCrop draws a box of at least the fraction least of the image's area
// (Szegedy et al., arXiv 1409.4842). A box that does not fit is cut to fit.
func randomCrop(img pixels, least float64, d *rng) box {
	area := float64(img.width*img.height) * (least + float64((1-least)*d.uniform()))
	aspect := math.Sqrt(0.75 + float64((4.0/3-0.75)*d.uniform()))
	side := math.Sqrt(area)
	w := min(img.width, max(1, int(math.Round(side*aspect))))
	h := min(img.height, max(1, int(math.Round(side/aspect))))
	return box{int(d.uniform() * float64(img.width-w+1)), int(d.uniform() * float64(img.height-h+1)), w, h}
}

// jitter holds the factors of brightness, contrast and saturation.
type jitter [3]float32

// apply changes grey levels 0 … 255 in place. The order of operations and
// the explicit conversions make it round alike on every machine.
func (j jitter) apply(x []float32, channels int) {
	if j == (jitter{1, 1, 1}) {
		return
	}
	for i, v := range x {
		x[i] = clamp(v * j[0])
	}
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	mean := float32(sum / float64(len(x)))
	for i, v := range x {
		x[i] = clamp(mean + float32((v-mean)*j[1]))
	}
	if channels != 3 {
		return
	}
	for i := 0; i+3 <= len(x); i += 3 {
		p := x[i : i+3 : i+3]
		grey := float32(float32(p[0]*0.299)+float32(p[1]*0.587)) + float32(p[2]*0.114) // ITU-R BT.601
		for c, v := range p {
			p[c] = clamp(grey + float32((v-grey)*j[2]))
		}
	}
}

func clamp(v float32) float32 { return min(255, max(0, v)) }

// rng draws the random numbers of one image in one epoch.
type rng struct{ pcg rand.PCG }

func newRNG(seed uint64, epoch, index int) rng {
	var d rng
	d.pcg.Seed(mix(seed^mix(uint64(epoch))), mix(uint64(index)))
	return d
}

// uniform returns a number in [0, 1).
func (d *rng) uniform() float64 { return float64(d.pcg.Uint64()>>11) / (1 << 53) }

// between returns a whole number between lo·n and hi·n, uniformly.
func (d *rng) between(lo, hi float64, n int) int {
	a, b := int(math.Ceil(lo*float64(n))), int(math.Floor(hi*float64(n)))
	return a + int(d.uniform()*float64(b-a+1))
}

// mix scatters neighbouring numbers: the finaliser of SplitMix64 (Steele et
// al., OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
