package syntax

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline/mistake"
)

// InOrder returns attributes in the order of the text.
func InOrder(attrs hclsyntax.Attributes) []*hclsyntax.Attribute {
	all := make([]*hclsyntax.Attribute, 0, len(attrs))
	for _, a := range attrs {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	return all
}

// Literal reports, cheaply, whether an expression is a plain number, bool or string.
func Literal(e hclsyntax.Expression) bool {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TemplateExpr:
		return e.IsStringLiteral()
	}
	return false
}

// MakesNothing reports whether an expression's value is one that was there before.
func MakesNothing(e hclsyntax.Expression) bool {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return MakesNothing(e.Expression)
	case *hclsyntax.RelativeTraversalExpr:
		return MakesNothing(e.Source)
	case *hclsyntax.IndexExpr:
		return MakesNothing(e.Collection)
	case *hclsyntax.ScopeTraversalExpr:
		return true
	}
	return Literal(e)
}

// Calls returns the names of the functions that an expression calls, in the order of the
// text and without repeats.
func Calls(e hclsyntax.Expression) (names []string) {
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && !slices.Contains(names, call.Name) {
			names = append(names, call.Name)
		}
		return nil
	})
	return names
}

// ConstantKey returns the key of an object's item, where that is written out.
func ConstantKey(e hclsyntax.Expression) (string, bool) {
	if k, ok := e.(*hclsyntax.ObjectConsKeyExpr); ok {
		if word := hcl.ExprAsKeyword(k.Wrapped); word != "" {
			return word, true
		}
		e = k.Wrapped
	}
	if !Literal(e) {
		return "", false
	}
	v, _ := e.Value(nil)
	if v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		return "", false
	}
	return v.AsString(), true
}

// Inner follows a path, whose first step is the attribute's own name, into an
// expression as far as that is written out: to the value there, or to its name.
func Inner(e hclsyntax.Expression, p mistake.Path, name bool) hclsyntax.Expression {
	for i := 1; i < len(p); i++ {
		key, value := child(e, p[i])
		if value == nil {
			break
		}
		if name && i == len(p)-1 {
			return key
		}
		e = value
	}
	return e
}

func child(e hclsyntax.Expression, step mistake.Step) (key, value hclsyntax.Expression) {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return child(e.Expression, step)
	case *hclsyntax.TupleConsExpr:
		if i := step.Index; step.Name == "" && 0 <= i && i < len(e.Exprs) {
			return e.Exprs[i], e.Exprs[i]
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			if name, ok := ConstantKey(item.KeyExpr); ok && name == step.Name {
				return item.KeyExpr, item.ValueExpr
			}
		}
	}
	return nil, nil
}

// IsScalar reports whether an expression is a number, true, false or null.
func IsScalar(e hclsyntax.Expression) bool {
	negative := false
	if minus, ok := e.(*hclsyntax.UnaryOpExpr); ok && minus.Op == hclsyntax.OpNegate {
		e, negative = minus.Val, true
	}
	literal, ok := e.(*hclsyntax.LiteralValueExpr)
	return ok && (!negative || literal.Val.Type() == cty.Number)
}

// Item returns what is written, within a body, for the attribute or the object's key
// whose name is between two bytes of the text; nil where there is no such name.
func Item(body *hclsyntax.Body, start, end int) hclsyntax.Expression {
	var found hclsyntax.Expression
	is := func(r hcl.Range) bool { return r.Start.Byte <= start && end <= r.End.Byte }
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		switch n := n.(type) {
		case *hclsyntax.Attribute:
			if is(n.NameRange) {
				found = n.Expr
			}
		case *hclsyntax.ObjectConsExpr:
			for _, item := range n.Items {
				if is(item.KeyExpr.Range()) {
					found = item.ValueExpr
				}
			}
		}
		return nil
	})
	return found
}
