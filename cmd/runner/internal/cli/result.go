package cli

import (
	"slices"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// resultType returns the type of the output in a record, which says how its numbers came
// about: of what a step declared, as it did then, and of what somebody adopted, that. It is
// nil where there is no such stage any more.
func resultType(stages []*pipeline.Stage, r store.Record) *pipeline.Type {
	key, err := pipeline.ReadKey(r.Preimage)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(stages, func(s *pipeline.Stage) bool { return s.Name == key.Stage })
	if i < 0 {
		return nil
	}
	stage := stages[i]
	if stage.Declares() {
		if stage, err = stage.Declare(key.Attributes[pipeline.Declaration]); err != nil {
			return nil // an earlier version took it
		}
	}
	if r.Adopted != nil {
		return ofKind(stage.Output, pipeline.Adopted)
	}
	return stage.Output
}

// ofKind returns the type with one kind for all of its numbers.
func ofKind(t *pipeline.Type, kind pipeline.Provenance) *pipeline.Type {
	if t == nil {
		return nil
	}
	same := *t
	same.Elem = ofKind(t.Elem, kind)
	same.Fields = slices.Clone(t.Fields)
	for i, f := range same.Fields {
		same.Fields[i].Kind, same.Fields[i].Type = kind, ofKind(f.Type, kind)
	}
	return &same
}

// kindsIn tells how the number at a path of an output of this type came about.
func kindsIn(t *pipeline.Type) func(path string) []pipeline.Provenance {
	return func(path string) []pipeline.Provenance { return kindsAt(t, path) }
}

// fieldKinds returns how the numbers in each field of an object came about.
func fieldKinds(t *pipeline.Type) map[string][]pipeline.Provenance {
	kinds := make(map[string][]pipeline.Provenance)
	if t == nil {
		return kinds
	}
	for i := range t.Fields {
		if found := provenances(&t.Fields[i]); len(found) > 0 {
			kinds[t.Fields[i].Name] = found
		}
	}
	return kinds
}
