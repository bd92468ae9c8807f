package trace

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// operation is an operator that gives no number out of range, and can tell whether any
// two values that are known are equal.
type operation struct {
	*hclsyntax.BinaryOpExpr
	meter *budget.Meter
}

// Value implements [hclsyntax.Expression].
func (o operation) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	lhs, rhs := evaluated{Expression: o.LHS}.now(ctx), evaluated{Expression: o.RHS}.now(ctx)
	c := *o.BinaryOpExpr
	c.LHS, c.RHS = lhs, rhs
	if lhs.diags.HasErrors() || rhs.diags.HasErrors() {
		return c.Value(ctx)
	}
	switch {
	case c.Op == hclsyntax.OpEqual || c.Op == hclsyntax.OpNotEqual:
		return o.compare(ctx, &c, lhs.val, rhs.val)
	case c.Op.Type == cty.Number || c.Op.Impl.Params()[0].Type == cty.Number:
		return o.compute(ctx, &c, lhs, rhs)
	}
	return c.Value(ctx)
}

func (o operation) compare(ctx *hcl.EvalContext, c *hclsyntax.BinaryOpExpr, a, b cty.Value) (cty.Value, hcl.Diagnostics) {
	x, y := value.Measure(a, budget.Value), value.Measure(b, budget.Value)
	o.meter.Spend((x.Parts+y.Parts-2)/2, "")
	v, diags := c.Value(ctx)
	if v.IsKnown() || x.Unknown || y.Unknown || diags.HasErrors() {
		return v, diags
	}
	same := value.Same(value.Bare(a), value.Bare(b))
	return cty.BoolVal(same == (c.Op == hclsyntax.OpEqual)).WithSameMarks(v), diags
}

func (o operation) compute(ctx *hcl.EvalContext, c *hclsyntax.BinaryOpExpr, lhs, rhs evaluated) (cty.Value, hcl.Diagnostics) {
	for _, e := range []evaluated{lhs, rhs} {
		if huge(e.val) {
			return cty.DynamicVal, outOfRange(e.Range())
		}
	}
	if by, _ := rhs.val.Unmark(); (c.Op == hclsyntax.OpDivide || c.Op == hclsyntax.OpModulo) && isZero(by) {
		return cty.DynamicVal, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Division by zero", Subject: rhs.Range().Ptr(),
			Detail: "The divisor is 0. A condition can say what to take then: n == 0 ? … : x / n."}}
	}
	v, diags := c.Value(ctx)
	if !diags.HasErrors() && isNumber(v) && huge(v) {
		return cty.DynamicVal, outOfRange(c.SrcRange)
	}
	return v, diags
}

func isNumber(v cty.Value) bool {
	v, _ = v.Unmark()
	return v.Type() == cty.Number && v.IsKnown() && !v.IsNull()
}

func isZero(v cty.Value) bool {
	n, err := convert.Convert(v, cty.Number)
	return err == nil && isNumber(n) && n.RawEquals(cty.Zero)
}

// huge reports whether v is, or becomes, a number out of range.
func huge(v cty.Value) bool {
	v, _ = v.Unmark()
	if v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
		if len(v.AsString()) > budget.Digits {
			return true
		}
		n, err := convert.Convert(v, cty.Number)
		return err == nil && value.IsHuge(n)
	}
	return isNumber(v) && value.IsHuge(v)
}

func outOfRange(at hcl.Range) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Number out of range", Subject: &at,
		Detail: "A number is less than 2^65536, and if it is not 0, more than 2^-65536."}}
}

// refused is a literal that is a number out of range.
type refused struct{ *hclsyntax.LiteralValueExpr }

// Value implements [hclsyntax.Expression].
func (r refused) Value(*hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	return cty.UnknownVal(cty.Number), outOfRange(r.SrcRange)
}
