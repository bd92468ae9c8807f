package data

import (
	"context"
	"fmt"
	"io"
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

// walk lists what lies below root, in the order of names. Links are followed, as the
// tree's digest follows them and torchvision's ImageFolder: what is read is what the key
// is made of. A link that leads nowhere, or back to a folder that it is in, is an error,
// and so is what is neither a file nor a folder. Hidden folders are listed and not
// entered; a store is no part of a tree.
func walk(ctx context.Context, root string) ([]entry, error) {
	fi, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	w := walker{root: root}
	err = w.folder(ctx, "", []fs.FileInfo{fi})
	return w.entries, err
}

type walker struct {
	root    string
	entries []entry
}

func (w *walker) path(name string) string { return filepath.Join(w.root, filepath.FromSlash(name)) }

// folder lists a folder; above are the folders on the way to it and itself.
func (w *walker) folder(ctx context.Context, name string, above []fs.FileInfo) error {
	names, err := os.ReadDir(w.path(name))
	if err != nil {
		return err
	}
	for _, d := range names {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		e := entry{name: path.Join(name, d.Name())}
		fi, err := os.Stat(w.path(e.name))
		switch {
		case err != nil && d.Type()&fs.ModeSymlink != 0:
			return fmt.Errorf("%s is a link that leads nowhere (%w): mend it or remove it", e.name, err)
		case err != nil:
			return err
		case !fi.IsDir() && !fi.Mode().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder (%v): remove it", e.name, fi.Mode().Type())
		case !fi.IsDir():
			e.size = fi.Size()
			w.entries = append(w.entries, e)
			continue
		case w.isStore(e.name):
			continue
		}
		e.dir = true
		w.entries = append(w.entries, e)
		if hidden(e.name) {
			continue
		}
		for _, a := range above {
			if os.SameFile(a, fi) {
				return fmt.Errorf("%s is a link to a folder that it is in: remove it", e.name)
			}
		}
		if err := w.folder(ctx, e.name, append(above, fi)); err != nil {
			return err
		}
	}
	return nil
}

// isStore reports whether a folder is one where Eyrie keeps results.
func (w *walker) isStore(name string) bool {
	path := filepath.Join(w.path(name), "format")
	if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	const mark = `{"eyrie": "format", `
	b := make([]byte, len(mark))
	_, err = io.ReadFull(f, b)
	return err == nil && string(b) == mark
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
