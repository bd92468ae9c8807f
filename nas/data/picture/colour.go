package picture

import (
	"fmt"
	"image"
	"image/color"
)

// fill copies the pixels of src, which must be of the image's size.
func (img Image) fill(src image.Image) error {
	b := src.Bounds()
	if b.Dx() != img.Width || b.Dy() != img.Height {
		return fmt.Errorf("damaged: %d×%d pixels, its header says %d×%d", b.Dx(), b.Dy(), img.Width, img.Height)
	}
	row, err := rower(src)
	if err != nil {
		return err
	}
	for y := range img.Height {
		row(img.row(y), y)
	}
	return nil
}

func (img Image) row(y int) []byte { return img.Pix[3*y*img.Width:][:3*img.Width] }

// rower returns a function that writes row y of src to dst.
func rower(src image.Image) (func(dst []byte, y int), error) {
	switch src := src.(type) {
	case *image.Gray:
		return func(dst []byte, y int) { spread(dst, src.Pix[y*src.Stride:], 1) }, nil
	case *image.Gray16:
		return func(dst []byte, y int) { spread(dst, src.Pix[y*src.Stride:], 2) }, nil
	case *image.NRGBA:
		return func(dst []byte, y int) { drop(dst, src.Pix[y*src.Stride:], 1) }, nil
	case *image.NRGBA64:
		return func(dst []byte, y int) { drop(dst, src.Pix[y*src.Stride:], 2) }, nil
	case *image.RGBA:
		return func(dst []byte, y int) { divide(dst, src.Pix[y*src.Stride:], 1) }, nil
	case *image.RGBA64:
		return func(dst []byte, y int) { divide(dst, src.Pix[y*src.Stride:], 2) }, nil
	case *image.Paletted:
		table := palette(src.Palette)
		return func(dst []byte, y int) {
			for x, v := range src.Pix[y*src.Stride:][:len(dst)/3] {
				copy(dst[3*x:], table[v][:])
			}
		}, nil
	}
	return nil, fmt.Errorf("pixels of type %T cannot be read", src)
}

// The samples of a pixel are n bytes each, the upper one first.

// spread writes grey as RGB.
func spread(dst, src []byte, n int) {
	for x := range len(dst) / 3 {
		v := src[n*x]
		dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
	}
}

// drop writes RGBA as RGB.
func drop(dst, src []byte, n int) {
	for x := range len(dst) / 3 {
		p := src[4*n*x:][:4*n]
		dst[3*x], dst[3*x+1], dst[3*x+2] = p[0], p[n], p[2*n]
	}
}

// divide writes RGB that was multiplied by its alpha.
func divide(dst, src []byte, n int) {
	for x := range len(dst) / 3 {
		p := src[4*n*x:][:4*n]
		switch a := int(p[3*n]); a {
		case 255:
			dst[3*x], dst[3*x+1], dst[3*x+2] = p[0], p[n], p[2*n]
		case 0:
			dst[3*x], dst[3*x+1], dst[3*x+2] = 0, 0, 0
		default:
			for c := range 3 {
				dst[3*x+c] = byte(min(255, int(p[c*n])*255/a))
			}
		}
	}
}

// palette returns the colours below whatever transparency; black beyond them.
func palette(p color.Palette) (table [256][3]byte) {
	for i, c := range p {
		v := color.NRGBAModel.Convert(c).(color.NRGBA)
		switch c := c.(type) {
		case color.NRGBA: // Convert keeps it as it is
			v = c
		case color.RGBA64: // of TIFF: rounded down, as Pillow does
			v = color.NRGBA{byte(c.R >> 8), byte(c.G >> 8), byte(c.B >> 8), 255}
		}
		if i < len(table) {
			table[i] = [3]byte{v.R, v.G, v.B}
		}
	}
	return table
}
