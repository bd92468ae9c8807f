package picture

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// TIFF is decoded here and not by golang.org/x/image/tiff, which knows neither CMYK nor
// grey with alpha nor separate planes, and takes some files for others. What follows is
// TIFF 6.0 as far as Pillow reads it.

// tiffMagic are the beginnings of TIFF and BigTIFF files.
var tiffMagic = []string{"II*\x00", "MM\x00*", "II+\x00", "MM\x00+"}

// Tags of TIFF.
const (
	tagWidth       = 256
	tagHeight      = 257
	tagBits        = 258
	tagCompression = 259
	tagPhotometric = 262
	tagFillOrder   = 266
	tagOffsets     = 273
	tagSamples     = 277
	tagRows        = 278
	tagCounts      = 279
	tagPlanes      = 284
	tagT4          = 292
	tagPredictor   = 317
	tagColourMap   = 320
	tagTileWidth   = 322
	tagTileHeight  = 323
	tagTileOffsets = 324
	tagTileCounts  = 325
	tagExtra       = 338
	tagFormat      = 339
	tagJPEGTables  = 347
	tagXMP         = 700
)

// Values of tagPhotometric: what the samples are.
const (
	whiteIsZero = 0
	blackIsZero = 1
	isRGB       = 2
	isPalette   = 3
	isCMYK      = 5
	isYCbCr     = 6
)

// tiffNotes returns the file itself, whose tags are those of EXIF, and its XMP.
func tiffNotes(file []byte) notes {
	n := notes{exif: file}
	if d, err := readDirectory(file); err == nil {
		n.xmp = d.bytes(d.at[tagXMP], 1)
	}
	return n
}

func sizeTIFF(file []byte) (w, h int, err error) {
	d, err := readDirectory(file)
	return d.value(tagWidth, 0), d.value(tagHeight, 0), err
}

// tiffFile is a file that is being decoded.
type tiffFile struct {
	directory
	width, height int
	samples, bits int // of a pixel, and of each sample
	photometric   int
	compression   int
	alpha         int // what tagExtra says of the first sample beyond the colours, or -1

	planes           int // 1, or one for each sample
	blockW, blockH   int // of a strip or a tile
	tiled            bool
	offsets, lengths []uint64 // of the blocks

	reversed   bool // the order of bits in a byte
	difference bool // samples are differences to those of the pixel before
	colours    []uint64
}

// decodeTIFF decodes the first image.
func decodeTIFF(ctx context.Context, file []byte, img *canvas) error {
	d, err := readDirectory(file)
	if err != nil {
		return err
	}
	f := &tiffFile{directory: d, width: img.Width, height: img.Height}
	if err := f.readSamples(); err != nil {
		return err
	}
	if err := f.readBlocks(); err != nil {
		return err
	}
	for y := 0; y < f.height; y += f.blockH {
		for x := 0; x < f.width; x += f.blockW {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := f.block(ctx, img, x, y); err != nil {
				return fmt.Errorf("pixel (%d, %d): %w", x, y, err)
			}
		}
	}
	return nil
}

// readSamples reads what a pixel is.
func (f *tiffFile) readSamples() error {
	f.compression, f.photometric = f.value(tagCompression, 1), f.value(tagPhotometric, 0)
	f.samples, f.alpha = f.value(tagSamples, 1), f.value(tagExtra, -1)
	bits, ok := f.values(tagBits)
	if !ok {
		bits = []uint64{1}
	}
	for _, b := range bits[:min(len(bits), f.samples)] {
		if b != bits[0] {
			return errors.New("its samples are of different sizes, which cannot be read: save it with 8 bits each")
		}
	}
	f.bits = int(min(bits[0], 1000))
	f.reversed = f.value(tagFillOrder, 1) == 2
	f.colours, _ = f.values(tagColourMap)
	if predictor := f.value(tagPredictor, 1); isPacked(f.compression) && predictor > 1 {
		f.difference = true
		if predictor != 2 || f.bits != 8 && f.bits != 16 {
			return fmt.Errorf("predictor %d of %d bits cannot be read: save it without", predictor, f.bits)
		}
	}
	return f.checkSamples()
}

// checkSamples reports what a pixel cannot be.
func (f *tiffFile) checkSamples() error {
	colours, depths := f.kind()
	switch {
	case colours == 0:
		return fmt.Errorf("its colours (photometric %d) cannot be read: save it as grey, RGB or CMYK", f.photometric)
	case f.samples < colours || f.samples > colours+3:
		return fmt.Errorf("%d samples a pixel cannot be read: save it with %d", f.samples, colours)
	case f.value(tagFormat, 1) != 1:
		return errors.New("samples with a sign or a fraction cannot be read: save it with 8 or 16 bits")
	case !slices.Contains(depths, f.bits) || f.samples > colours && f.bits < 8:
		return fmt.Errorf("samples of %d bits cannot be read: save it with 8", f.bits)
	case f.samples > 1 && colours == 1 && f.bits > 8:
		return fmt.Errorf("grey with alpha of %d bits cannot be read: save it with 8", f.bits)
	case f.photometric == isPalette && len(f.colours) < 3<<f.bits:
		return errors.New("damaged: its palette is missing")
	}
	return nil
}

