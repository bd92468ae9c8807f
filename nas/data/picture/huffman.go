package picture

import "errors"

// errCode reports bits that no table knows.
var errCode = errors.New("damaged: a code that means nothing")

// huffman is a table of codes (T.81, annex C).
type huffman struct {
	short  [256]uint16 // of the next 8 bits: the code's length and, below, its value; 0 for a longer code
	values []byte      // in the order of the codes
	least  [17]int     // of each length: the first code
	count  [17]int     // of each length
	offset [17]int     // of the first code's value
}

func (f *jpegFile) readTables(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 || b[0]>>4 > 1 || b[0]&15 > 3 {
			return errSegment
		}
		h := new(huffman)
		code, n := 0, 0
		for size := 1; size <= 16; size++ {
			h.count[size], h.least[size], h.offset[size] = int(b[size]), code, n
			n += h.count[size]
			if code += h.count[size]; code > 1<<size {
				return errSegment
			}
			code <<= 1
		}
		if n > 256 || len(b) < 17+n {
			return errSegment
		}
		h.values = b[17 : 17+n]
		h.index()
		f.tables[b[0]>>4][b[0]&15] = h
		b = b[17+n:]
	}
	return nil
}

// index makes the table of short codes.
func (h *huffman) index() {
	for size := 1; size <= 8; size++ {
		for i := range h.count[size] {
			from := (h.least[size] + i) << (8 - size)
			for k := range 1 << (8 - size) {
				h.short[from+k] = uint16(size)<<8 | uint16(h.values[h.offset[size]+i])
			}
		}
	}
}

// decode reads a code and returns its value.
func (h *huffman) decode(b *bits) (byte, error) {
	next := b.peek()
	if v := h.short[next>>8]; v != 0 {
		b.drop(uint(v >> 8))
		return byte(v), nil
	}
	for size := 9; size <= 16; size++ {
		if i := int(next>>(16-size)) - h.least[size]; i >= 0 && i < h.count[size] {
			b.drop(uint(size))
			return h.values[h.offset[size]+i], nil
		}
	}
	return 0, errCode
}

// bits reads the bits of a scan's data, where a zero follows each 0xff. Beyond the data,
// which any marker ends, it yields zeros.
type bits struct {
	file  []byte
	at    int
	kept  uint64
	n     uint // bits in kept
	short bool // more were taken than there are
}

// fill gets bits as far as kept has room.
func (b *bits) fill() {
	for b.n <= 56 && b.at < len(b.file) {
		v := b.file[b.at]
		if v == 0xff {
			if b.at+1 >= len(b.file) || b.file[b.at+1] != 0 {
				return
			}
			b.at++
		}
		b.at++
		b.kept = b.kept<<8 | uint64(v)
		b.n += 8
	}
}

// peek returns the next 16 bits.
func (b *bits) peek() int {
	if b.n < 16 {
		b.fill()
	}
	if b.n < 16 {
		return int(b.kept<<(16-b.n)) & 0xffff
	}
	return int(b.kept>>(b.n-16)) & 0xffff
}

func (b *bits) drop(n uint) {
	if n > b.n {
		b.short, b.n = true, 0
		return
	}
	b.n -= n
}

// take returns the next n bits, at most 16.
func (b *bits) take(n uint) int {
	v := b.peek() >> (16 - n)
	b.drop(n)
	return v
}

// signed returns a number of n bits, whose first says whether it is positive.
func (b *bits) signed(n uint) int {
	v := b.take(n)
	if n > 0 && v < 1<<(n-1) {
		v -= 1<<n - 1
	}
	return v
}
