package data

import (
	"bufio"
	"fmt"
	"math"
	"os"

	"eyrie/artifacts"
)

// Writer writes a raw part: its data file and its index.
type Writer struct {
	Stats Stats // of the pixels written

	index     Index
	indexPath string
	file      *os.File
	buf       *bufio.Writer
}

// Create begins a raw part with images of height×width×channels bytes, in the
// files path.data and path.index.
func Create(path string, height, width, channels, classes int) (*Writer, error) {
	h := Header{Encoding: Raw, Channels: channels, Height: height, Width: width, Classes: classes}
	if err := h.check(); err != nil {
		return nil, err
	}
	f, err := os.Create(path + ".data")
	if err != nil {
		return nil, err
	}
	return &Writer{
		index: Index{Header: h}, indexPath: path + ".index",
		file: f, buf: bufio.NewWriterSize(f, 1<<18), Stats: Stats{channels: channels},
	}, nil
}

// Add appends an image.
func (w *Writer) Add(pixels []byte, label int) error {
	h := w.index.Header
	if size := h.Height * h.Width * h.Channels; len(pixels) != size {
		return fmt.Errorf("an image of %d bytes, want %d", len(pixels), size)
	}
	if label < 0 || label >= h.Classes {
		return fmt.Errorf("label %d, want 0 … %d", label, h.Classes-1)
	}
	w.index.Records = append(w.index.Records, Record{
		Offset: int64(len(w.index.Records)) * int64(len(pixels)), Length: len(pixels), Label: label,
	})
	w.Stats.Add(pixels)
	_, err := w.buf.Write(pixels)
	return err
}

// Close completes the files and returns their handle.
func (w *Writer) Close() (Part, error) {
	err := w.buf.Flush()
	if cerr := w.file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.WriteFile(w.indexPath, w.index.Marshal(), 0o666)
	}
	return Part{
		Count: len(w.index.Records),
		Index: artifacts.Local(w.indexPath),
		Data:  artifacts.Local(w.file.Name()),
	}, err
}

// Abort drops an incomplete part's open file.
func (w *Writer) Abort() { w.file.Close() }

// Stats sums grey levels exactly, so that mean and deviation do not depend on
// the order of images.
type Stats struct {
	channels int
	n        [3]uint64
	sum, sq  [3]uint64
}

// NewStats returns empty statistics of images with this many channels, 1 or 3.
func NewStats(channels int) Stats { return Stats{channels: channels} }

// Add counts an image's pixels.
func (s *Stats) Add(pixels []byte) {
	for i, v := range pixels {
		c := i % s.channels
		s.n[c]++
		s.sum[c] += uint64(v)
		s.sq[c] += uint64(v) * uint64(v)
	}
}

// Merge adds what t counted.
func (s *Stats) Merge(t Stats) {
	for c := range s.channels {
		s.n[c] += t.n[c]
		s.sum[c] += t.sum[c]
		s.sq[c] += t.sq[c]
	}
}

// MeanStd returns the mean and the standard deviation of each channel, where
// white is 1. They are rounded to 1e-6, which is where printed values end.
func (s *Stats) MeanStd() (mean, std []float64) {
	for c := range s.channels {
		n := float64(max(1, s.n[c]))
		m := float64(s.sum[c]) / n
		variance := float64(s.sq[c])/n - float64(m*m)
		mean = append(mean, round6(m/255))
		std = append(std, round6(math.Sqrt(max(0, variance))/255))
	}
	return mean, std
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }
