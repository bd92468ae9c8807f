package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
)

// JPEG is decoded here and not by package image/jpeg, whose inverse transform rounds
// otherwise than libjpeg's, expands chroma otherwise, and gave other bits from one
// version of Go to the next. What follows is ITU-T T.81: sequential and progressive
// Huffman-coded images of 8 bits.

// Markers (T.81, table B.1).
const (
	markSOF0  = 0xc0 // baseline
	markSOF1  = 0xc1 // extended sequential
	markSOF2  = 0xc2 // progressive
	markDHT   = 0xc4
	markJPG   = 0xc8
	markDAC   = 0xcc
	markSOF15 = 0xcf
	markRST0  = 0xd0
	markRST7  = 0xd7
	markEOI   = 0xd9
	markSOS   = 0xda
	markDQT   = 0xdb
	markDRI   = 0xdd
	markAPP0  = 0xe0
	markAPP1  = 0xe1
	markAPP14 = 0xee
	markTEM   = 0x01
)

// segment returns the marker at or after file[at:], its content, and where that ends.
// Bytes that are no marker are skipped, as libjpeg does. At the end of the file it
// returns errTruncated.
func segment(file []byte, at int) (marker byte, content []byte, end int, err error) {
	for {
		if at+2 > len(file) {
			return 0, nil, at, errTruncated
		}
		if marker = file[at+1]; file[at] == 0xff && marker != 0xff && marker != 0 {
			break
		}
		at++
	}
	at += 2
	if marker >= markRST0 && marker <= markEOI || marker == markTEM { // they stand alone
		return marker, nil, at, nil
	}
	if at+2 > len(file) {
		return 0, nil, at, errTruncated
	}
	end = at + int(binary.BigEndian.Uint16(file[at:]))
	if end < at+2 || end > len(file) {
		return 0, nil, at, errTruncated
	}
	return marker, file[at+2 : end], end, nil
}

const (
	exifPrefix  = "Exif\x00\x00"
	xmpPrefix   = "http://ns.adobe.com/xap/1.0/\x00"
	jfifPrefix  = "JFIF\x00"
	adobePrefix = "Adobe"
)

// jpegNotes returns the file's EXIF, which may be spread over segments, and its XMP.
func jpegNotes(file []byte) (n notes) {
	for at := 2; ; {
		marker, content, end, err := segment(file, at)
		if err != nil || marker == markSOS || marker == markEOI {
			return n
		}
		if part, ok := bytes.CutPrefix(content, []byte(exifPrefix)); marker == markAPP1 && ok {
			n.exif = append(n.exif, part...)
		} else if part, ok := bytes.CutPrefix(content, []byte(xmpPrefix)); marker == markAPP1 && ok {
			n.xmp = part
		}
		at = end
	}
}

// jpegFile is a file that is being decoded.
type jpegFile struct {
	width, height int
	progressive   bool
	parts         []*component
	across, down  int // blocks of the finest component in a minimum coded unit
	quant         [4]*[64]uint16
	tables        [2][4]*huffman // of DC and AC coefficients
	restart       int            // units between restarts; 0 for none

	jfif, adobe bool
	transform   byte // what Adobe says that the components are
}

// component is one of an image's colours.
type component struct {
	id            byte
	h, v          int // blocks in a unit
	quant         byte
	width, height int // samples that count
	stride        int // samples in a row of blocks, whole units
	rows          int // rows of samples, whole units
	pix           []byte
	steps         *[64]uint16 // of its coefficients
	coefficients  []int16     // of a progressive image, block by block
	bits          [64]int8    // lower bits that are missing of each coefficient; -1 for all
}

// plane returns the samples that count.
func (c *component) plane() plane { return plane{c.pix, c.stride, c.width, c.height} }

var (
	errSegment = errors.New("damaged: a segment of its header is not as it should be")
	errOrder   = errors.New("damaged: its segments are not in order")
)

