package tree

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

// DigestFunc hashes or stores one file, which stat describes by fi, and returns its
// digest and its size in bytes.
type DigestFunc func(ctx context.Context, path string, fi fs.FileInfo) (artifacts.Digest, int64, error)

// Scan gives every file at path to digest. For a file it returns the handle and no
// manifest, for a tree the handle and the encoded manifest.
//
// Symbolic links are followed, so that the digest covers what a program reads that opens
// the tree's files, also where that lies outside of the tree. A link that leads nowhere, or
// back to a directory that it is in, is an error, and so are links by which the same
// directories are there again and again. A directory is left out if skip returns true for
// its entries.
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
	w := walk{root: path, skip: skip, met: map[place]bool{}}
	if err := w.dir(ctx, "", []fs.FileInfo{fi}); err != nil {
		return artifacts.File{}, nil, err
	}
	err = Each(ctx, len(w.files), func(ctx context.Context, i int) (err error) {
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

	met         map[place]bool // the directories
	once, again int            // entries of directories that were met for the first time, and of the others
}

// place is what tells a directory from all others.
type place struct{ dev, ino uint64 }

// mostAgain is how many entries may be there again by way of links, beside ten times what
// is there once. Without a bound n directories, each with two links to the next, would be
// 2^n.
const mostAgain = 100_000

// count counts the entries of a directory.
func (w *walk) count(path string, fi fs.FileInfo, entries int) error {
	st := disk.StampOf(fi)
	at := place{st.Dev, st.Ino}
	if !w.met[at] {
		w.met[at] = true
		w.once += 1 + entries
		return nil
	}
	if w.again += 1 + entries; w.again > mostAgain+10*w.once {
		return fmt.Errorf("%s: links lead to the same directories again and again, to more than %d files: remove some of them", path, w.again-1)
	}
	return nil
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
	if err := w.count(filepath.Join(w.root, filepath.FromSlash(rel)), above[len(above)-1], len(names)); err != nil {
		return err
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
					return fmt.Errorf("%s links to a directory that it is in: remove the link", full)
				}
			}
			if err := w.dir(ctx, e.Path, append(above, fi)); err != nil {
				return err
			}
			continue
		}
		if !fi.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a directory (%v)", full, fi.Mode().Type())
		}
		e.Kind = KindOf(fi)
		w.files = append(w.files, found{e, fi})
	}
	return nil
}
