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

// DigestFunc hashes or stores one regular file, of which stat says st, and returns its digest
// and its size in bytes.
type DigestFunc func(ctx context.Context, path string, st disk.Stamp) (artifacts.Digest, int64, error)

// Scan gives every file at path to digest. For a file it returns the handle and no
// manifest, for a tree the handle and the manifest, sorted.
//
// Symbolic links are followed, so that the digest covers what a program reads that opens
// the tree's files, also where that lies outside of the tree. A link that leads nowhere, or
// back to a directory that it is in, is an error, and so are links by which the same
// directories are there again and again. A directory is left out if skip returns true for
// its entries.
func Scan(ctx context.Context, path string, skip func(dir string, entries []fs.DirEntry) bool, digest DigestFunc) (artifacts.File, Manifest, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return artifacts.File{}, nil, err
	}
	if !fi.IsDir() {
		if !fi.Mode().IsRegular() {
			return artifacts.File{}, nil, notFile(path, fi)
		}
		var f artifacts.File
		f.Digest, f.Size, err = digest(ctx, path, disk.StampOf(fi))
		return f, nil, err
	}
	w := walk{root: path, skip: skip, met: map[place]bool{}}
	if err := w.dir(ctx, "", []fs.FileInfo{fi}); err != nil {
		return artifacts.File{}, nil, err
	}
	m := w.found
	err = Each(ctx, len(m), func(ctx context.Context, i int) (err error) {
		if m[i].Kind == EmptyDir {
			return nil
		}
		m[i].Digest, m[i].Size, err = digest(ctx, filepath.Join(path, filepath.FromSlash(m[i].Path)), w.stamps[i])
		return err
	})
	if err != nil {
		return artifacts.File{}, nil, err
	}
	return artifacts.File{Digest: m.Digest(), Size: m.Size(), Tree: true}, m, nil
}

func notFile(path string, fi fs.FileInfo) error {
	return fmt.Errorf("%s is neither a file nor a directory (%v)", path, fi.Mode().Type())
}

// walk collects the files and the empty directories below root. A tree may have a million of
// them, so no more of each is kept than is needed.
type walk struct {
	root   string
	skip   func(dir string, entries []fs.DirEntry) bool
	found  Manifest
	stamps []disk.Stamp // of what was found

	met         map[place]bool // the directories
	once, again int            // entries of directories that were met for the first time, and of the others
}

func (w *walk) add(e Entry, st disk.Stamp) {
	w.found, w.stamps = append(w.found, e), append(w.stamps, st)
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
		w.add(Entry{Path: rel, Kind: EmptyDir}, disk.Stamp{})
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
			return notFile(full, fi)
		}
		e.Kind = KindOf(fi)
		w.add(e, disk.StampOf(fi))
	}
	return nil
}
