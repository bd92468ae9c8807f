package picture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// BMP is decoded here and not by golang.org/x/image/bmp, which knows neither packed nor
// 16-bit pixels nor most of the headers.

// bmpFile is a file that is being decoded. Numbers are little-endian.
type bmpFile struct {
	width, height int
	down          bool // rows run from top to bottom
	bits          int  // of a pixel
	packing       int
	masks         [4]uint32 // of red, green, blue and alpha
	palette       [256][3]byte
	entry         int // bytes of a colour in the file's palette
	pixels        []byte
	odd           bool // the pixels begin at an odd place
}

// The packings of pixels.
const (
	bmpPlain = iota
	bmpRuns8
	bmpRuns4
	bmpMasks // each colour has bits of its own
)

var errBMP = errors.New("damaged: its header is of no known kind")

func sizeBMP(file []byte) (w, h int, err error) {
	f, err := readBMP(file)
	return f.width, f.height, err
}

// readBMP reads all but the pixels.
func readBMP(file []byte) (f bmpFile, err error) {
	if len(file) < 18 {
		return f, errTruncated
	}
	end := 14 + int(min(binary.LittleEndian.Uint32(file[14:]), 1000))
	if len(file) < end {
		return f, errTruncated
	}
	rest := file[end:]
	colours, err := f.header(file[14:end])
	if err == nil && f.packing == bmpMasks {
		rest, err = f.readMasks(file[14:end], rest)
	}
	if err == nil && f.bits <= 8 {
		rest, err = f.readPalette(rest, colours)
	}
	at := int(binary.LittleEndian.Uint32(file[10:]))
	if at == 0 || at == end && f.bits <= 8 { // as some programs write it, without the palette
		at = len(file) - len(rest)
	}
	f.odd, f.pixels = at%2 == 1, file[min(at, len(file)):]
	return f, err
}

// header reads the header, whose size says of which kind it is, and returns how many
// colours the palette has, or 0 for as many as there can be.
func (f *bmpFile) header(b []byte) (colours int, err error) {
	le := binary.LittleEndian
	switch len(b) {
	case 12:
		f.width, f.height, f.bits, f.entry = int(le.Uint16(b[4:])), int(le.Uint16(b[6:])), int(le.Uint16(b[10:])), 3
		return 0, nil
	case 40, 52, 56, 64, 108, 124:
		f.width, f.height = int(int32(le.Uint32(b[4:]))), int(int32(le.Uint32(b[8:])))
		if f.height < 0 {
			f.height, f.down = -f.height, true
		}
		f.bits, f.packing, f.entry = int(le.Uint16(b[14:])), int(le.Uint32(b[16:])), 4
		return int(le.Uint32(b[32:])), nil
	}
	return 0, errBMP
}

