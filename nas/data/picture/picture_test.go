package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// source is a picture of w×h pixels, no two of which are equal.
func source(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		img.SetNRGBA(i%w, i/w, color.NRGBA{byte(40 * (i % w)), byte(30 * (i / w)), byte(7 * i), byte(255 - 5*i)})
	}
	return img
}

func encoded(t testing.TB, encode func(b *bytes.Buffer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asPNG(t testing.TB, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, img) })
}

func asJPEG(t testing.TB, img image.Image) []byte {
	return encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, img, nil) })
}

// exif returns EXIF that notes an orientation.
func exif(order binary.AppendByteOrder, o int) []byte {
	b := []byte(exifPrefix + "II*\x00")
	if order == binary.BigEndian {
		b = []byte(exifPrefix + "MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 1)
	for _, v := range []uint16{tagOrientation, 3} {
		b = order.AppendUint16(b, v)
	}
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, uint16(o))
	return append(b, 0, 0, 0, 0, 0, 0)
}

// withEXIF returns the PNG file with a chunk of EXIF.
func withEXIF(file, exif []byte) []byte {
	c := append(binary.BigEndian.AppendUint32(nil, uint32(len(exif))), "eXIf"...)
	c = append(c, exif...)
	c = binary.BigEndian.AppendUint32(c, crc32.ChecksumIEEE(c[4:]))
	return slices.Concat(file[:33], c, file[33:]) // after the header
}

// Each of the eight orientations is applied, by what EXIF says of the first row and the
// first column; "stored" leaves pixels where they lie.
func TestOrientation(t *testing.T) {
	const w, h = 3, 2
	file := asPNG(t, source(w, h))
	corner := map[int][3]int{ // orientation → where stored (0, 0), (2, 0) and (0, 1) get to: y·width + x
		1: {0, 2, 3}, 2: {2, 0, 5}, 3: {5, 3, 2}, 4: {3, 5, 0}, 5: {0, 4, 1}, 6: {1, 5, 0}, 7: {5, 1, 4}, 8: {4, 0, 5},
	}
	pixel := func(img Image, i int) [3]byte { return [3]byte(img.Pix[3*i:]) }
	var d Decoder
	plain, err := d.Decode(t.Context(), file, 3, Reading{Orientation: Upright})
	if err != nil {
		t.Fatal(err)
	}
	plain.Pix = bytes.Clone(plain.Pix)
	for o, at := range corner {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			turned := withEXIF(file, exif(order, o)[len(exifPrefix):])
			img, err := d.Decode(t.Context(), turned, 3, Reading{Orientation: Upright})
			if err != nil {
				t.Fatal(err)
			}
			if want := [2]int{w, h}; o >= 5 && (img.Width != want[1] || img.Height != want[0]) || o < 5 && (img.Width != want[0] || img.Height != want[1]) {
				t.Errorf("orientation %d: %d×%d", o, img.Width, img.Height)
			}
			for k, from := range []int{0, 2, 3} {
				if pixel(img, at[k]) != pixel(plain, from) {
					t.Errorf("orientation %d: stored pixel %d is not at %d", o, from, at[k])
				}
			}
			if img, err = d.Decode(t.Context(), turned, 3, Reading{Orientation: Stored}); err != nil || !bytes.Equal(img.Pix, plain.Pix) {
				t.Errorf("orientation %d as stored: %v", o, err)
			}
		}
	}
}

