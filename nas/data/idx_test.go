package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
)

func gzipped(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write(b)
	w.Close()
	return buf.Bytes()
}

// images is an IDX file of two 2×3 images.
var images = []byte("\x00\x00\x08\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x03abcdefghijkl")

func readIDX(b []byte, dims int) (items []string, err error) {
	f, err := OpenIDX(bytes.NewReader(b), dims)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, f.ItemSize())
	for {
		if err := f.Next(buf); err == io.EOF {
			return items, nil
		} else if err != nil {
			return nil, err
		}
		items = append(items, string(buf))
	}
}

// Items come out whole, from plain and gzipped files.
func TestIDX(t *testing.T) {
	for name, b := range map[string][]byte{"plain": images, "gzip": gzipped(images)} {
		items, err := readIDX(b, 3)
		if got := strings.Join(items, " "); err != nil || got != "abcdef ghijkl" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Every kind of damage has an error of its own.
func TestIDXDamage(t *testing.T) {
	huge := bytes.Clone(images)
	huge[8], huge[12] = 0xff, 0xff
	badSum := gzipped(images)
	badSum[len(badSum)-5] ^= 1
	for _, test := range []struct {
		name string
		b    []byte
		dims int
		want error
	}{
		{"empty", nil, 3, ErrTruncated},
		{"header cut", images[:7], 3, ErrTruncated},
		{"item cut", images[:len(images)-1], 3, ErrTruncated},
		{"gzip cut", gzipped(images)[:30], 3, ErrTruncated},
		{"gzip sum", badSum, 3, gzip.ErrChecksum},
		{"labels for images", images, 1, ErrMagic},
		{"not IDX", []byte("P5 2 3 255 abcdef"), 3, ErrMagic},
		{"floats", append([]byte{0, 0, 0xd, 3}, images[4:]...), 3, ErrMagic},
		{"garbage after gzip", append(gzipped(images), "garbage, garbage"...), 3, gzip.ErrHeader},
		{"more than declared, in another gzip", append(gzipped(images), gzipped([]byte("x"))...), 3, ErrCount},
		{"dimensions that overflow", []byte("\x00\x00\x08\x03\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff"), 3, ErrTooLarge},
		{"an item of no pixels", []byte("\x00\x00\x08\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01"), 3, ErrTooLarge},
		{"more than declared", append(bytes.Clone(images), 'x'), 3, ErrCount},
		{"huge item", huge, 3, ErrTooLarge},
	} {
		if _, err := readIDX(test.b, test.dims); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// No input makes the reader panic, loop, or yield more than it was given.
func FuzzIDX(f *testing.F) {
	f.Add(images, 3)
	f.Add(gzipped(images), 3)
	f.Add([]byte("\x00\x00\x08\x01\x00\x00\x00\x02ab"), 1)
	f.Fuzz(func(t *testing.T, b []byte, dims int) {
		if dims < 1 || dims > 4 {
			return
		}
		idx, err := OpenIDX(bytes.NewReader(b), dims)
		if err != nil || idx.ItemSize() > 1<<16 {
			return
		}
		buf := make([]byte, idx.ItemSize())
		for n := 0; idx.Next(buf) == nil; n++ {
			if n >= idx.Len() {
				t.Fatalf("item %d of %d", n, idx.Len())
			}
		}
	})
}
