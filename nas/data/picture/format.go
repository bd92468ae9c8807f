package picture

import (
	"bytes"
	"image"
	"image/gif"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// format is a kind of image file.
type format struct {
	name   string
	magic  []string                                // one of which a file begins with; ? is any byte
	size   func(file []byte) (w, h int, err error) // as stored
	notes  func(file []byte) notes                 // nil where there is no place for any
	decode func(file []byte, img Image) error      // fills the pixels of an image of that size
}

var formats = []format{
	{"JPEG", []string{"\xff\xd8\xff"}, sizeJPEG, jpegNotes, decodeJPEG},
	{"PNG", []string{"\x89PNG\r\n\x1a\n"}, config(png.DecodeConfig), pngNotes, decoded(png.Decode)},
	{"WebP", []string{"RIFF????WEBPVP8"}, config(webp.DecodeConfig), webpNotes, decodeWebP},
	{"GIF", []string{"GIF87a", "GIF89a"}, config(gif.DecodeConfig), nil, decodeGIF},
	{"BMP", []string{"BM"}, config(bmp.DecodeConfig), nil, decoded(bmp.Decode)},
	{"TIFF", []string{"II*\x00", "MM\x00*"}, config(tiff.DecodeConfig), tiffNotes, decodeTIFF},
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

// decoded makes a decode of a package's Decode.
func decoded(read func(io.Reader) (image.Image, error)) func([]byte, Image) error {
	return func(file []byte, img Image) error {
		src, err := read(bytes.NewReader(file))
		if err != nil {
			return err
		}
		return img.fill(src)
	}
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
