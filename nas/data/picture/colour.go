package picture

import (
	"fmt"
	"image"
	"image/color"
)

// fill copies the pixels of src, which must be of the image's size.
func (img *canvas) fill(src image.Image) error {
	b := src.Bounds()
	if b.Dx() != img.Width || b.Dy() != img.Height {
		return fmt.Errorf("damaged: %d×%d pixels, its header says %d×%d", b.Dx(), b.Dy(), img.Width, img.Height)
	}
	row, err := img.rower(src)
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
func (img *canvas) rower(src image.Image) (func(dst []byte, y int), error) {
	switch src := src.(type) {
	case *image.Gray:
		return func(dst []byte, y int) { spread(dst, src.Pix[y*src.Stride:]) }, nil
	case *image.Gray16:
		return func(dst []byte, y int) {
			for x := range len(dst) / 3 {
				v := src.Pix[y*src.Stride+2*x:]
				level := img.level(uint(v[0])<<8|uint(v[1]), 16)
				dst[3*x], dst[3*x+1], dst[3*x+2] = level, level, level
			}
		}, nil
	case *image.NRGBA:
		return func(dst []byte, y int) { drop(dst, src.Pix[y*src.Stride:], 1) }, nil
	case *image.NRGBA64:
		return func(dst []byte, y int) { drop(dst, src.Pix[y*src.Stride:], 2) }, nil
	case *image.RGBA: // of an opaque PNG, as RGBA64 is
		return func(dst []byte, y int) { drop(dst, src.Pix[y*src.Stride:], 1) }, nil
	case *image.RGBA64:
		return func(dst []byte, y int) { drop(dst, src.Pix[y*src.Stride:], 2) }, nil
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

// spread writes grey of 8 bits as RGB.
func spread(dst, src []byte) {
	for x := range len(dst) / 3 {
		v := src[x]
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

// divide undoes that a colour was multiplied by its alpha.
func divide(colour []byte, alpha int) {
	for i, v := range colour {
		switch alpha {
		case 0:
			colour[i] = 0
		case 255:
		default:
			colour[i] = byte(min(255, int(v)*255/alpha))
		}
	}
}

// palette returns the colours below whatever transparency; black beyond them.
func palette(p color.Palette) (table [256][3]byte) {
	for i, c := range p {
		v := color.NRGBAModel.Convert(c).(color.NRGBA)
		if i < len(table) {
			table[i] = [3]byte{v.R, v.G, v.B}
		}
	}
	return table
}
