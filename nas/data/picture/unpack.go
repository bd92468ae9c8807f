package picture

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	mathbits "math/bits"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// Values of tagCompression.
const (
	packNot      = 1
	packGroup3   = 3
	packGroup4   = 4
	packLZW      = 5
	packJPEG     = 7
	packDeflate  = 8
	packBits     = 32773
	packDeflate2 = 32946
)

// isPacked reports whether a compression is one of those that have a predictor.
func isPacked(compression int) bool {
	return compression == packLZW || compression == packDeflate || compression == packDeflate2
}

// unpack returns the bytes of a block of rows, or as many as there are.
func (f *tiffFile) unpack(ctx context.Context, b []byte, rows int) ([]byte, error) {
	fax := f.compression == packGroup3 || f.compression == packGroup4
	if f.reversed && !fax {
		b = bytes.Clone(b)
		for i, v := range b {
			b[i] = mathbits.Reverse8(v)
		}
	}
	size := rows * f.stride()
	var r io.Reader
	switch src := newReader(ctx, b); f.compression {
	case packNot:
		return b, nil
	case packBits:
		return unpackBits(b, size)
	case packLZW:
		r = lzw.NewReader(src, lzw.MSB, 8)
	case packDeflate, packDeflate2:
		z, err := zlib.NewReader(src)
		if err != nil {
			return nil, err
		}
		r = z
	case packGroup3, packGroup4:
		if f.samples != 1 || f.bits != 1 || f.compression == packGroup3 && f.value(tagT4, 0)&1 != 0 {
			return nil, errors.New("its fax compression is of two dimensions or not of one bit, which cannot be read: save it with LZW")
		}
		order, format := ccitt.MSB, ccitt.Group3
		if f.reversed {
			order = ccitt.LSB
		}
		if f.compression == packGroup4 {
			format = ccitt.Group4
		}
		r = ccitt.NewReader(src, order, format, f.blockW, rows, &ccitt.Options{Invert: true}) // white is 0
	default:
		return nil, fmt.Errorf("its compression (%d) cannot be read: save it with LZW, Deflate or JPEG", f.compression)
	}
	var out bytes.Buffer
	_, err := io.Copy(&out, io.LimitReader(r, int64(size)))
	if out.Len() == size {
		err = nil // whatever follows
	}
	return out.Bytes(), err
}

// unpackBits unpacks runs and literal bytes (TIFF 6.0, section 9), as far as size.
func unpackBits(b []byte, size int) ([]byte, error) {
	var out []byte
	for len(out) < size && len(b) > 0 {
		n := int(int8(b[0]))
		b = b[1:]
		switch {
		case n >= 0 && len(b) > n:
			out, b = append(out, b[:n+1]...), b[n+1:]
		case n < 0 && n > -128 && len(b) > 0:
			out, b = append(out, bytes.Repeat(b[:1], 1-n)...), b[1:]
		case n != -128:
			return out, errTruncated
		}
	}
	return out, nil
}

// jpegBlock draws a block that is a JPEG file, whose tables may be elsewhere.
func (f *tiffFile) jpegBlock(ctx context.Context, img *canvas, x, y int) error {
	if f.planes > 1 {
		return errors.New("separate planes of JPEG cannot be read: save it with interleaved ones")
	}
	convert, ok := map[int]conversion{blackIsZero: fromGrey, isRGB: fromRGB, isCMYK: fromCMYK, isYCbCr: fromJFIF}[f.photometric]
	if !ok {
		return fmt.Errorf("JPEG of its colours (photometric %d) cannot be read: save it with LZW", f.photometric)
	}
	var j jpegFile
	if t, ok := f.at[tagJPEGTables]; ok {
		if err := j.read(ctx, f.bytes(t, 1)); err != nil {
			return fmt.Errorf("its tables: %w", err)
		}
	}
	b, err := f.content(0, x, y)
	if err != nil {
		return err
	}
	if err := j.read(ctx, b); err != nil {
		return err
	}
	w, h := min(f.blockW, f.width-x), min(f.blockH, f.height-y)
	if len(j.parts) != f.samples || j.width < w || j.height < h || j.width > f.blockW || j.height > f.blockH {
		return fmt.Errorf("damaged: JPEG of %d×%d pixels of %d samples", j.width, j.height, len(j.parts))
	}
	block := Image{Width: j.width, Height: j.height, Channels: 3, Pix: make([]byte, 3*j.width*j.height)}
	if err := j.draw(block, convert); err != nil {
		return err
	}
	for i := range h {
		copy(img.row(y + i)[3*x:][:3*w], block.row(i))
	}
	return nil
}

// fromCMYK converts a row of samples that are 255 where there is most ink.
func fromCMYK(dst []byte, s [][]byte) {
	for i := range dst {
		dst[i] = over(255-s[i%3][i/3], 255-s[3][i/3])
	}
}
