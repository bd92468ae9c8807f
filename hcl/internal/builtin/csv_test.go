package builtin

import (
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"
)

// Recipes read CSV as the stages do.
func TestCSVDecode(t *testing.T) {
	tests := []struct{ text, want string }{
		{"\ufeffa,b\r\n1,\"x, y\"\r\n", ""},
		{"a, b\n1,\"x, y\"\n", ""},
		{"a,b,a\n1,2,3\n", `line 1: column "a" is there twice`},
		{"\u00e9,e\u0301\n1,2\n", "line 1: column \"\u00e9\" is there twice"},
		{"a,b\n1,2\n3\n", "line 3: 1 cell where line 1 names 2 columns"},
		{"a;b\n1;2\n", "line 1: the cells have semicolons between them"},
		{"", "line 1: the text is empty"},
	}
	want := cty.ListVal([]cty.Value{cty.ObjectVal(map[string]cty.Value{"a": cty.StringVal("1"), "b": cty.StringVal("x, y")})})
	for _, test := range tests {
		got, err := csvdecodeFunc.Call([]cty.Value{cty.StringVal(test.text)})
		switch {
		case test.want != "":
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%q: %v, want %s", test.text, err, test.want)
			}
		case err != nil || !got.RawEquals(want):
			t.Errorf("%q: %#v, %v", test.text, got, err)
		}
	}
	if got, err := csvdecodeFunc.Call([]cty.Value{cty.StringVal("a\n 1 \n")}); err != nil || got.AsValueSlice()[0].GetAttr("a").AsString() != " 1 " {
		t.Errorf("space: %#v, %v", got, err)
	}
	if got, err := csvdecodeFunc.Call([]cty.Value{cty.StringVal("a,b\n")}); err != nil || got.LengthInt() != 0 {
		t.Errorf("no rows: %#v, %v", got, err)
	}
	for _, unknown := range []cty.Value{cty.UnknownVal(cty.String), cty.DynamicVal} {
		if got, err := csvdecodeFunc.Call([]cty.Value{unknown}); err != nil || got.IsKnown() {
			t.Errorf("unknown: %#v, %v", got, err)
		}
	}
}
