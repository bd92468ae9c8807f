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

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

// Open reads an object. The reader verifies: it returns ErrDamaged instead of
// io.EOF where the content does not match the digest.
func (s *Store) Open(ctx context.Context, digest artifacts.Digest) (io.ReadCloser, error) {
	if s.behind != nil {
		if err := s.have(ctx, digest); err != nil {
			return nil, err
		}
	}
	path := s.objectPath(digest)
	fi, err := os.Lstat(path)
	if err == nil && !fi.Mode().IsRegular() {
		return nil, s.discard(digest, fi)
	}
	f, err := disk.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", digest, missing(err))
	}
	if fi, err = f.Stat(); err != nil {
		f.Close()
		return nil, err
	}
	return verify(f, digest, func() error { return s.discard(digest, fi) }), nil
}

// verifier is a reader that compares all it read with a digest.
type verifier struct {
	io.ReadCloser
	hash    hash.Hash
	want    artifacts.Digest
	damaged func() error
}

// verify returns a reader of r that returns the error of damaged in place of
// io.EOF where the content is not that of the digest.
func verify(r io.ReadCloser, want artifacts.Digest, damaged func() error) io.ReadCloser {
	return &verifier{r, sha256.New(), want, damaged}
}

func (v *verifier) Read(b []byte) (int, error) {
	n, err := v.ReadCloser.Read(b)
	v.hash.Write(b[:n])
	if err == io.EOF && artifacts.Digest(v.hash.Sum(nil)) != v.want {
		return n, v.damaged()
	}
	return n, err
}

// have makes sure that this machine has the object as a file, unchanged. It fails
// with ErrNotFound or ErrDamaged.
func (s *Store) have(ctx context.Context, digest artifacts.Digest) error {
	return s.haveUpTo(ctx, digest, MostManifest)
}

// MostManifest bounds what is fetched of an object whose size no handle tells, in bytes: that of a
// tree's manifest, which may have 30 million files.
const MostManifest = 4 << 30

// haveUpTo is have for an object that is no larger than that many bytes.
func (s *Store) haveUpTo(ctx context.Context, digest artifacts.Digest, most int64) error {
	err := s.check(ctx, digest)
	if s.behind == nil || !isMiss(err) {
		return err
	}
	pulled := s.pull(ctx, digest, most)
	if errors.Is(pulled, ErrNotFound) && errors.Is(err, ErrDamaged) {
		return err // which says more: it was damaged here
	}
	return pulled
}

// isMiss reports whether err says that something is not in the store as it was.
func isMiss(err error) bool { return errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) }

// check fails with ErrNotFound or ErrDamaged if this machine does not have the
// object as a file, unchanged.
func (s *Store) check(ctx context.Context, digest artifacts.Digest) error {
	path := s.objectPath(digest)
	if stamp, regular, err := disk.Lstat(path); err == nil && regular {
		if got, ok := s.cache.lookup(s.within(path), stamp); ok && got == digest {
			return nil
		}
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, missing(err))
	}
	if !fi.Mode().IsRegular() {
		return s.discard(digest, fi)
	}
	got, _, err := s.digestFile(ctx, path, disk.StampOf(fi))
	if errors.Is(err, disk.ErrChanged) {
		err = ErrDamaged
	}
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, missing(err))
	}
	if got != digest {
		return s.discard(digest, fi)
	}
	return nil
}

// discard removes a damaged object, which Lstat described by bad, and returns
// ErrDamaged. If another process has put a good one in its place in
// the meantime it stays there. A store that cannot be written keeps it.
func (s *Store) discard(digest artifacts.Digest, bad fs.FileInfo) error {
	path := s.objectPath(digest)
	s.cache.forget(s.key(path))
	if tmp, err := s.dir.Name(); err == nil && s.dir.Rename(path, tmp) == nil {
		if now, err := os.Lstat(tmp); err == nil && !os.SameFile(now, bad) {
			_ = s.dir.Link(tmp, path) // or a third one has put one there
		}
		_ = s.dir.Remove(tmp)
	}
	return fmt.Errorf("object %s: %w", digest, ErrDamaged)
}
