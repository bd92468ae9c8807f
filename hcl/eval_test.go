package hcl_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/hcl"
	"eyrie/pipeline"
)

// around is a recipe around the attributes under test: a platform, two
// searches by for_each, and a table that refers to them.
const around = `
variable "mode" { default = "fast" }
variable "secret" {
  default   = "s3cret"
  sensitive = true
}
locals {
  best = stage.net["a"].best
  half = 0.5
  far  = local.best.latency * local.half
}
stage "calibrate" "chip" { policy = "tiled" }
stage "search" "net" {
  for_each = ["a", "b"]
  platform = stage.chip.platform
  widths   = [1]
  limit    = { latency = 1 }
}
stage "table" "left_out" { when = false }
stage "table" "old" {}
stage "table" "t" {
  reveal = true
  for_each = { k = 1, a = 2 }
`

const handle = `{"$object":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":3}`

// done are the outputs of the steps around.
var done = outputs{
	"chip":      `{"platform":{"name":"chip","memory":360448},"residual":0.051,"table":` + handle + `}`,
	`net["a"]`:  `{"best":{"latency":0.07,"accuracy":0.71,"widths":[1,0.5],"label":"A"},"front":[{"latency":0.07,"accuracy":0.71,"widths":[],"label":"f0"},{"latency":0.09,"accuracy":0.73,"widths":null,"label":"f1"}],"extra":{"n":3},"weights":` + handle + `,"note":null}`,
	`net["b"]`:  `{"best":{"latency":0.08,"accuracy":0.72,"widths":[1],"label":"B"},"front":[],"weights":` + handle + `,"note":"hm"}`,
	"old":       `{"rows":[{"x":{"value":9,"origins":[{"kind":"measured","source":"board"}]}}],"text":"| x |"}`,
	`t["k"]`:    `{"rows":[],"text":""}`,
	`t["a"]`:    `{"rows":[],"text":""}`,
	"unrelated": `{}`,
}

// evaluate evaluates an expression as an attribute of step t["k"].
func evaluate(t *testing.T, attr, expression string, known *pipeline.Outputs) (pipeline.Attr, error) {
	t.Helper()
	r := load(t, around+"  "+attr+" = "+expression+"\n}\n", hcl.Options{})
	attrs, err := step(t, r, `t["k"]`).Attrs(known)
	return *attrs.Of(attr), err
}

// An expression is unknown exactly as long as it needs an output that is not
// there, and names the steps that it waits for.
func TestUnknown(t *testing.T) {
	for _, test := range []struct{ expression, waits string }{
		{`1`, ``},
		{`each.value`, ``},
		{`stage.chip.platform`, `chip`},
		{`stage.chip.residual + stage.net["b"].best.latency`, `chip net["b"]`},
		{`[1, stage.chip.residual]`, `chip`},
		{`{ a = { b = stage.chip.table } }`, `chip`},
		{`stage.net`, `net["a"] net["b"]`},
		{`stage.net["a"].extra.n`, `net["a"]`},
		{`stage.net[each.key == "k" ? "a" : "b"].best`, `net["a"]`},
		{`[for k, s in stage.net : s.best.latency]`, `net["a"] net["b"]`},
		{`[for k, s in stage.net : k]`, ``},
		{`keys(stage.net)`, ``},
		{`length(stage.net)`, ``},
		{`values(stage.net)[*].best.latency`, `net["a"] net["b"]`},
		{`local.best.latency`, `net["a"]`},
		{`local.far`, `net["a"]`},
		{`local.half`, ``},
		{`true ? 1 : stage.chip.residual`, ``},
		{`var.mode == "fast" ? stage.net["a"].best.latency : stage.net["b"].best.latency`, `net["a"]`},
		{`stage.chip.residual > 1 ? 1 : 2`, `chip`},
		{`stage.chip == null`, ``},
		{`stage.left_out == null`, ``},
		{`try(stage.left_out.text, "gone")`, ``},
		{`try(stage.chip.residual, 0)`, `chip`},
		{`can(stage.net["a"].extra.zzz)`, `net["a"]`},
		{`"${stage.chip.platform.name} and ${stage.old.text}"`, `chip old`},
		{`[10, 20][stage.net["a"].extra.n - 2]`, `net["a"]`},
		{`max(1, stage.chip.residual)`, `chip`},
		{`concat([1], stage.net["b"].front)`, `net["b"]`},
		{`lookup({ x = 1 }, "x", stage.chip.residual)`, `chip`},
		{`jsonencode({ a = stage.chip.platform })`, `chip`},
		{`published(stage.chip.residual, "me")`, `chip`},
		{`sum([1, stage.chip.residual])`, `chip`},
		{`max([stage.chip.residual, stage.net["b"].best.latency]...)`, `chip net["b"]`},
		{`{ (stage.chip.platform.name) = 1 }`, `chip`},
		{`[for f in stage.net["a"].front : f.latency if f.latency > stage.chip.residual]`, `chip net["a"]`},
		{`stage.old.rows`, `old`},
		{`false && stage.chip.residual > 1`, ``},
	} {
		a, err := evaluate(t, "any", test.expression, outputs{}.known())
		if err != nil {
			t.Errorf("%s: %v", test.expression, err)
			continue
		}
		if got := strings.Join(a.Unknown, " "); got != test.waits {
			t.Errorf("%s waits for %q, want %q", test.expression, got, test.waits)
		}
		a, err = evaluate(t, "any", test.expression, done.known())
		if err != nil || len(a.Unknown) > 0 {
			t.Errorf("%s still waits for %v, %v", test.expression, a.Unknown, err)
		}
	}
}