// What cannot be read is an error that says why, and takes no memory for pixels that
// are not there.
func TestRefused(t *testing.T) {
	whole := asPNG(t, source(20, 10))
	huge := bytes.Clone(whole)
	binary.BigEndian.PutUint32(huge[16:], 60000)
	binary.BigEndian.PutUint32(huge[20:], 60000)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	jpg := asJPEG(t, source(20, 10))
	tif := encoded(t, func(b *bytes.Buffer) error { return tiff.Encode(b, source(20, 10), nil) })
	// with returns the TIFF file with another value of a tag of one SHORT or LONG.
	with := func(tag, value uint16) []byte {
		b := bytes.Clone(tif)
		for at := int(binary.LittleEndian.Uint32(b[4:])) + 2; ; at += 12 {
			if binary.LittleEndian.Uint16(b[at:]) == tag {
				binary.LittleEndian.PutUint32(b[at+8:], uint32(value))
				return b
			}
		}
	}
	for _, test := range []struct {
		name, want string
		file       []byte
	}{
		{"empty", "the file is empty", nil},
		{"text", "not a JPEG, PNG", []byte("<html>")},
		{"short", "not a JPEG, PNG", []byte("\x89P")},
		{"AVIF", "not a JPEG, PNG", []byte("\x00\x00\x00\x1cftypavif\x00\x00\x00\x00")},
		{"JPEG cut", "JPEG: block (1, 0): truncated", jpg[:len(jpg)-30]},
		{"JPEG without its last marker", "JPEG: truncated", jpg[:len(jpg)-2]},
		{"PNG cut", "png: invalid format: unexpected EOF", whole[:len(whole)-20]},
		{"TIFF cut", "TIFF: ", tif[:len(tif)/2]},
		{"GIF cut", "GIF: truncated", []byte("GIF89a\x01\x00\x01\x00\x00")},
		{"bomb", "PNG: 60000×60000 pixels: larger than allowed", huge},
		{"PPM bomb", "PNM: 60000×60000 pixels: larger than allowed", []byte("P6 60000 60000 255\n")},
		{"PPM cut", "PNM: row 0: truncated", []byte("P6 1 1 255\nab")},
		{"PPM without a size", "damaged: its header is not that of a PNM file", []byte("P6 -1 1 255\nab")},
		{"BMP cut", "BMP: truncated", []byte("BM\x00\x00")},
		{"BMP of another kind", "BMP: damaged: its header is of no known kind", append([]byte("BM"), make([]byte, 60)...)},
		{"TIFF in YCbCr", "TIFF: its colours (photometric 6) cannot be read: save it as grey, RGB or CMYK", with(tagPhotometric, isYCbCr)},
		{"TIFF of too few samples", "TIFF: 1 samples a pixel cannot be read: save it with 3", with(tagSamples, 1)},
		{"TIFF packed as nothing is", "its compression (50000) cannot be read: save it with LZW, Deflate or JPEG", with(tagCompression, 50000)},
		{"TIFF without rows", "TIFF: damaged: blocks of 20×0 pixels", with(tagRows, 0)},
		{"TIFF with a place beyond its end", "TIFF: pixel (0, 0): truncated", with(tagOffsets, 60000)},
		{"EXIF", `PNG: its EXIF is damaged: no TIFF header (orientation = "stored" does without it)`, withEXIF(whole, []byte("what is this?"))},
	} {
		var d Decoder
		_, err := d.Decode(t.Context(), test.file, 3, Reading{Orientation: Upright})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if strings.Contains(test.want, "larger") && (!errors.Is(err, ErrTooLarge) || d.pix != nil) {
			t.Errorf("%s: %v, %d bytes taken", test.name, err, len(d.pix))
		}
	}
}

