package store

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"eyrie/artifacts"
)

// taker hashes or stores one file, of which fi is what stat says, and returns
// its digest and its size in bytes.
type taker func(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error)

// scan gives every file at path to take. For a file it returns the handle and
// no manifest, for a tree the handle and the manifest.
//
// Symbolic links are followed, so that a tree means what a program reads that
// opens its files; content outside of the tree is part of the digest, too. A
// store in the tree, as one lies beside the recipe, is no part of it.
func scan(ctx context.Context, path string, take taker) (artifacts.File, []byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return artifacts.File{}, nil, err
	}
	if !fi.IsDir() {
		digest, size, err := take(ctx, path, fi)
		return artifacts.File{Digest: digest, Size: size}, nil, err
	}
	w := walk{root: path}
	if err := w.dir(ctx, "", []fs.FileInfo{fi}); err != nil {
		return artifacts.File{}, nil, err
	}
	err = each(ctx, len(w.files), func(ctx context.Context, i int) (err error) {
		f := &w.files[i]
		f.digest, f.size, err = take(ctx, filepath.Join(path, filepath.FromSlash(f.path)), f.info)
		return err
	})
	if err != nil {
		return artifacts.File{}, nil, err
	}
	entries := w.empty
	for _, f := range w.files {
		entries = append(entries, f.entry)
	}
	manifest := encodeManifest(entries)
	return artifacts.File{Digest: artifacts.Sum(manifest), Size: treeSize(entries), Tree: true}, manifest, nil
}

// walk collects the files and the empty directories below root.
type walk struct {
	root  string
	files []found
	empty []entry
}

type found struct {
	entry
	info fs.FileInfo
}

// isStore tells whether a directory that has these entries is a Dir's.
func isStore(dir string, entries []fs.DirEntry) bool {
	for _, e := range entries {
		if e.Name() != "format" || !e.Type().IsRegular() {
			continue
		}
		if fi, err := e.Info(); err != nil || fi.Size() > 1000 {
			return false
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err == nil {
			_, err = unseal("format", b)
		}
		return err == nil
	}
	return false
}

// dir walks the directory rel; above are the directories on the way to it and
// itself, which a link must not lead back to.
func (w *walk) dir(ctx context.Context, rel string, above []fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	names, err := os.ReadDir(filepath.Join(w.root, filepath.FromSlash(rel)))
	if err != nil {
		return err
	}
	if rel != "" && isStore(filepath.Join(w.root, filepath.FromSlash(rel)), names) {
		return nil
	}
	if len(names) == 0 && rel != "" {
		w.empty = append(w.empty, entry{path: rel, kind: 'd'})
	}
	for _, d := range names {
		e := entry{path: path.Join(rel, d.Name()), kind: 'f'}
		full := filepath.Join(w.root, filepath.FromSlash(e.path))
		fi, err := os.Stat(full)
		if err != nil {
			return err
		}
		switch {
		case fi.IsDir():
			for _, a := range above {
				if os.SameFile(a, fi) {
					return fmt.Errorf("%s links to a directory that it is in", full)
				}
			}
			if err := w.dir(ctx, e.path, append(above, fi)); err != nil {
				return err
			}
			continue
		case fi.Mode()&0o100 != 0:
			e.kind = 'x'
		}
		w.files = append(w.files, found{e, fi})
	}
	return nil
}