// readMasks reads the masks of the colours, which follow a short header, and returns what
// follows them.
func (f *bmpFile) readMasks(header, rest []byte) ([]byte, error) {
	b := header[min(40, len(header)):]
	n := min(len(b)/4, len(f.masks))
	if n < 3 {
		n = 3
		b, rest = rest, rest[min(12, len(rest)):]
	}
	if len(b) < 4*n {
		return nil, errTruncated
	}
	for i := range n {
		f.masks[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return rest, nil
}

// readPalette reads n colours, or as many as there are, and returns what follows.
func (f *bmpFile) readPalette(b []byte, colours int) ([]byte, error) {
	if colours == 0 {
		colours = 1 << f.bits
	}
	if colours > 1<<16 {
		return nil, errBMP
	}
	for i := range min(colours, len(b)/f.entry, len(f.palette)) {
		p := b[i*f.entry:]
		f.palette[i] = [3]byte{p[2], p[1], p[0]}
	}
	return b[min(colours*f.entry, len(b)):], nil
}

// decodeBMP decodes a file.
func decodeBMP(ctx context.Context, file []byte, img *canvas) error {
	f, err := readBMP(file)
	if err != nil {
		return err
	}
	row, err := f.rower()
	if err != nil {
		return err
	}
	for y := range img.Height {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		to := img.Height - 1 - y
		if f.down {
			to = y
		}
		if err := row(img.row(to)); err != nil {
			return fmt.Errorf("row %d: %w", y, err)
		}
	}
	return nil
}

// rower returns what draws the next row.
func (f *bmpFile) rower() (func(dst []byte) error, error) {
	switch packed := f.packing == bmpRuns8 || f.packing == bmpRuns4; {
	case packed && f.bits == 8 || packed && f.bits == 4:
		levels, err := f.runs()
		if err != nil {
			return nil, err
		}
		f.pixels, f.bits = levels, 8
		return func(dst []byte) error { return f.indices(dst, f.width) }, nil
	case f.packing != bmpPlain && f.packing != bmpMasks:
		return nil, fmt.Errorf("its packing (%d) cannot be read: save it anew", f.packing)
	}
	stride := (f.width*f.bits + 31) / 32 * 4
	switch f.bits {
	case 1, 4, 8:
		if f.packing == bmpPlain {
			return func(dst []byte) error { return f.indices(dst, stride) }, nil
		}
	case 16, 24, 32:
		colours, err := f.colours()
		if err != nil {
			return nil, err
		}
		return func(dst []byte) error { return f.colour(dst, colours, stride) }, nil
	}
	return nil, fmt.Errorf("%d bits a pixel, packed as %d, cannot be read: save it with 24", f.bits, f.packing)
}

// next returns the next bytes of the pixels, of which need are used.
func (f *bmpFile) next(stride, need int) ([]byte, error) {
	if len(f.pixels) < need {
		return nil, errTruncated
	}
	b := f.pixels[:min(stride, len(f.pixels))]
	f.pixels = f.pixels[len(b):]
	return b, nil
}

// indices draws a row of positions in the palette.
func (f *bmpFile) indices(dst []byte, stride int) error {
	b, err := f.next(stride, upward(f.width*f.bits, 8))
	if err != nil {
		return err
	}
	for x := range f.width {
		at := x * f.bits
		v := b[at/8] >> (8 - f.bits - at%8) & (1<<f.bits - 1)
		copy(dst[3*x:], f.palette[v][:])
	}
	return nil
}

// field is where a colour lies in a pixel.
type field struct {
	shift uint
	most  uint32
}

// colours returns where red, green and blue lie.
func (f *bmpFile) colours() (c [3]field, err error) {
	if f.packing == bmpPlain || f.masks == [4]uint32{} {
		f.masks = [4]uint32{0xff0000, 0xff00, 0xff}
		if f.bits == 16 {
			f.masks = [4]uint32{0x7c00, 0x3e0, 0x1f}
		}
	}
	for i := range c {
		mask := f.masks[i]
		for mask != 0 && mask&1 == 0 {
			mask >>= 1
			c[i].shift++
		}
		if c[i].most = mask; mask == 0 || mask&(mask+1) != 0 || mask > 255 {
			return c, fmt.Errorf("its pixels (red in %#x, green in %#x, blue in %#x) cannot be read: save it with 24 bits", f.masks[0], f.masks[1], f.masks[2])
		}
	}
	return c, nil
}

// colour draws a row of colours.
func (f *bmpFile) colour(dst []byte, colours [3]field, stride int) error {
	size := f.bits / 8
	b, err := f.next(stride, f.width*size)
	if err != nil {
		return err
	}
	for x := range f.width {
		v := uint32(0)
		for k := range size {
			v |= uint32(b[x*size+k]) << (8 * k)
		}
		for i, c := range colours {
			dst[3*x+i] = byte(v >> c.shift & c.most * 255 / c.most)
		}
	}
	return nil
}

// runs unpacks the positions in the palette, a byte each. What a row or the image lacks
// is 0.
func (f *bmpFile) runs() ([]byte, error) {
	out := make([]byte, 0, f.width*f.height)
	b, left := f.pixels, f.odd // whether an odd number of bytes is before b
	take := func(n int) []byte {
		t := b[:min(n, len(b))]
		b = b[len(t):]
		left = left != (len(t)%2 == 1)
		return t
	}
	add := func(n int, at func(i int) byte) {
		for i := range min(n, cap(out)-len(out)) {
			out = append(out, at(i))
		}
	}
	zero := func(int) byte { return 0 }
	x := 0 // in the row
	for len(out) < cap(out) {
		code := take(2)
		if len(code) < 2 {
			return nil, errTruncated
		}
		switch n, v := int(code[0]), code[1]; {
		case n > 0:
			n = max(0, min(n, f.width-x))
			add(n, func(i int) byte { return f.index([]byte{v, v}, i%2) })
			x += n
		case v == 0:
			add((f.width-len(out)%f.width)%f.width, zero)
			x = 0
		case v == 1:
			return nil, fmt.Errorf("%d of %d pixels: %w", len(out), cap(out), errTruncated)
		case v == 2:
			by := take(2)
			if len(by) < 2 {
				return nil, errTruncated
			}
			add(int(by[0])+int(by[1])*f.width, zero)
			x = len(out) % f.width
		default:
			size := int(v)
			if f.packing == bmpRuns4 {
				size = (size + 1) / 2
			}
			literal := take(size)
			if len(literal) < size {
				return nil, errTruncated
			}
			add(int(v), func(i int) byte { return f.index(literal, i) })
			x += int(v)
			if left {
				take(1)
			}
		}
	}
	return out, nil
}

// index returns position i of packed ones.
func (f *bmpFile) index(b []byte, i int) byte {
	if f.packing == bmpRuns8 {
		return b[i]
	}
	return b[i/2] >> (4 * (1 - i%2)) & 15
}
