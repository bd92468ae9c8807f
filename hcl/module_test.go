package hcl_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts"
	"eyrie/hcl"
	"eyrie/hcl/editor"
	"eyrie/hcl/internal/word"
	"eyrie/hcl/source"
	"eyrie/pipeline"
)

// files writes files below a directory and returns the path of the one called main.hcl.
func files(t testing.TB, all map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "main.hcl")
}

func loadFiles(t testing.TB, all map[string]string) *pipeline.Recipe {
	t.Helper()
	r, diags := hcl.Load(files(t, all), hcl.Options{Stages: testStages})
	if diags.HasErrors() {
		var b strings.Builder
		_ = diags.Write(&b, 0, false)
		t.Fatal(b.String())
	}
	return r
}

// A module's steps are the recipe's, by IDs that say which module they are of. What a step
// waits for are the steps that it really refers to, through arguments and outputs.
func TestModuleSteps(t *testing.T) {
	const train = `
variable "name" {}
variable "latency" { default = 1 }
locals { title = "net ${var.name}" }
stage "search" "net" {
  platform = { name = var.name, memory = 1 }
  widths   = [1]
  limit    = { latency = var.latency }
}
stage "table" "alone" { title = local.title }
stage "table" "report" {
  for_each = ["a", "b"]
  title    = each.key
  one      = stage.net.best.latency
}
output "best" { value = stage.net.best }
output "title" { value = stage.alone.text }
output "name" { value = var.name }
output "passed" { value = var.latency }
`
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"one", `
module "m" {
  source = "./train"
  name   = "x"
}
stage "table" "t" { one = module.m.best.latency }
stage "table" "u" { title = module.m.name }`,
			[]string{`module.m.net`, `module.m.alone`, `module.m.report["a"]<module.m.net`, `module.m.report["b"]<module.m.net`, `t<module.m.net`, `u`}},
		{"by for_each, chosen by each.key, as a whole and in a loop", `
module "m" {
  source   = "./train"
  for_each = { p = 1, q = 2 }
  name     = each.key
}
stage "table" "t" {
  for_each = ["p", "q"]
  one      = module.m[each.key].best.latency
}
stage "table" "u" { title = module.m["q"].title }
stage "table" "v" { any = { for k, m in module.m : k => m.best.latency } }
stage "table" "w" {
  for_each = module.m
  one      = each.value.best.latency
}`,
			[]string{
				`module.m["p"].net`, `module.m["p"].alone`, `module.m["p"].report["a"]<module.m["p"].net`, `module.m["p"].report["b"]<module.m["p"].net`,
				`module.m["q"].net`, `module.m["q"].alone`, `module.m["q"].report["a"]<module.m["q"].net`, `module.m["q"].report["b"]<module.m["q"].net`,
				`t["p"]<module.m["p"].net`, `t["q"]<module.m["q"].net`, `u<module.m["q"].alone`,
				`v<module.m["p"].net,module.m["q"].net`, `w["p"]<module.m["p"].net`, `w["q"]<module.m["q"].net`,
			}},
		{"an argument that is another step's output", `
stage "search" "first" {
  platform = { name = "p", memory = 1 }
  widths   = [1]
  limit    = { latency = 1 }
}
module "m" {
  source  = "./train"
  name    = "x"
  latency = stage.first.best.latency
}
stage "table" "t" { one = module.m.passed }
module "n" {
  source  = "./train"
  for_each = module.m.name == "x" ? ["k"] : []
  name    = module.m.name
  latency = module.m.best.latency
}`,
			[]string{`first`, `module.m.net<first`, `module.m.alone`, `module.m.report["a"]<module.m.net`, `module.m.report["b"]<module.m.net`, `t<first`,
				`module.n["k"].net<module.m.net`, `module.n["k"].alone`, `module.n["k"].report["a"]<module.n["k"].net`, `module.n["k"].report["b"]<module.n["k"].net`}},
		{"when and depends_on", `
stage "table" "before" {}
module "left" {
  source = "./train"
  name   = "x"
  when   = false
}
module "small" {
  source     = "./small"
  for_each   = { a = 1, b = 2 }
  when       = each.value > 1
  depends_on = [stage.before]
}
stage "table" "t" {
  title      = try(module.left.title, "none")
  any        = module.left == null
  depends_on = [module.small]
}`,
			[]string{`before`, `module.small["b"].s<before`, `t<module.small["b"].s`}},
		{"modules within modules", `
module "outer" {
  source = "./outer"
  name   = "x"
}
stage "table" "t" { title = module.outer.title }`,
			[]string{`module.outer.module.inner["i"].net`, `module.outer.module.inner["i"].alone`,
				`module.outer.module.inner["i"].report["a"]<module.outer.module.inner["i"].net`, `module.outer.module.inner["i"].report["b"]<module.outer.module.inner["i"].net`,
				`t<module.outer.module.inner["i"].alone`}},
		{"modules that use each other's outputs", `
module "a" {
  source = "./small"
  title  = module.b.name
}
module "b" {
  source = "./small"
  name   = "b"
  title  = module.a.name
}
stage "table" "t" { title = module.a.passed }`,
			[]string{`module.a.s`, `module.b.s`, `t`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := loadFiles(t, map[string]string{"main.hcl": test.text, "train/a.hcl": train,
				"outer/o.hcl": `
variable "name" {}
module "inner" {
  source   = "../train"
  for_each = ["i"]
  name     = "${var.name} ${each.key}"
}
output "title" { value = module.inner["i"].title }`,
				"small/s.hcl": `
variable "name" { default = "n" }
variable "title" { default = "t" }
stage "table" "s" { title = var.title }
output "name" { value = var.name }
output "passed" { value = var.title }`})
			if got := ids(r); !slices.Equal(got, test.want) {
				t.Errorf("the steps are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// What an argument comes to, where it came from, whether it is sensitive and what it waits for
// reach the attribute that the variable is used in; types, defaults and conditions are those of
// the module, and relative files start from its directory.
func TestModuleValues(t *testing.T) {
	r := loadFiles(t, map[string]string{
		"main.hcl": `
variable "secret" {
  default   = "s3cret"
  sensitive = true
}
stage "calibrate" "chip" { policy = "tiled" }
stage "table" "old" {}
module "m" {
  source   = "./sub"
  given    = stage.chip.residual
  text     = 12
  options  = { a = "1" }
  secret   = var.secret
}
stage "table" "t" {
  reveal = true
  one    = module.m.twice
  any    = [module.m.text, module.m.options]
  title  = module.m.secret
}
output "twice" { value = module.m.twice }
`,
		"sub/m.hcl": `
variable "given" { type = number }
variable "text" { type = string }
variable "options" { type = object({ a = number, b = optional(number, 7) }) }
variable "secret" {}
variable "positive" {
  default = 2
  validation {
    condition     = var.given > 0
    error_message = "The residual is ${var.given}."
  }
}
locals { twice = var.given * var.positive }
stage "calibrate" "here" {
  policy       = "tiled"
  measurements = "data.csv"
}
stage "table" "paths" { any = [path.recipe, path.file] }
output "twice" { value = local.twice }
output "text" { value = var.text }
output "options" { value = var.options }
output "secret" { value = var.secret }
`,
		"sub/data.csv": "a\n",
	})
	early, err := step(t, r, "t").Attrs(nil)
	if err != nil || !slices.Equal(early["one"].Unknown, []string{"chip"}) {
		t.Errorf("before chip has run, one waits for %v, %v", early["one"].Unknown, err)
	}
	attrs, err := step(t, r, "t").Attrs(done.known())
	if err != nil {
		t.Fatal(err)
	}
	if got := attrs["one"].Value.(pipeline.Traced); got.Value != 0.102 || len(got.Origins) != 1 || got.Origins[0].Step != "chip" || got.Origins[0].Kind != pipeline.Measured {
		t.Errorf("one is %+v", got)
	}
	if got := fmt.Sprint(attrs["any"].Value); got != "[12 map[a:1 b:7]]" {
		t.Errorf("any is %s", got)
	}
	if !attrs["title"].Sensitive {
		t.Error("what is sensitive in the recipe is not in the module's output")
	}
	here, err := step(t, r, "module.m.here").Attrs(nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := here["measurements"].Value.(artifacts.File); filepath.Base(filepath.Dir(f.Path)) != "sub" {
		t.Errorf("data.csv is looked for as %s", f.Path)
	}
	paths, err := step(t, r, "module.m.paths").Attrs(nil)
	if got, _ := paths["any"].Value.([]any); err != nil || filepath.Base(fmt.Sprint(got[0])) != "sub" || got[0] != got[1] {
		t.Errorf("the module's own paths are %v, %v", got, err)
	}
	bad := outputs{"chip": strings.Replace(done["chip"], "0.051", "-1", 1)}
	if _, err := step(t, r, "t").Attrs(bad.known()); err == nil || !strings.Contains(err.Error(), "The residual is -1.") {
		t.Errorf("a condition that turns out not to hold: %v", err)
	}
}

// counting are files that count how often each is read.
type counting struct {
	source.Files
	read map[string]int
}

func (c counting) ReadFile(path string) ([]byte, error) {
	c.read[filepath.Base(path)]++
	return c.Files.ReadFile(path)
}

// Each file is read once, however many modules are made of it, and is listed once.
func TestModuleReadOnce(t *testing.T) {
	path := files(t, map[string]string{
		"main.hcl": `
module "a" {
  source   = "./sub"
  for_each = { for i in range(10) : "i${i}" => i }
  n        = each.value
}
module "b" {
  source = "./sub/../sub"
  n      = 10
}`,
		"sub/s.hcl": `
variable "n" {}
module "deep" {
  source = "../deep.hcl"
  n      = var.n
}`,
		"deep.hcl": `
variable "n" {}
stage "table" "t" { any = var.n }`,
	})
	all := counting{source.Disk, map[string]int{}}
	r, diags := hcl.Load(path, hcl.Options{Stages: testStages, Files: all})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if len(r.Steps) != 11 || all.read["main.hcl"] != 1 || all.read["s.hcl"] != 1 || all.read["deep.hcl"] != 1 {
		t.Errorf("%d steps, files were read %v times", len(r.Steps), all.read)
	}
	listed, err := hcl.Files(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Name)
	}
	if len(names) != 3 || names[0] != listed[0] {
		t.Errorf("the recipe consists of %v, and Files returns %v", names, listed)
	}
	slices.Sort(listed)
	if slices.Sort(names); !slices.Equal(names, listed) {
		t.Errorf("the recipe consists of %v, and Files returns %v", names, listed)
	}
}

// A text means the same as a recipe, as a module and as one of many modules, whatever its
// expressions are; and what goes through a module's variable and output comes out as it went in.
func TestRandomModules(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	n := 150
	if testing.Short() {
		n = 40
	}
	outside := strings.NewReplacer("each.key", `"k"`, "each.value", "1")
	checked := 0
	for range n {
		e := expression{rng}.any(4)
		text := around + "  any = " + e + "\n}\n"
		alone, diags := loadText(t, text, hcl.Options{})
		if diags.HasErrors() {
			continue
		}
		path := files(t, map[string]string{
			"sub/test.hcl":  text,
			"echo/echo.hcl": "variable \"x\" {}\noutput \"x\" { value = var.x }\n",
			"main.hcl": text + `
module "one" { source = "./sub" }
module "many" {
  source   = "./sub"
  for_each = ["a", "b"]
  mode     = each.key == "a" ? "fast" : var.mode
  secret   = var.secret
}
module "echo" {
  source = "./echo"
  x      = ` + outside.Replace(e) + `
}
stage "table" "echoed" {
  reveal = true
  any    = module.echo.x
}
`})
		r, diags := hcl.Load(path, hcl.Options{Stages: testStages})
		if diags.HasErrors() {
			t.Fatalf("%s is fine in a recipe, but in a module: %v", e, diags)
		}
		checked++
		for _, known := range []outputs{{}, {"chip": done["chip"], `net["a"]`: done[`net["a"]`]}, done} {
			want, wantErr := evaluated(step(t, alone, `t["k"]`), known, "")
			for _, prefix := range []string{"", "module.one.", `module.many["a"].`, `module.many["b"].`} {
				got, err := evaluated(step(t, r, prefix+`t["k"]`), known, prefix)
				if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
					t.Errorf("%s after %v is\n%+v, %v in a recipe and\n%+v, %v in %q", e, word.Keys(known), want, wantErr, got, err, prefix)
				}
			}
			got, err := evaluated(step(t, r, "echoed"), known, "")
			if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
				t.Errorf("%s after %v is\n%+v, %v and through a module\n%+v, %v", e, word.Keys(known), want, wantErr, got, err)
			}
		}
	}
	if checked < n/4 {
		t.Errorf("only %d of %d expressions were sound", checked, n)
	}
}

// evaluated returns the attribute any of a step whose module's IDs begin with a prefix, as if
// it were of the recipe itself.
func evaluated(s *pipeline.Step, known outputs, prefix string) (pipeline.Attr, error) {
	all := outputs{}
	for id, output := range known {
		all[prefix+id] = output
	}
	attrs, err := s.Attrs(all.known())
	a := *attrs.Of("any")
	a.Pos = ""
	for i := range a.Unknown {
		a.Unknown[i] = strings.TrimPrefix(a.Unknown[i], prefix)
	}
	for i := range a.Origins {
		a.Origins[i].Step = strings.TrimPrefix(a.Origins[i].Step, prefix)
	}
	return a, err
}

// What has only to do with one module's outputs is evaluated again when these change, not
// with every other step of the recipe: the IDs say which block an output is of.
func TestModuleVersions(t *testing.T) {
	known := new(pipeline.Outputs)
	known.Set(`module.m["a[\"b\"].c"].net["x"]`, []byte("{}"))
	if known.Version(`module.m["a[\"b\"].c"].net`) != 1 || known.Version("module.m") != 0 {
		t.Error("a step's block is not found in its ID")
	}
}

// An editor is told which modules there are, what their blocks take, which instances and
// outputs they have, and where these are declared.
func TestModuleEditor(t *testing.T) {
	const text = `
module "m" {
  source   = "./sub"
  for_each = { a = 1, b = 2 }
  latency  = each.value
}
module "one" {
  source  = "./sub"
  latency = 3
}
`
	sub := map[string]string{"sub/sub.hcl": `
variable "latency" {
  description = "At most."
  type        = number
}
variable "name" { default = "x" }
stage "table" "t" { any = var.latency }
output "text" {
  description = "The table."
  value       = stage.t.text
}
output "latency" { value = var.latency }
`}
	ask := func(more string) (*hcl.Draft, string, editor.Position) {
		before, after, _ := strings.Cut(text+more, "|")
		sub["main.hcl"] = before + after
		path := files(t, sub)
		return hcl.Open(path, hcl.Options{Stages: testStages}), path, editor.Position{Byte: len(before)}
	}
	for _, test := range []struct{ text, want string }{
		{`output "o" { value = module.| }`, "m one"},
		{`output "o" { value = module.one.| }`, "latency text"},
		{`output "o" { value = module.m[|"] }`, ""},
		{`output "o" { value = module.m["|"] }`, "a b"},
		{`output "o" { value = module.m["a"].| }`, "latency text"},
		{"module \"new\" {\n  source = \"./sub\"\n  |\n}", "latency name for_each when depends_on"},
	} {
		m, path, at := ask(test.text)
		if got := labels(m.Complete(path, at)); test.want != "" && got != test.want {
			t.Errorf("%s\noffers %s, want %s", test.text, got, test.want)
		}
	}
	m, path, at := ask(`output "o" { value = module.one.te|xt }`)
	if s, ok := m.Definition(path, at); !ok || s.Kind != editor.Output || filepath.Base(s.At.File) != "sub.hcl" || s.At.Start.Line != 8 || s.At.Start.Column != 9 || s.Doc != "The table." {
		t.Errorf("module.one.text is declared at %+v", s)
	}
	m, path, at = ask(`output "o" { value = module.o|ne.text }`)
	if s, ok := m.Definition(path, at); !ok || s.Kind != editor.Module || s.Detail != "./sub" || s.At.Start.Line != 7 {
		t.Errorf("module.one is declared at %+v", s)
	}
	if d, ok := m.Describe(path, at); !ok || d.Title != "module one" || d.Type != "made of ./sub" {
		t.Errorf("module.one is described as %+v", d)
	}
	m, path, at = ask("module \"new\" {\n  source = \"./sub\"\n  laten|cy = 1\n}")
	if d, ok := m.Describe(path, at); !ok || d.Doc != "At most." || d.Type != "number" || !d.Required {
		t.Errorf("an argument is described as %+v", d)
	}
}

// Where a module's output is referred to too early, the reference is what is wrong, and not
// the module.
func TestModuleOutputTooEarly(t *testing.T) {
	path := files(t, map[string]string{
		"m/m.hcl": "stage \"table\" \"t\" { title = \"x\" }\noutput \"rows\" { value = stage.t.rows }\n",
		"main.hcl": `
module "m" { source = "./m" }
stage "table" "late" {
  for_each = { for r in module.m.rows : r.name => r }
  title    = "x"
}`,
	})
	_, diags := hcl.Load(path, hcl.Options{Stages: testStages})
	var b strings.Builder
	_ = diags.Write(&b, 0, false)
	if text := b.String(); strings.Count(text, "Known too late") != 1 || !strings.Contains(text, `main.hcl line 4, in stage "table" "late"`) {
		t.Error(text)
	}
}