// Values come out as HCL computes them, in the types that pipeline has.
func TestValues(t *testing.T) {
	for _, test := range []struct {
		expression string
		want       any
	}{
		{`stage.net["a"].best.latency * 1000`, 70.0},
		{`stage.chip.platform`, map[string]any{"name": "chip", "memory": 360448.0, "clock": nil}},
		{`stage.net["b"].front`, []any{}},
		{`stage.net["a"].front[1].widths`, []any{}},
		{`stage.net["a"].extra`, map[string]any{"n": 3.0}},
		{`[stage.net["a"].note, stage.net["b"].note]`, []any{nil, "hm"}},
		{`stage.old.rows[0].x + 1`, 10.0},
		{`stage.net["a"].best.latency == 0.07`, true},
		{`stage.net["a"].weights == stage.net["b"].weights`, true},
		{`{ for k, s in stage.net : k => s.best.label }`, map[string]any{"a": "A", "b": "B"}},
		{`try(stage.left_out.text, "gone")`, "gone"},
		{`stage.left_out`, nil},
		{`stage.net.a.best.label`, "A"},
		{"<<-END\n  two\n    lines\nEND\n", "two\n  lines\n"},
		{`0.1 + 0.2`, 0.3}, // decimal, as HCL computes
		{`each`, map[string]any{"key": "k", "value": 1.0}},
	} {
		if test.expression == "each" {
			test.expression = `{ key = each.key, value = each.value }`
		}
		a, err := evaluate(t, "any", test.expression, done.known())
		if err != nil || !reflect.DeepEqual(a.Value, test.want) {
			t.Errorf("%s is %#v, %v; want %#v", test.expression, a.Value, err, test.want)
		}
	}
}

// origins writes origins in short: kind step:output or kind "source".
func origins(all []pipeline.Origin) string {
	var words []string
	for _, o := range all {
		w := string(o.Kind) + " " + o.Step
		if o.Output != "" {
			w += ":" + o.Output
		}
		if o.Source != "" {
			w += "'" + o.Source + "'"
		}
		if o.At != "" {
			w += "@" + o.At
		}
		words = append(words, w)
	}
	return strings.Join(words, ", ")
}

