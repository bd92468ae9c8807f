package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"regexp"
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

// directory is the first image file directory of a TIFF file (TIFF 6.0, section 2).
type directory struct {
	file  []byte
	order binary.ByteOrder
	at    map[uint16][]byte // tag → the 10 bytes that follow it
}

// errEXIF reports bytes that do not begin as TIFF.
var errEXIF = errors.New("its EXIF is damaged: no TIFF header")

// readDirectory reads the directory as far as it goes.
func readDirectory(file []byte) (directory, error) {
	d := directory{file: file, at: map[uint16][]byte{}}
	switch {
	case len(file) < 8:
		return d, errEXIF
	case string(file[:4]) == "II*\x00":
		d.order = binary.LittleEndian
	case string(file[:4]) == "MM\x00*":
		d.order = binary.BigEndian
	default:
		return d, errEXIF
	}
	rest := d.from(d.order.Uint32(file[4:]))
	if len(rest) < 2 {
		return d, nil
	}
	n := int(d.order.Uint16(rest))
	for rest = rest[2:]; n > 0 && len(rest) >= 12; n, rest = n-1, rest[12:] {
		d.at[d.order.Uint16(rest)] = rest[2:12]
	}
	return d, nil
}

// from returns the file from there on.
func (d directory) from(offset uint32) []byte {
	if uint64(offset) > uint64(len(d.file)) {
		return nil
	}
	return d.file[offset:]
}

// bytes returns the bytes of a tag's values, whose type is of that many bytes.
func (d directory) bytes(entry []byte, size int) []byte {
	n := uint64(size) * uint64(d.order.Uint32(entry[2:]))
	b := entry[6:]
	if n > 4 {
		b = d.from(d.order.Uint32(entry[6:]))
	}
	if n > uint64(len(b)) {
		return nil
	}
	return b[:n]
}

// values returns a tag's values, which are whole numbers; ok is false where there are
// none that can be read.
func (d directory) values(tag uint16) (v []uint32, ok bool) {
	entry := d.at[tag]
	if entry == nil {
		return nil, false
	}
	const byteType, short, long = 1, 3, 4
	switch d.order.Uint16(entry) {
	case byteType:
		for _, b := range d.bytes(entry, 1) {
			v = append(v, uint32(b))
		}
	case short:
		for b := d.bytes(entry, 2); len(b) > 0; b = b[2:] {
			v = append(v, uint32(d.order.Uint16(b)))
		}
	case long:
		for b := d.bytes(entry, 4); len(b) > 0; b = b[4:] {
			v = append(v, d.order.Uint32(b))
		}
	}
	return v, len(v) > 0
}

// value returns a tag's first value, or what it is where there is none.
func (d directory) value(tag uint16, none uint32) uint32 {
	if v, ok := d.values(tag); ok {
		return v[0]
	}
	return none
}
