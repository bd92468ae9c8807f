package value

import "github.com/zclconf/go-cty/cty"

// Same reports whether two values that are wholly known and bare are equal. Nulls are,
// whatever their types; cty cannot tell where a null of no type is within a value.
func Same(a, b cty.Value) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	if same := a.Equals(b); same.IsKnown() {
		return same.True()
	}
	x, y := a.Type(), b.Type()
	switch {
	case x.IsSetType() && y.IsSetType():
		return sameSets(a, b)
	case sequence(x) && sequence(y) && x.IsTupleType() == y.IsTupleType(), keyed(x) && keyed(y) && x.IsObjectType() == y.IsObjectType():
		return sameParts(a, b)
	}
	return false
}

func sequence(ty cty.Type) bool { return ty.IsListType() || ty.IsTupleType() }
func keyed(ty cty.Type) bool    { return ty.IsMapType() || ty.IsObjectType() }

func sameParts(a, b cty.Value) bool {
	if a.LengthInt() != b.LengthInt() {
		return false
	}
	x, y := a.ElementIterator(), b.ElementIterator()
	for x.Next() && y.Next() {
		k, v := x.Element()
		l, w := y.Element()
		if !k.RawEquals(l) || !Same(v, w) {
			return false
		}
	}
	return true
}

func sameSets(a, b cty.Value) bool {
	if a.LengthInt() != b.LengthInt() {
		return false
	}
	for _, v := range a.Elements() {
		if !Holds(b, v) {
			return false
		}
	}
	return true
}

// Holds reports whether a list or set, wholly known and bare, has an element.
func Holds(list, elem cty.Value) bool {
	for _, v := range list.Elements() {
		if Same(v, elem) {
			return true
		}
	}
	return false
}