// sizeJPEG returns the size that the header says.
func sizeJPEG(file []byte) (w, h int, err error) {
	var f jpegFile
	for at := 2; f.parts == nil; {
		marker, content, end, err := segment(file, at)
		if err != nil {
			return 0, 0, err
		}
		if marker == markSOS || marker == markEOI {
			return 0, 0, errOrder
		}
		if isFrame(marker) {
			if err := f.frame(marker, content); err != nil {
				return 0, 0, err
			}
		}
		at = end
	}
	return f.width, f.height, nil
}

// isFrame reports whether a marker begins a frame of any kind.
func isFrame(marker byte) bool {
	return marker >= markSOF0 && marker <= markSOF15 && marker != markDHT && marker != markJPG && marker != markDAC
}

// decodeJPEG decodes JPEG as libjpeg does, to the bit.
func decodeJPEG(ctx context.Context, file []byte, img *canvas) error {
	var f jpegFile
	if err := f.read(ctx, file); err != nil {
		return err
	}
	return f.draw(img.Image, f.conversion())
}

// read decodes a file as far as planes of samples. One without an image leaves its tables
// to the next.
func (f *jpegFile) read(ctx context.Context, file []byte) error {
	const most = 1000 // scans, which an image of a few kilobytes can have by the million
	for at, scans := 2, 0; ; {
		marker, content, end, err := segment(file, at)
		if err != nil {
			return err
		}
		switch marker {
		case markEOI:
			return f.finish(ctx)
		case markSOS:
			if scans++; scans > most {
				return fmt.Errorf("more than %d scans", most)
			}
			end, err = f.scan(ctx, content, file, end)
		default:
			err = f.header(marker, content)
		}
		if err != nil {
			return err
		}
		at = end
	}
}

// header reads a segment that is not a scan.
func (f *jpegFile) header(marker byte, content []byte) error {
	switch {
	case isFrame(marker):
		if err := f.frame(marker, content); err != nil {
			return err
		}
		f.allocate()
	case marker == markDHT:
		return f.readTables(content)
	case marker == markDQT:
		return f.readQuant(content)
	case marker == markDRI:
		if len(content) != 2 {
			return errSegment
		}
		f.restart = int(binary.BigEndian.Uint16(content))
	case marker == markAPP0 && bytes.HasPrefix(content, []byte(jfifPrefix)):
		f.jfif = true
	case marker == markAPP14 && bytes.HasPrefix(content, []byte(adobePrefix)) && len(content) >= 12:
		f.adobe, f.transform = true, content[11]
	}
	return nil
}

