package data

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"eyrie/artifacts"
	"eyrie/nas/data/picture"
)

// The index file, all numbers little-endian:
//
//	"EYRIEIX1"                      8 bytes
//	length of the header            uint32
//	header                          JSON: the fields of Header
//	count × 20 bytes                offset uint64, file uint32, length uint32, label int32
//
// A raw image is height × width × channels bytes, row by row, channels
// innermost. An encoded one is a file that package picture reads. File is a position in the
// header's list of names, relative to the data tree; a raw part is one file,
// has no names, and its records say 0. In NumPy the records are of
// dtype([("offset","<u8"),("file","<u4"),("length","<u4"),("label","<i4")]).
const indexMagic = "EYRIEIX1"

const recordSize = 20

// Header describes the images of a part.
type Header struct {
	Encoding string   `json:"encoding"` // Raw or Encoded
	Channels int      `json:"channels"`
	Height   int      `json:"height,omitempty"` // of a raw image
	Width    int      `json:"width,omitempty"`  // of a raw image
	Classes  int      `json:"classes"`
	Count    int      `json:"count"`
	Files    []string `json:"files,omitempty"` // relative paths, with forward slashes

	picture.Reading // of encoded images
}

// The encodings of images.
const (
	Raw     = "raw"     // bytes of pixels
	Encoded = "encoded" // image files
)

// Record says where an image lies, and its label.
type Record struct {
	Offset int64 // bytes from the file's beginning
	File   int   // position in Header.Files
	Length int   // bytes
	Label  int

	// Digest is that of the image's bytes, which reading compares with it; zero for bytes that
	// nobody can have changed. The index file does not have it.
	Digest artifacts.Digest
}

// Index is the table of the images of a part.
type Index struct {
	Header
	Records []Record
}

// Marshal encodes the index. It panics on a record that its fields cannot hold.
func (ix Index) Marshal() []byte {
	ix.Count = len(ix.Records)
	header, err := json.Marshal(ix.Header)
	if err != nil {
		panic(err)
	}
	b := make([]byte, 0, len(indexMagic)+4+len(header)+recordSize*len(ix.Records))
	b = append(b, indexMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	b = append(b, header...)
	for _, r := range ix.Records {
		if r.Offset < 0 || r.File < 0 || r.File > math.MaxUint32 || r.Length < 0 || r.Length > math.MaxUint32 || r.Label > math.MaxInt32 {
			panic(fmt.Sprintf("data: record %+v does not fit the index", r))
		}
		b = binary.LittleEndian.AppendUint64(b, uint64(r.Offset))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.File))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.Length))
		b = binary.LittleEndian.AppendUint32(b, uint32(int32(r.Label)))
	}
	return b
}

// Digests encodes the digests of all images, one after the other.
func (ix Index) Digests() []byte {
	b := make([]byte, 0, len(artifacts.Digest{})*len(ix.Records))
	for _, r := range ix.Records {
		b = append(b, r.Digest[:]...)
	}
	return b
}

// addDigests gives the images the digests in a file that holds what Digests returned.
func (ix *Index) addDigests(f artifacts.File) error {
	if f.Path == "" {
		return errors.New("the file is not on this machine")
	}
	b, err := f.ReadFile()
	if err != nil {
		return err
	}
	const size = len(artifacts.Digest{})
	if len(b) != size*len(ix.Records) {
		return fmt.Errorf("%w: %d bytes, want %d for %d images", ErrCount, len(b), size*len(ix.Records), len(ix.Records))
	}
	for i := range ix.Records {
		copy(ix.Records[i].Digest[:], b[i*size:])
	}
	return nil
}

// ParseIndex decodes and checks what Marshal wrote.
func ParseIndex(b []byte) (Index, error) {
	var ix Index
	rest, ok := bytes.CutPrefix(b, []byte(indexMagic))
	if !ok {
		return ix, errors.New("not an index file: wrong magic")
	}
	if len(rest) < 4 {
		return ix, ErrTruncated
	}
	n := binary.LittleEndian.Uint32(rest)
	rest = rest[4:]
	if uint64(n) > uint64(len(rest)) {
		return ix, ErrTruncated
	}
	if err := json.Unmarshal(rest[:n], &ix.Header); err != nil {
		return ix, fmt.Errorf("header: %w", err)
	}
	if err := ix.check(); err != nil {
		return ix, fmt.Errorf("header: %w", err)
	}
	rest = rest[n:]
	if want := int64(ix.Count) * recordSize; int64(len(rest)) != want {
		return ix, fmt.Errorf("%w: %d bytes of records, want %d for %d images", ErrTruncated, len(rest), want, ix.Count)
	}
	ix.Records = make([]Record, ix.Count)
	for i := range ix.Records {
		r, err := ix.record(rest[i*recordSize:])
		if err != nil {
			return ix, fmt.Errorf("image %d: %w", i, err)
		}
		ix.Records[i] = r
	}
	return ix, nil
}

const maxSide = 1 << 15 // pixels; keeps every product of sizes far from overflow

func (h Header) check() error {
	switch {
	case h.Channels != 1 && h.Channels != 3:
		return fmt.Errorf("%d channels, want 1 or 3", h.Channels)
	case h.Classes < 1 || h.Classes > math.MaxInt32:
		return fmt.Errorf("%d classes", h.Classes)
	case h.Count < 0 || h.Count > math.MaxInt32:
		return fmt.Errorf("%d images", h.Count)
	case h.Encoding == Raw && (h.Height < 1 || h.Width < 1 || h.Height > maxSide || h.Width > maxSide):
		return fmt.Errorf("images of %d×%d pixels", h.Height, h.Width)
	case h.Encoding == Raw && len(h.Files) > 0:
		return errors.New("a raw part names no files")
	case h.Encoding != Raw && h.Encoding != Encoded:
		return fmt.Errorf("unknown encoding %q", h.Encoding)
	case h.Encoding == Encoded && !slices.Contains(h.Orientation.Choices(), string(h.Orientation)):
		return fmt.Errorf("unknown orientation %q", h.Orientation)
	case h.Encoding == Encoded && !slices.Contains(h.SixteenBit.Choices(), string(h.SixteenBit)):
		return fmt.Errorf("unknown way of reading 16 bits %q", h.SixteenBit)
	}
	for _, name := range h.Files {
		if !filepath.IsLocal(filepath.FromSlash(name)) {
			return fmt.Errorf("file %q is not within the tree", name)
		}
	}
	return nil
}

func (ix Index) record(b []byte) (Record, error) {
	offset := binary.LittleEndian.Uint64(b)
	r := Record{
		Offset: int64(offset),
		File:   int(binary.LittleEndian.Uint32(b[8:])),
		Length: int(binary.LittleEndian.Uint32(b[12:])),
		Label:  int(int32(binary.LittleEndian.Uint32(b[16:]))),
	}
	switch {
	case offset > 1<<62:
		return r, fmt.Errorf("offset %d", offset)
	case r.Label < 0 || r.Label >= ix.Classes:
		return r, fmt.Errorf("label %d, want 0 … %d", r.Label, ix.Classes-1)
	case ix.Encoding == Raw && (r.File != 0 || r.Length != ix.Height*ix.Width*ix.Channels):
		return r, fmt.Errorf("%d bytes in file %d, want %d in file 0", r.Length, r.File, ix.Height*ix.Width*ix.Channels)
	case ix.Encoding == Encoded && r.File >= len(ix.Files):
		return r, fmt.Errorf("file %d of %d", r.File, len(ix.Files))
	}
	return r, nil
}