// Every value in a cell says where it came from, through arithmetic, loops,
// functions and locals, and does not claim what only chose it.
func TestOrigins(t *testing.T) {
	for _, test := range []struct{ expression, want string }{
		{`3`, `given `},
		{`"x"`, `given `},
		{`var.mode`, `given `},
		{`local.half`, `given `},
		{`stage.net["a"].best.latency`, `modelled net["a"]:best.latency`},
		{`stage.net["a"].best.latency * 1000`, `modelled net["a"]:best.latency`},
		{`stage.net["a"].best.accuracy`, `predicted net["a"]:best.accuracy`},
		{`stage.net["a"].best.label`, ` net["a"]:best.label`},
		{`stage.chip.residual`, `measured chip:residual`},
		{`stage.chip.platform.memory`, ` chip:platform.memory`},
		{`stage.net["a"].front[1].latency`, `modelled net["a"]:front[1].latency`},
		{`stage.net["a"].extra.n`, ` net["a"]:extra["n"]`},
		{`local.far`, `modelled net["a"]:best.latency`},
		{`published(0.087, "table 3")`, `published 'table 3'`},
		{`measured("9", "board")`, `measured 'board'`},
		{`published(stage.chip.residual, "me")`, `published 'me', measured chip:residual`},
		{`stage.net["a"].best.latency / published(0.1, "p")`, `published 'p', modelled net["a"]:best.latency`},
		{`stage.old.rows[0].x`, `measured old:rows[0]["x"]'board'`},
		{`format("%.1f", stage.net["b"].best.latency)`, `modelled net["b"]:best.latency`},
		{`"about ${stage.net["b"].best.latency}"`, `modelled net["b"]:best.latency`},
		{`tonumber(csvdecode("x\n1")[0].x)`, `given `},
		{`published(csvdecode("x\n1"), "p")[0].x`, `published 'p'`},

		// What chooses a value is no part of it.
		{`true ? stage.net["a"].best.latency : stage.net["a"].best.accuracy`, `modelled net["a"]:best.latency`},
		{`stage.chip.residual < 1 ? stage.net["a"].best.latency : 0`, `modelled net["a"]:best.latency`},
		{`stage.chip.residual < 1 ? 5 : 0`, `given `},
		{`[for f in stage.net["a"].front : f.accuracy if f.latency > 0.08][0]`, `predicted net["a"]:front[1].accuracy`},
		{`{ for f in stage.net["a"].front : f.label => f.accuracy }.f0`, `predicted net["a"]:front[0].accuracy`},
		{`stage.net["a"].front[stage.net["a"].extra.n - 2].latency`, `modelled net["a"]:front[1].latency`},
		{`[7, 8][stage.net["a"].extra.n - 3]`, `given `},
		{`(true ? (false ? stage.chip.residual : stage.net["a"].best.latency) : 1)`, `modelled net["a"]:best.latency`},

		// Lists keep their elements apart.
		{`sort(["x"])[0]`, `given `},
		{`concat([1], [stage.chip.residual])[0]`, `given `},
		{`concat([1], [stage.chip.residual])[1]`, `measured chip:residual`},
		{`tolist([1, stage.chip.residual])[0]`, `given `},
		{`merge({ a = 1 }, { b = stage.chip.residual }).a`, `given `},
		{`flatten([[1], [stage.chip.residual]])[0]`, `given `},
		{`reverse([1, stage.chip.residual])[1]`, `given `},
		{`values(stage.net)[*].best.latency`, `modelled net["a"]:best.latency@[0], modelled net["b"]:best.latency@[1]`},
		{`sum(values(stage.net)[*].best.latency)`, `modelled net["a"]:best.latency, modelled net["b"]:best.latency`},

		// Composite cells.
		{`{ name = "x", ms = stage.net["a"].best.latency, n = 2 }`, `given @n, modelled net["a"]:best.latency@ms`},
	} {
		a, err := evaluate(t, "one", test.expression, done.known())
		if err != nil {
			t.Errorf("%s: %v", test.expression, err)
			continue
		}
		if got := origins(a.Value.(pipeline.Traced).Origins); got != test.want {
			t.Errorf("%s comes from %s, want %s", test.expression, got, test.want)
		}
	}
}

// An attribute that is no cell keeps its origins beside the plain value.
func TestOriginsOfAttributes(t *testing.T) {
	a, err := evaluate(t, "any", `{ x = [stage.net["a"].best.latency, 3], y = stage.chip.residual }`, done.known())
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"x": []any{0.07, 3.0}, "y": 0.051}; !reflect.DeepEqual(a.Value, want) {
		t.Errorf("value %v, want %v", a.Value, want)
	}
	if got, want := origins(a.Origins), `measured chip:residual, modelled net["a"]:best.latency`; got != want {
		t.Errorf("origins %s, want %s", got, want)
	}
}

// A number of a step whose output was adopted is of no other kind, whatever its stage says.
func TestAdoptedOrigins(t *testing.T) {
	known := done.known()
	known.Adopt("chip")
	a, err := evaluate(t, "one", `stage.chip.residual + stage.net["a"].best.latency`, known)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := origins(a.Value.(pipeline.Traced).Origins), `adopted chip:residual, modelled net["a"]:best.latency`; got != want {
		t.Errorf("origins %s, want %s", got, want)
	}
}

// Many origins that differ only in an index are shown as one.
func TestManyOrigins(t *testing.T) {
	rows := strings.Repeat(`{"latency":1,"accuracy":1,"widths":[],"label":""},`, 40)
	o := outputs{`net["a"]`: strings.Replace(done[`net["a"]`], `"front":[`, `"front":[`+rows, 1), `net["b"]`: done[`net["b"]`], "chip": done["chip"]}
	a, err := evaluate(t, "one", `sum(stage.net["a"].front[*].latency)`, o.known())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := origins(a.Value.(pipeline.Traced).Origins), `modelled net["a"]:front[*].latency`; got != want {
		t.Errorf("origins %s, want %s", got, want)
	}
}

