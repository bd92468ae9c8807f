package hcl_test

import (
	"strings"
	"testing"

	"eyrie/hcl"
)

// A mistake in the body of a loop is told before it is known what the loop goes over.
func TestLoopOverUnknown(t *testing.T) {
	for expression, want := range map[string]string{
		`any = [for s in stage.net["a"].front : s.accurcy]`:                        "accurcy",
		`any = [for s in stage.net["a"].front : { a = s.accurcy }]`:                "accurcy",
		`any = { for s in stage.net["a"].front : s.label => s.nope }`:              "nope",
		`any = { for s in stage.net["a"].front : s.lable => 1 }`:                   "lable",
		`any = [for s in stage.net["a"].front : s.label if s.lateny < 1]`:          "lateny",
		`any = length([for s in stage.net["a"].front : s.accurcy])`:                "accurcy",
		`any = [for y in [for s in stage.net["a"].front : { a = s.label }] : y.b]`: `"b"`,
	} {
		_, diags := loadText(t, around+"  "+expression+"\n}\n", hcl.Options{})
		if err := diags.Error(); !diags.HasErrors() || !strings.Contains(err, want) {
			t.Errorf("%s: %v; want a mistake that names %s", expression, err, want)
		}
	}
	for _, expression := range []string{
		`any = [for s in stage.net["a"].front : s.accuracy]`,
		`any = [for s in stage.net["a"].front : s.nope if false]`,
		`any = try([for s in stage.net["a"].front : s.nope], [])`,
		`any = can([for s in stage.net["a"].front : s.nope])`,
		`any = [for s in stage.net["a"].front : s.label] == ["f0", "f1"]`,
		`any = [for i, s in stage.net["a"].front : s.widths[0] / (s.latency - i)]`,
		`any = { for s in stage.net["a"].front : s.label => s... }`,
		`any = concat([for s in stage.net["a"].front : s.label], [1])`,
		`any = true ? [for s in stage.net["a"].front : { a = s.label }] : []`,
	} {
		r := load(t, around+"  "+expression+"\n}\n", hcl.Options{})
		attrs, err := step(t, r, `t["k"]`).Attrs(nil)
		name, _, _ := strings.Cut(expression, " ")
		if a := attrs[name]; err != nil || !strings.Contains(expression, "false") && (len(a.Unknown) != 1 || a.Unknown[0] != `net["a"]`) {
			t.Errorf("%s: waits for %v, %v", expression, a.Unknown, err)
		}
	}
}

// What a loop makes of each element is held against what an attribute takes.
func TestLoopOfObjects(t *testing.T) {
	const search = `
stage "search" "other" {
  platform = stage.chip.platform
  widths   = [1]
  limit    = { latency = 1 }
  stops    = [for s in stage.net["a"].front : { HERE = s.latency }]
}
`
	load(t, around+"}\n"+strings.ReplaceAll(search, "HERE", "latency"), hcl.Options{})
	_, diags := loadText(t, around+"}\n"+strings.ReplaceAll(search, "HERE", "latnecy"), hcl.Options{})
	if err := diags.Error(); !strings.Contains(err, "stops") || !strings.Contains(err, "latnecy") {
		t.Errorf("%v; want a mistake at stops that names latnecy", err)
	}
}
