package hcl_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"eyrie/hcl"
	"eyrie/pipeline"
)

// ids returns each step's ID with what it depends on: "net[\"a\"]<chip".
func ids(r *pipeline.Recipe) []string {
	var all []string
	for _, s := range r.Steps {
		id := s.ID
		if len(s.Deps) > 0 {
			id += "<" + strings.Join(s.Deps, ",")
		}
		all = append(all, id)
	}
	return all
}

// for_each makes one step of each key or element, named by it; when leaves out
// steps; which there are is known without any output.
func TestInstances(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"map in the order of keys", `
stage "table" "t" { for_each = { b = 1, a = 2 } }`,
			[]string{`t["a"]`, `t["b"]`}},
		{"list in its own order", `
stage "table" "t" { for_each = ["b", "a"] }`,
			[]string{`t["b"]`, `t["a"]`}},
		{"set", `
stage "table" "t" { for_each = toset(["b", "a", "b"]) }`,
			[]string{`t["a"]`, `t["b"]`}},
		{"computed", `
stage "table" "t" { for_each = { for i in range(3) : "r${i * 32 + 96}" => i } }`,
			[]string{`t["r128"]`, `t["r160"]`, `t["r96"]`}},
		{"empty", `
stage "table" "t" { for_each = {} }
stage "table" "u" { any = stage.t }`,
			[]string{`u`}},
		{"odd keys", `
stage "table" "t" { for_each = ["a \"b\"", "", "ü"] }`,
			[]string{`t["a \"b\""]`, `t[""]`, `t["ü"]`}},
		{"another stage's instances", `
stage "table" "s" { for_each = ["a", "b"] }
stage "table" "t" {
  for_each = stage.s
  title    = each.value.text
}
stage "table" "u" {
  for_each = stage.t
  title    = each.key
}`,
			[]string{`s["a"]`, `s["b"]`, `t["a"]<s["a"]`, `t["b"]<s["b"]`, `u["a"]`, `u["b"]`}},
		{"values that are not known", `
stage "table" "s" { for_each = ["a", "b"] }
stage "table" "t" {
  for_each = { for k, s in stage.s : upper(k) => s.text }
  title    = each.value
}`,
			[]string{`s["a"]`, `s["b"]`, `t["A"]<s["a"],s["b"]`, `t["B"]<s["a"],s["b"]`}},
		{"when", `
variable "deploy" { default = false }
stage "table" "s" { when = var.deploy }
stage "table" "t" {
  for_each = { a = 1, b = 2, c = 3 }
  when     = each.value != 2
}
stage "table" "u" {
  title = try(stage.s.text, "none")
  any   = [for k, t in stage.t : t.text]
}`,
			[]string{`t["a"]`, `t["c"]`, `u<t["a"],t["c"]`}},
		{"when by the shape of another stage", `
stage "table" "s" { for_each = ["a"] }
stage "table" "t" { when = length(stage.s) > 1 }
stage "table" "u" { when = stage.t == null }`,
			[]string{`s["a"]`, `u`}},
		{"instances that need one another", `
stage "table" "t" {
  for_each = { a = "", b = "a", c = "b" }
  title    = each.value == "" ? "first" : "second"
  any      = each.key == "a" ? null : try(stage.t[each.value].text, null)
}`,
			[]string{`t["a"]`, `t["b"]<t["a"]`, `t["c"]<t["b"]`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := ids(load(t, test.text, hcl.Options{})); !reflect.DeepEqual(got, test.want) {
				t.Errorf("steps %q, want %q", got, test.want)
			}
		})
	}
}

// A reference is an edge, also through locals; one to a certain instance is an
// edge to that instance alone.
func TestDependencies(t *testing.T) {
	const before = `
variable "pick" { default = "b" }
locals {
  one   = stage.s["a"].text
  both  = [for k, s in stage.s : s.text]
  plain = 1
  chain = [local.one, stage.x.text]
}
stage "table" "x" {}
stage "table" "y" {}
stage "table" "s" { for_each = ["a", "b"] }
stage "table" "t" {
  for_each = ["a", "zz"]
`
	for _, test := range []struct{ attrs, want string }{
		{`title = "none"`, ``},
		{`title = stage.x.text`, `x`},
		{`any = [stage.y, stage.x, stage.y.text]`, `y,x`},
		{`any = stage.s`, `s["a"],s["b"]`},
		{`any = stage.s["b"].text`, `s["b"]`},
		{`any = stage.s.b.text`, `s["b"]`},
		{`any = stage.s[var.pick].text`, `s["b"]`},
		{`any = stage.s["${var.pick}"].text`, `s["b"]`},
		{`any = try(stage.s[each.key].text, "")`, `s["a"]`},
		{`any = stage.s[lower("B")].text`, `s["b"]`},
		{`any = [for k in ["a"] : stage.s[k].text]`, `s["a"],s["b"]`},
		{`any = stage.s[stage.x.text == "" ? "a" : "b"]`, `s["a"],s["b"],x`},
		{`any = local.one`, `s["a"]`},
		{`any = local.both`, `s["a"],s["b"]`},
		{`any = local.plain`, ``},
		{`any = local.chain`, `x,s["a"]`},
		{`any = [for stage in [1] : stage]`, ``},
		{`any = { for x, stage in { a = { y = 1 } } : x => stage.y }`, ``},
		{`any = [for s in stage.s : [for x in [1] : stage.x.text]]`, `s["a"],s["b"],x`},
		{`depends_on = [stage.y]`, `y`},
		{`depends_on = [stage.s["b"], stage.x]`, `s["b"],x`},
		{`depends_on = [stage.s[each.key]]`, `s["a"]`},
		{"title = stage.x.text\n  depends_on = [stage.y, stage.x]", `x,y`},
	} {
		r := load(t, before+"  "+test.attrs+"\n}\n", hcl.Options{})
		if got := strings.Join(step(t, r, `t["a"]`).Deps, ","); got != test.want {
			t.Errorf("%s depends on %s, want %s", test.attrs, got, test.want)
		}
	}
}

