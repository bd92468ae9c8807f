package store

import (
	"context"
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

// Import stores a copy of the file or directory tree at path, which outlasts a loss
// of power, and returns its handle, without a Path.
func (s *Store) Import(ctx context.Context, path string) (artifacts.File, error) {
	b := s.batch(false)
	defer b.Close()
	f, err := b.Import(ctx, path)
	if err != nil {
		return f, err
	}
	return f, b.flush(ctx)
}

// Snapshot makes the file or directory tree at path, as it is now, readable from this
// machine's store and returns its handle, with the Path there: what happens at path
// afterwards does not change it. Nothing is put where others can see it.
func (s *Store) Snapshot(ctx context.Context, path string) (artifacts.File, error) {
	b := s.batch(false)
	defer b.Close()
	f, err := b.scan(ctx, path)
	if err != nil {
		return f, err
	}
	if err := s.placeAll(ctx, b.take()); err != nil {
		return f, err
	}
	return s.Fetch(ctx, f)
}

// digestFile is a tree.DigestFunc that stores nothing.
func (s *Store) digestFile(ctx context.Context, path string, st disk.Stamp) (artifacts.Digest, int64, error) {
	key := s.key(path)
	if digest, ok := s.stats(key).lookup(key, st); ok {
		return digest, st.Size, nil
	}
	begin := time.Now()
	digest, now, err := disk.Read(ctx, path, nil)
	if err != nil {
		return digest, 0, err
	}
	s.stats(key).learn(key, now, digest, begin)
	return digest, now.Size, nil
}
