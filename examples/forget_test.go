package examples_test

import (
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"eyrie/hcl"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
	"eyrie/stages"
)

// A stage checks what is known and nothing else: whatever parts of a shipped recipe's
// attributes are unknown, nothing is said to be wrong with the others.
func TestChecksReadNothingUnknown(t *testing.T) {
	recipes, err := filepath.Glob("*.hcl")
	if err != nil || len(recipes) == 0 {
		t.Fatal(recipes, err)
	}
	recipes = append(recipes, "modules/sets.hcl")
	rng := rand.New(rand.NewPCG(1, 10))
	seen := map[string]bool{}
	for _, path := range recipes {
		recipe, diags := hcl.Load(path, hcl.Options{Stages: stages.All, Environ: []string{"EYRIE_VAR_data=" + fashionMNIST(t)}})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, s := range recipe.Steps {
			attrs, err := s.Attrs(nil)
			if err != nil {
				t.Fatal(err)
			}
			seen[s.Stage.Name] = true
			values, unknown := map[string]any{}, []mistake.Path(nil)
			for name, a := range attrs {
				values[name] = a.Value
				unknown = append(unknown, a.Parts...)
			}
			all := paths(values, nil)
			for range 40 {
				forgotten := slices.Clone(unknown)
				for range 1 + rng.IntN(4) {
					forgotten = append(forgotten, all[rng.IntN(len(all))])
				}
				if err := s.Stage.Check(values, forgotten); err != nil {
					t.Errorf("%s: step %s, not knowing %v: %v", path, s.ID, forgotten, err)
				}
			}
		}
	}
	for _, s := range stages.All {
		if !seen[s.Name] {
			t.Errorf("no recipe has a stage %q", s.Name)
		}
	}
}

// paths returns the paths to all parts of a tree.
func paths(tree any, at mistake.Path) []mistake.Path {
	var all []mistake.Path
	if len(at) > 0 {
		all = append(all, at)
	}
	switch v := tree.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			all = append(all, paths(v[name], append(slices.Clip(at), mistake.Step{Name: name}))...)
		}
	case []any:
		for i, e := range v {
			all = append(all, paths(e, append(slices.Clip(at), mistake.Step{Index: i}))...)
		}
	case pipeline.Traced:
	}
	return all
}