// Adding an instance leaves the others' attributes as they were.
func TestInstancesAreIndependent(t *testing.T) {
	recipe := func(each string) *pipeline.Recipe {
		return load(t, `
stage "search" "s" {
  for_each = `+each+`
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = each.value }
  name     = each.key
}`, hcl.Options{})
	}
	before, after := recipe(`{ b = 0.1, d = 0.2 }`), recipe(`{ a = 0.3, b = 0.1, c = 0.4, d = 0.2 }`)
	for _, s := range before.Steps {
		old, err := s.Attrs(outputs{}.known())
		if err != nil {
			t.Fatal(err)
		}
		new, err := step(t, after, s.ID).Attrs(outputs{}.known())
		if err != nil || !reflect.DeepEqual(values(old), values(new)) {
			t.Errorf("%s has %v, then %v, %v", s.ID, values(old), values(new), err)
		}
	}
}

func values(attrs pipeline.Attrs) map[string]any {
	all := make(map[string]any)
	for name, a := range attrs {
		all[name] = a.Value
	}
	return all
}

// What an evaluation returned may be changed by its caller, unless the step is settled: it has
// a Config.
func TestAttributesBelongToTheCaller(t *testing.T) {
	r := load(t, `
stage "table" "a" {}
stage "table" "t" {
  any   = { list = [1, 2] }
  rows  = [{ a = { b = 1 } }]
  title = stage.a.text
}`, hcl.Options{})
	first, err := r.Steps[1].Attrs(outputs{}.known())
	if err != nil {
		t.Fatal(err)
	}
	first["any"].Value.(map[string]any)["list"].([]any)[0] = "changed"
	first["rows"].Value.([]any)[0].(map[string]any)["a"].(pipeline.Traced).Value.(map[string]any)["b"] = "changed"
	second, err := r.Steps[1].Attrs(outputs{}.known())
	if err != nil {
		t.Fatal(err)
	}
	if got := second["any"].Value; !reflect.DeepEqual(got, map[string]any{"list": []any{1.0, 2.0}}) {
		t.Errorf("any is now %v", got)
	}
	if got := second["rows"].Value.([]any)[0].(map[string]any)["a"].(pipeline.Traced).Value; !reflect.DeepEqual(got, map[string]any{"b": 1.0}) {
		t.Errorf("rows[0].a is now %v", got)
	}
}

