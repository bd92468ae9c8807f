package builtin

import (
	"errors"
	"slices"

	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// guard is a function with what holds for all of them:
//
//   - what a call takes is counted before it is made, see the package budget;
//   - numbers become text in one way, and none is beyond the range of numbers;
//   - a null of no type is a null like any other: cty's own functions take it for
//     what is not known yet, and would be asked for ever;
//   - marks are taken off and put on the result where a function does not follow them.
type guard struct {
	named
	meter  *budget.Meter
	params []function.Parameter
	rest   *function.Parameter
}

// guarded returns the function as expressions call it. It takes arguments as they
// are, and converts them itself.
func (n named) guarded(meter *budget.Meter) function.Function {
	g := guard{n, meter, n.Params(), n.VarParam()}
	spec := &function.Spec{Type: function.StaticReturnType(cty.DynamicPseudoType), Impl: g.call}
	for _, p := range g.params {
		if p.Type == customdecode.ExpressionClosureType {
			return n.Function
		}
		spec.Params = append(spec.Params, free(p.Name))
	}
	if g.rest != nil {
		if g.rest.Type == customdecode.ExpressionClosureType {
			return n.Function
		}
		p := free(g.rest.Name)
		spec.VarParam = &p
	}
	return function.New(spec)
}

func (g guard) call(raw []cty.Value, _ cty.Type) (cty.Value, error) {
	v, err := g.apply(raw)
	if err != nil && slices.ContainsFunc(raw, value.HoldsSensitive) {
		var of function.ArgError
		if errors.As(err, &of) {
			return cty.NilVal, function.NewArgError(of.Index, errSensitive)
		}
		return cty.NilVal, errSensitive
	}
	if err != nil {
		return cty.NilVal, err
	}
	if !v.IsKnown() { // and has lost the marks of what will make it known
		for _, arg := range raw {
			v = v.WithMarks(value.MarksWithoutOrigins(arg))
		}
	} else if slices.ContainsFunc(raw, value.IsSensitive) && !value.HoldsSensitive(v) {
		v = v.Mark(value.SensitiveMark{})
	}
	return v, nil
}

var errSensitive = errors.New("why is not shown, as a sensitive value takes part")

func (g guard) apply(raw []cty.Value) (cty.Value, error) {
	known, marked := true, false
	args := make([]cty.Value, len(raw))
	marks := make(cty.ValueMarks)
	for i, v := range raw {
		all, err := g.count(v)
		if err != nil {
			return cty.NilVal, function.NewArgError(i, err)
		}
		known, marked = known && !all.Unknown, marked || all.Marked
		p := g.param(i)
		if v, err = g.argument(v, p); err != nil {
			return cty.NilVal, function.NewArgError(i, err)
		}
		if all.Marked && (!p.AllowMarked || barely[g.name]) {
			var own cty.ValueMarks
			v, own = v.UnmarkDeep()
			for m := range own {
				marks[m] = struct{}{}
			}
		}
		args[i] = v
	}
	if refuses := refusals[g.name]; refuses != nil {
		if err := refuses(args); err != nil {
			return cty.NilVal, err
		}
	}
	if known && charges[g.name] != nil {
		plain := args
		if marked {
			plain = bare(args)
		}
		n, err := charges[g.name](plain)
		if err != nil {
			return cty.NilVal, err
		}
		g.meter.Spend(n, g.name)
	}
	v, err := g.result(args, known)
	if err != nil {
		return cty.NilVal, err
	}
	return v.WithMarks(marks), nil
}

func (g guard) param(i int) *function.Parameter {
	if i < len(g.params) {
		return &g.params[i]
	}
	return g.rest
}

// barely are functions that are given what has no marks. They say that they take these, as
// cty copies whatever it hands to a function that does not.
var barely = map[string]bool{"contains": true, "index": true, "distinct": true, "sum": true, "mean": true, "stddev": true}

// selecting are functions that look at no more than one element of what they take.
var selecting = map[string]bool{"length": true, "element": true, "lookup": true}

// count charges for an argument.
func (g guard) count(v cty.Value) (value.Extent, error) {
	const apart = 2 // parts in a step
	if selecting[g.name] {
		parts := value.Shallow(v)
		g.meter.Spend(1+parts/(2*apart), g.name)
		return value.Extent{Parts: parts, Unknown: true, Marked: true}, nil // which costs nothing: they are never asked again
	}
	all := value.Measure(v, budget.Value)
	if all.Huge {
		return all, errors.New(value.OutOfRange)
	}
	if plain, _ := v.Unmark(); plain.Type().IsMapType() || plain.Type().IsObjectType() { // whose keys are sorted
		all.Parts += 4 * value.Shallow(v)
	}
	g.meter.Spend(1+all.Parts/apart, g.name)
	return all, nil
}

// argument converts v to what a parameter takes.
func (g guard) argument(v cty.Value, p *function.Parameter) (cty.Value, error) {
	switch {
	case p.Type == cty.DynamicPseudoType:
		if shortened[g.name] {
			return value.Short(v)
		}
		if plain, marks := v.Unmark(); untyped(plain) && p.AllowNull && !p.AllowDynamicType {
			return cty.NullVal(cty.String).WithMarks(marks), nil
		}
		return v, nil
	case textual(p.Type):
		v = texts(v)
	case tooLong(v):
		return v, errors.New(value.OutOfRange)
	}
	v, err := value.To(v, p.Type)
	if err == nil && p.Type == cty.Number && value.Measure(v, 1).Huge {
		err = errors.New(value.OutOfRange)
	}
	return v, err
}

// shortened are functions that write the numbers within what they take.
var shortened = map[string]bool{"jsonencode": true, "format": true, "formatlist": true}

func textual(ty cty.Type) bool {
	return ty == cty.String || ty.IsCollectionType() && ty.ElementType() == cty.String
}

// texts returns v with its number, or those that are its elements, as text.
func texts(v cty.Value) cty.Value {
	plain, marks := v.Unmark()
	ty := plain.Type()
	if !ty.IsListType() && !ty.IsTupleType() && !ty.IsSetType() || !plain.IsKnown() || plain.IsNull() || plain.LengthInt() == 0 {
		return value.Texted(v)
	}
	all := make([]cty.Value, 0, plain.LengthInt())
	changed := false
	for _, e := range plain.Elements() {
		changed = changed || e.Type() == cty.Number
		all = append(all, value.Texted(e))
	}
	if !changed {
		return v
	}
	return cty.TupleVal(all).WithMarks(marks)
}

// tooLong reports whether v is, or has among its elements, text that is too long for a
// number, which would take long to find out.
func tooLong(v cty.Value) bool {
	v, _ = v.Unmark()
	if !v.IsKnown() || v.IsNull() {
		return false
	}
	switch ty := v.Type(); {
	case ty == cty.String:
		return len(v.AsString()) > budget.Digits
	case ty.IsListType() || ty.IsTupleType() || ty.IsSetType():
		for _, e := range v.Elements() {
			if e.Type() == cty.String && tooLong(e) {
				return true
			}
		}
	}
	return false
}

func untyped(v cty.Value) bool { return v.IsNull() && v.Type() == cty.DynamicPseudoType }

func bare(args []cty.Value) []cty.Value {
	all := make([]cty.Value, len(args))
	for i, v := range args {
		all[i] = value.Bare(v)
	}
	return all
}

// result calls the function. Where all is known that it was given and its result is
// not, it cannot cope with nulls of no type, and is given some that have one.
func (g guard) result(args []cty.Value, known bool) (cty.Value, error) {
	v, err := g.Call(args)
	if err == nil && known && !whollyKnown(v) {
		for i := range args {
			if args[i], err = typed(args[i]); err != nil {
				return cty.NilVal, err
			}
		}
		if v, err = g.Call(args); err == nil && !whollyKnown(v) {
			err = errors.New("it cannot tell what a null without a type leads to; give it one, as in tostring(null)")
		}
	}
	if err == nil && value.Measure(v, 1).Huge {
		err = errors.New(value.OutOfRange)
	}
	return v, err
}

// whollyKnown reports whether a function's result for arguments that are wholly known is, too. No
// function makes of these a set of simple elements some of which are unknown, and cty would sort it
// to look.
func whollyKnown(v cty.Value) bool {
	if plain, _ := v.Unmark(); plain.Type().IsSetType() && plain.Type().ElementType().IsPrimitiveType() {
		return plain.IsKnown()
	}
	return v.IsWhollyKnown()
}

// typed returns v with its nulls of no type as nulls that are text.
func typed(v cty.Value) (cty.Value, error) {
	return cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if plain, marks := v.Unmark(); untyped(plain) {
			return cty.NullVal(cty.String).WithMarks(marks), nil
		}
		return v, nil
	})
}
