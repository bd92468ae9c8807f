package builtin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// attempts are the functions that take expressions, not their values. What fails in one
// is no mistake.
func attempts(meter *budget.Meter) []named {
	return []named{
		{"types", "can", "Whether an expression can be evaluated.", canFunc(meter)},
		{"types", "try", "The first of the expressions that can be evaluated.", tryFunc(meter)},
	}
}

func attempt(meter *budget.Meter, closure cty.Value) (cty.Value, hcl.Diagnostics) {
	defer meter.Try()()
	meter.Spend(1, "")
	return customdecode.ExpressionClosureFromVal(closure).Value()
}

func canFunc(meter *budget.Meter) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "expression", Type: customdecode.ExpressionClosureType}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, diags := attempt(meter, args[0])
			marks := value.MarksWithoutOrigins(v)
			switch {
			case diags.HasErrors():
				return cty.False, nil
			case !v.IsWhollyKnown(): // it may yet turn out to be of another type, or too short
				return cty.UnknownVal(cty.Bool).WithMarks(marks), nil
			}
			return cty.True.WithMarks(marks), nil
		},
	})
}

func tryFunc(meter *budget.Meter) function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "expressions", Type: customdecode.ExpressionClosureType},
		Type:     function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if len(args) == 0 {
				return cty.NilVal, errors.New("takes one expression or more")
			}
			var failed strings.Builder
			for _, arg := range args {
				v, diags := attempt(meter, arg)
				switch {
				case diags.HasErrors():
					explain(&failed, diags)
				case !v.IsWhollyKnown(): // it may yet fail, and be of another type
					return cty.DynamicVal.WithMarks(value.MarksWithoutOrigins(v)), nil
				default:
					return v, nil
				}
			}
			return cty.NilVal, fmt.Errorf("no expression succeeded:\n%s\nAt least one expression must produce a successful result", failed.String())
		},
	})
}

func explain(w *strings.Builder, diags hcl.Diagnostics) {
	for _, d := range diags {
		at := ""
		if d.Subject != nil {
			at = fmt.Sprintf(" (at %s)", d.Subject)
		}
		fmt.Fprintf(w, "- %s%s\n  %s\n", d.Summary, at, d.Detail)
	}
}
