package builtin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/ext/customdecode"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/source"
	"eyrie/pipeline"
)

const secret = "swordfish"

// pool has arguments of all kinds, with nulls in each place.
func pool() []cty.Value {
	null := cty.NullVal(cty.DynamicPseudoType)
	text := cty.StringVal
	traced, err := value.MarkLeaves(cty.TupleVal([]cty.Value{cty.NumberIntVal(1), null, text("b")}), pipeline.Origin{Step: "s", Output: "o"})
	if err != nil {
		panic(err)
	}
	hidden := text(secret).Mark(value.SensitiveMark{})
	return []cty.Value{
		null,
		cty.NullVal(cty.String),
		cty.NullVal(cty.List(cty.Number)),
		cty.NullVal(cty.Object(map[string]cty.Type{"a": cty.String})),
		cty.NumberIntVal(2),
		cty.NumberFloatVal(-1.5),
		cty.Zero,
		text(""),
		text("a,b\n1,2"),
		text(`{"a": [1, null]}`),
		cty.True,
		cty.EmptyTupleVal,
		cty.EmptyObjectVal,
		cty.ListValEmpty(cty.DynamicPseudoType),
		cty.TupleVal([]cty.Value{null}),
		cty.TupleVal([]cty.Value{text("a"), null}),
		cty.TupleVal([]cty.Value{cty.TupleVal([]cty.Value{null}), cty.ObjectVal(map[string]cty.Value{"a": null})}),
		cty.ListVal([]cty.Value{text("a"), cty.NullVal(cty.String)}),
		cty.ListVal([]cty.Value{null, null}),
		cty.SetVal([]cty.Value{null}),
		cty.SetVal([]cty.Value{cty.NumberIntVal(1)}),
		cty.MapVal(map[string]cty.Value{"a": null}),
		cty.ObjectVal(map[string]cty.Value{"a": null, "b": cty.TupleVal([]cty.Value{null, cty.NumberIntVal(1)})}),
		traced,
		hidden,
		cty.TupleVal([]cty.Value{hidden, null}),
		cty.ObjectVal(map[string]cty.Value{"a": hidden}),
		cty.DynamicVal,
		cty.UnknownVal(cty.String),
		cty.UnknownVal(cty.List(cty.Number)).Mark(value.SensitiveMark{}),
		cty.TupleVal([]cty.Value{cty.UnknownVal(cty.Number), null}),
	}
}

// Whatever a function is given, nothing panics; if all of that is known, so is the
// result; and what is sensitive remains so, or is not quoted.
func TestAnyArguments(t *testing.T) {
	meter := new(budget.Meter)
	values := pool()
	for name, f := range Functions(source.Directory{Files: source.Disk, Path: t.TempDir()}, meter) {
		fixed, more := len(f.Params()), f.VarParam() != nil
		if fixed > 0 && f.Params()[0].Type == customdecode.ExpressionClosureType || more && f.VarParam().Type == customdecode.ExpressionClosureType {
			continue
		}
		for n := fixed; n <= 3 && (n == fixed || more); n++ {
			each(values, n, func(args []cty.Value) {
				meter.Restart()
				check(t, name, f, args)
			})
		}
	}
}

// each calls do with every combination of n values.
func each(values []cty.Value, n int, do func([]cty.Value)) {
	args := make([]cty.Value, n)
	var fill func(i int)
	fill = func(i int) {
		if i == n {
			do(args)
			return
		}
		for _, v := range values {
			args[i] = v
			fill(i + 1)
		}
	}
	fill(0)
}

func check(t *testing.T, name string, f function.Function, args []cty.Value) {
	known, sensitive := true, false
	for _, v := range args {
		known = known && v.IsWhollyKnown()
		sensitive = sensitive || value.IsSensitive(v)
	}
	v, err := f.Call(args)
	if err != nil {
		if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "panic") {
			complain(t, name, args, err)
		}
		return
	}
	if known && !v.IsWhollyKnown() {
		complain(t, name, args, v)
	}
	if (sensitive || strings.Contains(fmt.Sprintf("%#v", v), secret)) && !value.HoldsSensitive(v) {
		complain(t, name, args, "no longer sensitive")
	}
}

func complain(t *testing.T, name string, args []cty.Value, why any) {
	t.Helper()
	t.Errorf("%s(%s): %s", name, strings.Trim(fmt.Sprintf("%#v", args), "[]"), fmt.Sprintf("%.300v", why))
}
