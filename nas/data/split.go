package data

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
)

// Batch is a number of images, ready for a network.
type Batch struct {
	N, H, W, C int
	X          []float32 // N×H×W×C, channels innermost; normalised by the set's mean and std
	Labels     []int32   // N
}

// Slice returns images from … to-1 of the batch, in its memory.
func (b *Batch) Slice(from, to int) Batch {
	size := b.H * b.W * b.C
	return Batch{N: to - from, H: b.H, W: b.W, C: b.C, X: b.X[from*size : to*size : to*size], Labels: b.Labels[from:to:to]}
}

// Split is an opened part of a set. Its methods may be called by many
// goroutines at once.
type Split struct {
	index   Index
	source  source
	scratch sync.Pool // of *scratch
	gain    []float32 // of each channel: x = gain·pixel + bias
	bias    []float32
}

// View says how images are to be seen.
type View struct {
	Resolution int     // height and width of the result
	Crop       float64 // without Augment: side of the centre crop over the image's shorter side; 0 means 1
	Augment    Augment // how images are varied; the zero value leaves them alone
	Seed       uint64  // with Epoch and an image's index, the seed of its variation
	Epoch      int
}

// FromPixels returns a Split over n = len(labels) images that are in memory,
// of height×width×channels bytes each, normalised to mean 0.5 and deviation
// 0.25. It panics when the sizes do not fit. It is for tests and small sets.
func FromPixels(height, width, channels, classes int, pixels []byte, labels []int32) *Split {
	size := height * width * channels
	if len(pixels) != size*len(labels) {
		panic(fmt.Sprintf("data.FromPixels: %d bytes for %d images of %d", len(pixels), len(labels), size))
	}
	ix := Index{Header: Header{Encoding: Raw, Channels: channels, Height: height, Width: width, Classes: classes}}
	for i, label := range labels {
		ix.Records = append(ix.Records, Record{Offset: int64(i) * int64(size), Length: size, Label: int(label)})
	}
	mean, std := make([]float64, channels), make([]float64, channels)
	for c := range channels {
		mean[c], std[c] = 0.5, 0.25
	}
	return makeSplit(ix, pixelFile{bytes.NewReader(pixels)}, mean, std)
}

func newSplit(ix Index, path string, mean, std []float64) (*Split, error) {
	if ix.Encoding == Encoded {
		return makeSplit(ix, imageTree{root: path, files: ix.Files}, mean, std), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && len(ix.Records) > 0 {
		for i, r := range ix.Records {
			if r.Offset+int64(r.Length) > st.Size() {
				err = fmt.Errorf("%s: image %d ends at byte %d of %d: %w", path, i, r.Offset+int64(r.Length), st.Size(), ErrTruncated)
				break
			}
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return makeSplit(ix, pixelFile{f}, mean, std), nil
}

func makeSplit(ix Index, src source, mean, std []float64) *Split {
	s := &Split{index: ix, source: src}
	for c := range ix.Channels {
		sd := std[c]
		if sd <= 0 { // a constant channel
			sd = 1
		}
		s.gain = append(s.gain, float32(1/(255*sd)))
		s.bias = append(s.bias, float32(-mean[c]/sd))
	}
	s.scratch.New = func() any { return new(scratch) }
	return s
}

// Len returns the number of images.
func (s *Split) Len() int { return len(s.index.Records) }

// Classes returns the number of classes.
func (s *Split) Classes() int { return s.index.Classes }

// Channels returns the number of channels: 1 or 3.
func (s *Split) Channels() int { return s.index.Channels }

// Size returns the side of the stored images, or 0 where images differ or are
// not square.
func (s *Split) Size() int {
	if s.index.Encoding == Raw && s.index.Height == s.index.Width {
		return s.index.Height
	}
	return 0
}

// Label returns the label of image i.
func (s *Split) Label(i int) int { return s.index.Records[i].Label }

// Subset returns the images at these positions, in this order, as a Split that
// shares the files of s; closing either closes both.
func (s *Split) Subset(indices []int) *Split {
	t := &Split{index: s.index, source: s.source, gain: s.gain, bias: s.bias}
	t.index.Records = make([]Record, len(indices))
	for i, j := range indices {
		t.index.Records[i] = s.index.Records[j]
	}
	t.scratch.New = s.scratch.New
	return t
}

// Close releases the files.
func (s *Split) Close() error {
	if c, ok := s.source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Batch reads the images at these positions into dst, whose slices it reuses
// where they are large enough. An image that cannot be decoded is an error
// that names it.
func (s *Split) Batch(ctx context.Context, indices []int, v View, dst *Batch) error {
	size, err := s.Extend(len(indices), v, dst)
	if err != nil {
		return err
	}
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	for k, i := range indices {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i < 0 || i >= s.Len() {
			return fmt.Errorf("image %d of %d", i, s.Len())
		}
		dst.Labels[k] = int32(s.index.Records[i].Label)
		if err := s.image(ctx, i, v, sc, dst.X[k*size:(k+1)*size]); err != nil {
			return err
		}
	}
	return nil
}

// Extend gives a batch the extents of n images as v says, and slices for them, and returns how
// many numbers an image has. What the slices hold is left as it is.
func (s *Split) Extend(n int, v View, dst *Batch) (size int, err error) {
	if r := v.Resolution; r < 1 || r > maxSide {
		return 0, fmt.Errorf("resolution %d, want 1 … %d", r, maxSide)
	}
	dst.N, dst.H, dst.W, dst.C = n, v.Resolution, v.Resolution, s.Channels()
	size = dst.H * dst.W * dst.C
	dst.X, dst.Labels = grow(dst.X, size*n), grow(dst.Labels, n)
	return size, nil
}

// image writes image i, seen as v says, to out (resolution² × channels).
func (s *Split) image(ctx context.Context, i int, v View, sc *scratch, out []float32) error {
	rec := s.index.Records[i]
	img, err := sc.load(ctx, s.source, s.index, rec)
	if err != nil {
		return fmt.Errorf("image %d (%s): %w", i, s.source.name(rec), err)
	}
	view := v.Augment.draw(img, newRNG(v.Seed, v.Epoch, i))
	if v.Augment.IsZero() {
		view.box = centre(img, v.Crop)
	}
	sc.resize(img, view.box, v.Resolution, view.flip, out)
	view.jitter.apply(out, img.channels)
	normalise(out, s.gain, s.bias)
	return nil
}

// normalise maps grey levels 0 … 255 to gain·x + bias. The conversion keeps
// the compiler from fusing multiplication and addition, which would round
// differently from machine to machine.
func normalise(x, gain, bias []float32) {
	if len(gain) == 1 {
		g, b := gain[0], bias[0]
		for i, v := range x {
			x[i] = float32(v*g) + b
		}
		return
	}
	for i := 0; i+3 <= len(x); i += 3 {
		p := x[i : i+3 : i+3]
		p[0] = float32(p[0]*gain[0]) + bias[0]
		p[1] = float32(p[1]*gain[1]) + bias[1]
		p[2] = float32(p[2]*gain[2]) + bias[2]
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
