package picture

import (
	"bytes"
	"fmt"

	"golang.org/x/image/tiff"
)

// Tags of TIFF that the decoder does not look at, and some of their values.
const (
	tagCompression = 259
	tagPhotometric = 262
	tagFillOrder   = 266
	tagSamples     = 277
	tagPlanes      = 284
	tagPredictor   = 317
	tagXMP         = 700
)

// tiffNotes returns the file itself, whose tags are those of EXIF, and its XMP.
func tiffNotes(file []byte) notes {
	n := notes{exif: file}
	if d, err := readDirectory(file); err == nil {
		if entry := d.at[tagXMP]; entry != nil {
			n.xmp = d.bytes(entry, 1)
		}
	}
	return n
}

// decodeTIFF decodes what the decoder reads correctly.
func decodeTIFF(file []byte, img Image) error {
	d, err := readDirectory(file)
	if err != nil {
		return err
	}
	compression := d.value(tagCompression, 1)
	fax := compression == 3 || compression == 4
	switch {
	case d.value(tagPlanes, 1) != 1 && d.value(tagSamples, 1) != 1:
		return fmt.Errorf("its colours lie in separate planes, which cannot be read: save it with interleaved ones")
	case d.value(tagFillOrder, 1) != 1 && !fax:
		return fmt.Errorf("its bits are in reverse order (FillOrder), which cannot be read: save it anew")
	case d.value(tagPredictor, 1) > 2:
		return fmt.Errorf("predictor %d cannot be read: save it without", d.value(tagPredictor, 1))
	}
	src, err := tiff.Decode(bytes.NewReader(file))
	if err != nil {
		return err
	}
	if err := img.fill(src); err != nil {
		return err
	}
	if fax && d.value(tagPhotometric, 0) == 1 { // white runs are zeros, which are black: the decoder has them white
		for i, v := range img.Pix {
			img.Pix[i] = 255 - v
		}
	}
	return nil
}
