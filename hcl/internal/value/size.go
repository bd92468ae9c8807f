package value

import (
	"math/big"

	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
)

// Extent is how large a value is, and what is in it.
type Extent struct {
	Parts   int  // see the package budget; beyond what was asked for, they are not counted
	Unknown bool // a part is not known
	Marked  bool // it or a part has marks
	Huge    bool // a number is beyond what is computed with
}

// Measure counts a value's parts up to a number.
func Measure(v cty.Value, most int) Extent {
	var e Extent
	e.add(v, most)
	return e
}

// Weights of what is no number.
const (
	objectParts  = 6  // of an object: its type and its map
	memberParts  = 2  // of each of its attributes
	textBytes    = 32 // of text in a part
	elementParts = 30 // of each element of a set, which cty sorts whenever it goes over them
)

func (e *Extent) add(v cty.Value, most int) {
	if e.Parts++; e.Parts > most {
		return
	}
	if v.IsMarked() {
		e.Marked = true
		v, _ = v.Unmark()
	}
	if !v.IsKnown() {
		e.Unknown = true
		return
	}
	if v.IsNull() {
		return
	}
	ty := v.Type()
	switch {
	case ty == cty.Number:
		e.Huge = e.Huge || IsHuge(v)
	case ty == cty.String:
		e.Parts += len(v.AsString()) / textBytes
	case ty.IsObjectType() || ty.IsMapType():
		e.Parts += objectParts
		for k, elem := range v.Elements() {
			e.Parts += memberParts + len(k.AsString())/textBytes
			if e.add(elem, most); e.Parts > most {
				return
			}
		}
	case ty.IsSetType():
		if e.Parts += elementParts * v.LengthInt(); e.Parts > most {
			return
		}
		for _, elem := range v.Elements() {
			e.add(elem, most)
		}
	case ty.IsListType() || ty.IsTupleType():
		for _, elem := range v.Elements() {
			if e.add(elem, most); e.Parts > most {
				return
			}
		}
	}
}

// Shallow counts the parts of a value without those of its elements.
func Shallow(v cty.Value) int {
	v, _ = v.Unmark()
	ty := v.Type()
	switch {
	case !v.IsKnown() || v.IsNull():
	case ty == cty.String:
		return 1 + len(v.AsString())/textBytes
	case ty.IsCollectionType() || ty.IsTupleType():
		return 1 + v.LengthInt()
	case ty.IsObjectType():
		return 1 + memberParts*len(ty.AttributeTypes())
	}
	return 1
}

// Listed returns a set of up to most elements as the list of these, and anything else as it is. cty
// sorts a set for whoever goes over it: three times for a for_each took a seventh of a plan.
func Listed(v cty.Value, most int) cty.Value {
	plain, marks := v.Unmark()
	if !plain.Type().IsSetType() || !plain.IsKnown() || plain.IsNull() || plain.LengthInt() == 0 || plain.LengthInt() > most {
		return v
	}
	return cty.ListVal(plain.AsValueSlice()).WithMarks(marks)
}

// IsHuge reports whether a known number is beyond what is computed with.
func IsHuge(v cty.Value) bool { return hugeFloat(v.AsBigFloat()) }

func hugeFloat(n *big.Float) bool {
	exp := n.MantExp(nil)
	return n.IsInf() || exp > budget.Exponent || exp < -budget.Exponent
}

// OutOfRange says of a number that it is beyond what is computed with.
const OutOfRange = "the number is out of range: numbers are less than 2^65536"
