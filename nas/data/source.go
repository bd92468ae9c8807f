package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"eyrie/artifacts"
)

// source reads the bytes of images.
type source interface {
	// read returns the record's bytes, in buf where it is large enough.
	read(r Record, buf []byte) ([]byte, error)
	// name says for people where the record lies.
	name(r Record) string
}

// pixelFile is a file of raw images.
type pixelFile struct{ io.ReaderAt }

func (f pixelFile) read(r Record, buf []byte) ([]byte, error) {
	buf = grow(buf, r.Length)
	_, err := f.ReadAt(buf, r.Offset)
	return buf, cut(err)
}

func (f pixelFile) name(r Record) string { return fmt.Sprintf("byte %d", r.Offset) }

func (f pixelFile) Close() error {
	if c, ok := f.ReaderAt.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// imageTree is a directory of image files or of tar shards. Files are opened
// for each read: next to decoding that costs nothing, and no number of shards
// exhausts the process's files.
type imageTree struct {
	root  string
	files []string
}

func (t imageTree) read(r Record, buf []byte) ([]byte, error) {
	buf, err := t.readFile(r, buf)
	switch {
	case r.Digest.IsZero():
		return buf, err
	case errors.Is(err, fs.ErrNotExist):
		return nil, t.changed(r, "is gone")
	case errors.Is(err, ErrTruncated):
		return nil, t.changed(r, "is cut")
	case err == nil && artifacts.Sum(buf) != r.Digest:
		return nil, t.changed(r, "has changed")
	}
	return buf, err
}

func (t imageTree) readFile(r Record, buf []byte) ([]byte, error) {
	f, err := os.Open(t.path(r))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf = grow(buf, r.Length)
	_, err = f.ReadAt(buf, r.Offset)
	return buf, cut(err)
}

func (t imageTree) path(r Record) string {
	return filepath.Join(t.root, filepath.FromSlash(t.files[r.File]))
}

// changed returns the error of an image that is not what its set was made of.
func (t imageTree) changed(r Record, how string) error {
	at := t.path(r)
	if r.Offset > 0 {
		at = fmt.Sprintf("%s (at byte %d)", at, r.Offset)
	}
	return fmt.Errorf("%w: %s %s since the dataset step read it: put back what it was, and what is done goes on; or run again, which makes the data set of what is there now, and all that follows from it", ErrChanged, at, how)
}

func (t imageTree) name(r Record) string {
	if r.Offset == 0 {
		return t.files[r.File]
	}
	return fmt.Sprintf("%s at byte %d", t.files[r.File], r.Offset)
}

// cut makes the end of a file inside an image a truncation.
func cut(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}

// pixels is an image: rows of channels innermost.
type pixels struct {
	height, width, channels int
	data                    []byte
	clipped                 bool // grey above 255 was made white
}

// load reads and decodes an image. The result is valid until the next load.
func (sc *scratch) load(ctx context.Context, src source, ix Index, r Record) (pixels, error) {
	b, err := src.read(r, sc.bytes)
	if err != nil {
		return pixels{}, err
	}
	sc.bytes = b
	if ix.Encoding == Raw {
		return pixels{height: ix.Height, width: ix.Width, channels: ix.Channels, data: b}, nil
	}
	img, err := sc.decoder.Decode(ctx, b, ix.Channels, ix.Reading)
	return pixels{img.Height, img.Width, img.Channels, img.Pix, img.Clipped}, err
}
