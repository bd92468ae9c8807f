package value

import (
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// To converts v to a type, as cty does. Of lists, sets and maps of simple elements it takes
// time in proportion to their length; cty sorts their types by comparing all with each other.
func To(v cty.Value, want cty.Type) (cty.Value, error) {
	plain, marks := v.Unmark()
	if ty := plain.Type(); want.IsCollectionType() && (ty.IsTupleType() || ty.IsObjectType()) && plain.IsKnown() && !plain.IsNull() && plain.LengthInt() > 0 {
		if alike, ok := collect(plain, want); ok {
			plain = alike
		}
	}
	c, err := convert.Convert(plain, want)
	if err != nil {
		return cty.NilVal, err
	}
	return c.WithMarks(marks), nil
}

// collect makes a list of a tuple, or a map of an object, if it is certain of which type.
func collect(v cty.Value, want cty.Type) (cty.Value, bool) {
	to := want.ElementType()
	if to == cty.DynamicPseudoType {
		to = common(v.Type())
	}
	if to == cty.NilType || to.HasDynamicTypes() {
		return v, false
	}
	var list []cty.Value
	dict := make(map[string]cty.Value)
	for k, e := range v.Elements() {
		if e.Type() != to || !e.Type().IsPrimitiveType() {
			var err error
			if e, err = convert.Convert(e, to); err != nil || !e.Type().Equals(to) {
				return v, false // which cty says better
			}
		}
		if v.Type().IsObjectType() {
			dict[k.AsString()] = e
		} else {
			list = append(list, e)
		}
	}
	switch {
	case !v.Type().IsObjectType():
		return cty.ListVal(list), true
	case want.IsMapType():
		return cty.MapVal(dict), true
	}
	return v, false
}

// common returns the type that all elements of a tuple or object can have, if that is certain.
func common(ty cty.Type) cty.Type {
	found := cty.NilType
	add := func(t cty.Type) bool {
		switch {
		case t == cty.DynamicPseudoType: // which a null has
		case found == cty.NilType:
			found = t
		case found.Equals(t):
		case found.IsPrimitiveType() && t.IsPrimitiveType():
			found = cty.String
		default:
			return false
		}
		return true
	}
	if ty.IsTupleType() {
		for _, t := range ty.TupleElementTypes() {
			if !add(t) {
				return cty.NilType
			}
		}
		return found
	}
	for _, t := range ty.AttributeTypes() {
		if !add(t) {
			return cty.NilType
		}
	}
	return found
}
