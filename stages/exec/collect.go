package exec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// collect returns the outputs that the program has written.
func (c Config) collect(ctx context.Context, w *workspace) (pipeline.Declared, error) {
	made := make(pipeline.Declared, len(c.Declare))
	documents := make(map[string]any)
	var all []error
	for _, name := range slices.Sorted(maps.Keys(c.Declare)) {
		o := c.Declare[name]
		var err error
		if o.isFile() {
			made[name], err = c.file(ctx, w, o)
		} else {
			made[name], err = c.value(w, name, o, documents)
		}
		if err != nil {
			all = append(all, fmt.Errorf("output %s: %w", name, err))
		}
	}
	return made, errors.Join(all...)
}

// file returns a file or directory that the program has written.
func (c Config) file(ctx context.Context, w *workspace, o Output) (artifacts.File, error) {
	at, err := w.find(o.Path)
	if err != nil {
		return artifacts.File{}, err
	}
	info, err := os.Stat(at)
	if err != nil {
		return artifacts.File{}, err
	}
	switch {
	case o.Type == "dir" && !info.IsDir():
		return artifacts.File{}, fmt.Errorf("%s is a file, and a directory was declared: write type = file", o.Path)
	case o.Type == "file" && info.IsDir():
		return artifacts.File{}, fmt.Errorf("%s is a directory, and a file was declared: write type = dir", o.Path)
	}
	err = filepath.WalkDir(at, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && d.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
			name, _ := filepath.Rel(w.dir, path)
			return fmt.Errorf("%s is a pipe, a socket or a device: only files and directories can be kept", name)
		}
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			_, err = w.within(path)
		}
		if err == nil && len(c.Secrets) > 0 && !d.IsDir() {
			err = c.free(path)
		}
		return err
	})
	return artifacts.Local(at), err
}

// find returns where an output is that the program was to write.
func (w *workspace) find(name string) (string, error) {
	at := filepath.Join(w.dir, filepath.FromSlash(name))
	if _, err := os.Lstat(at); err == nil {
		return w.within(at)
	}
	if elsewhere := w.named(filepath.Base(at)); elsewhere != "" {
		return "", fmt.Errorf("the program has not written %s; there is %s: is that it?", name, elsewhere)
	}
	return "", fmt.Errorf("the program has not written %s%s", name, w.written())
}

// within returns the path with links followed, which must not lead out of the directory.
func (w *workspace) within(path string) (string, error) {
	name, _ := filepath.Rel(w.dir, path)
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("%s is a link that leads nowhere", name)
	}
	dir, err := filepath.EvalSymlinks(w.dir)
	if err != nil {
		return "", err
	}
	if below, err := filepath.Rel(dir, real); err != nil || !filepath.IsLocal(below) {
		return "", fmt.Errorf("%s is a link that leads out of the program's directory, to %s: write the content itself", name, real)
	}
	return real, nil
}

// mostSearched is how many files are looked at in search of an output.
const mostSearched = 10_000

// named returns a file or directory of this name that is somewhere else in the directory,
// relative to it; "" where there is none.
func (w *workspace) named(base string) (found string) {
	n := 0
	_ = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if n++; err != nil || n > mostSearched {
			return fs.SkipAll
		}
		if d.Name() == base && path != w.dir {
			found, _ = filepath.Rel(w.dir, path)
			return fs.SkipAll
		}
		return nil
	})
	return found
}

// written says what the program has left in its directory beside the inputs.
func (w *workspace) written() string {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return ""
	}
	const most = 8
	var names []string
	for _, e := range entries {
		path := filepath.Join(w.dir, e.Name())
		isInput := func(f laidFile) bool {
			return f.path == path || strings.HasPrefix(f.path, path+string(filepath.Separator))
		}
		if !slices.ContainsFunc(w.laid, isInput) {
			names = append(names, e.Name())
		}
	}
	switch {
	case len(names) == 0:
		return ", nor anything else"
	case len(names) > most:
		names = append(names[:most], "…")
	}
	return "; what it has written is " + strings.Join(names, ", ")
}

// free fails where a file has one of the secrets in it: results are kept in clear.
func (c Config) free(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	overlap := 0
	for _, s := range c.Secrets {
		overlap = max(overlap, len(s))
	}
	buffer := make([]byte, 1<<20+overlap)
	kept := 0
	for {
		n, err := f.Read(buffer[kept:])
		if name := c.secretIn(buffer[:kept+n]); name != "" {
			return fmt.Errorf("%s has the value of the secret %s in it, and results are kept in clear", filepath.Base(path), name)
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		kept = copy(buffer, buffer[max(kept+n-overlap, 0):kept+n])
	}
}

// leastSecret is how long a secret is, in bytes, that is looked for in outputs: shorter
// ones are in them by chance.
const leastSecret = 6

// secretIn returns the name of a secret that is in b, "" where none is.
func (c Config) secretIn(b []byte) string {
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		if s := c.Secrets[name]; len(s) >= leastSecret && bytes.Contains(b, []byte(s)) {
			return name
		}
	}
	return ""
}
