package value

import (
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// FieldNames returns the names of an Object's fields, in their order.
func FieldNames(t *pipeline.Type) []string {
	names := make([]string, len(t.Fields))
	for i := range t.Fields {
		names[i] = t.Fields[i].Name
	}
	return names
}

// Expected says what a field takes: "a number of s, such as 0.087 or "87ms"".
func Expected(f *pipeline.Field, t *pipeline.Type) string {
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
			return "one of " + word.Quote(f.OneOf)
		}
		return "a string"
	case pipeline.File:
		if f.Is == "dir" {
			return "a directory: a path in quotes, or an output that is one"
		}
		return "a file: a path in quotes, or an output that is a file"
	case pipeline.Any, pipeline.Cell:
		if t.Written != "" {
			return "an " + t.Written
		}
		return "any value"
	case pipeline.Object:
		return "an " + t.String()
	}
	return "a " + t.String()
}

// DocOf is a field's documentation as a comment beside it.
func DocOf(f *pipeline.Field) string {
	if f.Doc == "" {
		return ""
	}
	return "  # " + f.Doc
}

// Describe says what a value is, for messages. Sensitive values are not shown.
func Describe(v cty.Value, sensitive bool) string {
	if v.IsNull() {
		return "null"
	}
	ty := v.Type()
	if sensitive && ty.IsObjectType() {
		return "an object" // whose names may be sensitive
	}
	if sensitive || !v.IsKnown() || !ty.IsPrimitiveType() {
		return TypeName(ty)
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
		if digits := digits(v); digits != "" {
			return "the number " + digits
		}
		return "a number"
	}
	return TextOf(v)
}

// digits writes a number, unless its digits would take long to find.
func digits(v cty.Value) string {
	n := v.AsBigFloat()
	if e := n.MantExp(nil); e > 1100 || e < -1100 {
		return ""
	}
	return n.Text('g', 20)
}

// TypeName names a type in an author's words, with its article.
func TypeName(ty cty.Type) string {
	switch {
	case ty == cty.String:
		return "a string"
	case ty == cty.Number:
		return "a number"
	case ty == cty.Bool:
		return "a bool"
	case ty == FileType:
		return "a file"
	case ty.IsTupleType() || ty.IsListType():
		return "a list"
	case ty.IsSetType():
		return "a set"
	case ty.IsMapType():
		return "a map"
	case ty.IsObjectType():
		names := word.Keys(ty.AttributeTypes())
		if len(names) > 6 {
			names = append(names[:6:6], "…")
		}
		return "an object {" + strings.Join(names, ", ") + "}"
	}
	return "a value"
}

// TypeExpr writes a type as a recipe would.
func TypeExpr(ty cty.Type) string {
	switch {
	case ty == cty.DynamicPseudoType:
		return "any"
	case ty.IsPrimitiveType() || ty.IsCapsuleType():
		return ty.FriendlyName()
	case ty.IsListType():
		return "list(" + TypeExpr(ty.ElementType()) + ")"
	case ty.IsSetType():
		return "set(" + TypeExpr(ty.ElementType()) + ")"
	case ty.IsMapType():
		return "map(" + TypeExpr(ty.ElementType()) + ")"
	case ty.IsTupleType():
		all := make([]string, 0, ty.Length())
		for _, e := range ty.TupleElementTypes() {
			all = append(all, TypeExpr(e))
		}
		return "tuple([" + strings.Join(all, ", ") + "])"
	}
	attrs := ty.AttributeTypes()
	all := make([]string, 0, len(attrs))
	for _, name := range word.Keys(attrs) {
		all = append(all, name+" = "+TypeExpr(attrs[name]))
	}
	return "object({" + strings.Join(all, ", ") + "})"
}
