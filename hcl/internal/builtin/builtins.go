package builtin

import (
	"errors"
	"fmt"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"eyrie/hcl/internal/value"
	"eyrie/pipeline"
)

// free is a parameter that takes any value as it is.
func free(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowNull: true, AllowUnknown: true, AllowMarked: true}
}

// typeOfFirst is the type of a function that returns its argument.
func typeOfFirst(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil }

// originFunc returns a function that marks a value, and all within it, as
// coming from a source. Where else it came from stays with it.
func originFunc(kind pipeline.Provenance) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{free("value"), {Name: "source", Type: cty.String}},
		Type:   typeOfFirst,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			source, _ := args[1].Unmark()
			if !source.IsKnown() {
				return cty.UnknownVal(args[0].Type()), nil
			}
			return value.MarkLeaves(args[0], pipeline.Origin{Kind: kind, Source: source.AsString()})
		},
	})
}

var lengthFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowUnknown: true, AllowMarked: true}},
	Type: func(args []cty.Value) (cty.Type, error) {
		ty := args[0].Type()
		if ty == cty.String || ty == cty.DynamicPseudoType || ty.IsCollectionType() || ty.IsTupleType() || ty.IsObjectType() {
			return cty.Number, nil
		}
		return cty.NilType, function.NewArgErrorf(0, "%s has no length", value.TypeName(ty))
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v, marks := args[0].Unmark()
		switch ty := v.Type(); {
		case ty == cty.String:
			n, err := stdlib.Strlen(v)
			return n.WithMarks(marks), err
		case ty.IsObjectType():
			return cty.NumberIntVal(int64(len(ty.AttributeTypes()))).WithMarks(marks), nil
		case ty == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number).WithMarks(marks), nil
		}
		return v.Length().WithMarks(marks), nil
	},
})

// maxRange is how many numbers range gives at most.
const maxRange = 1 << 20

var rangeFunc = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "limits", Type: cty.Number},
	Type:     function.StaticReturnType(cty.List(cty.Number)),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		start, step := cty.Zero, cty.NumberIntVal(1)
		if len(args) < 1 || len(args) > 3 {
			return cty.NilVal, errors.New("takes (end), (start, end) or (start, end, step)")
		}
		end := args[0]
		if len(args) > 1 {
			start, end = args[0], args[1]
		}
		if len(args) > 2 {
			step = args[2]
		}
		if step.Equals(cty.Zero).True() {
			return cty.NilVal, function.NewArgErrorf(2, "the step must not be zero")
		}
		more := cty.Value.LessThan
		if step.LessThan(cty.Zero).True() {
			more = cty.Value.GreaterThan
		}
		var all []cty.Value
		for n := start; more(n, end).True(); n = n.Add(step) {
			if len(all) == maxRange {
				return cty.NilVal, fmt.Errorf("gives more than %d numbers", maxRange)
			}
			all = append(all, n)
		}
		if len(all) == 0 {
			return cty.ListValEmpty(cty.Number), nil
		}
		return cty.ListVal(all), nil
	},
})

// toFunc returns a function that converts to a type. Unlike those of cty's
// library it leaves each element its own marks.
func toFunc(want cty.Type) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{free("value")},
		Type:   function.StaticReturnType(cty.DynamicPseudoType), // the type of the result would take making that
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return converted(args[0], want) },
	})
}

func converted(v cty.Value, want cty.Type) (cty.Value, error) {
	if textual(want) {
		v = texts(v)
	} else if want == cty.Number && tooLong(v) {
		return cty.NilVal, function.NewArgErrorf(0, value.OutOfRange)
	}
	c, err := value.To(v, want)
	if err != nil {
		return cty.DynamicVal, function.NewArgErrorf(0, "%s cannot be converted to %s", value.Describe(value.Bare(v), value.HoldsSensitive(v)), value.TypeExpr(want))
	}
	if textual(c.Type()) && !textual(want) { // numbers beside text have become text
		return value.To(texts(v), want)
	}
	return c, nil
}
