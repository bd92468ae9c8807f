package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// publisher gives outputs that are files a path that a person can use, below
// <store>/outputs/<recipe>: 3fa9c2d1e0b4/report.html, a copy of what the store keeps
// under the digest that begins so. What was printed once keeps its content, whatever
// runs later. Beside it, report.html is a link to the one that was published last.
type publisher struct {
	store *store.Store
	root  string // the store's directory
	dir   string // the recipe's, in it
}

// publisher returns that of the recipe at path.
func (a *app) publisher(path string, store *store.Store) publisher {
	name := path
	if abs, err := filepath.Abs(path); err == nil {
		name = abs
	}
	name = strings.TrimSuffix(filepath.Base(name), ".hcl")
	if name == "" || name == "." || name == ".." { // of "...hcl": it must not lead out of outputs
		name = fileName(name) + "%"
	}
	root := a.storeDir(path)
	return publisher{store, root, filepath.Join(root, "outputs", name)}
}

// all gives the files in all outputs their paths.
func (p publisher) all(ctx context.Context, outputs []value) {
	for i, o := range outputs {
		if !o.Sensitive {
			outputs[i].Value = p.within(ctx, fileName(o.Name), o.Value)
		}
	}
}

// within returns v with the paths of the files in it; name is what the file's would be
// if v is one, without extension.
func (p publisher) within(ctx context.Context, name string, v any) any {
	switch v := v.(type) {
	case pipeline.Traced:
		v.Value = p.within(ctx, name, v.Value)
		return v
	case artifacts.File:
		if !v.Digest.IsZero() {
			v.Path = p.publish(ctx, shortened(name)+extension(v.Name), v)
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = p.within(ctx, name+"."+strconv.Itoa(i), e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = p.within(ctx, name+"."+fileName(k), e)
		}
		return m
	}
	return v
}

// publish returns the path of the file under that name. Where none can be made it
// returns the path in the store, and "" where the file is not there.
func (p publisher) publish(ctx context.Context, name string, f artifacts.File) string {
	kept, err := p.store.Fetch(ctx, f)
	if err != nil {
		return ""
	}
	here := f.Digest.String()[:12]
	path := filepath.Join(p.dir, here, name)
	if now, err := p.store.Hash(ctx, path); err != nil || now.Digest != f.Digest {
		if err := p.lay(kept, path); err != nil {
			return kept.Path
		}
	}
	_ = replace(filepath.Join(p.dir, name), func(next string) error { return os.Symlink(filepath.Join(here, name), next) })
	return path
}

// lay puts a copy of the file at path, and of a tree a link to where it is laid out.
// A link to a file would have the date of the store's objects, and lead whoever
// changes the file to change the store.
func (p publisher) lay(f artifacts.File, path string) error {
	if err := p.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	if f.Tree {
		to, err := filepath.Abs(f.Path)
		if err != nil {
			return err
		}
		return replace(path, func(next string) error { return os.Symlink(to, next) })
	}
	return replace(path, func(next string) error { return copyFile(next, f.Path) })
}

// mkdir makes a directory of the store's, in place of anything else there.
func (p publisher) mkdir(dir string) error {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil
	}
	if dir != p.root {
		if err := p.mkdir(filepath.Dir(dir)); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil // another process was faster
}

// copyFile makes a copy of a file, which is not to be written to.
func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in) // on some file systems, without copying
	return err
}

// replace puts at path, at once, what make makes at another.
func replace(path string, make func(next string) error) error {
	next := fmt.Sprintf("%s.%d~", path, os.Getpid())
	_ = os.Remove(next) // of a process that was killed
	err := make(next)
	if fi, e := os.Lstat(path); e == nil && fi.IsDir() {
		_ = os.RemoveAll(path)
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}

// fileName returns a name, of an output or of an entry in one, as a part of a file's
// name. No two names give the same, and none has the dot that stands between them.
func fileName(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f || strings.IndexByte(`/\:*?"<>|%.`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// extension returns that of a file's name, as far as programs go by it.
func extension(name string) string {
	const most = 20 // bytes
	if ext := filepath.Ext(name); len(ext) <= most {
		return ext
	}
	return ""
}

// shortened returns a name that a file system can hold.
func shortened(name string) string {
	const most = 200 // bytes; file systems take 255
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most-13], "") + "-" + artifacts.Sum([]byte(name)).String()[:12]
}