// An image of many pixels is given up soon after it is no longer wanted, and for the
// reason that was given.
func TestCancelled(t *testing.T) {
	const side = 1500
	grey := image.NewGray(image.Rect(0, 0, side, side))
	for i := range grey.Pix {
		grey.Pix[i] = byte(i * i >> 7)
	}
	stop := errors.New("stop")
	for name, file := range map[string][]byte{
		"JPEG": asJPEG(t, grey),
		"PNG":  asPNG(t, grey),
		"BMP":  encoded(t, func(b *bytes.Buffer) error { return bmp.Encode(b, grey) }),
		"GIF":  encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, grey, nil) }),
		"TIFF": encoded(t, func(b *bytes.Buffer) error { return tiff.Encode(b, grey, &tiff.Options{Compression: tiff.Deflate}) }),
		"PNM":  append(fmt.Appendf(nil, "P5 %d %d 255\n", side, side), grey.Pix...),
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		var at time.Time
		time.AfterFunc(10*time.Millisecond, func() { at = time.Now(); cancel(stop) })
		var d Decoder
		if _, err := d.Decode(ctx, file, 3, Reading{}); err != nil && (!errors.Is(err, stop) || time.Since(at) > time.Second) {
			t.Errorf("%s: %v after %v", name, err, time.Since(at))
		}
		<-ctx.Done()
		if _, err := d.Decode(ctx, file, 3, Reading{}); !errors.Is(err, stop) {
			t.Errorf("%s, when it was over: %v", name, err)
		}
	}
}

// Names count in any case of letters, and only their ends.
func TestNamed(t *testing.T) {
	for name, want := range map[string]bool{"a.jpg": true, "b.JPeG": true, "c.d.WEBP": true, "e.tif": true, "f.gif": true, "g.pgm": true, "jpg": false, "h.jpg.txt": false, "i.heic": false, "": false} {
		if Named(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

// No bytes make the decoder panic or hang, and what it returns is whole and the same
// the second time.
func FuzzDecode(f *testing.F) {
	img := source(5, 3)
	small := image.NewPaletted(image.Rect(1, 1, 3, 2), color.Palette{color.Black, color.Transparent, color.White})
	f.Add(asJPEG(f, img))
	f.Add(asPNG(f, img))
	f.Add(withEXIF(asPNG(f, img), exif(binary.BigEndian, 6)))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return bmp.Encode(b, img) }))
	f.Add(encoded(f, func(b *bytes.Buffer) error { return tiff.Encode(b, img, nil) }))
	f.Add(encoded(f, func(b *bytes.Buffer) error {
		return gif.EncodeAll(b, &gif.GIF{Image: []*image.Paletted{small}, Delay: []int{0}, Config: image.Config{Width: 5, Height: 3}})
	}))
	for kind := 1; kind <= 6; kind++ {
		f.Add(fmt.Appendf(nil, "P%d 2 1 # two\n1 1 0 1 1 0 1 0", kind))
	}
	seeds, err := filepath.Glob("testdata/seeds/*") // of testdata/pillow.py
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, path := range seeds {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if format := sniff(file); format != nil {
			if w, h, err := format.size(file); err == nil && w*h > 1<<20 {
				return // takes long, whatever is in it
			}
		}
		var d Decoder
		img, err := d.Decode(t.Context(), file, 3, Reading{Orientation: Upright})
		if err != nil {
			return
		}
		if len(img.Pix) != 3*img.Width*img.Height || len(img.Pix) == 0 {
			t.Fatalf("%d bytes for %d×%d pixels", len(img.Pix), img.Width, img.Height)
		}
		first := bytes.Clone(img.Pix)
		if again, err := d.Decode(t.Context(), file, 3, Reading{Orientation: Upright}); err != nil || !bytes.Equal(again.Pix, first) {
			t.Fatalf("the second time: %v", err)
		}
	})
}

// Whatever stands for EXIF or XMP, one of the eight orientations comes out.
func FuzzNotes(f *testing.F) {
	f.Add(exif(binary.LittleEndian, 6), []byte(nil))
	f.Add(exif(binary.BigEndian, 3), []byte(`<a tiff:Orientation="8"/>`))
	f.Add([]byte(nil), []byte(`<tiff:Orientation>5</tiff:Orientation>`))
	f.Fuzz(func(t *testing.T, exif, xmp []byte) {
		if o, err := (notes{exif, xmp}).orientation(); err == nil && (o < 1 || o > 8) {
			t.Fatalf("orientation %d", o)
		}
	})
}
