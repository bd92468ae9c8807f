package cli

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"eyrie/artifacts"
	"eyrie/hcl/source"
	"eyrie/pipeline"
)

// reads are the disk's files, with an account of what was read.
type reads struct {
	source.Files
	mu    sync.Mutex
	files map[string]artifacts.Digest
}

func newReads() *reads {
	return &reads{Files: source.Disk, files: make(map[string]artifacts.Digest)}
}

// ReadFile implements [source.Files].
func (r *reads) ReadFile(path string) ([]byte, error) {
	b, err := r.Files.ReadFile(path)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files[path] = artifacts.Sum(b) // of one that cannot be read, too: it may come to be
	return b, err
}

// named returns the files that functions of the recipe read, sorted: neither the recipe's
// own nor those of variables' values, which may be secrets.
func (r *reads) named(recipe *pipeline.Recipe, varFiles []string) []pipeline.Source {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := slices.Clone(varFiles)
	for _, f := range recipe.Files {
		own = append(own, f.Name)
	}
	var all []pipeline.Source
	for path, digest := range r.files {
		if !slices.Contains(own, path) {
			all = append(all, pipeline.Source{Path: path, Object: digest})
		}
	}
	slices.SortFunc(all, func(a, b pipeline.Source) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// paths returns what was read, sorted.
func (r *reads) paths() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.files))
}