// kind returns how many samples a colour is made of, 0 where it is none, and of how many
// bits they may be.
func (f *tiffFile) kind() (colours int, depths []int) {
	switch f.photometric {
	case whiteIsZero, blackIsZero:
		return 1, []int{1, 2, 4, 8, 12, 16}
	case isPalette:
		return 1, []int{1, 2, 4, 8}
	case isRGB:
		return 3, []int{8, 16}
	case isCMYK:
		return 4, []int{8, 16}
	case isYCbCr:
		if f.compression == packJPEG {
			return 3, []int{8}
		}
	}
	return 0, nil
}

// readBlocks reads where the pixels lie.
func (f *tiffFile) readBlocks() error {
	f.planes, f.blockW, f.blockH = 1, f.width, min(f.value(tagRows, f.height), f.height)
	if f.value(tagPlanes, 1) == 2 {
		f.planes = f.samples
	}
	plain := f.compression == packNot && (f.bits > 8 || f.reversed)
	unnamed := f.photometric == isRGB && f.samples > 3 && f.alpha < 0
	if f.planes > 1 && (plain || unnamed) {
		return errors.New("its separate planes are misread by Pillow: save it with interleaved ones")
	}
	offsets, lengths := uint16(tagOffsets), uint16(tagCounts)
	if _, f.tiled = f.at[tagTileWidth]; f.tiled {
		offsets, lengths = tagTileOffsets, tagTileCounts
		f.blockW, f.blockH = f.value(tagTileWidth, 0), f.value(tagTileHeight, 0)
	}
	if f.blockW < 1 || f.blockH < 1 || f.blockW > MaxSide || f.blockH > MaxSide || f.blockW*f.blockH > MaxPixels {
		return fmt.Errorf("damaged: blocks of %d×%d pixels", f.blockW, f.blockH)
	}
	f.offsets, _ = f.values(offsets)
	f.lengths, _ = f.values(lengths)
	n := f.planes * f.blocks()
	if f.lengths == nil && n == 1 { // which may be left out where it is plain
		f.lengths = []uint64{uint64(len(f.file))}
	}
	if len(f.offsets) < n || len(f.lengths) < n {
		return fmt.Errorf("damaged: %d places and %d lengths for %d strips or tiles", len(f.offsets), len(f.lengths), n)
	}
	return nil
}

// blocks returns how many blocks a plane has.
func (f *tiffFile) blocks() int { return upward(f.width, f.blockW) * upward(f.height, f.blockH) }

// content returns the bytes of the block at that pixel.
func (f *tiffFile) content(plane, x, y int) ([]byte, error) {
	i := plane*f.blocks() + y/f.blockH*upward(f.width, f.blockW) + x/f.blockW
	b := f.from(f.offsets[i])
	if len(b) == 0 {
		return nil, errTruncated
	}
	return b[:min(f.lengths[i], uint64(len(b)))], nil
}

// block draws the block whose first pixel is (x, y).
func (f *tiffFile) block(ctx context.Context, img *canvas, x, y int) error {
	w, h := min(f.blockW, f.width-x), min(f.blockH, f.height-y)
	if f.compression == packJPEG {
		return f.jpegBlock(ctx, img, x, y)
	}
	rows := h
	if f.tiled {
		rows = f.blockH
	}
	var planes [][]byte
	for p := range f.planes {
		b, err := f.content(p, x, y)
		if err == nil {
			b, err = f.unpack(ctx, b, rows)
		}
		if err != nil {
			return err
		}
		if len(b) < (h-1)*f.stride()+upward(w*f.samples/f.planes*f.bits, 8) {
			return errTruncated
		}
		planes = append(planes, b)
	}
	row := make([]uint16, f.blockW*f.samples)
	draw := f.converter(img)
	for i := range h {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for p, b := range planes {
			f.spreadRow(row[p:], b[min(i*f.stride(), len(b)):])
		}
		draw(img.row(y + i)[3*x:][:3*w], row)
	}
	return nil
}

// stride returns the bytes of a row of a block.
func (f *tiffFile) stride() int { return upward(f.blockW*f.samples/f.planes*f.bits, 8) }

// spreadRow writes the samples of a plane, as far as there are any, to row: those of the
// other planes lie between them.
func (f *tiffFile) spreadRow(row []uint16, b []byte) {
	each := f.samples / f.planes
	samples := sampleReader{b: b, order: f.order, size: f.bits}
	for x := range f.blockW {
		for s := range each {
			v := samples.next()
			if at := x*f.samples + s; f.difference && x > 0 {
				v += row[at-f.samples]
				row[at] = v & (1<<f.bits - 1)
			} else {
				row[at] = v
			}
		}
	}
}
