package picture

import (
	"encoding/binary"
	"fmt"
)

// Extension returns the end of names of image files such as this one, ".jpg"; "" where the
// content is no image that is read here.
func Extension(file []byte) string {
	f := sniff(file)
	if f == nil {
		return ""
	}
	return map[string]string{"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif", "PNM": ".ppm"}[f.name]
}

// AppendPNM appends the image as a PPM file, or of grey as a PGM file: a few bytes and the
// pixels as they are, which are read as fast as they can be copied.
func (img Image) AppendPNM(b []byte) []byte {
	kind := "P6"
	if img.Channels == 1 {
		kind = "P5"
	}
	b = fmt.Appendf(b, "%s\n%d %d\n255\n", kind, img.Width, img.Height)
	return append(b, img.Pix...)
}

// AppendJPEG appends the image as a JPEG file of a quality from 1 to 100, as libjpeg has it,
// with chroma of half the resolution: the very bytes that Pillow's save(quality=…) writes.
// image/jpeg writes others from one Go release to the next, which keyed results may not.
func (img Image) AppendJPEG(b []byte, quality int) []byte {
	e := jpegWriter{out: b}
	planes := img.planes()
	var quants [2][64]uint16
	for i := range quants[:min(2, len(planes))] {
		quants[i] = quantTable(jpegQuants[i], quality)
	}
	e.header(img, planes, quants)
	e.scan(planes, quants)
	return append(e.out, 0xff, 0xd9)
}

// blockPlane is one component of an image, as it is transformed: blocks of 8×8 samples, whole
// MCUs of them.
type blockPlane struct {
	sampling       int // blocks in an MCU, in each direction
	across, down   int // blocks that hold samples of the image
	stride, height int // samples, of whole blocks
	samples        []byte
}

// planes returns Y, Cb and Cr, or grey alone.
func (img Image) planes() []blockPlane {
	if img.Channels == 1 {
		p := newBlockPlane(img.Width, img.Height, 1)
		p.fill(img.Width, img.Height, func(x, y int) byte { return img.Pix[y*img.Width+x] })
		return []blockPlane{p}
	}
	y, cb, cr := newBlockPlane(img.Width, img.Height, 2), newBlockPlane((img.Width+1)/2, (img.Height+1)/2, 1), newBlockPlane((img.Width+1)/2, (img.Height+1)/2, 1)
	w, h := 2*cb.stride, (img.Height+1)/2*2
	full := make([]byte, 2*w*h) // Cb and Cr before they are halved
	for row := range h {
		line := img.Pix[min(row, img.Height-1)*img.Width*3:][:img.Width*3]
		var last [3]byte
		for x := range w {
			if x < img.Width {
				last = luma(line[3*x], line[3*x+1], line[3*x+2])
			}
			if x < y.stride && row < img.Height {
				y.samples[row*y.stride+x] = last[0]
			}
			full[row*w+x], full[(h+row)*w+x] = last[1], last[2]
		}
	}
	y.expand(img.Height)
	halve(cb, full[:w*h], h/2)
	halve(cr, full[w*h:], h/2)
	return []blockPlane{y, cb, cr}
}

// luma converts a colour to Y, Cb and Cr, in fixed point with 16 bits (jccolor.c).
func luma(r, g, b byte) [3]byte {
	x, y, z := int32(r), int32(g), int32(b)
	const half, offset = 1 << 15, 128 << 16
	return [3]byte{
		byte((19595*x + 38470*y + 7471*z + half) >> 16),
		byte((-11059*x - 21709*y + 32768*z + offset + half - 1) >> 16),
		byte((32768*x - 27439*y - 5329*z + offset + half - 1) >> 16),
	}
}

func newBlockPlane(w, h, sampling int) blockPlane {
	p := blockPlane{sampling: sampling, across: (w + 7) / 8, down: (h + 7) / 8}
	p.stride, p.height = 8*p.across, 8*p.down
	p.samples = make([]byte, p.stride*p.height)
	return p
}

