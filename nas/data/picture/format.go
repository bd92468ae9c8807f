package picture

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/webp"
)

// format is a kind of image file.
type format struct {
	name   string
	magic  []string                                                  // one of which a file begins with; ? is any byte
	size   func(file []byte) (w, h int, err error)                   // as stored
	notes  func(file []byte) notes                                   // nil where there is no place for any
	decode func(ctx context.Context, file []byte, img *canvas) error // fills the pixels of an image of that size
}

var formats = []format{
	{"JPEG", []string{"\xff\xd8\xff"}, sizeJPEG, jpegNotes, decodeJPEG},
	{"PNG", []string{"\x89PNG\r\n\x1a\n"}, config(png.DecodeConfig), pngNotes, decodePNG},
	{"WebP", []string{"RIFF????WEBPVP8"}, config(webp.DecodeConfig), webpNotes, decodeWebP},
	{"GIF", []string{"GIF87a", "GIF89a"}, sizeGIF, nil, decodeGIF},
	{"BMP", []string{"BM"}, sizeBMP, nil, decodeBMP},
	{"TIFF", tiffMagic, sizeTIFF, tiffNotes, decodeTIFF},
	{"PNM", []string{"P1", "P2", "P3", "P4", "P5", "P6"}, sizePNM, nil, decodePNM},
}

// sniff returns the file's format, or nil.
func sniff(file []byte) *format {
	for i := range formats {
		for _, magic := range formats[i].magic {
			if begins(file, magic) {
				return &formats[i]
			}
		}
	}
	return nil
}

func begins(file []byte, magic string) bool {
	if len(file) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != file[i] {
			return false
		}
	}
	return true
}

// config makes a size of a package's DecodeConfig.
func config(read func(io.Reader) (image.Config, error)) func([]byte) (w, h int, err error) {
	return func(file []byte) (int, int, error) {
		c, err := read(bytes.NewReader(file))
		return c.Width, c.Height, err
	}
}

// reader reads a file as long as it is wanted.
type reader struct {
	ctx context.Context // of the one call in which the reader is used
	*bytes.Reader
}

func newReader(ctx context.Context, file []byte) reader { return reader{ctx, bytes.NewReader(file)} }

func (r reader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.Read(b)
}

// ReadByte would let a decoder go on, which reads the file in pieces elsewhere.
func (r reader) ReadByte() (byte, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.Reader.ReadByte()
}

// Extensions are the names' ends of image files: those of torchvision's ImageFolder,
// and .gif.
var Extensions = []string{".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"}

// Named reports whether a file's name says that it is an image, in any case of letters.
func Named(name string) bool {
	name = strings.ToLower(name)
	for _, e := range Extensions {
		if strings.HasSuffix(name, e) {
			return true
		}
	}
	return false
}
