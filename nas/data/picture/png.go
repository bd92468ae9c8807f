package picture

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/png"
	"io"
	"strings"
)

// pngNotes returns the file's EXIF, from the chunk eXIf or, as older programs write
// it, as a text of digits; and its XMP.
func pngNotes(file []byte) (n notes) {
	var old []byte
	for rest := file[8:]; len(rest) >= 12; {
		size := uint64(binary.BigEndian.Uint32(rest))
		if size+12 > uint64(len(rest)) {
			break
		}
		content := rest[8 : 8+size]
		switch string(rest[4:8]) {
		case "eXIf":
			n.exif = content
		case "tEXt", "zTXt":
			if text, ok := strings.CutPrefix(pngText(content, rest[4] == 'z'), "\n"); ok {
				old = hexEXIF(text)
			}
		case "iTXt":
			if xmp := pngXMP(content); xmp != nil {
				n.xmp = xmp
			}
		}
		rest = rest[12+size:]
	}
	if n.exif == nil {
		n.exif = old
	}
	return n
}

// pngText returns the text that is called the raw profile of EXIF, or "".
func pngText(content []byte, packed bool) string {
	text, ok := bytes.CutPrefix(content, []byte("Raw profile type exif\x00"))
	if !ok {
		return ""
	}
	if packed && len(text) > 0 {
		text = inflate(text[1:])
	}
	return string(text)
}

// hexEXIF decodes a raw profile after its first line break: a name, a length, and lines
// of hexadecimal digits.
func hexEXIF(text string) []byte {
	lines := strings.SplitN(text, "\n", 3)
	if len(lines) < 3 {
		return nil
	}
	b, err := hex.DecodeString(strings.ReplaceAll(lines[2], "\n", ""))
	if err != nil {
		return nil
	}
	return b
}

// pngXMP returns the XMP of an international text, or nil if it is another one.
func pngXMP(content []byte) []byte {
	rest, ok := bytes.CutPrefix(content, []byte("XML:com.adobe.xmp\x00"))
	if !ok || len(rest) < 2 {
		return nil
	}
	packed := rest[0] != 0
	parts := bytes.SplitN(rest[2:], []byte{0}, 3) // language, translated name, text
	if len(parts) < 3 {
		return nil
	}
	if packed {
		return inflate(parts[2])
	}
	return parts[2]
}

// inflate unpacks a text as far as it can be, at most 1 MiB.
func inflate(b []byte) []byte {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(r, 1<<20)) // what is whole counts
	return text
}

// decodePNG decodes the image of a file that may be animated.
func decodePNG(ctx context.Context, file []byte, img *canvas) error {
	src, err := png.Decode(newReader(ctx, file))
	if err != nil {
		return err
	}
	const depth, colours = 24, 25 // where the header has them
	if clear, ok := src.(*image.NRGBA64); ok && file[depth] == 16 && file[colours] == 0 {
		src = greyOf(clear)
	}
	return img.fill(src)
}

// greyOf returns grey without the one level that is transparent.
func greyOf(clear *image.NRGBA64) *image.Gray16 {
	grey := image.NewGray16(clear.Rect)
	for i := 0; i < len(grey.Pix); i += 2 {
		copy(grey.Pix[i:i+2], clear.Pix[4*i:])
	}
	return grey
}
