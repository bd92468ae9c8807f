package pipeline

import (
	"maps"
	"slices"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// Referrer is a configuration with directories that are too large to copy. They are read
// where they are: the store keeps the digest of each of their files and no content. Of what
// the stage returns, the tree itself is read where it is, too, by stages that check it.
type Referrer interface {
	// References returns these directories by their attributes.
	References() map[string]artifacts.File
}

// references returns the digests of the directories that a configuration refers to.
func references(config any) map[artifacts.Digest]bool {
	all := make(map[artifacts.Digest]bool)
	if r, ok := config.(Referrer); ok {
		for _, f := range r.References() {
			all[f.Digest] = f.Tree
		}
	}
	return all
}

// checkReferences reports directories in the store: a collection may remove them.
func (a *action) checkReferences(s *store.Store) error {
	r, ok := a.config.(Referrer)
	if !ok {
		return nil
	}
	all := r.References()
	for _, attr := range slices.Sorted(maps.Keys(all)) {
		for _, path := range slices.Sorted(maps.Keys(a.inputs)) {
			if a.inputs[path].Digest == all[attr].Digest && s.Contains(path) {
				return mistake.At(attr, "%s is in the store, which may remove it: name a directory outside, or the output of the step that made it", path)
			}
		}
	}
	return nil
}

// notePlaces notes where the directories lie that the action refers to, so that what reads
// them later finds them, also where a directory was moved and the action's result is there. A
// store that cannot be written has no such reader.
func (a *action) notePlaces(s *store.Store) {
	refers := references(a.config)
	for path, f := range a.inputs {
		if refers[f.Digest] {
			_ = s.NotePlace(f.Digest, path)
		}
	}
}
