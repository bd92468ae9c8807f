package picture

// plane is a component of an image, perhaps at half the resolution.
type plane struct {
	pix           []byte
	stride        int
	width, height int // of the samples that count
}

func (p plane) line(y int) []byte { return p.pix[min(max(y, 0), p.height-1)*p.stride:][:p.width] }

// chroma is by how much a plane is subsampled.
type chroma struct{ across, down int }

// expander returns row y of a subsampled plane at full resolution.
type expander func(dst []byte, p plane, y int)

// fillPlanes writes an image of one to four planes: each is expanded, and the samples
// of each row converted.
func (img Image) fillPlanes(planes []plane, chromas []chroma, expand func(chroma, plane) expander, convert conversion) {
	rows, lines := make([]expander, len(planes)), make([][]byte, len(planes))
	for i, p := range planes {
		rows[i], lines[i] = expand(chromas[i], p), make([]byte, p.width*chromas[i].across)
	}
	for y := range img.Height {
		for i, p := range planes {
			rows[i](lines[i], p, y)
		}
		convert(img.row(y), lines)
	}
}

// expandJPEG returns how libjpeg expands chroma: linearly between the samples where
// these are halved, else as they are. (It takes no narrow image for worth it.)
func expandJPEG(c chroma, p plane) expander {
	switch {
	case c == chroma{1, 2}:
		return func(dst []byte, p plane, y int) {
			near, far := p.line(y/2), p.line(y/2-1+y%2*2)
			for i, v := range near {
				dst[i] = byte((3*int(v) + int(far[i]) + 1 + y%2) >> 2)
			}
		}
	case c == chroma{2, 1} && p.width > 2:
		return func(dst []byte, p plane, y int) {
			s := p.line(y)
			for i, v := range s {
				dst[2*i] = byte((3*int(v) + int(s[max(0, i-1)]) + 1) >> 2)
				dst[2*i+1] = byte((3*int(v) + int(s[min(i+1, len(s)-1)]) + 2) >> 2)
			}
		}
	case c == chroma{2, 2} && p.width > 2:
		return func(dst []byte, p plane, y int) {
			near, far := p.line(y/2), p.line(y/2-1+y%2*2)
			sum := func(i int) int {
				i = min(max(i, 0), len(near)-1)
				return 3*int(near[i]) + int(far[i])
			}
			for i := range near {
				dst[2*i] = byte((3*sum(i) + sum(i-1) + 8) >> 4)
				dst[2*i+1] = byte((3*sum(i) + sum(i+1) + 7) >> 4)
			}
		}
	}
	if c.across == 1 {
		return func(dst []byte, p plane, y int) { copy(dst, p.line(y/c.down)) }
	}
	return func(dst []byte, p plane, y int) {
		for i, v := range p.line(y / c.down) {
			for k := range c.across {
				dst[c.across*i+k] = v
			}
		}
	}
}

// expandWebP returns how libwebp expands chroma, which is halved both ways: linearly,
// with roundings of its own.
func expandWebP(c chroma, p plane) expander {
	if c == (chroma{1, 1}) {
		return expandJPEG(c, p)
	}
	return func(dst []byte, p plane, y int) {
		near, far := p.line(y/2), p.line(y/2-1+y%2*2)
		for i := range near {
			for k, j := range [2]int{max(0, i-1), min(i+1, len(near)-1)} {
				a, b, c, d := int(near[i]), int(near[j]), int(far[i]), int(far[j])
				dst[2*i+k] = byte(((a+3*b+3*c+d+8)>>3 + a) >> 1)
			}
		}
	}
}

// fromJFIF converts a row of a JPEG file, with 16 bits after the point.
func fromJFIF(dst []byte, s [][]byte) {
	n := len(dst) / 3
	ys, us, vs := s[0][:n], s[1][:n], s[2][:n]
	for x, y := range ys {
		l, u, v := int(y)<<16+1<<15, int(us[x])-128, int(vs[x])-128
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0], d[1], d[2] = clip((l+91881*v)>>16), clip((l-22554*u-46802*v)>>16), clip((l+116130*u)>>16)
	}
}

// fromStudio converts a row of a WebP file, whose luma is 16 … 235 (ITU-R BT.601), in
// the fixed-point arithmetic that libwebp prescribes.
func fromStudio(dst []byte, s [][]byte) {
	for x := range len(dst) / 3 {
		l, u, v := int(s[0][x])*19077>>8, int(s[1][x]), int(s[2][x])
		d := dst[3*x : 3*x+3 : 3*x+3]
		d[0], d[1], d[2] = clip((l+v*26149>>8-14234)>>6), clip((l-u*6419>>8-v*13320>>8+8708)>>6), clip((l+u*33050>>8-17685)>>6)
	}
}

func clip(v int) byte { return byte(min(max(v, 0), 255)) }
