package pipeline

import (
	"context"
	"slices"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// Bring fetches what a run of the plan will read of results that lie behind the store: the
// inputs of steps that run and the files among the recipe's outputs, and nothing else. It fails
// with store.ErrNotFound or store.ErrDamaged where something is not what it should be: the
// results that need it are found no more, and another plan runs their steps.
func (p *Plan) Bring(ctx context.Context, s *store.Store) error {
	if !s.Backed() {
		return nil
	}
	var files []artifacts.File
	var cached []store.Record
	for _, step := range p.Steps {
		if step.Verdict == Cached {
			cached = append(cached, *step.Record)
		} else {
			files = append(files, p.reads(step)...)
		}
	}
	outputs, err := p.Recipe.Values(&p.outputs)
	if err != nil {
		return err
	}
	for _, o := range outputs {
		files = append(files, handles(o.Value)...)
	}
	if err := s.Bring(ctx, distinct(files)); err != nil {
		return err
	}
	_ = s.KeepWhole(ctx, cached) // a store that cannot be written asks again, no more
	return ctx.Err()
}

// reads returns the artifacts that a step which runs may read: the inputs of its action, or,
// while that is not known, all that the steps gave that it needs.
func (p *Plan) reads(step *Planned) (files []artifacts.File) {
	if step.action != nil {
		return step.action.files()
	}
	for _, id := range step.Deps {
		if d := p.byID[id]; d != nil && d.Verdict == Cached {
			files = append(files, d.Record.Objects...)
		}
	}
	return files
}

// files returns the artifacts in the action's configuration that other steps made.
func (a *action) files() (files []artifacts.File) {
	local := make(map[artifacts.Digest]bool, len(a.inputs))
	for _, f := range a.inputs {
		local[f.Digest] = true
	}
	_ = eachFile(settable(a.config), func(f *artifacts.File) error {
		if !f.Digest.IsZero() && !local[f.Digest] {
			files = append(files, *f)
		}
		return nil
	})
	return distinct(files)
}

// handles returns the artifacts in a value of an output.
func handles(v any) (files []artifacts.File) {
	switch v := v.(type) {
	case artifacts.File:
		if !v.Digest.IsZero() {
			files = append(files, v)
		}
	case Traced:
		return handles(v.Value)
	case []any:
		for _, e := range v {
			files = append(files, handles(e)...)
		}
	case map[string]any:
		for _, e := range v {
			files = append(files, handles(e)...)
		}
	}
	return files
}

// distinct leaves out what was named before.
func distinct(files []artifacts.File) []artifacts.File {
	seen := map[artifacts.Digest]bool{}
	return slices.DeleteFunc(files, func(f artifacts.File) bool {
		was := seen[f.Digest]
		seen[f.Digest] = true
		return was
	})
}
