package builtin

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// charges are the steps that functions take beyond those for their arguments, where a
// result may be much larger than these. Arguments are wholly known, and bare.
var charges = map[string]func(args []cty.Value) (int, error){
	"chunklist": func(a []cty.Value) (int, error) { return length(a[0]), nil },
	"csvdecode": func(a []cty.Value) (int, error) { return 4 * separators(text(a[0]), ",\n"), nil },
	"distinct":  func(a []cty.Value) (int, error) { return comparisons(a[0]), nil },
	"flatten": func(a []cty.Value) (int, error) {
		return depth(a[0]) * value.Measure(a[0], budget.Value).Parts / 8, nil
	},
	"format":          func(a []cty.Value) (int, error) { return widths(text(a[0])), nil },
	"formatlist":      formatlist,
	"indent":          func(a []cty.Value) (int, error) { return bytes(count(a[0]), strings.Count(text(a[1]), "\n")), nil },
	"join":            joined,
	"jsondecode":      decoded,
	"parseint":        digits,
	"range":           func(a []cty.Value) (int, error) { return numbers(a), nil },
	"regex":           func(a []cty.Value) (int, error) { return matching(text(a[0]), text(a[1])), nil },
	"regexall":        func(a []cty.Value) (int, error) { return matching(text(a[0]), text(a[1])) + len(text(a[1]))/2, nil },
	"regexreplace":    regexreplaced,
	"replace":         replaced,
	"setproduct":      product,
	"setintersection": sets,
	"setsubtract":     sets,
	"setunion":        sets,
	"toset":           sets,
	"split":           func(a []cty.Value) (int, error) { return strings.Count(text(a[1]), text(a[0])), nil },
	"trim":            func(a []cty.Value) (int, error) { return budget.Product(len(text(a[0])), len(text(a[1]))) / 256, nil },
	"title":           textOnly, "strrev": textOnly, "upper": textOnly, "lower": textOnly, "substr": textOnly,
}

// sets charges for the elements of sets, which are sorted again and again.
func sets(a []cty.Value) (n int, _ error) {
	for _, v := range a {
		n += 30 * length(v)
	}
	return n, nil
}

// textOnly charges again for text that is read letter by letter.
func textOnly(a []cty.Value) (int, error) { return len(text(a[0])) / 16, nil }

// bytes is the steps that copies of a text take, which has size bytes.
func bytes(size, copies int) int { return budget.Product(size, copies) / 32 }

func text(v cty.Value) string {
	if v.IsNull() || v.Type() != cty.String {
		return ""
	}
	return v.AsString()
}

// count is a number as one of things.
func count(v cty.Value) int {
	if v.IsNull() || v.Type() != cty.Number {
		return 0
	}
	n, _ := v.AsBigFloat().Float64()
	return int(min(max(n, 0), 1<<40))
}

func length(v cty.Value) int {
	if ty := v.Type(); v.IsNull() || !ty.IsCollectionType() && !ty.IsTupleType() {
		return 0
	}
	return v.LengthInt()
}

func separators(s, chars string) (n int) {
	for _, c := range chars {
		n += strings.Count(s, string(c))
	}
	return n
}

// comparisons is what finding equal elements takes: those that are no texts and numbers
// are compared with each other.
func comparisons(list cty.Value) int {
	if n := length(list); n > 0 && !list.Type().ElementType().IsPrimitiveType() {
		return budget.Product(n, value.Measure(list, budget.Value).Parts) / 8
	}
	return 0
}

func depth(v cty.Value) int {
	deepest := 0
	if ty := v.Type(); !v.IsNull() && (ty.IsListType() || ty.IsTupleType() || ty.IsSetType()) {
		for _, e := range v.Elements() {
			deepest = max(deepest, depth(e))
		}
		return deepest + 1
	}
	return 0
}

// widths is what the widths and precisions of a format take, and its values.
func widths(format string) (steps int) {
	width := 0
	for _, c := range format {
		if '0' <= c && c <= '9' {
			width = min(10*width+int(c-'0'), 1<<30)
			continue
		}
		steps += width / 32
		width = 0
	}
	return steps + len(format)/8
}

