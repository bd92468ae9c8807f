package picture

import "encoding/binary"

// sampleReader reads the samples of a row of a TIFF file. Beyond its end they are 0.
type sampleReader struct {
	b     []byte
	order binary.ByteOrder
	size  int // bits of a sample, at most 16
	at    int // in bits, where size is not 8 or 16
}

func (r *sampleReader) next() (v uint16) {
	switch {
	case r.size == 8 && len(r.b) >= 1:
		v, r.b = uint16(r.b[0]), r.b[1:]
	case r.size == 16 && len(r.b) >= 2:
		v, r.b = r.order.Uint16(r.b), r.b[2:]
	case r.size < 8 || r.size == 12:
		for range r.size {
			v <<= 1
			if i := r.at / 8; i < len(r.b) {
				v |= uint16(r.b[i] >> (7 - r.at%8) & 1)
			}
			r.at++
		}
	}
	return v
}

// converter returns what makes a row of RGB of samples that are no JPEG.
func (f *tiffFile) converter(img *canvas) func(dst []byte, row []uint16) {
	n, lower := f.samples, f.bits-8
	switch f.photometric {
	case isRGB:
		return func(dst []byte, row []uint16) {
			for x := range len(dst) / 3 {
				p := row[n*x:][:n]
				d := dst[3*x:][:3]
				d[0], d[1], d[2] = byte(p[0]>>lower), byte(p[1]>>lower), byte(p[2]>>lower)
				if n > 3 && f.alpha == multiplied {
					divide(d, int(p[3]>>lower))
				}
			}
		}
	case isCMYK:
		return func(dst []byte, row []uint16) {
			for i := range dst {
				p := row[i/3*n:]
				dst[i] = over(255-byte(p[i%3]>>lower), 255-byte(p[3]>>lower))
			}
		}
	}
	grey := f.table(img)
	return func(dst []byte, row []uint16) {
		for x := range len(dst) / 3 {
			c := grey(row[n*x])
			copy(dst[3*x:], c[:])
		}
	}
}

// multiplied is what tagExtra calls an alpha by which the colours were multiplied.
const multiplied = 1

// table returns the colour of a sample of grey or of a palette.
func (f *tiffFile) table(img *canvas) func(v uint16) [3]byte {
	if f.bits > 8 {
		return func(v uint16) [3]byte {
			if f.photometric == whiteIsZero && img.deep == Scaled { // Pillow forgets it
				v = 1<<f.bits - 1 - v
			}
			level := img.level(uint(v), f.bits)
			return [3]byte{level, level, level}
		}
	}
	var table [256][3]byte
	most := 1<<f.bits - 1
	for v := range most + 1 {
		level := byte(v * 255 / most)
		if f.photometric == whiteIsZero {
			level = 255 - level
		}
		table[v] = [3]byte{level, level, level}
		if f.photometric == isPalette {
			for c := range 3 {
				table[v][c] = byte(f.colours[c*(most+1)+v] >> 8)
			}
		}
	}
	return func(v uint16) [3]byte { return table[v&0xff] }
}
