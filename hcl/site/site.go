// Package site reads a site file: what there is where recipes are run, apart from the recipes and
// in no key. Each kind of block is read by a function in blocks.
//
//	cache "s3" "team" {
//	  bucket   = "results"
//	  endpoint = "https://s3.example.org"
//	}
//
//	executor "slurm" "gpu" {
//	  takes     = { gpus = 1 }
//	  partition = "gpu"
//	}
//
//	machine {
//	  resources = { memory = "32 GiB" }
//	}
package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/word"
	"eyrie/hcl/source"
)

// Name is the name of a site file, wherever it is found.
const Name = "site.hcl"

// Site is what a site file says.
type Site struct {
	Path      string // of the file
	Caches    []Cache
	Executors []Executor // the first that takes a step performs it; this machine does, where none does
	Machine   Machine    // this one

	machine *block   // that Machine was read from; nil for none
	later   []func() // what is to be checked when all of it is read
}

// blocks are the kinds of blocks that a site file may have, each with what reads one.
var blocks = map[string]func(s *Site, b *block){
	"cache":    readCache,
	"executor": readExecutor,
	"machine":  readMachine,
}

// Find returns the site file for recipes in a directory: the one beside them, or else the
// user's own, or "".
func Find(dir string) (string, error) {
	places := []string{filepath.Join(dir, Name)}
	if config, err := os.UserConfigDir(); err == nil {
		places = append(places, filepath.Join(config, "eyrie", Name))
	}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, ".config", "eyrie", Name))
	}
	for _, path := range places {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// Load reads the site file at path. All mistakes come back at once.
func Load(path string) (*Site, diagnostic.List) {
	files := map[string]*hcl.File{}
	src, err := source.Disk.ReadFile(path)
	if err != nil {
		return nil, diagnostic.New(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Unreadable site file", Detail: err.Error()}}, files)
	}
	file, diags := syntax.Parse(src, path)
	files[path] = file
	s := &Site{Path: path}
	body := syntax.BodyOf(file)
	if body == nil {
		return nil, diagnostic.New(diags, files)
	}
	r := &reader{diags: diags}
	for _, a := range syntax.InOrder(body.Attributes) {
		r.report(a.NameRange, "Unknown attribute", "A site file has blocks alone, such as %s.", example)
	}
	for _, b := range body.Blocks {
		if read := blocks[b.Type]; read != nil {
			read(s, &block{reader: r, Block: b, dir: filepath.Dir(path), asked: map[string]bool{}})
		} else {
			r.report(b.TypeRange, "Unknown block", "A site file may have %s blocks, and no %q.%s", word.Quote(word.Keys(blocks)), b.Type, word.DidYouMean(b.Type, word.Keys(blocks)))
		}
	}
	for _, check := range s.later {
		check()
	}
	return s, diagnostic.New(r.diags, files)
}

const example = `cache "s3" "team" { … } and executor "slurm" "gpu" { … }`

// reader gathers mistakes.
type reader struct{ diags hcl.Diagnostics }

func (r *reader) report(at hcl.Range, summary, format string, args ...any) {
	r.diags = append(r.diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at})
}

// block is a block that is being read: each attribute is asked for by its name, and end
// reports those that nobody asked for.
type block struct {
	*reader
	*hclsyntax.Block
	dir   string // that relative paths start from
	asked map[string]bool
}

// labels returns the block's labels, if it has as many as it must.
func (b *block) labels(names ...string) ([]string, bool) {
	if len(b.Labels) == len(names) {
		return b.Labels, true
	}
	want := b.Type
	for _, n := range names {
		want += fmt.Sprintf(" %q", n)
	}
	b.report(b.DefRange(), "Wrong labels", "Such a block has %d labels: %s { … }", len(names), want)
	return nil, false
}

// title is what messages call the block: its type, and its first label where it has any.
func (b *block) title() string {
	if len(b.Labels) == 0 {
		return b.Type
	}
	return fmt.Sprintf("%s %q", b.Type, b.Labels[0])
}

// pos returns where an attribute is, or else the block, as "site.hcl:4".
func (b *block) pos(name string) string {
	if a := b.Body.Attributes[name]; a != nil {
		return diagnostic.Pos(a.NameRange)
	}
	return diagnostic.Pos(b.TypeRange)
}

// end reports what the block has that was not asked for.
func (b *block) end() {
	for _, inner := range b.Body.Blocks {
		b.report(inner.TypeRange, "Unknown block", "A %s block has attributes alone, and no block %q.", b.Type, inner.Type)
	}
	known := word.Keys(b.asked)
	for _, a := range syntax.InOrder(b.Body.Attributes) {
		if !b.asked[a.Name] {
			b.report(a.NameRange, "Unknown attribute", "%s has no attribute %q.%s It has %s.", b.title(), a.Name, word.DidYouMean(a.Name, known), word.Quote(known))
		}
	}
}
