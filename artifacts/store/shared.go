package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/disk"
)

// Where the bucket is not the store's directory, the directory has a copy of each
// object that was used here. A copy can be cached by its stamp, linked into a tree
// and handed to a stage by its path, as a blob behind a network cannot; so
// whatever uses objects is written once, for files, and asks have for them.

// shared reports whether the bucket is another one than the store's directory.
func (s *Store) shared() bool { return s.bucket != blob.Bucket(s.dir) }

// pull copies an object from the bucket. One whose content is not that of its
// digest is deleted there, or it would be found again by every machine and never
// be put anew; a bucket that this machine may only read keeps it.
func (s *Store) pull(ctx context.Context, digest artifacts.Digest) error {
	key := objectKey(digest)
	r, err := s.bucket.Open(ctx, key)
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, missing(err))
	}
	defer r.Close()
	verified := verify(r, digest, func() error {
		_ = s.bucket.Delete(ctx, key)
		return ErrDamaged
	})
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	err = s.dir.Write(tmp, disk.Frozen, true, func(f *os.File) error {
		_, err := disk.Copy(ctx, f, verified)
		return err
	})
	if err != nil {
		return fmt.Errorf("object %s: %w", digest, err)
	}
	return s.place(ctx, tmp, digest)
}

// push makes sure that the bucket has an object that this machine has.
func (s *Store) push(ctx context.Context, digest artifacts.Digest) error {
	_, err := s.bucket.Stat(ctx, objectKey(digest))
	if !s.shared() || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.Open(s.objectPath(digest))
	if err != nil {
		return err
	}
	defer f.Close()
	return s.bucket.Put(ctx, objectKey(digest), f)
}

// holds fails with ErrNotFound or ErrDamaged if the store does not hold the
// object. One that is in the bucket only is not read for that: pull will see
// whether it is whole.
func (s *Store) holds(ctx context.Context, digest artifacts.Digest) error {
	err := s.check(ctx, digest)
	if s.shared() && isMiss(err) {
		if _, err = s.bucket.Stat(ctx, objectKey(digest)); err != nil {
			err = fmt.Errorf("object %s: %w", digest, missing(err))
		}
	}
	return err
}
