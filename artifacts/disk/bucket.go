package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"eyrie/artifacts/blob"
)

// File returns the path that the blob under key has, or would have.
func (d *Dir) File(key blob.Key) string {
	return d.root + string(filepath.Separator) + filepath.FromSlash(key.String())
}

// Stat implements blob.Bucket.
func (d *Dir) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	if err := ctx.Err(); err != nil {
		return blob.Info{}, err
	}
	fi, err := os.Lstat(d.File(key))
	if err != nil {
		return blob.Info{}, err
	}
	if !fi.Mode().IsRegular() {
		return blob.Info{}, fmt.Errorf("blob %s: %w: there is something else", key, fs.ErrNotExist)
	}
	return infoOf(key, fi), nil
}

// infoOf takes the change time, because an object's modification time is always
// the same one. A further name of a file renews it, so it may be late.
func infoOf(key blob.Key, fi fs.FileInfo) blob.Info {
	st := StampOf(fi)
	return blob.Info{Key: key, Size: st.Size, Put: time.Unix(0, st.Ctime)}
}

// Open implements blob.Bucket.
func (d *Dir) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := OpenFile(d.File(key))
	if err != nil {
		return nil, err // not f: a nil *os.File is a reader that is not nil
	}
	return f, nil
}

// Read appends the blob under key, which is small, to b.
func (d *Dir) Read(ctx context.Context, key blob.Key, b []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return b, err
	}
	return ReadSmall(d.File(key), b)
}

// Put implements blob.Bucket.
func (d *Dir) Put(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return d.put(ctx, key, content, d.Publish)
}

// Create implements blob.Bucket: the file system links to a name that is free,
// and to no other.
func (d *Dir) Create(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return d.put(ctx, key, content, func(tmp, path string) error {
		defer os.Remove(tmp)
		if err := d.Mkdir(filepath.Dir(path)); err != nil {
			return err
		}
		if err := d.Link(tmp, path); err != nil {
			return err
		}
		return d.SyncAll(nil, []string{filepath.Dir(path)})
	})
}

// put makes a file of the content and has place give it its name.
func (d *Dir) put(ctx context.Context, key blob.Key, content io.ReadSeeker, place func(tmp, path string) error) error {
	tmp, err := d.Name()
	if err != nil {
		return err
	}
	perm := Writable
	if key.Kind == blob.Object {
		perm = Frozen
	}
	err = d.Write(tmp, perm, true, func(f *os.File) error {
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := Copy(ctx, f, content)
		return err
	})
	if err != nil {
		return err
	}
	return place(tmp, d.File(key))
}

// List implements blob.Bucket.
func (d *Dir) List(ctx context.Context, kind blob.Kind) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		shards, err := ReadDir(d.Path(string(kind)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(blob.Info{}, err)
			return
		}
		for _, shard := range shards {
			if shard.IsDir() && !d.listShard(ctx, kind, shard.Name(), yield) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(blob.Info{}, err)
		}
	}
}

// listShard yields the blobs in one directory and reports whether to go on.
// It ignores files that are not blobs.
func (d *Dir) listShard(ctx context.Context, kind blob.Kind, shard string, yield func(blob.Info, error) bool) bool {
	files, err := ReadDir(d.Path(string(kind), shard))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		yield(blob.Info{}, err)
		return false
	}
	for _, f := range files {
		key, err := blob.ParseKey(string(kind) + "/" + shard + "/" + f.Name())
		if err != nil || !f.Type().IsRegular() {
			continue
		}
		fi, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		} else if err != nil {
			yield(blob.Info{}, err)
			return false
		}
		if !yield(infoOf(key, fi), nil) {
			return false
		}
	}
	return true
}

// Delete implements blob.Bucket.
func (d *Dir) Delete(ctx context.Context, key blob.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.Remove(d.File(key))
}
