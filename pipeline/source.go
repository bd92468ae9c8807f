package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"eyrie/artifacts"
)

// Source is where an attribute of a step came from: another step's output, or a file that
// the recipe names. The journal keeps them, as a key has values and digests alone.
type Source struct {
	Attr   string           `json:"attr,omitempty"`   // its path: "front[2].network"; as far as known
	Step   string           `json:"step,omitempty"`   // a step's ID
	Output string           `json:"output,omitempty"` // which of its outputs
	Path   string           `json:"path,omitempty"`   // of a file that the recipe names
	Object artifacts.Digest `json:"object,omitzero"`  // its content
}

// mostSources is how many sources of a step a journal keeps.
const mostSources = 1000

// sources returns where a step's attributes came from, in the order of their names. Of a
// sensitive one only the steps are told, as a file's path may be the secret.
func sources(attrs Attrs, inputs map[string]artifacts.File) []Source {
	var all []Source
	seen := make(map[Source]bool)
	add := func(s Source) {
		if !seen[s] && len(all) < mostSources {
			seen[s] = true
			all = append(all, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		a := attrs[name]
		for _, o := range a.Origins {
			switch {
			case o.Step == "":
			case a.Sensitive:
				add(Source{Attr: name, Step: o.Step})
			default:
				add(Source{Attr: name, Step: o.Step, Output: o.Output})
			}
		}
		if a.Sensitive {
			continue
		}
		eachPath(a.Value, name, func(at, path string) {
			add(Source{Attr: at, Path: path, Object: inputs[path].Digest})
		})
	}
	return all
}

// eachPath calls f for every file in a tree that is named by its path, and says where
// that is.
func eachPath(tree any, at string, f func(at, path string)) {
	switch v := tree.(type) {
	case Traced:
		eachPath(v.Value, at, f)
	case artifacts.File:
		if v.Path != "" && v.Foreseen == "" {
			f(at, v.Path)
		}
	case []any:
		for i, e := range v {
			eachPath(e, fmt.Sprintf("%s[%d]", at, i), f)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			eachPath(v[k], at+"."+k, f)
		}
	}
}

// Sources returns where the step's attributes came from, as far as they are known.
func (p *Planned) Sources() []Source {
	var inputs map[string]artifacts.File
	if p.action != nil {
		inputs = p.action.inputs
	}
	return sources(p.Attrs, inputs)
}

// Preimage returns what the step's action is the hash of, nil while it is not known.
func (p *Planned) Preimage() []byte {
	if p.action == nil {
		return nil
	}
	return p.action.preimage
}
