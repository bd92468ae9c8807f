package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// Hash returns the handle of the file or directory tree at path, with its
// Path, without storing it. A stat cache spares hashing what has not changed.
// Symbolic links are followed, so that the digest names what a reader of path reads.
// A file's digest depends on its content alone. A tree's depends also on the names, the
// empty directories and which files the owner may execute; a store in the tree is left out.
func (s *Store) Hash(ctx context.Context, path string) (artifacts.File, error) {
	f, _, err := tree.Scan(ctx, path, disk.IsStore, s.digestFile)
	f.Path = path
	return f, err
}

// Import stores the file or directory tree at path and returns its handle,
// without a Path, which can be read from the store from then on. What lies in a
// directory of Temp may be moved, so that a link is left, which must not be
// written to. Anything else is copied and left as it is.
func (s *Store) Import(ctx context.Context, path string) (artifacts.File, error) {
	f, manifest, err := tree.Scan(ctx, path, disk.IsStore, s.importFile)
	if err == nil && f.Tree {
		err = s.importManifest(ctx, f.Digest, manifest)
	}
	if err != nil {
		return artifacts.File{}, fmt.Errorf("import %s: %w", path, err)
	}
	return f, nil
}

// Snapshot makes the file or directory tree at path, as it is now, readable from this
// machine's store and returns its handle, with the Path there: what happens at path
// afterwards does not change it. Nothing is put where others can see it.
func (s *Store) Snapshot(ctx context.Context, path string) (artifacts.File, error) {
	f, manifest, err := tree.Scan(ctx, path, disk.IsStore, s.takeFile)
	if err != nil {
		return artifacts.File{}, err
	}
	if f.Tree {
		if err := s.takeManifest(ctx, f.Digest, manifest); err != nil {
			return artifacts.File{}, err
		}
	}
	return s.Fetch(ctx, f)
}

// digestFile is a tree.DigestFunc that stores nothing.
func (s *Store) digestFile(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error) {
	key := s.key(path)
	if digest, ok := s.cache.lookup(key, disk.StampOf(fi)); ok {
		return digest, fi.Size(), nil
	}
	begin := time.Now()
	digest, st, err := disk.Read(ctx, path, nil)
	if err != nil {
		return digest, 0, err
	}
	s.cache.learn(key, st, digest, begin)
	return digest, st.Size, nil
}

// importFile is a tree.DigestFunc that stores the file.
func (s *Store) importFile(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error) {
	digest, size, err := s.takeFile(ctx, path, fi)
	if err == nil && s.shared() {
		err = s.push(ctx, digest)
	}
	return digest, size, err
}

// takeFile makes the file an object of this machine's.
func (s *Store) takeFile(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	if digest, ok := s.cache.lookup(s.key(path), disk.StampOf(fi)); ok && s.check(ctx, digest) == nil {
		return digest, fi.Size(), nil
	}
	if fi.Mode().IsRegular() && s.dir.InTemp(path) {
		if digest, size, err := s.adopt(ctx, path); !errors.Is(err, errShared) {
			return digest, size, err
		}
	}
	return s.copyIn(ctx, path)
}

// copyIn stores a copy of the file.
func (s *Store) copyIn(ctx context.Context, path string) (artifacts.Digest, int64, error) {
	var digest artifacts.Digest
	var st disk.Stamp
	begin := time.Now()
	tmp, err := s.dir.Name()
	if err != nil {
		return digest, 0, err
	}
	err = s.dir.Write(tmp, disk.Frozen, true, func(f *os.File) (err error) {
		digest, st, err = disk.Read(ctx, path, f)
		return err
	})
	if err != nil {
		return digest, 0, err
	}
	s.cache.learn(s.key(path), st, digest, begin)
	return digest, st.Size, s.place(ctx, tmp, digest)
}

// errShared reports a file that cannot become an object without a copy.
var errShared = errors.New("the file has other names, or cannot be moved")

// adopt makes an object of a file that the store may take possession of: it
// becomes read-only and moves to its place, where a link leads from the old one.
func (s *Store) adopt(ctx context.Context, path string) (artifacts.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return artifacts.Digest{}, 0, err
	}
	if sys, ok := fi.Sys().(*syscall.Stat_t); !ok || sys.Nlink != 1 {
		return artifacts.Digest{}, 0, errShared
	}
	if s.dir.Freeze(f, fi.Mode().Perm()&^0o222|disk.Frozen) != nil {
		return artifacts.Digest{}, 0, errShared
	}
	digest, st, err := disk.ReadOpen(ctx, f, nil)
	if err != nil {
		return digest, 0, err
	}
	if s.check(ctx, digest) == nil {
		return digest, st.Size, nil
	}
	if err := s.dir.Sync(f); err != nil {
		return digest, 0, err
	}
	tmp, err := s.dir.Name()
	if err != nil {
		return digest, 0, err
	}
	if err := s.dir.Rename(path, tmp); err != nil {
		return digest, 0, errShared
	}
	if now, err := os.Lstat(tmp); err != nil || !os.SameFile(now, fi) || !disk.StampOf(now).IsFrozen() {
		return digest, 0, fmt.Errorf("%s %w", path, disk.ErrChanged)
	}
	if err := s.place(ctx, tmp, digest); err != nil {
		return digest, 0, err
	}
	_ = os.Symlink(s.objectPath(digest), path) // it may be imported again, by itself or in a tree
	return digest, st.Size, nil
}

// importManifest stores a manifest, whose digest is given.
func (s *Store) importManifest(ctx context.Context, digest artifacts.Digest, manifest []byte) error {
	if err := s.takeManifest(ctx, digest, manifest); err != nil || !s.shared() {
		return err
	}
	return s.push(ctx, digest)
}

// takeManifest makes a manifest an object of this machine's.
func (s *Store) takeManifest(ctx context.Context, digest artifacts.Digest, manifest []byte) error {
	if s.check(ctx, digest) == nil {
		return nil
	}
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	write := func(f *os.File) error { _, err := f.Write(manifest); return err }
	if err := s.dir.Write(tmp, disk.Frozen, true, write); err != nil {
		return err
	}
	return s.place(ctx, tmp, digest)
}

// place gives the frozen file at tmp, whose content has that digest, its place
// among the objects, unless it is taken by the same content already. It is the one
// way to there, since the name of an object is known only once its content is
// complete on the disk.
func (s *Store) place(ctx context.Context, tmp string, digest artifacts.Digest) error {
	defer os.Remove(tmp) // rename leaves it if both are one file already
	if s.check(ctx, digest) == nil {
		return nil
	}
	mine, err := os.Lstat(tmp)
	if err != nil {
		return err
	}
	begin := time.Now()
	path := s.objectPath(digest)
	if err := s.dir.Publish(tmp, path); err != nil {
		return err
	}
	if now, err := os.Lstat(path); err == nil && os.SameFile(mine, now) {
		s.cache.learn(s.key(path), disk.StampOf(now), digest, begin)
	}
	return nil
}
