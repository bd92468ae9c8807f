package cli

import (
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// Values are told in the recipe's notation, on a line that does not grow.
func TestBrief(t *testing.T) {
	file := artifacts.File{Digest: artifacts.Sum([]byte("x")), Size: 2048}
	tests := []struct {
		v    any
		want string
	}{
		{nil, "null"}, {true, "true"}, {"a\nb", `"a\nb"`},
		{3.0, "3"}, {2152173775.0, "2152173775"}, {0.001, "0.001"}, {1.5e-7, "1.5e-07"}, {1e20, "1e+20"},
		{[]any{1.0, "x"}, `[1, "x"]`},
		{map[string]any{"b": 1.0, "a": nil}, "{a = null, b = 1}"},
		{pipeline.Traced{Value: 0.5, Origins: []pipeline.Origin{{Kind: pipeline.Measured}}}, "0.5"},
		{file, "file 2.0 KiB 2d711642b726"},
		{map[string]any{"$object": file.Digest.String(), "size": 2048.0, "tree": true}, "tree 2.0 KiB 2d711642b726"},
		{strings.Repeat("long ", 20), `"long long long long long long long lon…`},
	}
	for _, test := range tests {
		if got := brief(test.v, 40); got != test.want {
			t.Errorf("%#v: got %s, want %s", test.v, got, test.want)
		}
	}
	huge := make([]any, 1_000_000)
	if n := testing.AllocsPerRun(1, func() { brief(huge, 40) }); n > 100 {
		t.Errorf("a line of a million elements takes %g allocations", n)
	}
}

// A value that does not fit a line gets a line for each element.
func TestSpread(t *testing.T) {
	long := "a text that is longer than the line"
	v := map[string]any{"list": []any{long, 1.0}, "short": []any{1.0, 2.0}}
	want := `{
  list = [
    "a text that is longer than the line"
    1
  ]
  short = [1, 2]
}`
	if got := spread(v, "", 30); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	many := make([]any, 50)
	for i := range many {
		many[i] = []any{long}
	}
	if got := spread(many, "", 30); strings.Count(got, "\n") != 62 || !strings.Contains(got, "  … and 30 more\n]") {
		t.Errorf("fifty elements: %s", got)
	}
	for i := range many {
		many[i] = pipeline.Traced{Value: long}
	}
	if got := spread(many, "", 30); strings.Count(got, long) != 50 {
		t.Errorf("fifty lines of text: %s", got)
	}
}

// A name that is close is offered, one that is not is not.
func TestDidYouMean(t *testing.T) {
	names := []string{"train", "table1", "table3"}
	tests := []struct{ name, want string }{
		{"trian", ` (did you mean "train"?)`}, {"table2", ` (did you mean "table1"?)`}, {"something", ""}, {"", ""},
	}
	for _, test := range tests {
		if got := didYouMean(test.name, names); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

// The line of the recipe is shown where it can be read, and never an error.
func TestSnippet(t *testing.T) {
	for _, pos := range []string{"", "nowhere.hcl:1", "value_test.go", "value_test.go:0", "value_test.go:100000", "value_test.go:x"} {
		if got := snippet(pos); got != "" {
			t.Errorf("%q: got %q", pos, got)
		}
	}
	if got, want := snippet("value_test.go:1"), "     1 | package cli\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
