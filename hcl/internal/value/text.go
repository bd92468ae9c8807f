package value

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"eyrie/artifacts"
	"eyrie/hcl/internal/word"
)

// Text writes a value as a recipe would, up to about most bytes. Unknown parts say
// which steps they wait for; a value with a sensitive part is not shown.
func Text(v cty.Value, most int) string {
	if HoldsSensitive(v) {
		return "(sensitive)"
	}
	w := &writer{most: most}
	w.value(v)
	return w.String()
}

// Literal writes a Go value, such as an attribute's default, as a recipe would.
func Literal(v any, most int) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	ty, err := ctyjson.ImpliedType(b)
	if err != nil {
		return ""
	}
	of, err := ctyjson.Unmarshal(b, ty)
	if err != nil {
		return ""
	}
	return Text(of, most)
}

type writer struct {
	strings.Builder
	most int
}

// full reports whether enough is written.
func (w *writer) full() bool { return w.Len() >= w.most }

func (w *writer) value(v cty.Value) {
	v, marks := v.Unmark()
	ty := v.Type()
	switch {
	case !v.IsKnown():
		steps := make(map[string]bool)
		for m := range marks {
			if m, ok := m.(waitMark); ok {
				steps[m.step] = true
			}
		}
		w.unknown(steps)
	case v.IsNull():
		w.WriteString("null")
	case ty == cty.String:
		w.text(v.AsString())
	case ty == cty.Bool:
		w.WriteString(strconv.FormatBool(v.True()))
	case ty == cty.Number:
		w.WriteString(cmp.Or(digits(v), TypeName(ty)))
	case ty == FileType:
		w.text(v.EncapsulatedValue().(*artifacts.File).Path)
	case ty.IsMapType() || ty.IsObjectType():
		w.object(v)
	case ty.IsListType() || ty.IsSetType() || ty.IsTupleType():
		w.list(v)
	default:
		w.WriteString(TypeName(ty))
	}
}

func (w *writer) unknown(steps map[string]bool) {
	if len(steps) == 0 {
		w.WriteString("(not known)")
		return
	}
	fmt.Fprintf(w, "(known after %s)", strings.Join(word.First(word.Keys(steps), 3), ", "))
}

func (w *writer) text(s string) {
	if room := w.most - w.Len(); len(s) > room {
		s = strings.ToValidUTF8(s[:max(room, 0)], "") + "…"
	}
	w.WriteString(strconv.Quote(s))
}

func (w *writer) list(v cty.Value) {
	w.WriteByte('[')
	first := true
	for _, e := range v.Elements() {
		if !first {
			w.WriteString(", ")
		}
		if first = false; w.full() {
			w.WriteString("…")
			break
		}
		w.value(e)
	}
	w.WriteByte(']')
}

func (w *writer) object(v cty.Value) {
	if v.LengthInt() == 0 {
		w.WriteString("{}")
		return
	}
	sep := "{ "
	for k, e := range v.Elements() {
		w.WriteString(sep)
		if sep = ", "; w.full() {
			w.WriteString("…")
			break
		}
		if name := k.AsString(); hclsyntax.ValidIdentifier(name) {
			w.WriteString(name)
		} else {
			w.text(name)
		}
		w.WriteString(" = ")
		w.value(e)
	}
	w.WriteString(" }")
}

// TextOf returns a bool, number or string as text: the only way in which numbers become
// text. An integer is written in full, any other number with as many digits as tell a
// float64 from its neighbours.
func TextOf(v cty.Value) string {
	switch v.Type() {
	case cty.Bool:
		return strconv.FormatBool(v.True())
	case cty.Number:
		return number(v.AsBigFloat())
	}
	return v.AsString()
}

func number(n *big.Float) string {
	const exact = 1100 // binary digits of an integer that are written in full
	exp := n.MantExp(nil)
	if n.IsInt() && exp <= exact {
		return n.Text('f', 0)
	}
	f, _ := n.Float64()
	if math.IsInf(f, 0) || f == 0 {
		return n.Text('g', 17)
	}
	if a := math.Abs(f); a < 1e-7 || a >= 1e21 {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// Texted returns v as text if it is a number, and anything else as it is.
func Texted(v cty.Value) cty.Value {
	plain, marks := v.Unmark()
	if plain.Type() != cty.Number || !plain.IsKnown() || plain.IsNull() {
		return v
	}
	return cty.StringVal(TextOf(plain)).WithMarks(marks)
}

// Short returns v with each number in it that is no integer as the one that TextOf writes.
func Short(v cty.Value) (cty.Value, error) {
	return cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		plain, marks := v.Unmark()
		if plain.Type() != cty.Number || !plain.IsKnown() || plain.IsNull() || plain.AsBigFloat().IsInt() {
			return v, nil
		}
		n, err := cty.ParseNumberVal(TextOf(plain))
		return n.WithMarks(marks), err
	})
}
