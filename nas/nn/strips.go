package nn

// Depthwise convolutions go image by image. Memory is read in its order: the
// image is spread, normalised on the way, over frames, one for each strip of as
// many channels as a vector holds, with a border of zeros. The frames stay in
// the cache. Weights are in strips, too: kernel² × lanes for each.

// frame is the geometry of the frames of an image.
type frame struct {
	h, w, c int // of the image: rows, columns, channels
	border  int // pixels of zeros on each side
	lanes   int // channels in a strip
}

// stripsOf returns how many strips the channels make.
func stripsOf(channels, lanes int) int { return (channels + lanes - 1) / lanes }

// strips returns how many strips, and so frames, the image makes.
func (f frame) strips() int { return stripsOf(f.c, f.lanes) }

// row returns how many floats there are between rows of a frame.
func (f frame) row() int { return (f.w + 2*f.border) * f.lanes }

// size returns how many floats a frame takes.
func (f frame) size() int { return (f.h + 2*f.border) * f.row() }

// all returns how many floats the frames of an image take.
func (f frame) all() int { return f.strips() * f.size() }

// at returns where a row of the image begins in a frame.
func (f frame) at(y int) int { return (y+f.border)*f.row() + f.border*f.lanes }

// spread computes scale·x + shift, clamped with relu6, of an image x, rows ×
// columns × channels, and spreads it over frames, whose border it leaves alone.
func (k *kernels) spread(f frame, frames, x, scale, shift []float32, relu6 bool) {
	for y := range f.h {
		k.affine(f.w, f.c, frames[f.at(y):], f.lanes, f.size(), x[y*f.w*f.c:], f.c, scale, shift, relu6)
	}
}

// packStrips lays out weights w, taps × channels with ld between taps, in
// strips; with turned the last tap comes first, as a gradient by the input needs.
func packStrips(dst, w []float32, taps, channels, ld, lanes int, turned bool) {
	for c := 0; c < channels; c += lanes {
		cols := min(lanes, channels-c)
		for i := range taps {
			to := i
			if turned {
				to = taps - 1 - i
			}
			strip := dst[(c/lanes*taps+to)*lanes:][:lanes]
			copy(strip[:cols], w[i*ld+c:])
			clear(strip[cols:])
		}
	}
}
