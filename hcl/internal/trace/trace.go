// Package trace makes expressions whose values say where they came from, and not
// what chose them.
package trace

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
)

// Origins returns an expression that marks its value with the origins of what is in
// it. HCL lets every value that an expression looked at mark its result, which says
// too much: in
//
//	[for s in front : s.accuracy if s.latency < 0.087]
//
// the accuracies do not come from the latencies. Conditions, keys and indexes are
// wrapped so that they no longer say where they came from, and conditionals so that
// they have the marks of the branch taken.
//
// The expression itself stays as it was parsed, as an editor asks the same tree:
// nodes on the way to what is wrapped are copied, all others are shared. Most
// expressions have nothing to wrap, and come back as they are.
func Origins(e hclsyntax.Expression) hclsyntax.Expression {
	t, _ := traced(e)
	return t
}

// traced returns what Origins does, and whether that is another node.
func traced(e hclsyntax.Expression) (_ hclsyntax.Expression, other bool) {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		if inner, other := traced(e.Expression); other {
			return &hclsyntax.ParenthesesExpr{Expression: inner, SrcRange: e.SrcRange}, true
		}
	case *hclsyntax.RelativeTraversalExpr:
		if source, other := traced(e.Source); other {
			c := *e
			c.Source = source
			return &c, true
		}
	case *hclsyntax.FunctionCallExpr:
		if args, other := tracedAll(e.Args); other {
			c := *e
			c.Args = args
			return &c, true
		}
	case *hclsyntax.ConditionalExpr:
		c := *e
		c.Condition, c.TrueResult, c.FalseResult = selector{Origins(e.Condition)}, Origins(e.TrueResult), Origins(e.FalseResult)
		return branch{&c}, true
	case *hclsyntax.IndexExpr:
		c := *e
		c.Collection, c.Key = Origins(e.Collection), selector{Origins(e.Key)}
		return &c, true
	case *hclsyntax.TupleConsExpr:
		if exprs, other := tracedAll(e.Exprs); other {
			c := *e
			c.Exprs = exprs
			return &c, true
		}
	case *hclsyntax.ObjectConsExpr:
		if items, other := tracedItems(e.Items); other {
			c := *e
			c.Items = items
			return &c, true
		}
	case *hclsyntax.ForExpr:
		c := *e
		c.CollExpr, c.ValExpr = Origins(e.CollExpr), Origins(e.ValExpr)
		if e.KeyExpr != nil {
			c.KeyExpr = selector{Origins(e.KeyExpr)}
		}
		if e.CondExpr != nil {
			c.CondExpr = selector{Origins(e.CondExpr)}
		}
		return &c, true
	case *hclsyntax.SplatExpr: // whose Item is found in Each by its address, and is never copied
		source, other := traced(e.Source)
		each, more := traced(e.Each)
		if other || more {
			c := *e
			c.Source, c.Each = source, each
			return &c, true
		}
	case *hclsyntax.TemplateExpr:
		if parts, other := tracedAll(e.Parts); other {
			c := *e
			c.Parts = parts
			return &c, true
		}
	case *hclsyntax.TemplateWrapExpr:
		if wrapped, other := traced(e.Wrapped); other {
			c := *e
			c.Wrapped = wrapped
			return &c, true
		}
	case *hclsyntax.TemplateJoinExpr:
		if tuple, other := traced(e.Tuple); other {
			return &hclsyntax.TemplateJoinExpr{Tuple: tuple}, true
		}
	case *hclsyntax.BinaryOpExpr:
		lhs, other := traced(e.LHS)
		rhs, more := traced(e.RHS)
		if other || more {
			c := *e
			c.LHS, c.RHS = lhs, rhs
			return &c, true
		}
	case *hclsyntax.UnaryOpExpr:
		if val, other := traced(e.Val); other {
			c := *e
			c.Val = val
			return &c, true
		}
	}
	return e, false
}

// tracedAll is traced for a list: all itself where nothing in it is another node.
func tracedAll(all []hclsyntax.Expression) (_ []hclsyntax.Expression, other bool) {
	for i, e := range all {
		t, changed := traced(e)
		if changed && !other {
			all, other = append([]hclsyntax.Expression(nil), all...), true
		}
		if changed {
			all[i] = t
		}
	}
	return all, other
}

// tracedItems is traced for an object's items.
func tracedItems(items []hclsyntax.ObjectConsItem) (_ []hclsyntax.ObjectConsItem, other bool) {
	for i, item := range items {
		key, newKey := tracedKey(item.KeyExpr)
		value, newValue := traced(item.ValueExpr)
		if (newKey || newValue) && !other {
			items, other = append([]hclsyntax.ObjectConsItem(nil), items...), true
		}
		if newKey || newValue {
			items[i] = hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: value}
		}
	}
	return items, other
}

// tracedKey is traced for an object's key. One that is written out came from nowhere,
// and HCL wants to recognise one that is a reference without parentheses.
func tracedKey(e hclsyntax.Expression) (_ hclsyntax.Expression, other bool) {
	key, ok := e.(*hclsyntax.ObjectConsKeyExpr)
	if !ok {
		return e, false
	}
	if _, written := syntax.ConstantKey(key); written {
		return e, false
	}
	if _, ok := key.Wrapped.(*hclsyntax.ScopeTraversalExpr); ok {
		return e, false
	}
	c := *key
	c.Wrapped = selector{Origins(key.Wrapped)}
	return &c, true
}

// selector is an expression whose value selects others and is no part of them.
type selector struct{ hclsyntax.Expression }

// Value implements [hclsyntax.Expression].
func (s selector) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := s.Expression.Value(ctx)
	return value.WithoutOrigins(v), diags
}

// UnwrapExpression lets HCL's static analysis see what is selected by.
func (s selector) UnwrapExpression() hcl.Expression { return s.Expression }

// branch is a conditional whose result has the marks of the branch taken.
type branch struct{ *hclsyntax.ConditionalExpr }

// Value implements [hclsyntax.Expression].
func (b branch) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	cond := evaluated{Expression: b.Condition}.now(ctx)
	yes := evaluated{Expression: b.TrueResult}.now(ctx)
	no := evaluated{Expression: b.FalseResult}.now(ctx)
	test, marks := cond.val.Unmark()
	if test.IsKnown() && !test.IsNull() && test.Type() == cty.Bool {
		if test.True() {
			no.val = withoutAny(no.val)
		} else {
			yes.val = withoutAny(yes.val)
		}
	}
	cond.val = test.WithMarks(marks)
	c := *b.ConditionalExpr
	c.Condition, c.TrueResult, c.FalseResult = cond, yes, no
	return c.Value(ctx)
}

// withoutAny returns v without the marks on itself.
func withoutAny(v cty.Value) cty.Value {
	v, _ = v.Unmark()
	return v
}

// evaluated is an expression with its value, so that it is evaluated once.
type evaluated struct {
	hclsyntax.Expression
	val   cty.Value
	diags hcl.Diagnostics
}

func (e evaluated) now(ctx *hcl.EvalContext) evaluated {
	e.val, e.diags = e.Expression.Value(ctx)
	return e
}

// Value implements [hclsyntax.Expression].
func (e evaluated) Value(*hcl.EvalContext) (cty.Value, hcl.Diagnostics) { return e.val, e.diags }
