package picture

import (
	"context"
	"encoding/binary"
	"errors"
	"image"
	"slices"

	"golang.org/x/image/webp"
)

// webpNotes returns the file's EXIF and XMP, which count where the first chunk says so.
func webpNotes(file []byte) (n notes) {
	const hasXMP, hasEXIF = 1 << 2, 1 << 3
	flags := byte(0)
	for _, c := range chunksWebP(file[12:]) {
		switch {
		case c.name == "VP8X" && len(c.content) > 0:
			flags = c.content[0]
		case c.name == "EXIF" && flags&hasEXIF != 0 && n.exif == nil:
			n.exif = c.content
		case c.name == "XMP " && flags&hasXMP != 0 && n.xmp == nil:
			n.xmp = c.content
		}
	}
	return n
}

// decodeWebP decodes WebP as libwebp does: of an animation the first frame, around which
// all is black.
func decodeWebP(ctx context.Context, file []byte, img *canvas) error {
	frame, at, err := firstFrame(file)
	if err != nil {
		return err
	}
	if frame == nil {
		return img.drawWebP(ctx, file)
	}
	w, h, err := config(webp.DecodeConfig)(frame)
	if err != nil {
		return err
	}
	if w < 1 || h < 1 || at.X+w > img.Width || at.Y+h > img.Height {
		return errors.New("damaged: the first frame is not within the canvas")
	}
	part := canvas{Image: Image{Width: w, Height: h, Channels: 3, Pix: make([]byte, 3*w*h)}}
	if err := part.drawWebP(ctx, frame); err != nil {
		return err
	}
	clear(img.Pix)
	for y := range h {
		copy(img.row(at.Y + y)[3*at.X:], part.row(y))
	}
	return nil
}

// firstFrame returns the first frame of an animation, as a file, and where it lies; or nil
// where there is no animation.
func firstFrame(file []byte) (frame []byte, at image.Point, err error) {
	const header, place, animated, alpha = 12, 16, 1 << 1, 1 << 4 // bytes and flags
	chunks := chunksWebP(file[header:])
	if len(chunks) == 0 || chunks[0].name != "VP8X" || len(chunks[0].content) == 0 || chunks[0].content[0]&animated == 0 {
		return nil, at, nil
	}
	i := slices.IndexFunc(chunks, func(c chunk) bool { return c.name == "ANMF" && len(c.content) >= place })
	if i < 0 {
		return nil, at, errors.New("damaged: no frame")
	}
	b := chunks[i].content
	at = image.Pt(2*number24(b), 2*number24(b[3:]))
	var parts []byte
	flags := byte(0)
	for _, c := range chunksWebP(b[place:]) {
		if c.name == "ALPH" {
			flags = alpha
		}
		parts = append(parts, c.bytes()...)
	}
	if flags != 0 { // which a header has to announce
		parts = append(chunk{"VP8X", slices.Concat([]byte{flags, 0, 0, 0}, b[6:12])}.bytes(), parts...)
	}
	return chunk{"RIFF", append([]byte("WEBP"), parts...)}.bytes(), at, nil
}

// number24 returns the number of 3 bytes.
func number24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// chunk is a part of a WebP file.
type chunk struct {
	name    string
	content []byte
}

// bytes returns the chunk as it is in a file.
func (c chunk) bytes() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(c.name), uint32(len(c.content)))
	b = append(b, c.content...)
	return append(b, make([]byte, len(c.content)%2)...)
}

// chunksWebP returns the chunks that are whole.
func chunksWebP(b []byte) (chunks []chunk) {
	for len(b) >= 8 {
		size := uint64(binary.LittleEndian.Uint32(b[4:]))
		if size+8 > uint64(len(b)) {
			break
		}
		chunks = append(chunks, chunk{string(b[:4]), b[8 : 8+size]})
		b = b[min(8+size+size%2, uint64(len(b))):]
	}
	return chunks
}

// drawWebP draws a file that is no animation.
func (img *canvas) drawWebP(ctx context.Context, file []byte) error {
	src, err := webp.Decode(newReader(ctx, file))
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
