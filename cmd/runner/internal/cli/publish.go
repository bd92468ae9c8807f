package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// publisher gives outputs that are files a path that a person can use:
// <store>/outputs/<recipe>/<output>.html, a link to what the store keeps under
// a digest. Each run of the recipe moves the links.
type publisher struct {
	store *store.Store
	dir   string
}

// publisher returns that of the recipe at path.
func (a *app) publisher(path string, store *store.Store) publisher {
	name := path
	if abs, err := filepath.Abs(path); err == nil {
		name = abs
	}
	name = strings.TrimSuffix(filepath.Base(name), ".hcl")
	return publisher{store, filepath.Join(a.storeDir(path), "outputs", name)}
}

// all gives the files in all outputs their paths.
func (p publisher) all(ctx context.Context, outputs []value) {
	for i, o := range outputs {
		if !o.Sensitive {
			outputs[i].Value = p.within(ctx, o.Name, o.Value)
		}
	}
}

// within returns v with the paths of the files in it; name is how v is called.
func (p publisher) within(ctx context.Context, name string, v any) any {
	switch v := v.(type) {
	case pipeline.Traced:
		v.Value = p.within(ctx, name, v.Value)
		return v
	case artifacts.File:
		if !v.Digest.IsZero() {
			v.Path = p.link(ctx, name, v)
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = p.within(ctx, name+"-"+strconv.Itoa(i), e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = p.within(ctx, name+"-"+k, e)
		}
		return m
	}
	return v
}

// link makes the link to a file and returns its path. Where none can be made it
// returns the path in the store, and "" where the file is not there.
func (p publisher) link(ctx context.Context, name string, f artifacts.File) string {
	kept, err := p.store.Fetch(ctx, f)
	if err != nil {
		return ""
	}
	path := filepath.Join(p.dir, fileName(name)+filepath.Ext(f.Name))
	if same(path, kept.Path) {
		return path
	}
	link := os.Link
	if f.Tree { // a directory has no hard links
		link = os.Symlink
		if kept.Path, err = filepath.Abs(kept.Path); err != nil {
			return kept.Path
		}
	}
	next := fmt.Sprintf("%s.%d~", path, os.Getpid())
	if os.MkdirAll(p.dir, 0o777) != nil || link(kept.Path, next) != nil {
		return kept.Path
	}
	if os.Rename(next, path) != nil {
		_ = os.Remove(next)
		return kept.Path
	}
	return path
}

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// fileName returns a name without what a file's name cannot hold, or should not.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
}
