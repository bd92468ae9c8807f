package picture

import (
	"context"
	"errors"
	"fmt"
)

// scan is a pass over some components of a JPEG image.
type scan struct {
	f          *jpegFile
	parts      []*component
	dc, ac     []*huffman // of each of them
	first      int        // of the coefficients, in the order of zigzag
	last       int
	high, low  uint // bits of the coefficients that are there, and that this pass leaves out
	bits       bits
	prediction [4]int // of the DC coefficient
	skip       int    // blocks that have no more coefficients
}

// scan decodes a scan whose header is content and whose data is file[at:], and returns
// where that ends.
func (f *jpegFile) scan(ctx context.Context, content, file []byte, at int) (end int, err error) {
	s := scan{f: f, bits: bits{file: file, at: at}}
	if err := s.header(content); err != nil {
		return at, err
	}
	across, down := f.units()
	if len(s.parts) == 1 { // blocks follow each other without units
		across, down = upward(s.parts[0].width, 8), upward(s.parts[0].height, 8)
	}
	for y := range down {
		if ctx.Err() != nil {
			return at, context.Cause(ctx)
		}
		for x := range across {
			if n := y*across + x; n > 0 && f.restart > 0 && n%f.restart == 0 {
				if err := s.again(byte(n/f.restart - 1)); err != nil {
					return at, err
				}
			}
			if err := s.unit(x, y); err != nil {
				return at, fmt.Errorf("block (%d, %d): %w", x, y, err)
			}
		}
	}
	return s.bits.at, nil
}

// header reads what the scan holds.
func (s *scan) header(b []byte) error {
	if s.f.parts == nil {
		return errOrder
	}
	if len(b) < 4 || b[0] < 1 || b[0] > 4 || len(b) != 4+2*int(b[0]) {
		return errSegment
	}
	s.first, s.last, s.high, s.low = 0, 63, 0, 0
	n := int(b[0])
	if tail := b[1+2*n:]; s.f.progressive {
		s.first, s.last, s.high, s.low = int(tail[0]), int(tail[1]), uint(tail[2]>>4), uint(tail[2]&15)
		if s.first > s.last || s.last > 63 || s.low > 13 || s.high > 0 && s.high != s.low+1 || s.first == 0 && s.last > 0 || s.first > 0 && n > 1 {
			return errSegment
		}
	}
	for i := range n {
		c := s.part(b[1+2*i])
		if c == nil {
			return errSegment
		}
		dc, ac := b[2+2*i]>>4, b[2+2*i]&15
		if dc > 3 || ac > 3 {
			return errSegment
		}
		s.parts, s.dc, s.ac = append(s.parts, c), append(s.dc, s.f.tables[0][dc]), append(s.ac, s.f.tables[1][ac])
		if s.first == 0 && s.high == 0 && s.dc[i] == nil || s.last > 0 && s.ac[i] == nil || s.f.quant[c.quant] == nil {
			return errors.New("damaged: a table is missing")
		}
		if c.steps == nil { // a later table of that number is not for it
			c.steps = s.f.quant[c.quant]
		}
		for k := s.first; k <= s.last; k++ {
			if have := c.bits[k]; s.high == 0 && have >= 0 || s.high > 0 && have != int8(s.high) {
				return errOrder
			}
			c.bits[k] = int8(s.low)
		}
	}
	return nil
}

// part returns the component of that name which is not in the scan yet.
func (s *scan) part(id byte) *component {
	for _, c := range s.parts {
		if c.id == id {
			return nil
		}
	}
	for _, c := range s.f.parts {
		if c.id == id {
			return c
		}
	}
	return nil
}

// again begins anew after the restart of that number.
func (s *scan) again(n byte) error {
	marker, _, end, err := segment(s.bits.file, s.bits.at)
	if err != nil {
		return err
	}
	if marker != markRST0+n%8 {
		return errors.New("damaged: a restart is missing")
	}
	s.bits = bits{file: s.bits.file, at: end}
	s.prediction, s.skip = [4]int{}, 0
	return nil
}

