package cli

import (
	"encoding/json"

	"eyrie/pipeline"
)

// stageJSON is a stage's documentation for programs.
type stageJSON struct {
	Stage      string      `json:"stage"`
	Version    int         `json:"version"`
	Doc        string      `json:"doc"`
	Attributes []fieldJSON `json:"attributes"`
	Outputs    []fieldJSON `json:"outputs"`
}

// fieldJSON is an attribute, an output, or a part of one.
type fieldJSON struct {
	Name       string      `json:"name"`
	Type       string      `json:"type"`
	Doc        string      `json:"doc,omitempty"`
	Unit       string      `json:"unit,omitempty"`
	Required   bool        `json:"required,omitempty"`
	Nullable   bool        `json:"nullable,omitempty"`
	Default    any         `json:"default,omitempty"`
	Min        *float64    `json:"min,omitempty"`
	Max        *float64    `json:"max,omitempty"`
	OneOf      []string    `json:"one_of,omitempty"`
	NotInKey   bool        `json:"not_in_key,omitempty"` // cannot change the result
	Provenance string      `json:"provenance,omitempty"`
	Fields     []fieldJSON `json:"fields,omitempty"` // of the objects within
}

func stageDocument(s *pipeline.Stage) stageJSON {
	return stageJSON{s.Name, s.Version, s.Doc, fieldDocuments(s.Config.Fields), fieldDocuments(s.Output.Fields)}
}

func fieldDocuments(fields []pipeline.Field) []fieldJSON {
	docs := make([]fieldJSON, len(fields))
	for i, f := range fields {
		t := f.Type
		docs[i] = fieldJSON{Name: f.Name, Type: typeText(t), Doc: f.Doc, Unit: f.Unit, Required: f.Required, Nullable: t.Nullable,
			Default: f.Default, Min: f.Min, Max: f.Max, OneOf: f.OneOf, NotInKey: !f.Key, Provenance: string(f.Kind)}
		for t.Kind == pipeline.List || t.Kind == pipeline.Map {
			t = t.Elem
		}
		if t.Kind == pipeline.Object {
			docs[i].Fields = fieldDocuments(t.Fields)
		}
	}
	return docs
}

// jsonTree returns v as encoding/json reads it back: maps, lists, scalars.
func jsonTree(v any) (tree any, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return tree, json.Unmarshal(b, &tree)
}