// frame reads a frame's header.
func (f *jpegFile) frame(marker byte, content []byte) error {
	switch {
	case marker > markSOF2:
		return fmt.Errorf("lossless, hierarchical and arithmetic-coded JPEG (SOF%d) cannot be read: save it anew", marker-markSOF0)
	case f.parts != nil:
		return errOrder
	case len(content) < 6 || len(content) != 6+3*int(content[5]):
		return errSegment
	case content[0] != 8:
		return fmt.Errorf("JPEG of %d bits cannot be read: save it with 8", content[0])
	}
	f.progressive = marker == markSOF2
	f.height, f.width = int(binary.BigEndian.Uint16(content[1:])), int(binary.BigEndian.Uint16(content[3:]))
	for b := content[6:]; len(b) > 0; b = b[3:] {
		c := &component{id: b[0], h: int(b[1] >> 4), v: int(b[1] & 15), quant: b[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quant > 3 {
			return errSegment
		}
		f.parts = append(f.parts, c)
		f.across, f.down = max(f.across, c.h), max(f.down, c.v)
	}
	if n := len(f.parts); n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("%d components, want 1, 3 or 4", n)
	}
	for _, c := range f.parts {
		if f.across%c.h != 0 || f.down%c.v != 0 {
			return errors.New("its components are subsampled by fractions, which cannot be read: save it anew")
		}
	}
	return nil
}

// allocate takes memory for the components.
func (f *jpegFile) allocate() {
	if len(f.parts) == 1 { // a single component has no units
		f.parts[0].h, f.parts[0].v, f.across, f.down = 1, 1, 1, 1
	}
	across, down := f.units()
	for _, c := range f.parts {
		c.width, c.height = upward(f.width*c.h, f.across), upward(f.height*c.v, f.down)
		c.stride, c.rows = across*c.h*8, down*c.v*8
		c.pix = make([]byte, c.stride*c.rows)
		if f.progressive {
			c.coefficients = make([]int16, c.stride*c.rows)
		}
		for i := range c.bits {
			c.bits[i] = -1
		}
	}
}

// units returns how many minimum coded units the image has in each direction.
func (f *jpegFile) units() (across, down int) {
	return upward(f.width, 8*f.across), upward(f.height, 8*f.down)
}

func upward(n, by int) int { return (n + by - 1) / by }

func (f *jpegFile) readQuant(b []byte) error {
	for len(b) > 0 {
		size, id := 1+int(b[0]>>4), b[0]&15
		if size > 2 || id > 3 || len(b) < 1+64*size {
			return errSegment
		}
		q := new([64]uint16)
		for k := range q {
			if q[zigzag[k]] = uint16(b[1+k]); size == 2 {
				q[zigzag[k]] = binary.BigEndian.Uint16(b[1+2*k:])
			}
		}
		f.quant[id] = q
		b = b[1+64*size:]
	}
	return nil
}

// zigzag is where the coefficients of a block lie, in the order of their frequency.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// finish makes samples of the coefficients.
func (f *jpegFile) finish(ctx context.Context) error {
	for _, c := range f.parts {
		for k, bits := range c.bits[:10] { // what libjpeg would make up by smoothing
			if bits != 0 && (k == 0 || f.progressive) {
				return errors.New("damaged: scans are missing")
			}
		}
		if f.progressive {
			if err := c.transform(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// draw writes the image.
func (f *jpegFile) draw(img Image, convert conversion) error {
	if f.width != img.Width || f.height != img.Height || len(f.parts) == 0 {
		return errOrder
	}
	img.fillPlanes(f.planes(), f.chromas(), expandJPEG, convert)
	return nil
}

func (f *jpegFile) planes() (p []plane) {
	for _, c := range f.parts {
		p = append(p, c.plane())
	}
	return p
}

func (f *jpegFile) chromas() (c []chroma) {
	for _, p := range f.parts {
		c = append(c, chroma{f.across / p.h, f.down / p.v})
	}
	return c
}

// conversion makes a row of RGB of the components' samples.
type conversion func(dst []byte, samples [][]byte)

// conversion returns that of the file, by the rules of libjpeg.
func (f *jpegFile) conversion() conversion {
	ids := ""
	for _, c := range f.parts {
		ids += string(rune(c.id))
	}
	switch {
	case len(f.parts) == 1:
		return fromGrey
	case len(f.parts) == 4 && f.adobe && f.transform == 2:
		return func(dst []byte, s [][]byte) {
			fromJFIF(dst, s)
			for i := range dst {
				dst[i] = over(255-dst[i], s[3][i/3])
			}
		}
	case len(f.parts) == 4:
		return func(dst []byte, s [][]byte) {
			for i := range dst {
				dst[i] = over(s[i%3][i/3], s[3][i/3])
			}
		}
	case !f.jfif && (f.adobe && f.transform == 0 || !f.adobe && ids == "RGB"):
		return fromRGB
	}
	return fromJFIF
}

func fromGrey(dst []byte, s [][]byte) { spread(dst, s[0]) }

func fromRGB(dst []byte, s [][]byte) {
	for i := range dst {
		dst[i] = s[i%3][i/3]
	}
}

// over returns what is seen of a colour's ink below black ink. Both are 255 where there
// is none: so Adobe writes CMYK, and Pillow takes that for granted.
func over(ink, black byte) byte { return byte((int(ink)*int(black) + 127) / 255) }
