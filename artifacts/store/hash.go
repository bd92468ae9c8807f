package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"eyrie/artifacts"
)

// chunk is how much of a file is in memory at a time, in bytes, and how often
// a cancelled context is noticed.
const chunk = 1 << 18

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// errChanged reports a file that was written to while it was read.
var errChanged = errors.New("changed while it was read")

// readFile reads the regular file at path to its end, copies it to w when w is
// not nil, and returns its digest and its stamp. It fails if the file changed
// in the meantime.
func readFile(ctx context.Context, path string, w io.Writer) (artifacts.Digest, stamp, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return artifacts.Digest{}, stamp{}, err
	}
	if !fi.Mode().IsRegular() { // opening a pipe would wait for its writer
		return artifacts.Digest{}, stamp{}, fmt.Errorf("%s is neither a file nor a directory (%v)", path, fi.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return artifacts.Digest{}, stamp{}, err
	}
	defer f.Close()
	return readOpen(ctx, f, w)
}

// readOpen is readFile of an open file. Of a file that only got another name
// in the meantime, it returns the stamp that it had before.
func readOpen(ctx context.Context, f *os.File, w io.Writer) (artifacts.Digest, stamp, error) {
	fi, err := f.Stat()
	if err != nil {
		return artifacts.Digest{}, stamp{}, err
	}
	before := stampOf(fi)
	h := sha256.New()
	n, err := copyChunks(ctx, io.MultiWriter(append([]io.Writer{h}, optional(w)...)...), f)
	if err != nil {
		return artifacts.Digest{}, stamp{}, err
	}
	if fi, err = f.Stat(); err != nil {
		return artifacts.Digest{}, stamp{}, err
	}
	after := stampOf(fi)
	after.ctime = before.ctime
	if after != before || n != before.size {
		return artifacts.Digest{}, stamp{}, fmt.Errorf("%s %w", f.Name(), errChanged)
	}
	return artifacts.Digest(h.Sum(nil)), before, nil
}

func optional(w io.Writer) []io.Writer {
	if w == nil {
		return nil
	}
	return []io.Writer{w}
}

// copyChunks copies r to w until its end or until ctx is done.
func copyChunks(ctx context.Context, w io.Writer, r io.Reader) (n int64, err error) {
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

// each calls f for 0 … n-1 from a few goroutines and returns the first error,
// after which it starts no more calls. Hashing needs processors, and storing
// waits for the disk, which syncs many files together faster than one by one.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(n, max(runtime.GOMAXPROCS(0), 16)) {
		wg.Go(func() {
			for i := range next {
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
