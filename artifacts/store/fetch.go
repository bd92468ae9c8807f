package store

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"eyrie/artifacts"
)

// Fetch implements Store. A file's path is its object's. A tree is laid out in
// trees/, of links to its objects where they can be, and stays there.
func (d *Dir) Fetch(ctx context.Context, f artifacts.File) (artifacts.File, error) {
	if !f.Tree {
		f.Path = d.objectPath(f.Digest)
		return f, d.verify(ctx, f.Digest)
	}
	m, err := readManifest(d.Open, f.Digest)
	if err != nil {
		return f, err
	}
	unlock, err := d.trees.lock(ctx, f.Digest, func(string) {})
	if err != nil {
		return f, err
	}
	defer unlock()
	f.Path = d.shard("trees", f.Digest.String())
	if _, err := os.Lstat(f.Path); errors.Is(err, fs.ErrNotExist) {
		if err := d.newTree(ctx, f.Path, m); err != nil {
			return f, err
		}
	}
	return f, layOut(ctx, f.Path, m, d)
}

// newTree lays out a tree that is not there yet, at once.
func (d *Dir) newTree(ctx context.Context, path string, m []entry) error {
	tmp, err := d.Temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := layOut(ctx, tmp, m, d); err != nil {
		return err
	}
	if err := d.disk.move(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// holds implements shelf: the file is the object itself, or a verified copy.
func (d *Dir) holds(ctx context.Context, e entry, path string) bool {
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != e.size || executable(fi) != (e.kind == 'x') {
		return false
	}
	if object, err := os.Lstat(d.objectPath(e.digest)); err == nil && os.SameFile(fi, object) {
		return d.verify(ctx, e.digest) == nil
	}
	digest, _, err := d.hashFile(ctx, path, fi)
	return err == nil && digest == e.digest
}

func executable(fi fs.FileInfo) bool { return fi.Mode()&0o100 != 0 }

// supply implements shelf: it links the object, or copies it.
func (d *Dir) supply(ctx context.Context, e entry, path string) error {
	if err := d.verify(ctx, e.digest); err != nil {
		return err
	}
	object := d.objectPath(e.digest)
	before, err := os.Lstat(object)
	if err != nil {
		return missing(err)
	}
	tmp, err := d.temp()
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if executable(before) != (e.kind == 'x') || d.disk.link(object, tmp) != nil {
		return d.copyOut(ctx, e, tmp, path)
	}
	if err := d.disk.rename(tmp, path); err != nil {
		return err
	}
	d.relearn(e.digest, stampOf(before))
	return nil
}

// relearn keeps the stat cache's entry of an object that had the stamp before
// it got another name, which changes its ctime and nothing else.
func (d *Dir) relearn(digest artifacts.Digest, before stamp) {
	path := d.objectPath(digest)
	fi, err := os.Lstat(path)
	if err != nil {
		return
	}
	now := stampOf(fi)
	same := before
	if same.ctime = now.ctime; now == same && isFrozen(now) {
		d.cache.relearn(d.key(path), before, now)
	}
}

// copyOut copies an object to path by way of tmp.
func (d *Dir) copyOut(ctx context.Context, e entry, tmp, path string) error {
	perm := frozen
	if e.kind == 'x' {
		perm |= 0o111
	}
	err := d.disk.create(tmp, perm, true, func(f *os.File) error {
		got, _, err := readFile(ctx, d.objectPath(e.digest), f)
		if err == nil && got != e.digest {
			err = ErrDamaged
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.disk.rename(tmp, path)
}
