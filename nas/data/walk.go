package data

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// entry is a file or a folder of a tree.
type entry struct {
	name string // relative to the root, with forward slashes
	dir  bool
	size int64 // of a file, in bytes
}

// walk lists what lies below root, in the order of names. Root is the tree that the
// pipeline made a key of: as the store lays it out, without links, or where it lies. Links
// are followed as they were for the key (tree.Scan, which also refuses those that lead back),
// so that what is read is what was hashed. Hidden folders are listed and not entered.
func walk(ctx context.Context, root string) (entries []entry, err error) {
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	w := walker{ctx: ctx, root: root}
	err = w.folder("")
	return w.entries, err
}

type walker struct {
	ctx     context.Context // of the one call in which the walker is used
	root    string
	entries []entry
}

// folder lists what lies below a folder.
func (w *walker) folder(rel string) error {
	found, err := os.ReadDir(filepath.Join(w.root, filepath.FromSlash(rel)))
	if err != nil {
		return err
	}
	for _, d := range found {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		e, err := w.entry(path.Join(rel, d.Name()), d)
		if err != nil {
			return err
		}
		w.entries = append(w.entries, e)
		if !e.dir || hidden(e.name) {
			continue
		}
		if err := w.folder(e.name); err != nil {
			return err
		}
	}
	return nil
}

// entry describes what is in a folder, or what a link there leads to.
func (w *walker) entry(name string, d fs.DirEntry) (entry, error) {
	if d.IsDir() {
		return entry{name: name, dir: true}, nil
	}
	info := d.Info
	if d.Type()&fs.ModeSymlink != 0 {
		info = func() (fs.FileInfo, error) { return os.Stat(filepath.Join(w.root, filepath.FromSlash(name))) }
	}
	fi, err := info()
	switch {
	case err != nil:
		return entry{}, err
	case fi.IsDir():
		return entry{name: name, dir: true}, nil
	case !fi.Mode().IsRegular():
		return entry{}, fmt.Errorf("%s is neither a file nor a folder (%v)", name, fi.Mode().Type())
	}
	return entry{name: name, size: fi.Size()}, nil
}

func hidden(name string) bool { return strings.HasPrefix(path.Base(name), ".") }

// LeftOut says which files of a tree are no images of its set.
type LeftOut struct {
	Count int      `json:"count" doc:"number of files; a hidden folder counts as one"`
	Names []string `json:"names" doc:"the first of them, each with the reason"`
}

// named is how many files LeftOut names.
const named = 20

func (l *LeftOut) add(name, why string) {
	if !utf8.ValidString(name) {
		name = strconv.Quote(name)
	}
	if l.Count++; l.Count <= named {
		l.Names = append(l.Names, fmt.Sprintf("%s (%s)", name, why))
	}
}

// merge adds the files of a part of the tree, whose names there begin with prefix.
func (l *LeftOut) merge(more LeftOut, prefix string) {
	for _, name := range more.Names[:min(len(more.Names), max(0, named-l.Count))] {
		l.Names = append(l.Names, prefix+name)
	}
	l.Count += more.Count
}

// hint names a file that was left out, where that may be the mistake.
func (l LeftOut) hint() string {
	if l.Count == 0 {
		return ""
	}
	return fmt.Sprintf("; %d other files were left out, such as %s", l.Count, l.Names[0])
}

// checkName returns an error for a name that an index cannot hold.
func checkName(name string) error {
	if !utf8.ValidString(name) {
		return fmt.Errorf("the name %q is not UTF-8: rename it", name)
	}
	return nil
}
