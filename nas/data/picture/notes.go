package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"regexp"
	"slices"
)

// notes is what a file says about itself beside its pixels.
type notes struct {
	exif []byte // a TIFF file without pixels, perhaps after "Exif\0\0"
	xmp  []byte // XML
}

// tagOrientation is the tag of EXIF and of TIFF.
const tagOrientation = 0x0112

// orientation returns which of the eight orientations is noted, or 1: that of EXIF, or
// else that of XMP.
func (n notes) orientation() (int, error) {
	for range 2 {
		n.exif = bytes.TrimPrefix(n.exif, []byte(exifPrefix))
	}
	if len(n.exif) > 0 {
		d, err := readDirectory(n.exif)
		if err != nil {
			return 0, err
		}
		if v, ok := d.values(tagOrientation); ok {
			if v[0] >= 1 && v[0] <= 8 {
				return int(v[0]), nil
			}
			return 1, nil
		}
	}
	if m := xmpOrientation.FindSubmatch(n.xmp); m != nil && m[1][0] >= '1' && m[1][0] <= '8' {
		return int(m[1][0] - '0'), nil
	}
	return 1, nil
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation(?:="|>)([0-9])`)

// directory is the first image file directory of a TIFF file (TIFF 6.0, section 2), or of
// a BigTIFF file, whose offsets are of 64 bits.
type directory struct {
	file  []byte
	order binary.ByteOrder
	at    map[uint16]tag
}

// tag is an entry of a directory.
type tag struct {
	kind   uint16
	count  uint64
	inline []byte // its values, or where they are
}

// errEXIF reports bytes that do not begin as TIFF.
var errEXIF = errors.New("its EXIF is damaged: no TIFF header")

// readDirectory reads the directory as far as it goes.
func readDirectory(file []byte) (directory, error) {
	d := directory{file: file, at: map[uint16]tag{}}
	if len(file) < 8 || !slices.Contains(tiffMagic, string(file[:4])) {
		return d, errEXIF
	}
	if d.order = binary.LittleEndian; file[0] == 'M' {
		d.order = binary.BigEndian
	}
	word, head, first := 4, 2, file[4:] // bytes of an offset, and of the number of entries
	if d.order.Uint16(file[2:]) == 43 {
		word, head, first = 8, 8, file[8:]
	}
	if len(first) < word {
		return d, nil
	}
	rest := d.from(d.word(first[:word]))
	if len(rest) < head {
		return d, nil
	}
	n := d.word(rest[:head])
	size := 4 + 2*word
	for rest = rest[head:]; n > 0 && len(rest) >= size; n, rest = n-1, rest[size:] {
		d.at[d.order.Uint16(rest)] = tag{d.order.Uint16(rest[2:]), d.word(rest[4 : 4+word]), rest[4+word : size]}
	}
	return d, nil
}

// word returns a number of 2, 4 or 8 bytes.
func (d directory) word(b []byte) uint64 {
	switch len(b) {
	case 2:
		return uint64(d.order.Uint16(b))
	case 4:
		return uint64(d.order.Uint32(b))
	}
	return d.order.Uint64(b)
}

// from returns the file from there on.
func (d directory) from(offset uint64) []byte {
	if offset > uint64(len(d.file)) {
		return nil
	}
	return d.file[offset:]
}

// bytes returns the bytes of a tag's values, whose type is of that many bytes.
func (d directory) bytes(t tag, size int) []byte {
	if t.count > uint64(len(d.file)) {
		return nil
	}
	n, b := uint64(size)*t.count, t.inline
	if n > uint64(len(b)) {
		b = d.from(d.word(t.inline))
	}
	if n > uint64(len(b)) {
		return nil
	}
	return b[:n]
}

// values returns a tag's values, which are whole numbers; ok is false where there are
// none that can be read.
func (d directory) values(id uint16) (v []uint64, ok bool) {
	const byteType, short, long, long8 = 1, 3, 4, 16
	t := d.at[id]
	size := map[uint16]int{byteType: 1, short: 2, long: 4, long8: 8}[t.kind]
	if size == 0 {
		return nil, false
	}
	for b := d.bytes(t, size); len(b) > 0; b = b[size:] {
		if size == 1 {
			v = append(v, uint64(b[0]))
		} else {
			v = append(v, d.word(b[:size]))
		}
	}
	return v, len(v) > 0
}

// value returns a tag's first value, or what it is where there is none.
func (d directory) value(id uint16, none int) int {
	if v, ok := d.values(id); ok && v[0] <= math.MaxInt32 {
		return int(v[0])
	}
	return none
}
