package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// publisher gives outputs that are files a path that a person can use:
// <store>/outputs/<recipe>/3fa9c2d1e0b4/report.html, see [store.Store.Publish].
type publisher struct {
	store  *store.Store
	root   string // the store's directory, as the user calls it
	recipe string
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
	return publisher{store, a.storeDir(path), name}
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
	if path, err := p.store.Publish(ctx, f, p.recipe, name); err == nil {
		return filepath.Join(p.root, path)
	}
	kept, err := p.store.Locate(ctx, f)
	if err != nil {
		return ""
	}
	return kept.Path
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
