package trace

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// loop is a for expression whose turns are counted.
type loop struct {
	*hclsyntax.ForExpr
	meter *budget.Meter
	typed bool
}

func (t tracer) loop(e *hclsyntax.ForExpr, typed bool) hclsyntax.Expression {
	c := *e
	inner, ok := e.CollExpr.(*hclsyntax.ForExpr)
	if c.CollExpr = t.node(e.CollExpr, false); ok {
		c.CollExpr = t.loop(inner, true) // which only this loop looks at
	}
	c.ValExpr = t.node(e.ValExpr, typed)
	first, steps := &c.ValExpr, Weight(e.ValExpr)
	if e.KeyExpr != nil {
		c.KeyExpr = texted{t.selector(e.KeyExpr)}
		first, steps = &c.KeyExpr, steps+Weight(e.KeyExpr)
	}
	if e.CondExpr != nil {
		c.CondExpr = t.selector(e.CondExpr)
		first, steps = &c.CondExpr, steps+Weight(e.CondExpr)
	}
	*first = charged{*first, t.meter, 1 + steps}
	return loop{&c, t.meter, typed}
}

// Value implements [hclsyntax.Expression].
func (l loop) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	over := evaluated{Expression: l.CollExpr}.now(ctx)
	c := *l.ForExpr
	c.CollExpr = over
	v, diags := c.Value(ctx)
	if diags.HasErrors() {
		return v, diags
	}
	if !v.IsKnown() {
		return l.foresee(ctx, over.val, v, diags)
	}
	size := value.Measure(v, budget.Value)
	if l.meter.Spend(size.Parts/16, ""); size.Parts > budget.Value {
		l.meter.TooLarge()
	}
	return v, diags
}

// foresee looks at one turn of a loop over a collection that is not known, of which the
// elements' type is. A mistake in it is one whatever the elements are. HCL's result is
// given a type where that is asked for, and certain.
func (l loop) foresee(ctx *hcl.EvalContext, over, result cty.Value, diags hcl.Diagnostics) (cty.Value, hcl.Diagnostics) {
	over, marks := over.Unmark()
	ty := over.Type()
	if over.IsKnown() || !ty.IsCollectionType() || l.meter.Trying() {
		return result, diags
	}
	child := ctx.NewChild()
	child.Variables = map[string]cty.Value{l.ValVar: cty.UnknownVal(ty.ElementType()).WithMarks(marks)}
	if l.KeyVar != "" {
		child.Variables[l.KeyVar] = cty.UnknownVal(keyType(ty)).WithMarks(marks)
	}
	if l.CondExpr != nil {
		keep, more := l.CondExpr.Value(child)
		diags = append(diags, more...)
		if keep, _ = keep.Unmark(); diags.HasErrors() || keep.IsKnown() && keep.RawEquals(cty.False) {
			return result, diags
		}
	}
	if l.KeyExpr != nil {
		_, more := l.KeyExpr.Value(child)
		diags = append(diags, more...)
	}
	body, more := l.ValExpr.Value(child)
	diags = append(diags, more...)
	of := body.Type()
	if !l.typed || diags.HasErrors() || of.HasDynamicTypes() {
		return result, diags
	}
	if l.Group {
		of = cty.List(of)
	}
	if l.KeyExpr != nil {
		of = cty.Map(of)
	} else {
		of = cty.List(of)
	}
	return cty.UnknownVal(of).RefineNotNull().WithSameMarks(result), diags
}

// keyType is that of what a loop calls the key of an element.
func keyType(ty cty.Type) cty.Type {
	switch {
	case ty.IsListType():
		return cty.Number
	case ty.IsMapType():
		return cty.String
	}
	return ty.ElementType()
}

// Weight is about how many values are made to evaluate an expression once, by what is
// written.
func Weight(e hclsyntax.Expression) (n int) {
	_ = hclsyntax.VisitAll(e, func(node hclsyntax.Node) hcl.Diagnostics {
		switch node := node.(type) {
		case *hclsyntax.ObjectConsExpr:
			n += 6 + 2*len(node.Items)
		case *hclsyntax.TupleConsExpr:
			n += 1 + len(node.Exprs)
		case *hclsyntax.TemplateExpr:
			if !node.IsStringLiteral() {
				n += 1 + len(node.Parts)
			}
		case *hclsyntax.ScopeTraversalExpr:
			if len(node.Traversal) > 1 {
				n++
			}
		case *hclsyntax.FunctionCallExpr, *hclsyntax.BinaryOpExpr, *hclsyntax.UnaryOpExpr, *hclsyntax.ConditionalExpr,
			*hclsyntax.IndexExpr, *hclsyntax.SplatExpr, *hclsyntax.RelativeTraversalExpr, *hclsyntax.ForExpr:
			n++
		}
		return nil
	})
	return n
}

// charged is an expression that takes steps.
type charged struct {
	hclsyntax.Expression
	meter *budget.Meter
	steps int
}

// Value implements [hclsyntax.Expression].
func (c charged) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	c.meter.Spend(c.steps, "")
	return c.Expression.Value(ctx)
}

// counted is an expression of whose elements something is made in some steps each, or
// text is joined.
type counted struct {
	hclsyntax.Expression
	meter *budget.Meter
	steps int
}

// Value implements [hclsyntax.Expression].
func (c counted) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := c.Expression.Value(ctx)
	if c.steps == 0 {
		c.meter.Spend(value.Measure(v, budget.Value).Parts, "")
	} else {
		c.meter.Spend(budget.Product(value.Shallow(v), 1+c.steps), "")
	}
	return v, diags
}
