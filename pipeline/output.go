package pipeline

import (
	"encoding/json"
	"errors"

	"eyrie/artifacts"
)

// OutputValue is an output of a recipe, as far as known.
type OutputValue struct {
	*Output
	Attr
}

// Values evaluates the recipe's outputs. The error joins the mistakes that show only
// then; the other outputs are returned all the same.
func (r *Recipe) Values(known *Outputs) ([]OutputValue, error) {
	var all []OutputValue
	var mistakes []error
	for _, o := range r.Outputs {
		attr, err := o.Attr(known)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		all = append(all, OutputValue{o, attr})
	}
	return all, errors.Join(mistakes...)
}

// OutputNote is an output of a recipe as the journal has it.
type OutputNote struct {
	Name      string            `json:"name"`
	Type      string            `json:"type,omitempty"`    // in HCL's words
	Value     json.RawMessage   `json:"value,omitempty"`   // canonical JSON, files as handles; nil where it is sensitive, too long, or waits
	Digest    *artifacts.Digest `json:"digest,omitempty"`  // of a value that is too long
	Origins   []Origin          `json:"origins,omitempty"` // of its parts, see [Origin.At]
	Sensitive bool              `json:"sensitive,omitempty"`
	After     []string          `json:"after,omitempty"` // the steps that it waits for
}

// mostResult is how long a value of an output may be in a journal, in bytes.
const mostResult = 64 << 10

// note returns the output as the journal has it.
func (r *OutputValue) note() OutputNote {
	v := OutputNote{Name: r.Name, Type: r.Type, Sensitive: r.Sensitive, After: r.Unknown}
	switch {
	case r.Sensitive:
		v.Type = "" // an object's names may be the secret
	case len(r.Unknown) == 0:
		v.Value, v.Origins = plainJSON(r.Value), r.Origins
	}
	if len(v.Value) > mostResult {
		d := artifacts.Sum(v.Value)
		v.Value, v.Digest = nil, &d
	}
	return v
}

// plainJSON returns a tree as canonical JSON: values without origins, files as handles,
// and one that is in no store as its path.
func plainJSON(tree any) json.RawMessage {
	b, err := canonical(plain(tree))
	if err != nil {
		return nil // a tree holds nothing that has no JSON
	}
	return b
}

func plain(tree any) any {
	switch v := tree.(type) {
	case Traced:
		return plain(v.Value)
	case artifacts.File:
		if v.Digest.IsZero() {
			return v.Path
		}
		return artifacts.File{Digest: v.Digest, Size: v.Size, Tree: v.Tree, Name: v.Name}
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plain(e)
		}
		return m
	}
	return tree
}
