package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io"
)

// IDX reads a file of the MNIST family, plain or gzipped, item by item: two
// zero bytes, the type (only unsigned bytes, 0x08), the number of dimensions,
// then each dimension as a big-endian uint32, then the bytes
// (http://yann.lecun.com/exdb/mnist). It holds no more than a buffer in
// memory, whatever the file claims to hold.
type IDX struct {
	Dims []int // the number of items, then the dimensions of one

	r    io.Reader
	next int
}

// maxItem bounds what a header may declare for one item: 64 MiB.
const maxItem = 64 << 20

// OpenIDX reads the header of a file that must have this many dimensions: 1
// for labels, 3 for images. The error wraps ErrTruncated, ErrMagic or ErrTooLarge.
func OpenIDX(r io.Reader, dims int) (*IDX, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	if b, err := br.Peek(2); err == nil && b[0] == 0x1f && b[1] == 0x8b {
		gz, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", cut(err))
		}
		br = bufio.NewReaderSize(gz, 1<<16)
	}
	header := make([]byte, 4+4*dims)
	if _, err := io.ReadFull(br, header[:4]); err != nil {
		return nil, fmt.Errorf("header: %w", cut(err))
	}
	if want := [4]byte{0, 0, 8, byte(dims)}; [4]byte(header) != want {
		return nil, fmt.Errorf("%w %x, want %x (unsigned bytes in %d dimensions)", ErrMagic, header[:4], want, dims)
	}
	if _, err := io.ReadFull(br, header[4:]); err != nil {
		return nil, fmt.Errorf("header: %w", cut(err))
	}
	f := &IDX{r: br}
	for i := range dims {
		f.Dims = append(f.Dims, int(binary.BigEndian.Uint32(header[4+4*i:])))
	}
	size := 1
	for _, d := range f.Dims[1:] {
		if d < 1 || d > maxItem || size*d > maxItem {
			return nil, fmt.Errorf("items of %v bytes: %w (at most %d)", f.Dims[1:], ErrTooLarge, maxItem)
		}
		size *= d
	}
	return f, nil
}

// Len returns the number of items.
func (f *IDX) Len() int { return f.Dims[0] }

// ItemSize returns the number of bytes of an item.
func (f *IDX) ItemSize() int {
	size := 1
	for _, d := range f.Dims[1:] {
		size *= d
	}
	return size
}

// Next reads the next item into buf, of ItemSize bytes. It returns io.EOF
// after the last item, and an error where the file goes on instead.
func (f *IDX) Next(buf []byte) error {
	if f.next == f.Len() {
		if n, err := io.ReadFull(f.r, make([]byte, 1)); n > 0 {
			return fmt.Errorf("%w: more data after the %d items of the header", ErrCount, f.Len())
		} else if err != io.EOF { // such as a wrong gzip checksum
			return fmt.Errorf("after the last item: %w", cut(err))
		}
		return io.EOF
	}
	if _, err := io.ReadFull(f.r, buf); err != nil {
		return fmt.Errorf("item %d of %d: %w", f.next, f.Len(), cut(err))
	}
	f.next++
	return nil
}
