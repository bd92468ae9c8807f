package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// A tree that lies outside is too large to be copied: the store has its manifest as an
// object, by which every file is known, and none of the files. They are read where they lie,
// by readers that compare what they read with digests.
//
// Where a tree lies is a matter of the machine, and in no record: outside/ab/cdef… holds the
// path at which the tree with that digest was seen last. So a tree may be moved, and what was
// made of it stays. Nothing here ever writes to such a path or removes anything there.

// OutsideError reports a tree whose files are not in the store.
type OutsideError struct {
	Digest artifacts.Digest
	Place  string // where it was seen last
}

func (e *OutsideError) Error() string {
	return fmt.Sprintf("the tree %s is not in the store: it is read where it lies, at %s, by what checks each image that it reads; for other readers, name that path, or make the data set with keep = \"copy\"", e.Digest, e.Place)
}

// Sighting is a tree outside as it was seen at a moment. Two are equal if no file of it was
// written to between them.
type Sighting struct {
	artifacts.File
	changed int64 // ns since 1970: the latest change of a file or of its inode
}

// Changed returns when a file of the tree, or its inode, was changed last.
func (s Sighting) Changed() time.Time { return time.Unix(0, s.changed) }

// Sight looks at the tree at path, and hashes what has changed since it was hashed last.
func (s *Store) Sight(ctx context.Context, path string) (Sighting, error) {
	seen, _, err := s.sight(ctx, path)
	return seen, err
}

func (s *Store) sight(ctx context.Context, path string) (seen Sighting, m tree.Manifest, err error) {
	var mu sync.Mutex
	seen.File, m, err = tree.Scan(ctx, path, disk.IsStore, func(ctx context.Context, path string, st disk.Stamp) (artifacts.Digest, int64, error) {
		mu.Lock()
		seen.changed = max(seen.changed, st.Ctime)
		mu.Unlock()
		return s.digestFile(ctx, path, st)
	})
	seen.Path = path
	return seen, m, err
}

// Refer makes the tree at path part of the batch without its files: its manifest becomes an
// object, and its place is noted.
//
// It waits until the tree's latest change is no longer racy (see statCache), two or three seconds at
// most, so that each later one shows.
func (b *Batch) Refer(ctx context.Context, path string) (Sighting, error) {
	seen, m, err := b.store.sight(ctx, path)
	for racing := 0; err == nil && racing < 2 && time.Since(seen.Changed()) < racy; racing++ {
		select {
		case <-time.After(min(racy, racy-time.Since(seen.Changed()))):
		case <-ctx.Done():
			return seen, ctx.Err()
		}
		seen, m, err = b.store.sight(ctx, path)
	}
	if err != nil || !seen.Tree {
		return seen, err
	}
	if err := b.takeManifest(ctx, seen.Digest, m); err != nil {
		return seen, err
	}
	return seen, b.store.NotePlace(seen.Digest, path)
}

// refers reports whether f is a tree that lies outside, whose manifest the batch or the store
// has.
func (b *Batch) refers(ctx context.Context, f artifacts.File) bool {
	if _, ok := b.store.outside(ctx, f); !ok {
		return false
	}
	b.mu.Lock()
	taken := b.objects[f.Digest]
	b.mu.Unlock()
	return taken || b.store.have(ctx, f.Digest) == nil
}

// NotePlace notes where on this machine a tree lies.
func (s *Store) NotePlace(digest artifacts.Digest, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if was, ok := s.placeOf(digest); ok && was == path {
		return nil
	}
	return s.dir.Replace(s.placePath(digest), []byte(path), false)
}

// placeOf returns where a tree was seen last. A note that was torn by a loss of power leads
// nowhere, and is written anew by the next run.
func (s *Store) placeOf(digest artifacts.Digest) (path string, ok bool) {
	b, err := disk.ReadFile(s.placePath(digest))
	return string(b), err == nil && filepath.IsAbs(string(b))
}

func (s *Store) placePath(digest artifacts.Digest) string {
	return s.shard(string(Outside), digest.String())
}

// Locate is Fetch that also finds a tree that lies outside, which whoever reads it must check
// file by file.
func (s *Store) Locate(ctx context.Context, f artifacts.File) (artifacts.File, error) {
	fetched, err := s.Fetch(ctx, f)
	var outside *OutsideError
	if !errors.As(err, &outside) {
		return fetched, err
	}
	if fi, err := os.Stat(outside.Place); err != nil || !fi.IsDir() {
		return f, fmt.Errorf("the tree %s was at %s, and is not there any more: put it back, or write in the recipe where it is now", f.Digest, outside.Place)
	}
	f.Path = outside.Place
	return f, nil
}

// outside returns the place of a tree that lies outside: it is known, and the store does not
// have the files.
func (s *Store) outside(ctx context.Context, f artifacts.File) (place string, ok bool) {
	if !f.Tree {
		return "", false
	}
	if place, ok = s.placeOf(f.Digest); !ok {
		return "", false
	}
	return place, s.lacksFirst(ctx, f.Digest) || isMiss(s.Holds(ctx, f))
}

// lacksFirst reports whether the first file of a tree is not in the store. A manifest of a
// million files takes seconds to read whole, and almost always this says all.
func (s *Store) lacksFirst(ctx context.Context, digest artifacts.Digest) bool {
	f, err := disk.OpenFile(s.objectPath(digest))
	if err != nil {
		return false
	}
	defer f.Close()
	e, err := tree.First(f)
	return err == nil && isMiss(s.check(ctx, e.Digest))
}

// Contains reports whether a path is in the store's own directory.
func (s *Store) Contains(path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path == s.dir.Path() || strings.HasPrefix(path, s.dir.Path()+string(filepath.Separator))
}

// keptPlaces lists the notes of where trees lie.
func (s *Store) keptPlaces() ([]*Kept, error) { return s.keptByDigest(Outside) }
