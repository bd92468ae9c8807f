package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"eyrie/artifacts"
)

// chunk is how much of a file is in memory at a time, in bytes, and how often
// a cancelled context is noticed.
const chunk = 1 << 18

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// ErrChanged reports a file that was written to while it was read.
var ErrChanged = errors.New("changed while it was read")

// Read reads the regular file at path to its end, copies it to w when w is not
// nil, and returns its digest and its stamp. It fails with ErrChanged if the file
// changed meanwhile.
func Read(ctx context.Context, path string, w io.Writer) (artifacts.Digest, Stamp, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return artifacts.Digest{}, Stamp{}, err
	}
	if !fi.Mode().IsRegular() { // opening a pipe would wait for its writer
		return artifacts.Digest{}, Stamp{}, fmt.Errorf("%s is neither a file nor a directory (%v)", path, fi.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return artifacts.Digest{}, Stamp{}, err
	}
	defer f.Close()
	return ReadOpen(ctx, f, w)
}

// ReadOpen is Read for an open file. If the file only got another name in the
// meantime, it returns the stamp from before.
func ReadOpen(ctx context.Context, f *os.File, w io.Writer) (artifacts.Digest, Stamp, error) {
	fi, err := f.Stat()
	if err != nil {
		return artifacts.Digest{}, Stamp{}, err
	}
	before := StampOf(fi)
	h := sha256.New()
	n, err := Copy(ctx, io.MultiWriter(append([]io.Writer{h}, optional(w)...)...), f)
	if err != nil {
		return artifacts.Digest{}, Stamp{}, err
	}
	if fi, err = f.Stat(); err != nil {
		return artifacts.Digest{}, Stamp{}, err
	}
	after := StampOf(fi)
	after.Ctime = before.Ctime
	if after != before || n != before.Size {
		return artifacts.Digest{}, Stamp{}, fmt.Errorf("%s %w", f.Name(), ErrChanged)
	}
	return artifacts.Digest(h.Sum(nil)), before, nil
}

func optional(w io.Writer) []io.Writer {
	if w == nil {
		return nil
	}
	return []io.Writer{w}
}

// Copy copies r to w until its end or until ctx is done.
func Copy(ctx context.Context, w io.Writer, r io.Reader) (n int64, err error) {
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		k, err := r.Read(buf[:])
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return n, err
			}
			n += int64(k)
		}
		if err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}
