// Package trace makes expressions whose values say where they came from, and not
// what chose them, and whose evaluation is bounded.
package trace

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
)

// Expression returns an expression that marks its value with the origins of what is in
// it, and counts what its evaluation takes. HCL lets every value that an expression looked
// at mark its result, which says too much: in
//
//	[for s in front : s.accuracy if s.latency < 0.087]
//
// the accuracies do not come from the latencies. Conditions, keys and indexes are
// wrapped so that they no longer say where they came from, and conditionals so that
// they have the marks of the branch taken.
//
// Loops are wrapped so that their turns are counted, and checked before it is known what
// they go over; templates, so that their text is counted and numbers are written in it as
// they are anywhere; operators, so that they give no number out of range.
//
// The expression itself stays as it was parsed, as an editor asks the same tree:
// nodes on the way to what is wrapped are copied, all others are shared. Most
// expressions have nothing to wrap, and come back as they are.
//
// Where typed is set, a loop over what is not known has a type if that is certain: for
// what is only converted to a type. In an operation it would be taken for a list, and what
// it becomes is no list but a tuple.
func Expression(e hclsyntax.Expression, meter *budget.Meter, typed bool) hclsyntax.Expression {
	return tracer{meter}.node(e, typed)
}

type tracer struct{ meter *budget.Meter }

func (t tracer) node(e hclsyntax.Expression, typed bool) hclsyntax.Expression {
	e, _ = t.traced(e, typed)
	return e
}

// selector traces what selects.
func (t tracer) selector(e hclsyntax.Expression) hclsyntax.Expression {
	return selector{t.node(e, false)}
}

// traced returns what Expression does, and whether that is another node.
func (t tracer) traced(e hclsyntax.Expression, typed bool) (_ hclsyntax.Expression, other bool) {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		if isNumber(e.Val) && value.IsHuge(e.Val) {
			return refused{e}, true
		}
	case *hclsyntax.ParenthesesExpr:
		if inner, other := t.traced(e.Expression, typed); other {
			return &hclsyntax.ParenthesesExpr{Expression: inner, SrcRange: e.SrcRange}, true
		}
	case *hclsyntax.RelativeTraversalExpr:
		if source, other := t.traced(e.Source, false); other {
			c := *e
			c.Source = source
			return &c, true
		}
	case *hclsyntax.FunctionCallExpr:
		if args, other := t.all(e.Args, false); other {
			c := *e
			c.Args = args
			return &c, true
		}
	case *hclsyntax.ConditionalExpr:
		c := *e
		c.Condition, c.TrueResult, c.FalseResult = t.selector(e.Condition), t.node(e.TrueResult, false), t.node(e.FalseResult, false)
		return branch{&c, t.meter}, true
	case *hclsyntax.IndexExpr:
		c := *e
		c.Collection, c.Key = t.node(e.Collection, false), t.selector(e.Key)
		return &c, true
	case *hclsyntax.TupleConsExpr:
		if exprs, other := t.all(e.Exprs, typed); other {
			c := *e
			c.Exprs = exprs
			return &c, true
		}
	case *hclsyntax.ObjectConsExpr:
		if items, other := t.items(e.Items, typed); other {
			c := *e
			c.Items = items
			return &c, true
		}
	case *hclsyntax.ForExpr:
		return t.loop(e, typed), true
	case *hclsyntax.SplatExpr: // whose Item is found in Each by its address, and is never copied
		c := *e
		c.Source, c.Each = counted{t.node(e.Source, false), t.meter, Weight(e.Each)}, t.node(e.Each, false)
		return &c, true
	case *hclsyntax.TemplateExpr:
		return t.template(e)
	case *hclsyntax.TemplateWrapExpr:
		if wrapped, other := t.traced(e.Wrapped, false); other {
			c := *e
			c.Wrapped = wrapped
			return &c, true
		}
	case *hclsyntax.TemplateJoinExpr:
		return &hclsyntax.TemplateJoinExpr{Tuple: counted{t.node(e.Tuple, false), t.meter, 0}}, true
	case *hclsyntax.BinaryOpExpr:
		c := *e
		c.LHS, c.RHS = t.node(e.LHS, false), t.node(e.RHS, false)
		return operation{&c, t.meter}, true
	case *hclsyntax.UnaryOpExpr:
		if val, other := t.traced(e.Val, false); other {
			c := *e
			c.Val = val
			return &c, true
		}
	}
	return e, false
}

// all is traced for a list: the list itself where nothing in it is another node.
func (t tracer) all(list []hclsyntax.Expression, typed bool) (_ []hclsyntax.Expression, other bool) {
	for i, e := range list {
		n, changed := t.traced(e, typed)
		if changed && !other {
			list, other = append([]hclsyntax.Expression(nil), list...), true
		}
		if changed {
			list[i] = n
		}
	}
	return list, other
}

// items is traced for an object's items.
func (t tracer) items(items []hclsyntax.ObjectConsItem, typed bool) (_ []hclsyntax.ObjectConsItem, other bool) {
	for i, item := range items {
		key, newKey := t.key(item.KeyExpr)
		value, newValue := t.traced(item.ValueExpr, typed)
		if (newKey || newValue) && !other {
			items, other = append([]hclsyntax.ObjectConsItem(nil), items...), true
		}
		if newKey || newValue {
			items[i] = hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: value}
		}
	}
	return items, other
}

// key is traced for an object's key. One that is written out came from nowhere,
// and HCL wants to recognise one that is a reference without parentheses.
func (t tracer) key(e hclsyntax.Expression) (_ hclsyntax.Expression, other bool) {
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
	c.Wrapped = texted{t.selector(key.Wrapped)}
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
type branch struct {
	*hclsyntax.ConditionalExpr
	meter *budget.Meter
}

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
	b.meter.Spend((value.Shallow(yes.val)+value.Shallow(no.val))/8, "")
	if yes.val.Type() == cty.String || no.val.Type() == cty.String { // which the other becomes
		yes.val, no.val = value.Texted(yes.val), value.Texted(no.val)
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
