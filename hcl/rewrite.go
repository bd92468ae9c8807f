package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// HCL lets every value that an expression looked at mark its result. For the
// origin of a number that says too much: in
//
//	[for s in front : s.accuracy if s.latency < 0.087]
//
// the accuracies do not come from the latencies. trace replaces, throughout an
// expression, conditions, keys and indexes by nodes that say where they came
// from no longer, and conditionals by ones that return the marks of the branch
// that was taken.
func trace(e hclsyntax.Expression) hclsyntax.Expression {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		e.Expression = trace(e.Expression)
	case *hclsyntax.RelativeTraversalExpr:
		e.Source = trace(e.Source)
	case *hclsyntax.FunctionCallExpr:
		for i := range e.Args {
			e.Args[i] = trace(e.Args[i])
		}
	case *hclsyntax.ConditionalExpr:
		e.Condition = selector{trace(e.Condition)}
		e.TrueResult = trace(e.TrueResult)
		e.FalseResult = trace(e.FalseResult)
		return branch{e}
	case *hclsyntax.IndexExpr:
		e.Collection = trace(e.Collection)
		e.Key = selector{trace(e.Key)}
	case *hclsyntax.TupleConsExpr:
		for i := range e.Exprs {
			e.Exprs[i] = trace(e.Exprs[i])
		}
	case *hclsyntax.ObjectConsExpr:
		for i := range e.Items {
			if key, ok := e.Items[i].KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok {
				if _, written := constantKey(key); !written { // which came from nowhere, and is found by its text
					key.Wrapped = traceKey(key.Wrapped)
				}
			}
			e.Items[i].ValueExpr = trace(e.Items[i].ValueExpr)
		}
	case *hclsyntax.ForExpr:
		e.CollExpr = trace(e.CollExpr)
		e.ValExpr = trace(e.ValExpr)
		if e.KeyExpr != nil {
			e.KeyExpr = selector{trace(e.KeyExpr)}
		}
		if e.CondExpr != nil {
			e.CondExpr = selector{trace(e.CondExpr)}
		}
	case *hclsyntax.SplatExpr:
		e.Source = trace(e.Source)
		e.Each = trace(e.Each)
	case *hclsyntax.TemplateExpr:
		for i := range e.Parts {
			e.Parts[i] = trace(e.Parts[i])
		}
	case *hclsyntax.TemplateWrapExpr:
		e.Wrapped = trace(e.Wrapped)
	case *hclsyntax.TemplateJoinExpr:
		e.Tuple = trace(e.Tuple)
	case *hclsyntax.BinaryOpExpr:
		e.LHS = trace(e.LHS)
		e.RHS = trace(e.RHS)
	case *hclsyntax.UnaryOpExpr:
		e.Val = trace(e.Val)
	}
	return e
}

// traceKey is trace for an object's key, which HCL wants to recognise when it
// is a reference without parentheses.
func traceKey(e hclsyntax.Expression) hclsyntax.Expression {
	if _, ok := e.(*hclsyntax.ScopeTraversalExpr); ok {
		return e
	}
	return selector{trace(e)}
}

// selector is an expression whose value selects others and is no part of them.
type selector struct{ hclsyntax.Expression }

// Value implements [hclsyntax.Expression].
func (s selector) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := s.Expression.Value(ctx)
	return withoutOrigins(v), diags
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
