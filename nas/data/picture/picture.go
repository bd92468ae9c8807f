// Package picture reads image files as Pillow reads them: what [Decoder.Decode]
// returns is ImageOps.exif_transpose(image).convert("RGB"), or "L" for one channel, or
// an error. So a network is trained on what its users see in Python.
//
// A file is known by its content, whatever its name: JPEG (grey, YCbCr, RGB, CMYK
// and YCCK), PNG, WebP and GIF (the first frame), BMP, TIFF (the first image) and the six
// formats of PBM, PGM and PPM. Then:
//
//   - The orientation that the camera noted is applied: from EXIF (in JPEG, PNG and
//     WebP), the same tag of TIFF, or else XMP.
//   - Transparency is dropped, and the colour below it stays, as convert("RGB") does.
//   - Of colours with 16 bits the upper 8 count. Grey with more than 8 bits is clipped:
//     what is above 255 is white, as convert has it, unless [Scaled] is asked for.
//   - JPEG and WebP are computed as libjpeg and libwebp do, chroma is interpolated as
//     there; colour profiles are ignored.
//   - What is damaged is an error, where Pillow may go on: JPEG and PNG with wrong or
//     missing data before their end.
//   - Grey is (19595·R + 38470·G + 7471·B + 32768) >> 16, as convert("L") has it.
//
// All of it is computed in integers: every machine reads the same bits, and the tests,
// which have Pillow make files of all kinds, want its very bits.
package picture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Orientation says which way up images are read.
type Orientation string

const (
	// Upright images are turned and mirrored as their file says (the default).
	Upright Orientation = "upright"
	// Stored images are left as their pixels lie in the file.
	Stored Orientation = "stored"
)

// Choices returns the orientations.
func (Orientation) Choices() []string { return []string{string(Upright), string(Stored)} }

// SixteenBit says how grey with more than 8 bits is read.
type SixteenBit string

const (
	// Clipped grey is white from 255 on, as Pillow's convert("RGB") has it (the default).
	Clipped SixteenBit = "clipped"
	// Scaled grey is white at the most that the bits can hold.
	Scaled SixteenBit = "scaled"
)

// Choices returns the ways of reading 16 bits.
func (SixteenBit) Choices() []string { return []string{string(Clipped), string(Scaled)} }

// Reading says how images are read. The zero value reads as Pillow does.
type Reading struct {
	Orientation Orientation `json:"orientation,omitempty"`
	SixteenBit  SixteenBit  `json:"sixteen_bit,omitempty"`
}

// Errors of files that cannot be read, wrapped with what is wrong.
var (
	ErrFormat   = errors.New("not a JPEG, PNG, WebP, GIF, BMP, TIFF, PBM, PGM or PPM image")
	ErrTooLarge = errors.New("larger than allowed")

	errTruncated = errors.New("truncated")
)

// Limits of an image, which are looked at before memory is taken for its pixels.
const (
	MaxSide   = 1 << 15  // pixels
	MaxPixels = 64 << 20 // 192 MiB in RGB
)

// Image holds rows of pixels, channels innermost.
type Image struct {
	Width, Height, Channels int
	Pix                     []byte
	Clipped                 bool // grey above 255 was made white
}

// canvas is an RGB image that a format draws on.
type canvas struct {
	Image
	deep SixteenBit
}

// level returns a grey level of more than 8 bits as one of 8.
func (c *canvas) level(v uint, bits int) byte {
	if c.deep == Scaled {
		return byte(v >> (bits - 8))
	}
	if v > 255 {
		c.Clipped = true
	}
	return byte(min(v, 255))
}

// Decoder decodes image files, one after the other, into memory that it keeps. The
// zero value is ready.
type Decoder struct{ pix, turned []byte }

// Decode decodes a file to 3 channels (RGB) or 1 (grey). The image is valid until the
// next call.
func (d *Decoder) Decode(ctx context.Context, file []byte, channels int, r Reading) (Image, error) {
	if len(file) == 0 {
		return Image{}, errors.New("the file is empty")
	}
	f := sniff(file)
	if f == nil {
		return Image{}, ErrFormat
	}
	turn := 1
	if r.Orientation != Stored && f.notes != nil {
		var err error
		if turn, err = f.notes(file).orientation(); err != nil {
			return Image{}, fmt.Errorf(`%s: %w (orientation = "stored" does without it)`, f.name, err)
		}
	}
	img, err := d.read(ctx, f, file, r.SixteenBit)
	switch {
	case ctx.Err() != nil:
		return Image{}, context.Cause(ctx)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return Image{}, fmt.Errorf("%s: %w", f.name, errTruncated)
	case err != nil && strings.Contains(strings.ToUpper(err.Error()), strings.ToUpper(f.name)): // as some packages say it
		return Image{}, err
	case err != nil:
		return Image{}, fmt.Errorf("%s: %w", f.name, err)
	}
	if channels == 1 {
		img.grey()
	}
	if turn != 1 {
		d.turned = grow(d.turned, len(img.Pix))
		img = img.turn(turn, d.turned)
	}
	return img, nil
}

// read returns the file's pixels in RGB, as they are stored.
func (d *Decoder) read(ctx context.Context, f *format, file []byte, deep SixteenBit) (img Image, err error) {
	defer func() {
		if p := recover(); p != nil { // of a decoder that is not ours
			err = fmt.Errorf("damaged: %v", p)
		}
	}()
	w, h, err := f.size(file)
	if err != nil {
		return img, err
	}
	if w < 1 || h < 1 {
		return img, fmt.Errorf("damaged: %d×%d pixels", w, h)
	}
	if w > MaxSide || h > MaxSide || w*h > MaxPixels {
		return img, fmt.Errorf("%d×%d pixels: %w (at most %d a side and %d in all)", w, h, ErrTooLarge, MaxSide, MaxPixels)
	}
	d.pix = grow(d.pix, 3*w*h)
	c := canvas{Image{Width: w, Height: h, Channels: 3, Pix: d.pix}, deep}
	err = f.decode(ctx, file, &c)
	return c.Image, err
}

// grey makes an RGB image grey, in place.
func (img *Image) grey() {
	n := img.Width * img.Height
	for i := range n {
		p := img.Pix[3*i:]
		img.Pix[i] = byte((19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 1<<15) >> 16)
	}
	img.Pix, img.Channels = img.Pix[:n], 1
}

func grow(s []byte, n int) []byte {
	if cap(s) < n {
		return make([]byte, n)
	}
	return s[:n]
}
