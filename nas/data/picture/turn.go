package picture

// turn writes the image to dst as the EXIF orientation o, 1 … 8, wants it: its first
// row is where o says that the stored first row belongs.
func (img Image) turn(o int, dst []byte) Image {
	w, h := img.Width, img.Height
	out := img
	out.Pix = dst
	if o >= 5 {
		out.Width, out.Height = h, w
	}
	for y := range out.Height {
		for x := range out.Width {
			sx, sy := stored(o, x, y, w, h)
			copy(dst[(y*out.Width+x)*img.Channels:][:img.Channels], img.Pix[(sy*w+sx)*img.Channels:])
		}
	}
	return out
}

// stored returns where pixel (x, y) of the upright image lies in the stored one, which
// is of w×h pixels.
func stored(o, x, y, w, h int) (int, int) {
	switch o {
	case 2: // mirrored
		return w - 1 - x, y
	case 3: // upside down
		return w - 1 - x, h - 1 - y
	case 4: // upside down and mirrored
		return x, h - 1 - y
	case 5: // mirrored along the diagonal
		return y, x
	case 6: // to be turned to the right
		return y, h - 1 - x
	case 7: // mirrored along the other diagonal
		return w - 1 - y, h - 1 - x
	case 8: // to be turned to the left
		return w - 1 - y, x
	}
	return x, y
}