// fill sets the samples, of which those beyond the image are as those at its edge.
func (p blockPlane) fill(w, h int, at func(x, y int) byte) {
	for y := range h {
		for x := range p.stride {
			p.samples[y*p.stride+x] = at(min(x, w-1), y)
		}
	}
	p.expand(h)
}

// expand repeats the last of h lines.
func (p blockPlane) expand(h int) {
	for y := h; y < p.height; y++ {
		copy(p.samples[y*p.stride:][:p.stride], p.samples[(h-1)*p.stride:])
	}
}

// halve makes a plane of the means of 2×2 samples, which are rounded up and down by turns
// (h2v2_downsample).
func halve(p blockPlane, full []byte, h int) {
	w := 2 * p.stride
	for y := range h {
		above, below := full[2*y*w:][:w], full[(2*y+1)*w:][:w]
		bias := uint(1)
		for x := range p.stride {
			p.samples[y*p.stride+x] = byte((uint(above[2*x]) + uint(above[2*x+1]) + uint(below[2*x]) + uint(below[2*x+1]) + bias) >> 2)
			bias ^= 3
		}
	}
	p.expand(h)
}

// quantTable scales a table, in zigzag order, as libjpeg does for a quality.
func quantTable(base [64]byte, quality int) (q [64]uint16) {
	scale := 200 - 2*quality
	if quality < 50 {
		scale = 5000 / quality
	}
	for i, v := range base {
		q[i] = uint16(min(255, max(1, (int(v)*scale+50)/100)))
	}
	return q
}

// jpegWriter writes a file.
type jpegWriter struct {
	out  []byte
	bits uint64 // that are not written yet, the last n
	n    uint
}

// segment appends a marker and what it is about.
func (e *jpegWriter) segment(marker byte, content ...byte) {
	e.out = append(e.out, 0xff, marker)
	e.out = binary.BigEndian.AppendUint16(e.out, uint16(len(content)+2))
	e.out = append(e.out, content...)
}

func (e *jpegWriter) header(img Image, planes []blockPlane, quants [2][64]uint16) {
	e.out = append(e.out, 0xff, 0xd8)
	e.segment(0xe0, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0)
	tables := min(2, len(planes))
	for i := range tables {
		table := []byte{byte(i)}
		for _, v := range quants[i] {
			table = append(table, byte(v))
		}
		e.segment(0xdb, table...)
	}
	frame := []byte{8, byte(img.Height >> 8), byte(img.Height), byte(img.Width >> 8), byte(img.Width), byte(len(planes))}
	scan := []byte{byte(len(planes))}
	for i, p := range planes {
		frame = append(frame, byte(i+1), byte(p.sampling<<4|p.sampling), byte(min(i, 1)))
		scan = append(scan, byte(i+1), byte(min(i, 1)*0x11))
	}
	e.segment(0xc0, frame...)
	for i := range tables {
		for class, h := range [...]*huffmanCode{&jpegCodes[i].dc, &jpegCodes[i].ac} {
			table := append([]byte{byte(class<<4 | i)}, h.counts[:]...)
			e.segment(0xc4, append(table, h.values...)...)
		}
	}
	e.segment(0xda, append(scan, 0, 63, 0)...)
}

// scan writes the blocks, MCU by MCU.
func (e *jpegWriter) scan(planes []blockPlane, quants [2][64]uint16) {
	across, down := planes[0].across, planes[0].down
	if len(planes) > 1 {
		across, down = (across+1)/2, (down+1)/2
	}
	previous := make([]int32, len(planes)) // DC
	var block [64]int32
	for my := range down {
		for mx := range across {
			for i, p := range planes {
				for b := range p.sampling * p.sampling {
					x, y := mx*p.sampling+b%p.sampling, my*p.sampling+b/p.sampling
					if x < p.across && y < p.down {
						p.transform(x, y, &block, &quants[min(i, 1)])
					} else { // beyond the image: as cheap as can be
						block = [64]int32{previous[i]}
					}
					e.block(&block, previous[i], &jpegCodes[min(i, 1)])
					previous[i] = block[0]
				}
			}
		}
	}
	if e.n%8 > 0 {
		pad := 8 - e.n%8
		e.put(1<<pad-1, pad)
	}
	e.flush()
}