func formatlist(a []cty.Value) (int, error) {
	n := 0
	for _, v := range a[1:] {
		n = max(n, length(v))
	}
	return budget.Product(n, 1+widths(text(a[0]))), nil
}

func joined(a []cty.Value) (int, error) {
	n := 0
	for _, v := range a[1:] {
		n += length(v)
	}
	return bytes(len(text(a[0])), n), nil
}

// deepest is how deep what text holds may be nested.
const deepest = 2000

// decoded charges for the values that JSON holds, and looks for those that take too
// long to read.
func decoded(a []cty.Value) (int, error) {
	s := text(a[0])
	steps, depth, digits := 0, 0, 0
	for i, quoted := 0, false; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted:
			switch c {
			case '\\':
				i++
			case '"':
				quoted = false
			}
			continue
		case c == '"':
			quoted = true
		case c == '{':
			steps, depth = steps+5, depth+1
		case c == '[':
			steps, depth = steps+1, depth+1
		case c == '}' || c == ']':
			depth--
		case c == ',':
			steps++
		case c == ':':
			steps += 2
		}
		if digits++; c < '0' || c > '9' {
			digits = 0
		}
		if depth > deepest {
			return 0, fmt.Errorf("lists and objects are nested more than %d deep", deepest)
		}
		if digits > budget.Digits {
			return 0, errors.New(value.OutOfRange)
		}
	}
	return steps, hugeJSON(s)
}

// hugeJSON reports a number that is out of range.
func hugeJSON(s string) error {
	if !strings.ContainsAny(s, "eE") {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return nil // which the function itself reports
		}
		n, ok := token.(json.Number)
		if !ok || !strings.ContainsAny(string(n), "eE") {
			continue
		}
		if v, err := cty.ParseNumberVal(string(n)); err == nil && value.IsHuge(v) {
			return errors.New(value.OutOfRange)
		}
	}
}

func digits(a []cty.Value) (int, error) {
	if len(text(a[0])) > budget.Digits {
		return 0, errors.New(value.OutOfRange)
	}
	return 0, nil
}

// numbers is how many range gives.
func numbers(a []cty.Value) int {
	var x [3]float64
	x[2] = 1
	for i, v := range a[:min(len(a), 3)] {
		if v.IsNull() {
			return 0
		}
		x[i], _ = v.AsBigFloat().Float64()
	}
	if len(a) == 1 {
		x[0], x[1] = 0, x[0]
	}
	n := (x[1] - x[0]) / x[2]
	if math.IsNaN(n) {
		return 0
	}
	return int(min(max(n, 0), maxRange))
}

// refusals are what functions that cannot cope with some arguments say of these. They
// look at types, and at what is known.
var refusals = map[string]func(args []cty.Value) error{
	"merge": func(args []cty.Value) error {
		for i, v := range args {
			if ty := v.Type(); ty != cty.DynamicPseudoType && !ty.IsMapType() && !ty.IsObjectType() {
				return function.NewArgErrorf(i, "must be a map or an object, not %s", value.TypeName(ty))
			}
		}
		return nil
	},
	"zipmap": func(args []cty.Value) error {
		keys, _ := args[0].Unmark()
		if keys.IsKnown() && length(keys) > 0 {
			for _, k := range keys.Elements() {
				if k.IsNull() {
					return function.NewArgErrorf(0, "a key is null")
				}
			}
		}
		return nil
	},
}

// matching is what looking for a regular expression in text takes.
func matching(pattern, s string) int {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return budget.Product(len(s), len(prog.Inst)) / 64
}

func regexreplaced(a []cty.Value) (int, error) {
	s, by := text(a[0]), text(a[2])
	return matching(text(a[1]), s) + bytes(len(by), len(s)+1) + bytes(len(s), strings.Count(by, "$")), nil
}

func replaced(a []cty.Value) (int, error) {
	return bytes(len(text(a[2])), strings.Count(text(a[0]), text(a[1]))), nil
}

func product(a []cty.Value) (int, error) {
	counts := make([]int, len(a))
	for i, v := range a {
		counts[i] = length(v)
	}
	return budget.Product(append(counts, 1+len(a))...), nil
}
