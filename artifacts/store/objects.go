package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"eyrie/artifacts"
)

// missing turns the error of a file that is not there, or that is something
// else, or that the disk cannot read, into ErrNotFound.
func missing(err error) error {
	for _, is := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.EISDIR, syscall.EIO} {
		if errors.Is(err, is) {
			return ErrNotFound
		}
	}
	return err
}

// Hash implements Store.
func (d *Dir) Hash(ctx context.Context, path string) (artifacts.File, error) {
	f, _, err := scan(ctx, path, d.hashFile)
	f.Path = path
	return f, err
}

// Import implements Store.
func (d *Dir) Import(ctx context.Context, path string) (artifacts.File, error) {
	f, manifest, err := scan(ctx, path, d.importFile)
	if err == nil && f.Tree {
		err = d.put(ctx, f.Digest, manifest)
	}
	if err != nil {
		return artifacts.File{}, fmt.Errorf("import %s: %w", path, err)
	}
	return f, nil
}

// key returns the name of a file in the stat cache: of what is in the store
// the path from there, so that the store may be moved, else the absolute path.
func (d *Dir) key(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	if in, ok := strings.CutPrefix(path, d.root+string(filepath.Separator)); ok {
		return in
	}
	return path
}

// hashFile is a taker that stores nothing.
func (d *Dir) hashFile(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error) {
	key := d.key(path)
	if digest, ok := d.cache.lookup(key, stampOf(fi)); ok {
		return digest, fi.Size(), nil
	}
	begin := time.Now()
	digest, st, err := readFile(ctx, path, nil)
	if err != nil {
		return digest, 0, err
	}
	d.cache.learn(key, st, digest, begin)
	return digest, st.size, nil
}

// importFile is a taker that stores the file.
func (d *Dir) importFile(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	if digest, ok := d.cache.lookup(d.key(path), stampOf(fi)); ok && d.verify(ctx, digest) == nil {
		return digest, fi.Size(), nil
	}
	if fi.Mode().IsRegular() && d.isTemp(path) {
		if digest, size, err := d.adopt(ctx, path); !errors.Is(err, errShared) {
			return digest, size, err
		}
	}
	return d.copyIn(ctx, path)
}

// copyIn stores a copy of the file.
func (d *Dir) copyIn(ctx context.Context, path string) (artifacts.Digest, int64, error) {
	var digest artifacts.Digest
	var st stamp
	begin := time.Now()
	tmp, err := d.temp()
	if err != nil {
		return digest, 0, err
	}
	err = d.disk.create(tmp, frozen, true, func(f *os.File) (err error) {
		digest, st, err = readFile(ctx, path, f)
		return err
	})
	if err != nil {
		return digest, 0, err
	}
	d.cache.learn(d.key(path), st, digest, begin)
	return digest, st.size, d.place(ctx, tmp, digest)
}

// errShared reports a file that cannot become an object without a copy.
var errShared = errors.New("the file has other names, or cannot be moved")

// adopt makes an object of a file that the store may take possession of: it
// becomes read-only and moves to its place, where a link leads from the old one.
func (d *Dir) adopt(ctx context.Context, path string) (artifacts.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	if s, ok := fi.Sys().(*syscall.Stat_t); !ok || s.Nlink != 1 {
		return artifacts.Digest{}, 0, errShared
	}
	if d.disk.freeze(f, fi.Mode().Perm()&^0o222|frozen) != nil {
		return artifacts.Digest{}, 0, errShared
	}
	digest, st, err := readOpen(ctx, f, nil)
	if err != nil {
		return digest, 0, err
	}
	if d.verify(ctx, digest) == nil {
		return digest, st.size, nil
	}
	if err := d.disk.sync(f); err != nil {
		return digest, 0, err
	}
	tmp, err := d.temp()
	if err != nil {
		return digest, 0, err
	}
	if err := d.disk.rename(path, tmp); err != nil {
		return digest, 0, errShared
	}
	if now, err := os.Lstat(tmp); err != nil || !os.SameFile(now, fi) || !isFrozen(stampOf(now)) {
		return digest, 0, fmt.Errorf("%s %w", path, errChanged)
	}
	if err := d.place(ctx, tmp, digest); err != nil {
		return digest, 0, err
	}
	_ = os.Symlink(d.objectPath(digest), path) // it may be imported again, by itself or in a tree
	return digest, st.size, nil
}

