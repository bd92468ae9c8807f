package tree

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"eyrie/artifacts"
)

// DigestFunc hashes or stores one file, which stat describes by fi, and returns its
// digest and its size in bytes.
type DigestFunc func(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error)

// Scan gives every file at path to digest. For a file it returns the handle and no
// manifest, for a tree the handle and the encoded manifest.
//
// Symbolic links are followed, so that the digest covers what a program reads that opens
// the tree's files, also where that lies outside of the tree. A directory is left out if
// skip returns true for its entries.
func Scan(ctx context.Context, path string, skip func(dir string, entries []fs.DirEntry) bool, digest DigestFunc) (artifacts.File, []byte, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return artifacts.File{}, nil, err
	}
	if !fi.IsDir() {
		var f artifacts.File
		f.Digest, f.Size, err = digest(ctx, path, fi)
		return f, nil, err
	}
	w := walk{root: path, skip: skip}
	if err := w.dir(ctx, "", []fs.FileInfo{fi}); err != nil {
		return artifacts.File{}, nil, err
	}
	err = each(ctx, len(w.files), func(ctx context.Context, i int) (err error) {
		f := &w.files[i]
		f.Digest, f.Size, err = digest(ctx, filepath.Join(path, filepath.FromSlash(f.Path)), f.info)
		return err
	})
	if err != nil {
		return artifacts.File{}, nil, err
	}
	entries := w.empty
	for _, f := range w.files {
		entries = append(entries, f.Entry)
	}
	manifest := entries.Encode()
	return artifacts.File{Digest: artifacts.Sum(manifest), Size: entries.Size(), Tree: true}, manifest, nil
}

// walk collects the files and the empty directories below root.
type walk struct {
	root  string
	skip  func(dir string, entries []fs.DirEntry) bool
	files []found
	empty Manifest
}

type found struct {
	Entry
	info fs.FileInfo
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
	if rel != "" && w.skip(filepath.Join(w.root, filepath.FromSlash(rel)), names) {
		return nil
	}
	if len(names) == 0 && rel != "" {
		w.empty = append(w.empty, Entry{Path: rel, Kind: EmptyDir})
	}
	for _, d := range names {
		e := Entry{Path: path.Join(rel, d.Name())}
		full := filepath.Join(w.root, filepath.FromSlash(e.Path))
		fi, err := os.Stat(full)
		if err != nil {
			return err
		}
		if fi.IsDir() {
			for _, a := range above {
				if os.SameFile(a, fi) {
					return fmt.Errorf("%s links to a directory that it is in", full)
				}
			}
			if err := w.dir(ctx, e.Path, append(above, fi)); err != nil {
				return err
			}
			continue
		}
		e.Kind = KindOf(fi)
		w.files = append(w.files, found{e, fi})
	}
	return nil
}
