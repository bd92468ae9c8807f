package picture

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
)

// decodeGIF draws the first frame on the canvas, whose other pixels are of the
// transparent colour or, without one, of the first.
func decodeGIF(file []byte, img Image) error {
	opaque, ground := opaqueGIF(file)
	src, err := gif.Decode(bytes.NewReader(opaque))
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

// opaqueGIF returns the file without the mark that makes a colour of the first frame
// transparent, which the decoder would forget, and the index of that colour or 0.
func opaqueGIF(file []byte) (opaque []byte, ground byte) {
	if len(file) < 13 {
		return file, 0
	}
	at := 13
	if file[10]&0x80 != 0 {
		at += 3 << (file[10]&7 + 1)
	}
	for at+2 < len(file) && file[at] == 0x21 { // an extension: its kind, then blocks until an empty one
		if b := file[at:]; b[1] == 0xf9 && len(b) >= 8 && b[2] == 4 {
			ground = 0
			if b[3]&1 != 0 {
				opaque, ground = bytes.Clone(file), b[6]
				opaque[at+3] &^= 1
				file = opaque
			}
		}
		at += 2
		for at < len(file) && file[at] != 0 {
			at += 1 + int(file[at])
		}
		at++
	}
	return file, ground
}