// put stores b, whose digest is given.
func (d *Dir) put(ctx context.Context, digest artifacts.Digest, b []byte) error {
	if d.verify(ctx, digest) == nil {
		return nil
	}
	tmp, err := d.temp()
	if err != nil {
		return err
	}
	err = d.disk.create(tmp, frozen, true, func(f *os.File) error { _, err := f.Write(b); return err })
	if err != nil {
		return err
	}
	return d.place(ctx, tmp, digest)
}

// place gives the frozen file at tmp, whose content has that digest, its place
// among the objects, unless it is taken by the same content already.
func (d *Dir) place(ctx context.Context, tmp string, digest artifacts.Digest) error {
	defer os.Remove(tmp) // rename leaves it if both are one file already
	if d.verify(ctx, digest) == nil {
		return nil
	}
	mine, err := os.Lstat(tmp)
	if err != nil {
		return err
	}
	begin := time.Now()
	path := d.objectPath(digest)
	if err := d.disk.publish(tmp, path); err != nil {
		return err
	}
	if now, err := os.Lstat(path); err == nil && os.SameFile(mine, now) {
		d.cache.learn(d.key(path), stampOf(now), digest, begin)
	}
	return nil
}

// verify fails with ErrNotFound or ErrDamaged if the store does not hold the
// object unchanged.
func (d *Dir) verify(ctx context.Context, digest artifacts.Digest) error {
	path := d.objectPath(digest)
	fi, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, missing(err))
	}
	st := stampOf(fi)
	if !fi.Mode().IsRegular() {
		return d.discard(digest, fi)
	}
	key := d.key(path)
	if got, ok := d.cache.lookup(key, st); ok && got == digest {
		return nil
	}
	begin := time.Now()
	got, st, err := readFile(ctx, path, nil)
	if errors.Is(err, errChanged) {
		err = ErrDamaged
	}
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, missing(err))
	}
	if got != digest {
		return d.discard(digest, fi)
	}
	d.cache.learn(key, st, digest, begin)
	return nil
}

// discard removes a damaged object, of which bad is what Lstat said, and
// returns ErrDamaged. If another process has put a good one in its place in
// the meantime it stays there. A store that cannot be written keeps it.
func (d *Dir) discard(digest artifacts.Digest, bad fs.FileInfo) error {
	path := d.objectPath(digest)
	d.cache.forget(d.key(path))
	if tmp, err := d.temp(); err == nil && d.disk.rename(path, tmp) == nil {
		if now, err := os.Lstat(tmp); err == nil && !os.SameFile(now, bad) {
			_ = d.disk.link(tmp, path) // or a third one has put one there
		}
		_ = d.disk.remove(tmp)
	}
	return fmt.Errorf("object %s: %w", digest, ErrDamaged)
}

// Open implements Store.
func (d *Dir) Open(digest artifacts.Digest) (io.ReadCloser, error) {
	fi, err := os.Lstat(d.objectPath(digest))
	if err == nil && !fi.Mode().IsRegular() {
		return nil, d.discard(digest, fi)
	}
	f, err := os.Open(d.objectPath(digest))
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", digest, missing(err))
	}
	if fi, err = f.Stat(); err != nil {
		f.Close()
		return nil, err
	}
	return &verifier{f, sha256.New(), func(sum artifacts.Digest) error {
		if sum == digest {
			return nil
		}
		return d.discard(digest, fi)
	}}, nil
}

// verifier is a reader that hands the digest of all it read to end, whose
// error takes the place of io.EOF.
type verifier struct {
	io.ReadCloser
	hash hash.Hash
	end  func(artifacts.Digest) error
}

func (v *verifier) Read(b []byte) (int, error) {
	n, err := v.ReadCloser.Read(b)
	v.hash.Write(b[:n])
	if err == io.EOF {
		if bad := v.end(artifacts.Digest(v.hash.Sum(nil))); bad != nil {
			return n, bad
		}
	}
	return n, err
}
