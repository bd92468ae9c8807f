package hcl

import (
	"cmp"
	"slices"

	"eyrie/artifacts"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// values returns the variables with the values that they have.
func (m *module) values() []pipeline.Variable {
	var all []pipeline.Variable
	for _, name := range word.Keys(m.variables) {
		v := m.variables[name]
		tree := value.ConvertAny(v.named.value, name).Tree
		all = append(all, pipeline.NewVariable(name, tree, v.given, v.sensitive))
	}
	return all
}

// hidden stands in a text for the default of a sensitive variable.
const hidden = "(sensitive)"

// written returns the recipe's files and then its modules', without the defaults of
// sensitive variables: a journal, which anybody may read, keeps them.
func (r *recipe) written() []pipeline.Text {
	var all, modules []pipeline.Text
	for _, t := range r.texts {
		to := &modules
		if t == r.root.text {
			to = &all
		}
		for _, name := range t.names {
			if f := r.files[name]; f != nil {
				text := t.discreet(name, f.Bytes)
				*to = append(*to, pipeline.Text{Name: name, Digest: artifacts.Sum(text), Text: string(text)})
			}
		}
	}
	slices.SortFunc(modules, func(a, b pipeline.Text) int { return cmp.Compare(a.Name, b.Name) })
	return append(all, modules...)
}

// discreet returns a file's content without the defaults of sensitive variables.
func (t *text) discreet(name string, content []byte) []byte {
	var spans []hcl.Range
	for _, b := range t.variables {
		def, sensitive := b.Body.Attributes["default"], b.Body.Attributes["sensitive"]
		if def == nil || sensitive == nil {
			continue
		}
		if v, diags := sensitive.Expr.Value(nil); !diags.HasErrors() && v.RawEquals(cty.False) {
			continue
		}
		if at := def.Expr.Range(); at.Filename == name && at.CanSliceBytes(content) {
			spans = append(spans, at)
		}
	}
	slices.SortFunc(spans, func(a, b hcl.Range) int { return b.Start.Byte - a.Start.Byte })
	for _, s := range spans {
		content = slices.Concat(content[:s.Start.Byte], []byte(hidden), content[s.End.Byte:])
	}
	return content
}
