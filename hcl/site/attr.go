package site

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/internal/word"
)

// scope is what expressions of a site file may refer to: the environment, so that one file
// serves people and CI.
var scope = &hcl.EvalContext{Functions: map[string]function.Function{
	"env": function.New(&function.Spec{
		Params: []function.Parameter{{Name: "name", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.StringVal(os.Getenv(args[0].AsString())), nil
		},
	}),
}}

// value evaluates an attribute, if it is written and of the type.
func (b *block) value(name string, want cty.Type) (v cty.Value, a *hclsyntax.Attribute) {
	b.asked[name] = true
	a = b.Body.Attributes[name]
	if a == nil {
		return v, nil
	}
	v, diags := a.Expr.Value(scope)
	if diags.HasErrors() {
		b.diags = append(b.diags, diags...)
		return v, nil
	}
	v, err := convert.Convert(v, want)
	if err != nil || !v.IsWhollyKnown() || v.IsNull() {
		b.report(a.Expr.Range(), "Wrong type", "%s: want %s.", name, want.FriendlyName())
		return v, nil
	}
	return v, a
}

// text returns an attribute that is text; "" where it is not written.
func (b *block) text(name string) string {
	v, a := b.value(name, cty.String)
	if a == nil {
		return ""
	}
	return v.AsString()
}

// needed is text that must be written, and is not empty.
func (b *block) needed(name, such string) string {
	v, a := b.value(name, cty.String)
	switch {
	case b.Body.Attributes[name] == nil:
		b.report(b.DefRange(), "Missing attribute", "%s %q needs %s, such as %s = %q.", b.Type, b.Labels[0], name, name, such)
	case a == nil: // which value has reported
	case v.AsString() == "":
		b.report(a.Expr.Range(), "Wrong value", "%s is empty; write one such as %q.", name, such)
	default:
		return v.AsString()
	}
	return ""
}

// choice is text that is one of some, the first of which is the default.
func (b *block) choice(name string, of ...string) string {
	v, a := b.value(name, cty.String)
	if a == nil {
		return of[0]
	}
	if text := v.AsString(); slices.Contains(of, text) {
		return text
	}
	b.report(a.Expr.Range(), "Wrong value", "%s: want one of %s, not %q.%s", name, word.Quote(of), v.AsString(), word.DidYouMean(v.AsString(), of))
	return of[0]
}

// list returns an attribute that is a list of text.
func (b *block) list(name string) (all []string) {
	v, a := b.value(name, cty.List(cty.String))
	if a == nil {
		return nil
	}
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() {
			b.report(a.Expr.Range(), "Wrong type", "%s: an element is null.", name)
			return nil
		}
		all = append(all, e.AsString())
	}
	return all
}

// file returns an attribute that is a path; relative ones start from the site file.
func (b *block) file(name string) string {
	path := b.text(name)
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(b.dir, path)
}
