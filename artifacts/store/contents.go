package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// Tree returns what is in a tree: the one at its Path, if it has one, else the one that the
// store holds.
func (s *Store) Tree(ctx context.Context, f artifacts.File) (tree.Manifest, error) {
	if f.Path == "" {
		return s.manifest(ctx, f.Digest)
	}
	_, m, err := tree.Scan(ctx, f.Path, disk.IsStore, s.digestFile)
	return m, err
}

// ErrTooLong reports an object that is longer than somebody wants to read.
var ErrTooLong = errors.New("is too long")

// Content reads an object of up to limit bytes whole.
func (s *Store) Content(ctx context.Context, digest artifacts.Digest, limit int64) ([]byte, error) {
	r, err := s.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("object %s %w", digest, ErrTooLong)
	}
	return b, err
}

// Records yields every record, whether its objects are there or not, in any order. Damaged
// ones are passed over. It ends after an error.
func (s *Store) Records(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for info, err := range s.dir.List(ctx, blob.Action) {
			if err != nil {
				yield(Record{}, err)
				return
			}
			r, err := s.readRecord(ctx, info.Key.Hash)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
