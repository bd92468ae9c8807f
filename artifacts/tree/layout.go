package tree

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// LayOut makes the directory at root hold the files of m and nothing else. Place
// makes the file at path e, at once, unless it is e already. What is right stays;
// so LayOut also repairs a tree, even while others read it.
func (m Manifest) LayOut(ctx context.Context, root string, place func(ctx context.Context, e Entry, path string) error) error {
	wanted := map[string]bool{".": true} // path in the tree: is a directory
	for _, e := range m {
		wanted[e.Path] = e.Kind == EmptyDir
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
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
	return m.EachFile(ctx, func(ctx context.Context, e Entry) error {
		return place(ctx, e, filepath.Join(root, filepath.FromSlash(e.Path)))
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
