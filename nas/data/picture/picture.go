// Package picture reads image files as Pillow reads them: what [Decoder.Decode]
// returns is ImageOps.exif_transpose(image).convert("RGB"), or "L" for one channel, or
// an error. So a network is trained on what its users see in Python.
//
// A file is known by its content, whatever its name: JPEG (grey, YCbCr, RGB, CMYK
// and YCCK), PNG, WebP (lossy and lossless, not animated), GIF (the first frame),
// BMP, TIFF (the first image; as golang.org/x/image reads it) and the six formats of
// PBM, PGM and PPM. Then:
//
//   - The orientation that the camera noted is applied: from EXIF (in JPEG, PNG and
//     WebP), the same tag of TIFF, or else XMP.
//   - Transparency is dropped, and the colour below it stays, as convert("RGB") does.
//   - Of 16 bits the upper 8 count. Here Pillow differs for grey: it clips what is
//     above 255, so that pictures become white. So it does with PGM files of more than 8
//     bits, which are scaled here as those of 8 bits are.
//   - JPEG and WebP are computed as libjpeg and libwebp do, chroma is interpolated as
//     there; colour profiles are ignored.
//   - Grey is (19595·R + 38470·G + 7471·B + 32768) >> 16, as convert("L") has it.
//
// All of it is computed in integers: every machine reads the same bits, and the tests,
// which have Pillow make files of all kinds, want its very bits.
package picture

import (
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
}

// Decoder decodes image files, one after the other, into memory that it keeps. The
// zero value is ready.
type Decoder struct{ pix, turned []byte }

// Decode decodes a file to 3 channels (RGB) or 1 (grey). The image is valid until the
// next call.
func (d *Decoder) Decode(file []byte, channels int, o Orientation) (Image, error) {
	if len(file) == 0 {
		return Image{}, errors.New("the file is empty")
	}
	f := sniff(file)
	if f == nil {
		return Image{}, ErrFormat
	}
	turn := 1
	if o != Stored && f.notes != nil {
		var err error
		if turn, err = f.notes(file).orientation(); err != nil {
			return Image{}, fmt.Errorf(`%s: %w (orientation = "stored" does without it)`, f.name, err)
		}
	}
	img, err := d.read(f, file)
	switch {
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
func (d *Decoder) read(f *format, file []byte) (img Image, err error) {
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
	img = Image{w, h, 3, d.pix}
	return img, f.decode(file, img)
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
