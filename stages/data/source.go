package data

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	_ "image/jpeg" // decoders of ImageFolder and WebDataset images
	_ "image/png"
	"io"
	"os"
	"path/filepath"
)

// source reads the bytes of images.
type source interface {
	// read returns the record's bytes, in buf where it is large enough.
	read(r Record, buf []byte) ([]byte, error)
	// name says for people where the record lies.
	name(r Record) string
}

// pixelFile is a file of raw images.
type pixelFile struct{ io.ReaderAt }

func (f pixelFile) read(r Record, buf []byte) ([]byte, error) {
	buf = grow(buf, r.Length)
	_, err := f.ReadAt(buf, r.Offset)
	return buf, cut(err)
}

func (f pixelFile) name(r Record) string { return fmt.Sprintf("byte %d", r.Offset) }

func (f pixelFile) Close() error {
	if c, ok := f.ReaderAt.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// imageTree is a directory of image files or of tar shards. Files are opened
// for each read: next to decoding that costs nothing, and no number of shards
// exhausts the process's files.
type imageTree struct {
	root  string
	files []string
}

func (t imageTree) read(r Record, buf []byte) ([]byte, error) {
	f, err := os.Open(filepath.Join(t.root, filepath.FromSlash(t.files[r.File])))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf = grow(buf, r.Length)
	_, err = f.ReadAt(buf, r.Offset)
	return buf, cut(err)
}

func (t imageTree) name(r Record) string {
	if r.Offset == 0 {
		return t.files[r.File]
	}
	return fmt.Sprintf("%s at byte %d", t.files[r.File], r.Offset)
}

// cut makes the end of a file inside an image a truncation.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}

// pixels is an image: rows of channels innermost.
type pixels struct {
	height, width, channels int
	data                    []byte
}

// maxPixels bounds a decoded image: 64 Mpixel, 192 MiB in RGB.
const maxPixels = 64 << 20

// load reads and decodes an image. The result is valid until the next load.
func (sc *scratch) load(src source, ix Index, r Record) (pixels, error) {
	b, err := src.read(r, sc.bytes)
	if err != nil {
		return pixels{}, err
	}
	sc.bytes = b
	if ix.Encoding == Raw {
		return pixels{ix.Height, ix.Width, ix.Channels, b}, nil
	}
	img, err := decode(b, ix.Channels, sc.pixels)
	if err == nil {
		sc.pixels = img.data
	}
	return img, err
}

// decode decodes a JPEG or PNG file into buf, where it is large enough.
func decode(b []byte, channels int, buf []byte) (pixels, error) {
	c, _, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return pixels{}, err
	}
	if c.Width < 1 || c.Height < 1 || c.Width > maxSide || c.Height > maxSide || c.Width*c.Height > maxPixels {
		return pixels{}, fmt.Errorf("%d×%d pixels: %w", c.Width, c.Height, ErrTooLarge)
	}
	img, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		return pixels{}, err
	}
	p := pixels{img.Bounds().Dy(), img.Bounds().Dx(), channels, nil}
	p.data = grow(buf, p.height*p.width*channels)
	if channels == 1 {
		fillGray(p, img)
	} else {
		fillRGB(p, img)
	}
	return p, nil
}

func fillGray(p pixels, img image.Image) {
	b := img.Bounds()
	for y := range p.height {
		row := p.data[y*p.width:][:p.width]
		switch img := img.(type) {
		case *image.Gray:
			copy(row, img.Pix[y*img.Stride:])
		case *image.YCbCr:
			copy(row, img.Y[y*img.YStride:])
		default:
			for x := range row {
				row[x] = color.GrayModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.Gray).Y
			}
		}
	}
}

func fillRGB(p pixels, img image.Image) {
	b := img.Bounds()
	for y := range p.height {
		row := p.data[y*p.width*3:][:p.width*3]
		switch img := img.(type) {
		case *image.YCbCr:
			for x := range p.width {
				i, j := img.YOffset(b.Min.X+x, b.Min.Y+y), img.COffset(b.Min.X+x, b.Min.Y+y)
				row[3*x], row[3*x+1], row[3*x+2] = color.YCbCrToRGB(img.Y[i], img.Cb[j], img.Cr[j])
			}
		case *image.Gray:
			for x, v := range img.Pix[y*img.Stride:][:p.width] {
				row[3*x], row[3*x+1], row[3*x+2] = v, v, v
			}
		default:
			for x := range p.width {
				c := color.RGBAModel.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.RGBA)
				row[3*x], row[3*x+1], row[3*x+2] = c.R, c.G, c.B
			}
		}
	}
}
