package picture

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// pnm is the header of a PBM, PGM or PPM file.
type pnm struct {
	plain                   bool // numbers are written out
	bits                    bool // 1 is black, and there is no maximum
	channels, width, height int
	most                    int // what white is
	rest                    []byte
}

var errPNM = errors.New("damaged: its header is not that of a PNM file")

func readPNM(file []byte) (p pnm, err error) {
	kind := file[1] - '0'
	p = pnm{plain: kind <= 3, bits: kind == 1 || kind == 4, channels: 1, most: 1, rest: file[2:]}
	if kind == 3 || kind == 6 {
		p.channels = 3
	}
	if len(p.rest) == 0 || !space(p.rest[0]) {
		return p, errPNM
	}
	for _, v := range []*int{&p.width, &p.height, &p.most} {
		if v == &p.most && p.bits {
			break
		}
		if *v, err = p.number(); err != nil {
			return p, err
		}
	}
	if p.most < 1 || p.most > 65535 {
		return p, fmt.Errorf("damaged: white is %d, want 1 … 65535", p.most)
	}
	return p, nil
}

// number reads a number and the white space after it.
func (p *pnm) number() (int, error) {
	p.skip()
	n := 0
	for n < len(p.rest) && !space(p.rest[n]) && n <= 10 {
		n++
	}
	v, err := strconv.ParseUint(string(p.rest[:n]), 10, 31)
	if err != nil {
		return 0, errPNM
	}
	p.rest = p.rest[min(n+1, len(p.rest)):]
	return int(v), nil
}

// skip drops white space and comments.
func (p *pnm) skip() {
	for len(p.rest) > 0 && (space(p.rest[0]) || p.rest[0] == '#') {
		if p.rest[0] == '#' {
			for len(p.rest) > 0 && p.rest[0] != '\n' && p.rest[0] != '\r' {
				p.rest = p.rest[1:]
			}
			continue
		}
		p.rest = p.rest[1:]
	}
}

func space(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

func sizePNM(file []byte) (w, h int, err error) {
	p, err := readPNM(file)
	return p.width, p.height, err
}

// decodePNM decodes a file of one of the six formats.
func decodePNM(ctx context.Context, file []byte, img *canvas) error {
	p, err := readPNM(file)
	if err != nil {
		return err
	}
	if n := img.Width * img.Height * 3; !p.plain && p.channels == 3 && p.most == 255 && len(p.rest) >= n {
		copy(img.Pix, p.rest) // as images are kept that are read often
		return nil
	}
	for y := range img.Height {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		dst := img.row(y)
		for i := range img.Width * p.channels {
			v, err := p.sample(i, img)
			if err != nil {
				return fmt.Errorf("row %d: %w", y, err)
			}
			if p.channels == 3 {
				dst[i] = v
			} else {
				dst[3*i], dst[3*i+1], dst[3*i+2] = v, v, v
			}
		}
		if p.bits && !p.plain {
			p.rest = p.rest[(img.Width+7)/8:]
		}
	}
	return nil
}

// sample reads sample i of a row as a grey level.
func (p *pnm) sample(i int, img *canvas) (byte, error) {
	v, size := 0, 1
	switch {
	case p.plain && p.bits: // digits that need not stand apart
		p.skip()
	case p.plain:
		n, err := p.number()
		if err != nil || n > p.most {
			return 0, fmt.Errorf("damaged: want numbers of at most %d", p.most)
		}
		return p.level(n, img), nil
	case p.most > 255:
		size = 2
	}
	at := 0
	if p.bits && !p.plain {
		at = i / 8
	}
	if at+size > len(p.rest) {
		return 0, errTruncated
	}
	switch {
	case p.bits && p.plain:
		if p.rest[0] != '0' && p.rest[0] != '1' {
			return 0, errors.New("damaged: want the digits 0 and 1")
		}
		v = int('1' - p.rest[0])
	case p.bits:
		return 255 * (1 - p.rest[at]>>(7-i%8)&1), nil
	default:
		for _, b := range p.rest[:size] {
			v = v<<8 | int(b)
		}
	}
	p.rest = p.rest[size:]
	return p.level(v, img), nil
}

// level makes a grey level of a sample. What is halfway is rounded to even, as Python
// does. More than 8 bits of grey are first made 16.
func (p *pnm) level(v int, img *canvas) byte {
	scale := func(white float64) uint { return uint(math.RoundToEven(float64(v) / float64(p.most) * white)) }
	if p.most > 255 && p.channels == 1 {
		return img.level(scale(65535), 16)
	}
	return byte(scale(255))
}