// A sensitive variable marks what is made of it, to the attribute.
func TestSensitive(t *testing.T) {
	for expression, want := range map[string]bool{
		`var.secret`:                     true,
		`"x${var.secret}"`:               true,
		`{ a = [var.secret] }`:           true,
		`length(var.secret) > 3`:         true,
		`length(var.secret) > 3 ? 1 : 2`: true,
		`var.mode`:                       false,
		`true ? 1 : length(var.secret)`:  false,
	} {
		a, err := evaluate(t, "any", expression, done.known())
		if err != nil || a.Sensitive != want {
			t.Errorf("%s is sensitive: %v, %v; want %v", expression, a.Sensitive, err, want)
		}
	}
}

// What a stage makes of a sensitive attribute is sensitive, too, known or not, directly
// and through locals, instances and other stages; of one that is no part of the key it is
// not.
func TestSensitiveOutputs(t *testing.T) {
	const recipe = `
variable "secret" {
  type      = string
  default   = "hunter2"
  sensitive = true
}
locals { later = { a = stage.t.text, b = 1 } }
stage "table" "behind" {
  any    = local.later.a
  reveal = true
}
stage "table" "t" {
  any    = var.secret
  reveal = true
}
stage "table" "many" {
  for_each = { x = 1, y = 2 }
  any      = each.key == "x" ? var.secret : "open"
  reveal   = true
}
stage "table" "open" {
  any = local.later.b
}
`
	for expression, want := range map[string]bool{
		"stage.t.text": true, "stage.behind.text": true, `stage.many["x"].text`: true, `stage.many["y"].text`: false,
		"[for k, s in stage.many : s.text]": true, "stage.open.text": false, "local.later.b": false, "length(local.later.a)": true,
	} {
		text := recipe + "output \"o\" { value = " + expression + " }\n"
		path := filepath.Join(t.TempDir(), "test.hcl")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		_, diags := hcl.Load(path, hcl.Options{Stages: testStages})
		var shown strings.Builder
		if err := diags.Write(&shown, 0, false); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(shown.String(), "Error: Sensitive output"); got != want || !want && diags.HasErrors() {
			t.Errorf("%s is sensitive before it is known: %v, want %v; %s", expression, got, want, &shown)
		}
	}
}

// A file is a handle that goes on to another step as it is; a path in the
// recipe is looked up beside it.
func TestFiles(t *testing.T) {
	r := load(t, around+`
  any = { w = stage.net["a"].weights }
}
stage "search" "next" {
  platform = stage.chip.platform
  widths   = [1]
  limit    = { latency = 1 }
  weights  = stage.net["b"].weights
}
stage "search" "local" {
  platform = stage.chip.platform
  widths   = [1]
  limit    = { latency = 1 }
  weights  = "test.hcl"
}
`, hcl.Options{})
	var want artifacts.File
	if err := want.UnmarshalJSON([]byte(handle)); err != nil {
		t.Fatal(err)
	}
	attrs, err := step(t, r, `t["k"]`).Attrs(done.known())
	if got := attrs["any"].Value; err != nil || !reflect.DeepEqual(got, map[string]any{"w": want}) {
		t.Errorf("any = %v, %v", got, err)
	}
	attrs, err = step(t, r, "next").Attrs(done.known())
	if got := attrs["weights"].Value; err != nil || got != want {
		t.Errorf("weights = %v, %v; want %v", got, err, want)
	}
	attrs, err = step(t, r, "local").Attrs(done.known())
	f, _ := attrs["weights"].Value.(artifacts.File)
	if err != nil || !strings.HasSuffix(f.Path, "/test.hcl") || !strings.HasPrefix(f.Path, "/") {
		t.Errorf("weights = %v, %v; want the absolute path", f, err)
	}
}

// A mistake that shows only with an output's value has its place in the recipe.
func TestLateMistake(t *testing.T) {
	for expression, want := range map[string]string{
		`stage.net["b"].front[0].latency`:  "Invalid index",
		`stage.net["a"].extra.m`:           "Unsupported attribute",
		`stage.net["a"].best.label + 1`:    "Invalid operand",
		`1 / (stage.net["a"].extra.n - 3)`: "Division by zero",
	} {
		_, err := evaluate(t, "any", expression, done.known())
		var diags hcl.Diagnostics
		if !errors.As(err, &diags) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "test.hcl:") {
			t.Errorf("%s: %v; want %q and where", expression, err, want)
		}
	}
	r := load(t, `
stage "calibrate" "chip" { policy = "tiled" }
stage "search" "s" {
  platform = stage.chip.platform
  widths   = [stage.chip.residual]
  limit    = { latency = 1 }
}
`, hcl.Options{})
	_, err := step(t, r, "s").Attrs(done.known())
	if err == nil || !strings.Contains(err.Error(), "test.hcl:5: Out of range: widths[0] must be between 0.3 and 1.5, not 0.051") {
		t.Errorf("an output out of range: %v", err)
	}
}
