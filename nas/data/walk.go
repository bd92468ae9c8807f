package data

import (
	"context"
	"fmt"
	"io/fs"
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
// pipeline made a key of, as the store lays it out: links were followed there (by
// tree.Scan), so that what is read is what was hashed, and there are none. Hidden folders
// are listed and not entered.
func walk(ctx context.Context, root string) (entries []entry, err error) {
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case at == root:
			return nil
		}
		name, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		e := entry{name: filepath.ToSlash(name), dir: d.IsDir()}
		if !e.dir {
			e.size, err = fileSize(e.name, d)
		}
		entries = append(entries, e)
		if err == nil && e.dir && hidden(e.name) {
			return fs.SkipDir
		}
		return err
	})
	return entries, err
}

// fileSize returns a file's bytes.
func fileSize(name string, d fs.DirEntry) (int64, error) {
	if !d.Type().IsRegular() {
		return 0, fmt.Errorf("%s is neither a file nor a folder (%v)", name, d.Type())
	}
	fi, err := d.Info()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
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
