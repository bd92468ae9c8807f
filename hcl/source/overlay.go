package source

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Overlay returns files with others, by their paths, laid over them: an editor's
// buffers over the disk. Relative paths start from the working directory. A buffer
// is there whether or not its file is, and so are the directories that it is in.
// The caller no longer changes the map.
func Overlay(files Files, buffers map[string][]byte) Files {
	over := overlay{files, make(map[string][]byte, len(buffers))}
	for path, text := range buffers {
		over.buffers[absolute(path)] = text
	}
	return over
}

type overlay struct {
	files   Files
	buffers map[string][]byte // by absolute path
}

// absolute returns the one path that names a file among the buffers.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}

func (o overlay) ReadFile(path string) ([]byte, error) {
	text, ok := o.buffers[absolute(path)]
	switch {
	case !ok:
		return o.files.ReadFile(path)
	case len(text) > Limit:
		return nil, refuse(path, ErrTooLarge)
	}
	return text, nil
}

func (o overlay) Stat(path string) (fs.FileInfo, error) {
	abs := absolute(path)
	if text, ok := o.buffers[abs]; ok {
		return buffer{filepath.Base(abs), int64(len(text)), 0o666}, nil
	}
	info, err := o.files.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && len(o.in(abs)) > 0 {
		return buffer{filepath.Base(abs), 0, fs.ModeDir | 0o777}, nil
	}
	return info, err
}

func (o overlay) ReadDir(path string) ([]fs.DirEntry, error) {
	over := o.in(absolute(path))
	entries, err := o.files.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) && len(over) > 0 {
		err = nil
	}
	if len(over) == 0 || err != nil {
		return entries, err
	}
	for _, e := range entries {
		if _, ok := over[e.Name()]; !ok {
			over[e.Name()] = e
		}
	}
	all := make([]fs.DirEntry, 0, len(over))
	for _, e := range over {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return all, nil
}

// in returns what the buffers put into a directory, by name.
func (o overlay) in(dir string) map[string]fs.DirEntry {
	entries := make(map[string]fs.DirEntry)
	for path, text := range o.buffers {
		rest, ok := strings.CutPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
		if !ok {
			continue
		}
		info := buffer{rest, int64(len(text)), 0o666}
		if name, _, deeper := strings.Cut(rest, string(filepath.Separator)); deeper {
			info = buffer{name, 0, fs.ModeDir | 0o777}
		}
		entries[info.name] = fs.FileInfoToDirEntry(info)
	}
	return entries
}

// buffer describes a buffer, or a directory that only buffers are in.
type buffer struct {
	name string
	size int64
	mode fs.FileMode
}

func (b buffer) Name() string       { return b.name }
func (b buffer) Size() int64        { return b.size }
func (b buffer) Mode() fs.FileMode  { return b.mode }
func (b buffer) ModTime() time.Time { return time.Time{} }
func (b buffer) IsDir() bool        { return b.mode.IsDir() }
func (b buffer) Sys() any           { return nil }