// Every stage takes retry, timeout and resources, as quantities and by variables.
func TestPolicy(t *testing.T) {
	r := load(t, `
variable "cpus" { default = 2 }
stage "table" "a" {
  retry   = 2
  timeout = "1.5h"
  resources {
    cpus   = var.cpus
    gpus   = 0.5
    memory = "4GiB"
    boards = 1
  }
}
stage "table" "b" {
  for_each  = { x = "87ms", y = 3 }
  timeout   = each.value
  resources = { cpus = each.key == "x" ? 1 : 4 }
}
stage "table" "c" {}`, hcl.Options{})
	for id, want := range map[string]pipeline.Policy{
		"a":      {Retries: 2, Timeout: 90 * time.Minute, Resources: map[string]float64{"cpus": 2, "gpus": 0.5, "memory": 4 << 30, "boards": 1}},
		`b["x"]`: {Timeout: 87 * time.Millisecond, Resources: map[string]float64{"cpus": 1}},
		`b["y"]`: {Timeout: 3 * time.Second, Resources: map[string]float64{"cpus": 4}},
		"c":      {},
	} {
		if got := step(t, r, id).Policy; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
}

// Objects, and lists of them, may be written as blocks.
func TestBlocks(t *testing.T) {
	r := load(t, `
stage "search" "s" {
  platform {
    name   = "p"
    memory = "1KiB"
  }
  widths = [1]
  limit {
    latency = "87ms"
  }
  stops {
    latency = 0.1
  }
  stops {
    latency = 0.2
    energy  = "1mJ"
  }
}`, hcl.Options{})
	attrs, err := r.Steps[0].Attrs(outputs{}.known())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"platform": map[string]any{"name": "p", "memory": 1024.0},
		"widths":   []any{1.0},
		"limit":    map[string]any{"latency": 0.087},
		"stops":    []any{map[string]any{"latency": 0.1}, map[string]any{"latency": 0.2, "energy": 0.001}},
	}
	if got := values(attrs); !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// An attribute that is null is as if it were not written, but for those that
// may be null.
func TestNull(t *testing.T) {
	r := load(t, `
variable "name" { default = null }
stage "search" "s" {
  platform = { name = "p", memory = 1, clock = null }
  widths   = [1]
  limit    = { latency = 1 }
  name     = var.name
  rounds   = null
  scale    = null
}`, hcl.Options{})
	attrs, err := r.Steps[0].Attrs(outputs{}.known())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"platform": map[string]any{"name": "p", "memory": 1.0}, "widths": []any{1.0}, "limit": map[string]any{"latency": 1.0}, "scale": nil}
	if got := values(attrs); !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// path.file is the recipe's file, and its directory where that is the recipe.
func TestPathFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.hcl", `stage "table" "t" { any = path.file }`)
	for _, path := range []string{filepath.Join(dir, "a.hcl"), dir} {
		r, diags := hcl.Load(path, hcl.Options{Stages: testStages})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		attrs, err := r.Steps[0].Attrs(nil)
		if err != nil || values(attrs)["any"] != path {
			t.Errorf("%v, %v, want %s", values(attrs), err, path)
		}
	}
}

// A directory is one recipe, whichever file a block stands in; relative paths
// start from it.
func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pa[p]er")
	write(t, dir, "b.hcl", `stage "table" "first" { any = [local.x, file("note.txt"), path.recipe == "`+dir+`"] }`)
	write(t, dir, "c.hcl", "locals {\n x = stage.last.text\n}\n")
	write(t, dir, "a.hcl", `stage "table" "last" {}`)
	write(t, dir, "note.txt", "hello")
	write(t, dir, "other.txt", "not a recipe {")
	r, diags := hcl.Load(dir, hcl.Options{Stages: testStages})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if got, want := ids(r), []string{"last", "first<last"}; !reflect.DeepEqual(got, want) {
		t.Errorf("steps %q, want %q", got, want)
	}
	attrs, err := r.Steps[1].Attrs(outputs{"last": `{"rows":[],"text":"T"}`}.known())
	if got := attrs["any"].Value; err != nil || !reflect.DeepEqual(got, []any{"T", "hello", true}) {
		t.Errorf("any is %v, %v", got, err)
	}
	if r.Name != "pa[p]er" {
		t.Errorf("the recipe is called %q", r.Name)
	}
}

// A path without a recipe is a mistake that names it.
func TestNoRecipe(t *testing.T) {
	empty := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(empty, "none.hcl"): "There is no file " + filepath.Join(empty, "none.hcl"),
		empty:                            "The directory " + empty + " has no *.hcl files.",
	} {
		if r, diags := hcl.Load(path, hcl.Options{}); r != nil || diags.Len() != 1 || !strings.Contains(diags.Error(), want) {
			t.Errorf("%s: %v; want %q", path, diags, want)
		}
	}
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Outputs are evaluated like attributes, with their type in HCL's words.
func TestOutputs(t *testing.T) {
	r := load(t, around+`}
output "best" {
  value       = stage.net["a"].best.latency
  description = "the best latency"
}
output "all" { value = { for k, s in stage.net : k => [s.best.label, s.weights] } }
output "hidden" {
  value     = var.secret
  sensitive = true
}
output "none" { value = try(stage.left_out.text, null) }
`, hcl.Options{})
	want := []struct{ name, doc, typ, deps, waits string }{
		{"best", "the best latency", "number", `net["a"]`, `net["a"]`},
		{"all", "", "object({a = tuple([string, file]), b = tuple([string, file])})", `net["a"] net["b"]`, `net["a"] net["b"]`},
		{"hidden", "", "string", "", ""},
		{"none", "", "any", "", ""},
	}
	for i, w := range want {
		o := r.Outputs[i]
		before, err := o.Attr(outputs{}.known())
		if err != nil {
			t.Fatal(err)
		}
		after, err := o.Attr(done.known())
		if err != nil {
			t.Fatal(err)
		}
		got := struct{ name, doc, typ, deps, waits string }{o.Name, o.Doc, after.Type, strings.Join(o.Deps, " "), strings.Join(before.Unknown, " ")}
		if got != w {
			t.Errorf("%+v\nwant %+v", got, w)
		}
		if after.Sensitive != (w.name == "hidden") || len(after.Unknown) > 0 {
			t.Errorf("%s: %+v", w.name, after)
		}
	}
}
