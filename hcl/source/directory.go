package source

import (
	"path/filepath"

	"eyrie/hcl/internal/word"
)

// Directory is where a recipe is: what its relative paths start from.
type Directory struct {
	Files
	Path string // absolute
}

// Join returns the path that a recipe means by name.
func (d Directory) Join(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(d.Path, name)
}

// Nearby suggests a file with a name similar to that of one that is not there, in
// the same directory, as a sentence with a space before it.
func (d Directory) Nearby(path string) string {
	const most = 1000 // names, beyond which the search takes longer than it is worth
	entries, err := d.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) > most {
		return ""
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return word.DidYouMean(filepath.Base(path), names)
}
