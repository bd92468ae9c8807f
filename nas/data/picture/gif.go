package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/gif"
	"math"
	"slices"
)

// decodeGIF draws the first frame on the canvas, whose other pixels are of the
// transparent colour or, without one, of the first.
func decodeGIF(ctx context.Context, file []byte, img *canvas) error {
	plain, ground, _ := plainGIF(file)
	src, err := gif.Decode(newReader(ctx, plain))
	if err != nil {
		return err
	}
	frame, ok := src.(*image.Paletted)
	if !ok || !frame.Rect.In(image.Rect(0, 0, img.Width, img.Height)) {
		return errors.New("damaged: the first frame is not within the canvas")
	}
	table := palette(frame.Palette)
	for i := range img.Width * img.Height {
		copy(img.Pix[3*i:], table[ground][:])
	}
	for y := frame.Rect.Min.Y; y < frame.Rect.Max.Y; y++ {
		dst := img.row(y)[3*frame.Rect.Min.X:]
		for x, v := range frame.Pix[(y-frame.Rect.Min.Y)*frame.Stride:][:frame.Rect.Dx()] {
			copy(dst[3*x:], table[v][:])
		}
	}
	return nil
}

// sizeGIF returns the size of the canvas, which the first frame may enlarge.
func sizeGIF(file []byte) (w, h int, err error) {
	plain, _, err := plainGIF(file)
	if err != nil {
		return 0, 0, err
	}
	return int(binary.LittleEndian.Uint16(plain[6:])), int(binary.LittleEndian.Uint16(plain[8:])), nil
}

// plainGIF returns the file as the decoder wants it: without the mark that makes a colour
// of the first frame transparent, which it would forget, with a canvas that holds that
// frame, and with palettes that know every index. With it comes the index of that colour,
// or 0.
func plainGIF(file []byte) (plain []byte, ground byte, err error) {
	const canvasSize, frameSize = 6, 5 // where they lie in a header
	plain, at := wholePalette(file, 0, 13)
	header := plain
	for at+2 < len(plain) && plain[at] == 0x21 { // an extension: its kind, then blocks until an empty one
		if b := plain[at:]; b[1] == 0xf9 && len(b) >= 8 && b[2] == 4 {
			ground = 0
			if b[3]&1 != 0 {
				ground = b[6]
				b[3] &^= 1
			}
		}
		at += 2
		for at < len(plain) && plain[at] != 0 {
			at += 1 + int(plain[at])
		}
		at++
	}
	if at+10 > len(plain) || plain[at] != 0x2c {
		return plain, ground, errTruncated
	}
	for _, i := range []int{0, 2} { // across and down
		size := header[canvasSize+i:]
		from, n := binary.LittleEndian.Uint16(plain[at+1+i:]), binary.LittleEndian.Uint16(plain[at+frameSize+i:])
		if end := int(from) + int(n); end <= math.MaxUint16 {
			binary.LittleEndian.PutUint16(size, max(binary.LittleEndian.Uint16(size), uint16(end)))
		}
	}
	plain, _ = wholePalette(plain, at, 10)
	return plain, ground, nil
}

// wholePalette returns a copy of the file in which the palette that may follow the header
// at file[at:] has 256 colours, black where there were none, and where it ends.
func wholePalette(file []byte, at, header int) (whole []byte, end int) {
	flags, table := at+header-1, at+header
	if header == 13 { // of the file, and not of a frame
		flags = 10
	}
	if table > len(file) || file[flags]&0x80 == 0 {
		return bytes.Clone(file), table
	}
	n := min(3<<(file[flags]&7+1), len(file)-table)
	whole = slices.Concat(file[:table+n], make([]byte, 3*256-n), file[table+n:])
	whole[flags] |= 7
	return whole, table + 3*256
}
