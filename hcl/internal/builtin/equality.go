package builtin

import (
	"errors"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/internal/value"
)

// anything is a parameter that takes any value without its marks.
func anything(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowNull: true, AllowMarked: true}
}

var containsFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType, AllowMarked: true}, anything("value")},
	Type:   function.StaticReturnType(cty.Bool),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if ty := args[0].Type(); !ty.IsListType() && !ty.IsTupleType() && !ty.IsSetType() {
			return cty.NilVal, function.NewArgErrorf(0, "must be a list or set, not %s", value.TypeName(ty))
		}
		at, known := find(args[0], args[1])
		if at == cty.NilVal && !known {
			return cty.UnknownVal(cty.Bool), nil
		}
		return cty.BoolVal(at != cty.NilVal), nil
	},
})

var indexFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.DynamicPseudoType, AllowMarked: true}, anything("value")},
	Type: func(args []cty.Value) (cty.Type, error) {
		if ty := args[0].Type(); !ty.IsListType() && !ty.IsTupleType() {
			return cty.NilType, function.NewArgErrorf(0, "must be a list, not %s", value.TypeName(ty))
		}
		return cty.Number, nil
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		at, known := find(args[0], args[1])
		switch {
		case !known:
			return cty.UnknownVal(cty.Number), nil
		case at == cty.NilVal:
			return cty.NilVal, errors.New("the list has no such element")
		}
		return at, nil
	},
})

// find returns where a value is first in a list, NilVal where it is not. It is not known
// where an element before it may turn out to be the value.
func find(list, of cty.Value) (at cty.Value, known bool) {
	known = true
	whole := of.IsWhollyKnown()
	for i, v := range list.Elements() {
		if whole && v.IsWhollyKnown() {
			if value.Same(v, of) {
				return i, known
			}
			continue
		}
		if same := v.Equals(of); !same.IsKnown() {
			known = false
		} else if same.True() {
			return i, known
		}
	}
	return cty.NilVal, known
}

// distinctFunc compares with what it has seen by what is unique to a value; cty's
// compares all with each other.
var distinctFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.List(cty.DynamicPseudoType), AllowMarked: true}},
	Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl: func(args []cty.Value, ty cty.Type) (cty.Value, error) {
		if !args[0].IsWhollyKnown() {
			return cty.UnknownVal(ty), nil
		}
		var kept []cty.Value
		seen := make(map[string]bool)
		for _, v := range args[0].Elements() {
			if key, ok := identity(v); !ok && !seenBefore(kept, v) || ok && !seen[key] {
				seen[key] = true
				kept = append(kept, v)
			}
		}
		if len(kept) == 0 {
			return cty.ListValEmpty(ty.ElementType()), nil
		}
		return cty.ListVal(kept), nil
	},
})

// identity returns what only equal values have in common, for those that are simple.
func identity(v cty.Value) (key string, ok bool) {
	switch ty := v.Type(); {
	case v.IsNull():
		return "null", true
	case ty == cty.Number:
		return "n" + v.AsBigFloat().Text('p', 0), true
	case ty == cty.String || ty == cty.Bool:
		return "s" + value.TextOf(v), true
	}
	return "", false
}

func seenBefore(all []cty.Value, v cty.Value) bool {
	for _, other := range all {
		if value.Same(other, v) {
			return true
		}
	}
	return false
}
