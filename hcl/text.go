package hcl

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/builtin"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/hcl/source"
	"eyrie/pipeline"
)

// text is what was written at a path: the recipe, or the source of modules. It is read
// once, however many modules are made of it.
type text struct {
	path    string           // as messages call it
	dir     source.Directory // that its relative paths start from
	names   []string         // of its files
	bodies  []*hclsyntax.Body
	partial bool             // a file could not be read to its end
	context *hcl.EvalContext // functions and path

	variables map[string]*hclsyntax.Block // declared, by name
	outputs   map[string]*hclsyntax.Block
}

// textAt returns what is written at a path.
func (r *recipe) textAt(path string) *text {
	abs := path
	if a, err := filepath.Abs(path); err == nil {
		abs = a
	}
	t := r.texts[abs]
	if t == nil {
		t = &text{path: path, dir: source.Directory{Files: r.disk}}
		r.texts[abs] = t
		t.read(r, abs)
	}
	return t
}

// read parses the files.
func (t *text) read(r *recipe, abs string) {
	t.dir.Path = filepath.Dir(abs)
	if info, err := t.dir.Stat(t.path); err == nil && info.IsDir() {
		t.dir.Path = abs
	}
	names, err := filesOf(t.dir, t.path)
	switch {
	case err != nil:
		t.unreadable(r, t.path, err)
	case len(names) == 0:
		t.partial = true
		r.report(nil, "Not a recipe", "The directory %s has no *.hcl files.", t.path)
	}
	t.names = names
	for _, name := range names {
		if body := r.parse(t, name); body != nil {
			t.bodies = append(t.bodies, body)
		}
	}
	t.variables, t.outputs = t.blocks("variable"), t.blocks("output")
	t.context = &hcl.EvalContext{
		Functions: builtin.Functions(t.dir, &r.meter),
		Variables: map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{
			"recipe": cty.StringVal(t.dir.Path), "file": cty.StringVal(abs), // a directory, of a recipe in several files
		})},
	}
}

// blocks returns the blocks of a type that have one label, by that.
func (t *text) blocks(kind string) map[string]*hclsyntax.Block {
	all := make(map[string]*hclsyntax.Block)
	for _, body := range t.bodies {
		for _, b := range body.Blocks {
			if b.Type == kind && len(b.Labels) == 1 && all[b.Labels[0]] == nil {
				all[b.Labels[0]] = b
			}
		}
	}
	return all
}

// Files returns the files of the recipe at path, and those of the modules that it uses:
// path itself, or where that is a directory, the *.hcl files in it, sorted; then those of
// each module in the same way.
func Files(path string) ([]string, error) {
	names, err := filesOf(source.Disk, path)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(names); i++ {
		for _, path := range sourcesIn(names[i]) {
			more, err := filesOf(source.Disk, path)
			if err != nil {
				continue // which loading the recipe reports
			}
			for _, name := range more {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	return names, nil
}

// sourcesIn returns the paths of the modules that a file uses, as far as it can be read.
func sourcesIn(name string) (paths []string) {
	src, err := source.Disk.ReadFile(name)
	if err != nil {
		return nil
	}
	file, _ := syntax.Parse(src, name)
	body := syntax.BodyOf(file)
	if body == nil {
		return nil
	}
	for _, b := range body.Blocks {
		if path := written(b.Body, "source"); b.Type == "module" && isLocal(path) {
			paths = append(paths, filepath.Join(filepath.Dir(name), path))
		}
	}
	return paths
}

// siteFile lies beside recipes and is none; package site reads it.
const siteFile = "site.hcl"

func filesOf(files source.Files, path string) ([]string, error) {
	info, err := files.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := files.ReadDir(path)
	var names []string
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".hcl" && e.Name() != siteFile {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	return names, err
}

// unreadable reports a file that cannot be read.
func (t *text) unreadable(r *recipe, name string, err error) {
	t.partial = true
	if errors.Is(err, fs.ErrNotExist) {
		r.report(nil, "No such file", "There is no file %s.", name)
	} else {
		r.report(nil, "Cannot read file", "%s.", err)
	}
}

// parse reads one file of a text, or of variables for it. What can be read of a file with mistakes is checked as
// far as that makes sense.
func (r *recipe) parse(t *text, name string) *hclsyntax.Body {
	src, err := r.disk.ReadFile(name)
	if err != nil {
		t.unreadable(r, name, err)
		return nil
	}
	if line, bad := syntax.NotText(src); bad {
		t.partial = true
		r.report(nil, "Not a recipe", "The file %s is not text in UTF-8: see line %d.", name, line)
		return nil
	}
	file, diags := syntax.Parse(src, name)
	r.files[name] = file
	r.diags = append(r.diags, diags...)
	t.partial = t.partial || diags.HasErrors()
	return syntax.BodyOf(file)
}

// has reports whether a file is one of the text's.
func (t *text) has(file string) bool { return slices.Contains(t.names, file) }

// arguments returns the variables as what a module block has attributes for.
func (t *text) arguments() []pipeline.Field {
	var all []pipeline.Field
	for _, name := range word.Keys(t.variables) {
		body := t.variables[name].Body
		f := pipeline.Field{Name: name, Type: &pipeline.Type{Kind: pipeline.Any}, Doc: written(body, "description"), Required: body.Attributes["default"] == nil}
		if a := body.Attributes["type"]; a != nil {
			if ty, _, diags := typeexpr.TypeConstraintWithDefaults(a.Expr); !diags.HasErrors() {
				f.Type = value.Schema(ty)
			}
		}
		all = append(all, f)
	}
	return all
}

// written returns the text that an attribute is written as, "" where it is not just a text.
func written(body *hclsyntax.Body, name string) string {
	a := body.Attributes[name]
	if a == nil {
		return ""
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		return ""
	}
	return v.AsString()
}
