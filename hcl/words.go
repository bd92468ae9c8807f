package hcl

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline"
)

// didYouMean returns a sentence, with a space before it, that suggests the
// candidate most like name; or nothing when none is.
func didYouMean(name string, candidates []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, c := range candidates {
		if d := levenshtein.Distance(strings.ToLower(name), strings.ToLower(c), nil); d < least || d == least && best != "" && c < best {
			best, least = c, d
		}
	}
	if best == "" || best == name {
		return ""
	}
	return fmt.Sprintf(" Did you mean %q?", best)
}

// sortedKeys returns a map's keys in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func fieldNames(t *pipeline.Type) []string {
	names := make([]string, len(t.Fields))
	for i := range t.Fields {
		names[i] = t.Fields[i].Name
	}
	return names
}

func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = strconv.Quote(s)
	}
	return strings.Join(quoted, ", ")
}

// expected says what a field takes: "a number of s, such as 0.087 or "87ms"".
func expected(f *pipeline.Field, t *pipeline.Type) string {
	switch t.Kind {
	case pipeline.Bool:
		return "true or false"
	case pipeline.Number, pipeline.Integer:
		article := map[pipeline.Kind]string{pipeline.Number: "a number", pipeline.Integer: "an integer"}[t.Kind]
		if f.Unit != "" {
			return article + " of " + f.Unit + ", such as " + exampleOf(f.Unit)
		}
		return article
	case pipeline.String:
		if len(f.OneOf) > 0 {
			return "one of " + quoteAll(f.OneOf)
		}
		return "a string"
	case pipeline.File:
		return "a file: a path in quotes, or an output that is a file"
	case pipeline.Any, pipeline.Cell:
		return "any value"
	case pipeline.Object:
		return "an " + t.String()
	}
	return "a " + t.String()
}

// docOf is a field's documentation as a comment beside it.
func docOf(f *pipeline.Field) string {
	if f.Doc == "" {
		return ""
	}
	return "  # " + f.Doc
}

// describe says what a value is, for messages. Sensitive values are not shown.
func (c *converter) describe(v cty.Value) string {
	if v.IsNull() {
		return "null"
	}
	ty := v.Type()
	if c.sensitive || !v.IsKnown() || !ty.IsPrimitiveType() {
		return typeName(ty)
	}
	if ty == cty.String {
		const most = 60 // bytes
		s := v.AsString()
		if len(s) > most {
			return fmt.Sprintf("the string %q…", s[:most])
		}
		return fmt.Sprintf("the string %q", s)
	}
	if ty == cty.Number {
		n := v.AsBigFloat()
		if e := n.MantExp(nil); e > 1100 || e < -1100 {
			return "a number" // whose digits would take long to find
		}
		return "the number " + n.Text('g', 20)
	}
	return textOf(v)
}

// hide returns the words, or nothing of them when they may contain a sensitive value.
func (c *converter) hide(words string) string {
	if c.sensitive {
		return "(sensitive)"
	}
	return words
}

// typeName names a type in an author's words, with its article.
func typeName(ty cty.Type) string {
	switch {
	case ty == cty.String:
		return "a string"
	case ty == cty.Number:
		return "a number"
	case ty == cty.Bool:
		return "a bool"
	case ty == fileType:
		return "a file"
	case ty.IsTupleType() || ty.IsListType():
		return "a list"
	case ty.IsSetType():
		return "a set"
	case ty.IsMapType():
		return "a map"
	case ty.IsObjectType():
		names := sortedKeys(ty.AttributeTypes())
		if len(names) > 6 {
			names = append(names[:6:6], "…")
		}
		return "an object {" + strings.Join(names, ", ") + "}"
	}
	return "a value"
}

// typeExpr writes a type as a recipe would.
func typeExpr(ty cty.Type) string {
	switch {
	case ty == cty.DynamicPseudoType:
		return "any"
	case ty.IsPrimitiveType() || ty.IsCapsuleType():
		return ty.FriendlyName()
	case ty.IsListType():
		return "list(" + typeExpr(ty.ElementType()) + ")"
	case ty.IsSetType():
		return "set(" + typeExpr(ty.ElementType()) + ")"
	case ty.IsMapType():
		return "map(" + typeExpr(ty.ElementType()) + ")"
	case ty.IsTupleType():
		all := make([]string, 0, ty.Length())
		for _, e := range ty.TupleElementTypes() {
			all = append(all, typeExpr(e))
		}
		return "tuple([" + strings.Join(all, ", ") + "])"
	}
	attrs := ty.AttributeTypes()
	all := make([]string, 0, len(attrs))
	for _, name := range sortedKeys(attrs) {
		all = append(all, name+" = "+typeExpr(attrs[name]))
	}
	return "object({" + strings.Join(all, ", ") + "})"
}
