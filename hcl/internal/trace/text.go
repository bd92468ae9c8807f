package trace

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// template traces text with values in it.
func (t tracer) template(e *hclsyntax.TemplateExpr) (_ hclsyntax.Expression, other bool) {
	if e.IsStringLiteral() {
		return e, false
	}
	c := *e
	c.Parts = make([]hclsyntax.Expression, len(e.Parts))
	for i, p := range e.Parts {
		c.Parts[i] = piece{t.node(p, false), t.meter}
	}
	return &c, true
}

// piece is a part of a template.
type piece struct {
	hclsyntax.Expression
	meter *budget.Meter
}

// Value implements [hclsyntax.Expression].
func (p piece) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := p.Expression.Value(ctx)
	v = value.Texted(v)
	if n := value.Shallow(v); n > 1 {
		p.meter.Spend(n, "")
	}
	return v, diags
}

// texted is an expression whose value is text if it is a number.
type texted struct{ hclsyntax.Expression }

// Value implements [hclsyntax.Expression].
func (t texted) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	v, diags := t.Expression.Value(ctx)
	return value.Texted(v), diags
}

// UnwrapExpression lets HCL's static analysis see the expression.
func (t texted) UnwrapExpression() hcl.Expression { return t.Expression }