// unit decodes the blocks of a unit.
func (s *scan) unit(x, y int) error {
	for i, c := range s.parts {
		h, v := c.h, c.v
		if len(s.parts) == 1 {
			h, v = 1, 1
		}
		for by := range v {
			for bx := range h {
				if err := s.block(i, x*h+bx, y*v+by); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// block decodes a block of component i of the scan.
func (s *scan) block(i, x, y int) error {
	c := s.parts[i]
	var whole [64]int16
	b := &whole
	if s.f.progressive {
		b = c.block(x, y)
	}
	var err error
	switch {
	case !s.f.progressive:
		if err = s.dcFirst(i, b); err == nil {
			err = s.acFirst(i, 1, b)
		}
	case s.first == 0 && s.high == 0:
		err = s.dcFirst(i, b)
	case s.first == 0:
		b[0] |= int16(s.bits.take(1) << s.low)
	case s.high == 0:
		err = s.acFirst(i, s.first, b)
	default:
		err = s.acAgain(i, b)
	}
	if err == nil && s.bits.short {
		err = errTruncated
	}
	if err == nil && !s.f.progressive {
		transform(b, c.steps, c.pix[y*8*c.stride+x*8:], c.stride)
	}
	return err
}

// block returns the coefficients of a block.
func (c *component) block(x, y int) *[64]int16 {
	return (*[64]int16)(c.coefficients[(y*c.stride/8+x)*64:])
}

// transform makes pixels of a progressive image's coefficients.
func (c *component) transform(ctx context.Context) error {
	for y := range c.rows / 8 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for x := range c.stride / 8 {
			transform(c.block(x, y), c.steps, c.pix[y*8*c.stride+x*8:], c.stride)
		}
	}
	return nil
}

// dcFirst decodes the difference of a DC coefficient to the one before.
func (s *scan) dcFirst(i int, b *[64]int16) error {
	size, err := s.dc[i].decode(&s.bits)
	if err != nil {
		return err
	}
	if size > 15 {
		return errCode
	}
	s.prediction[i] += s.bits.signed(uint(size))
	b[0] = int16(s.prediction[i] << s.low)
	return nil
}

// acFirst decodes the other coefficients, or their upper bits.
func (s *scan) acFirst(i, first int, b *[64]int16) error {
	if s.skip > 0 {
		s.skip--
		return nil
	}
	for k := first; k <= s.last; k++ {
		code, err := s.ac[i].decode(&s.bits)
		if err != nil {
			return err
		}
		run, size := int(code>>4), uint(code&15)
		switch {
		case size > 0:
			if k += run; k > s.last {
				return errCode
			}
			b[zigzag[k]] = int16(s.bits.signed(size) << s.low)
		case run == 15:
			k += 15
		default:
			s.skip = s.end(run)
			return nil
		}
	}
	return nil
}

// end returns how many blocks after this one have no more coefficients.
func (s *scan) end(run int) int {
	if !s.f.progressive {
		return 0
	}
	return 1<<run - 1 + int(s.bits.take(uint(run)))
}

// acAgain decodes one more bit of each coefficient that is not zero, and the
// coefficients that this bit makes different from zero.
func (s *scan) acAgain(i int, b *[64]int16) error {
	k := s.first
	for ; k <= s.last && s.skip == 0; k++ {
		code, err := s.ac[i].decode(&s.bits)
		if err != nil {
			return err
		}
		run, size := int(code>>4), code&15
		var fresh int16
		switch {
		case size > 1:
			return errCode
		case size == 1:
			if fresh = -1 << s.low; s.bits.take(1) == 1 {
				fresh = 1 << s.low
			}
		case run < 15:
			s.skip = s.end(run) + 1
		}
		if s.skip > 0 {
			break
		}
		if k = s.refine(b, k, run); fresh != 0 {
			if k > s.last {
				return errCode
			}
			b[zigzag[k]] = fresh
		}
	}
	if s.skip > 0 {
		s.refine(b, k, 64)
		s.skip--
	}
	return nil
}

// refine reads a bit for each coefficient from k on that is not zero, passes over as many
// zeros as run says, and returns where the next one is.
func (s *scan) refine(b *[64]int16, k, run int) int {
	for ; k <= s.last; k++ {
		v := &b[zigzag[k]]
		switch {
		case *v == 0 && run == 0:
			return k
		case *v == 0:
			run--
		case s.bits.take(1) == 0:
		case *v > 0:
			*v += 1 << s.low
		default:
			*v -= 1 << s.low
		}
	}
	return k
}
