package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"eyrie/artifacts"
)

// shelf knows how one file of a tree gets to its place.
type shelf interface {
	// holds tells whether the file at path is e, unchanged.
	holds(ctx context.Context, e entry, path string) bool
	// supply makes the file at path e, at once.
	supply(ctx context.Context, e entry, path string) error
}

// layOut makes the directory at root hold the files of m and nothing else. What
// is right already stays; so it also repairs a tree, even while others read it.
func layOut(ctx context.Context, root string, m []entry, s shelf) error {
	wanted := map[string]bool{".": true} // path in the tree: is a directory
	var files []entry
	for _, e := range m {
		if wanted[e.path] = e.kind == 'd'; e.kind != 'd' {
			files = append(files, e)
		}
		for dir := path.Dir(e.path); dir != "."; dir = path.Dir(dir) {
			wanted[dir] = true
		}
	}
	if err := clean(root, wanted); err != nil {
		return err
	}
	for _, rel := range slices.Sorted(maps.Keys(wanted)) {
		if wanted[rel] {
			if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(rel)), 0o777); err != nil {
				return err
			}
		}
	}
	return each(ctx, len(files), func(ctx context.Context, i int) error {
		at := filepath.Join(root, filepath.FromSlash(files[i].path))
		if s.holds(ctx, files[i], at) {
			return nil
		}
		return s.supply(ctx, files[i], at)
	})
}

// clean removes what is not wanted below root, and what is of another kind.
func clean(root string, wanted map[string]bool) error {
	return filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		dir, ok := wanted[filepath.ToSlash(rel)]
		switch {
		case !ok, dir != d.IsDir():
			if err := os.RemoveAll(at); err != nil || !d.IsDir() {
				return err
			}
			return fs.SkipDir
		}
		return nil
	})
}

// readManifest reads a manifest from its object.
func readManifest(open func(artifacts.Digest) (io.ReadCloser, error), digest artifacts.Digest) ([]entry, error) {
	r, err := open(digest)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	m, err := decodeManifest(b)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w: %w", digest, ErrDamaged, err)
	}
	return m, nil
}
