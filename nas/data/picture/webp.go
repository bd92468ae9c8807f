package picture

import (
	"bytes"
	"encoding/binary"
	"image"

	"golang.org/x/image/webp"
)

// webpNotes returns the file's EXIF and XMP, which count where the first chunk says so.
func webpNotes(file []byte) (n notes) {
	const hasXMP, hasEXIF = 1 << 2, 1 << 3
	flags := byte(0)
	for rest := file[12:]; len(rest) >= 8; {
		size := uint64(binary.LittleEndian.Uint32(rest[4:]))
		if size+8 > uint64(len(rest)) {
			break
		}
		content := rest[8 : 8+size]
		switch name := string(rest[:4]); {
		case name == "VP8X" && size > 0:
			flags = content[0]
		case name == "EXIF" && flags&hasEXIF != 0 && n.exif == nil:
			n.exif = content
		case name == "XMP " && flags&hasXMP != 0 && n.xmp == nil:
			n.xmp = content
		}
		size += size & 1
		if size+8 > uint64(len(rest)) {
			break
		}
		rest = rest[8+size:]
	}
	return n
}

// decodeWebP decodes WebP as libwebp does.
func decodeWebP(file []byte, img Image) error {
	src, err := webp.Decode(bytes.NewReader(file))
	if err != nil {
		return err
	}
	if alpha, ok := src.(*image.NYCbCrA); ok {
		src = &alpha.YCbCr
	}
	if ycc, ok := src.(*image.YCbCr); ok && ycc.SubsampleRatio == image.YCbCrSubsampleRatio420 && ycc.Rect.Dx() == img.Width && ycc.Rect.Dy() == img.Height {
		w, h := img.Width, img.Height
		cw, ch := (w+1)/2, (h+1)/2
		planes := []plane{{ycc.Y, ycc.YStride, w, h}, {ycc.Cb, ycc.CStride, cw, ch}, {ycc.Cr, ycc.CStride, cw, ch}}
		img.fillPlanes(planes, []chroma{{1, 1}, {2, 2}, {2, 2}}, expandWebP, fromStudio)
		return nil
	}
	return img.fill(src)
}
