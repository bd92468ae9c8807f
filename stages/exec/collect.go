package exec

import (
	"cmp"
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
	case !info.IsDir() && !info.Mode().IsRegular():
		return artifacts.File{}, errKind(o.Path, info)
	case o.Type == "dir" && !info.IsDir():
		return artifacts.File{}, fmt.Errorf("%s is a file, and a directory was declared: write type = file", o.Path)
	case o.Type == "file" && info.IsDir():
		return artifacts.File{}, fmt.Errorf("%s is a directory, and a file was declared: write type = dir", o.Path)
	}
	return artifacts.Local(at), c.sound(ctx, w, at, o.Path, nil)
}

// sound fails where a file or directory that is called name has something in it that cannot
// be kept: links that lead elsewhere, what is neither file nor directory, secrets. It
// follows links, as whoever reads the output does; above are the directories that it is in.
func (c Config) sound(ctx context.Context, w *workspace, at, name string, above []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Lstat(at)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if at, err = w.within(at); err == nil {
			info, err = os.Stat(at)
		}
	}
	switch {
	case err != nil:
		return err
	case !info.IsDir() && !info.Mode().IsRegular():
		return errKind(name, info)
	case c.secretIn(name) != "":
		return fmt.Errorf("the name of a file has the value of the secret %s in it, and results are kept in clear", c.secretIn(name))
	case !info.IsDir():
		return c.free(at, name)
	case slices.Contains(above, at):
		return fmt.Errorf("%s links to a directory that it is in: remove the link", name)
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.sound(ctx, w, filepath.Join(at, e.Name()), name+"/"+e.Name(), append(above, at)); err != nil {
			return err
		}
	}
	return nil
}

// errKind says that something is neither a file nor a directory.
func errKind(name string, info fs.FileInfo) error {
	kind := "a device"
	switch mode := info.Mode(); {
	case mode&fs.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	}
	return fmt.Errorf("%s is %s, and only files and directories are kept", name, kind)
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
	if slices.ContainsFunc(w.links, func(l link) bool { return l.from == real }) {
		return real, nil // a large input, which smaller ones would be themselves
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

// free fails where a file that is called name has one of the secrets in it: results are
// kept in clear.
func (c Config) free(path, name string) error {
	overlap := 0
	for _, s := range c.hide() {
		overlap = max(overlap, len(s))
	}
	if overlap < leastSecret {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buffer := make([]byte, 1<<20+overlap)
	kept := 0
	for {
		n, err := f.Read(buffer[kept:])
		if secret := c.secretIn(string(buffer[:kept+n])); secret != "" {
			return fmt.Errorf("%s has the value of the secret %s in it, and results are kept in clear", name, secret)
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

// secretIn returns the name of a secret that is in a text, "" where none is.
func (c Config) secretIn(text string) string {
	for _, name := range slices.Sorted(maps.Keys(c.Secrets)) {
		s := c.Secrets[name]
		if len(s) >= leastSecret && slices.ContainsFunc(spellings(s), func(s string) bool { return strings.Contains(text, s) }) {
			return name
		}
	}
	return ""
}

// secretWithin returns the name of a secret that is in a document, "" where none is. In its
// text it may be escaped in ways of which there is no end.
func (c Config) secretWithin(document any) (found string) {
	switch v := document.(type) {
	case string:
		return c.secretIn(v)
	case []any:
		for i := 0; i < len(v) && found == ""; i++ {
			found = c.secretWithin(v[i])
		}
	case map[string]any:
		for key, value := range v {
			if found = cmp.Or(c.secretIn(key), c.secretWithin(value)); found != "" {
				break
			}
		}
	}
	return found
}
