package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/tree"
)

// Fetch returns the handle with its Path set to a place on this machine where its
// content, verified, can be read. The content must not be changed. It fails with
// ErrNotFound or ErrDamaged, and with an [OutsideError] for a tree that [Store.Locate] finds.
//
// A file's path is its object's. A tree is laid out in trees/, of links to its
// objects where they can be, and stays there.
func (s *Store) Fetch(ctx context.Context, f artifacts.File) (artifacts.File, error) {
	if !f.Tree {
		f.Path = s.objectPath(f.Digest)
		return f, s.have(ctx, f.Digest)
	}
	if place, ok := s.outside(ctx, f); ok {
		return f, &OutsideError{f.Digest, place}
	}
	m, err := s.manifest(ctx, f.Digest)
	if err != nil {
		return f, err
	}
	unlock, err := s.trees.lock(ctx, f.Digest, func(string) {})
	if err != nil {
		return f, err
	}
	defer unlock()
	f.Path = s.shard("trees", f.Digest.String())
	if fi, err := os.Lstat(f.Path); err != nil || !fi.IsDir() {
		if err := s.newTree(ctx, f.Path, m); err != nil {
			return f, err
		}
	}
	return f, m.LayOut(ctx, f.Path, s.layFile)
}

// manifest reads a tree's manifest from its object.
func (s *Store) manifest(ctx context.Context, digest artifacts.Digest) (tree.Manifest, error) {
	r, err := s.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	m, err := tree.Decode(b)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w: %w", digest, ErrDamaged, err)
	}
	return m, nil
}

// newTree lays out a tree that is not there yet, at once.
func (s *Store) newTree(ctx context.Context, path string, m tree.Manifest) error {
	tmp, err := s.Temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := m.LayOut(ctx, tmp, s.layFile); err != nil {
		return err
	}
	if err := s.dir.Move(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// layFile makes the file at path e, unless it is.
func (s *Store) layFile(ctx context.Context, e tree.Entry, path string) error {
	if s.isLaid(ctx, e, path) {
		return nil
	}
	if err := s.have(ctx, e.Digest); err != nil {
		return err
	}
	object := s.objectPath(e.Digest)
	before, err := os.Lstat(object)
	if err != nil {
		return missing(err)
	}
	tmp, err := s.dir.Name()
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if tree.KindOf(before) != e.Kind || s.dir.Link(object, tmp) != nil {
		return s.copyOut(ctx, e, tmp, path)
	}
	if err := s.dir.Rename(tmp, path); err != nil {
		return err
	}
	s.relearn(e.Digest, disk.StampOf(before))
	return nil
}

// isLaid reports whether the file at path is e: the object itself, or a verified
// copy.
func (s *Store) isLaid(ctx context.Context, e tree.Entry, path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != e.Size || tree.KindOf(fi) != e.Kind {
		return false
	}
	if object, err := os.Lstat(s.objectPath(e.Digest)); err == nil && os.SameFile(fi, object) {
		return s.check(ctx, e.Digest) == nil
	}
	digest, _, err := s.digestFile(ctx, path, disk.StampOf(fi))
	return err == nil && digest == e.Digest
}

// relearn keeps the stat cache's entry of an object that had the stamp before
// it got another name, which changes its ctime and nothing else.
func (s *Store) relearn(digest artifacts.Digest, before disk.Stamp) {
	path := s.objectPath(digest)
	fi, err := os.Lstat(path)
	if err != nil {
		return
	}
	now := disk.StampOf(fi)
	same := before
	if same.Ctime = now.Ctime; now == same && now.IsFrozen() {
		s.cache.relearn(s.key(path), before, now)
	}
}

// copyOut copies an object to path by way of tmp.
func (s *Store) copyOut(ctx context.Context, e tree.Entry, tmp, path string) error {
	perm := disk.Frozen
	if e.Kind == tree.Executable {
		perm |= 0o111
	}
	err := s.dir.Write(tmp, perm, true, func(f *os.File) error {
		got, _, err := disk.Read(ctx, s.objectPath(e.Digest), f)
		if err == nil && got != e.Digest {
			err = ErrDamaged
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.dir.Rename(tmp, path)
}