// transform quantises the cosine transform of a block, in zigzag order.
func (p blockPlane) transform(x, y int, block *[64]int32, quant *[64]uint16) {
	var d [64]int32
	for r := range 8 {
		line := p.samples[(8*y+r)*p.stride+8*x:][:8]
		for c, v := range line {
			d[8*r+c] = int32(v) - 128
		}
	}
	forwardDCT(&d)
	for i, at := range zigzag {
		q := int32(quant[i]) << 3
		v := d[at]
		if v < 0 {
			block[i] = -((q>>1 - v) / q)
		} else {
			block[i] = (v + q>>1) / q
		}
	}
}

// The transform of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) in fixed point with 13
// bits, as in jfdctint.c. The result is scaled by 8.
const (
	dctBits  = 13
	passBits = 2
)

func forwardDCT(d *[64]int32) {
	for r := range 8 {
		dctPass(d, 8*r, 1, dctBits-passBits)
	}
	for c := range 8 {
		dctPass(d, c, 8, dctBits+passBits)
	}
}

// dctPass transforms a line or a column. All sums are scaled by 2^shift.
func dctPass(d *[64]int32, at, step int, shift uint) {
	v := func(i int) *int32 { return &d[at+i*step] }
	round := int32(1) << (shift - 1)
	s0, s1, s2, s3 := *v(0)+*v(7), *v(1)+*v(6), *v(2)+*v(5), *v(3)+*v(4)
	d4, d5, d6, d7 := *v(3)-*v(4), *v(2)-*v(5), *v(1)-*v(6), *v(0)-*v(7)

	e0, e1, e2, e3 := s0+s3, s1+s2, s1-s2, s0-s3
	*v(0) = ((e0+e1)<<dctBits + round) >> shift
	*v(4) = ((e0-e1)<<dctBits + round) >> shift
	z := (e2 + e3) * 4433
	*v(2) = (z + e3*6270 + round) >> shift
	*v(6) = (z - e2*15137 + round) >> shift

	z1, z2, z3, z4 := (d4+d7)*-7373, (d5+d6)*-20995, (d4+d6)*-16069, (d5+d7)*-3196
	z5 := (d4 + d6 + d5 + d7) * 9633
	z3, z4 = z3+z5, z4+z5
	*v(7) = (d4*2446 + z1 + z3 + round) >> shift
	*v(5) = (d5*16819 + z2 + z4 + round) >> shift
	*v(3) = (d6*25172 + z2 + z3 + round) >> shift
	*v(1) = (d7*12299 + z1 + z4 + round) >> shift
}

// block codes a block: the difference of its DC from the one before, then runs of zeros and
// what ends each.
func (e *jpegWriter) block(b *[64]int32, previous int32, codes *struct{ dc, ac huffmanCode }) {
	e.value(&codes.dc, 0, b[0]-previous)
	run := 0
	for _, v := range b[1:] {
		if v == 0 {
			run++
			continue
		}
		for ; run > 15; run -= 16 {
			e.code(&codes.ac, 0xf0)
		}
		e.value(&codes.ac, run, v)
		run = 0
	}
	if run > 0 {
		e.code(&codes.ac, 0)
	}
}

// value codes a number after a run of zeros: by its length in bits, and these.
func (e *jpegWriter) value(h *huffmanCode, run int, v int32) {
	magnitude, bits := v, v
	if v < 0 {
		magnitude, bits = -v, v-1
	}
	size := uint(0)
	for ; magnitude > 0; magnitude >>= 1 {
		size++
	}
	e.code(h, byte(run<<4)|byte(size))
	e.put(uint64(uint32(bits))&(1<<size-1), size)
}

func (e *jpegWriter) code(h *huffmanCode, symbol byte) {
	e.put(uint64(h.codes[symbol]), uint(h.lengths[symbol]))
}

// put appends bits, at most 16.
func (e *jpegWriter) put(bits uint64, n uint) {
	e.bits, e.n = e.bits<<n|bits, e.n+n
	if e.n > 48 {
		e.flush()
	}
}

// flush writes whole bytes. After one of ones alone follows one of zeros, so that it is not
// taken for a marker.
func (e *jpegWriter) flush() {
	for ; e.n >= 8; e.n -= 8 {
		b := byte(e.bits >> (e.n - 8))
		if e.out = append(e.out, b); b == 0xff {
			e.out = append(e.out, 0)
		}
	}
}

// huffmanCode is a table as a file has it, and the codes that follow from it.
type huffmanCode struct {
	counts  [16]byte // of codes with 1 … 16 bits
	values  []byte
	codes   [256]uint16
	lengths [256]byte
}

func newHuffmanCode(counts [16]byte, values string) huffmanCode {
	h := huffmanCode{counts: counts, values: []byte(values)}
	code, k := uint16(0), 0
	for length, n := range counts {
		for range n {
			h.codes[values[k]], h.lengths[values[k]] = code, byte(length+1)
			code++
			k++
		}
		code <<= 1
	}
	return h
}

// jpegQuants are the tables of ITU-T T.81, annex K.1, for luminance and chrominance, in
// zigzag order.
var jpegQuants = [2][64]byte{
	{
		16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40,
		26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51,
		56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
		95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
	},
	{
		17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
	},
}

// jpegCodes are the codes of annex K.3, likewise.
var jpegCodes = [2]struct{ dc, ac huffmanCode }{
	{
		newHuffmanCode([16]byte{0, 1, 5, 1, 1, 1, 1, 1, 1}, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"),
		newHuffmanCode([16]byte{0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d},
			"\x01\x02\x03\x00\x04\x11\x05\x12\x21\x31\x41\x06\x13\x51\x61\x07\x22\x71\x14\x32\x81\x91\xa1\x08\x23\x42\xb1\xc1\x15\x52\xd1\xf0"+
				"\x24\x33\x62\x72\x82\x09\x0a\x16\x17\x18\x19\x1a\x25\x26\x27\x28\x29\x2a\x34\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48\x49"+
				"\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x83\x84\x85\x86\x87\x88\x89"+
				"\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3\xc4\xc5"+
				"\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe1\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8"+
				"\xf9\xfa"),
	},
	{
		newHuffmanCode([16]byte{0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1}, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"),
		newHuffmanCode([16]byte{0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77},
			"\x00\x01\x02\x03\x11\x04\x05\x21\x31\x06\x12\x41\x51\x07\x61\x71\x13\x22\x32\x81\x08\x14\x42\x91\xa1\xb1\xc1\x09\x23\x33\x52\xf0"+
				"\x15\x62\x72\xd1\x0a\x16\x24\x34\xe1\x25\xf1\x17\x18\x19\x1a\x26\x27\x28\x29\x2a\x35\x36\x37\x38\x39\x3a\x43\x44\x45\x46\x47\x48"+
				"\x49\x4a\x53\x54\x55\x56\x57\x58\x59\x5a\x63\x64\x65\x66\x67\x68\x69\x6a\x73\x74\x75\x76\x77\x78\x79\x7a\x82\x83\x84\x85\x86\x87"+
				"\x88\x89\x8a\x92\x93\x94\x95\x96\x97\x98\x99\x9a\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xc2\xc3"+
				"\xc4\xc5\xc6\xc7\xc8\xc9\xca\xd2\xd3\xd4\xd5\xd6\xd7\xd8\xd9\xda\xe2\xe3\xe4\xe5\xe6\xe7\xe8\xe9\xea\xf2\xf3\xf4\xf5\xf6\xf7\xf8"+
				"\xf9\xfa"),
	},
}
