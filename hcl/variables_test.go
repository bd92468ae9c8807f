package hcl_test

import (
	"reflect"
	"strings"
	"testing"

	"eyrie/hcl"
)

// --var overrides files of variables, the later file the earlier one, and both
// the environment; what a text means follows from the variable's type.
func TestVariables(t *testing.T) {
	const declared = `
variable "s" {
  type    = string
  default = "default"
}
variable "n" {
  type    = number
  default = 0
}
variable "any" { default = null }
variable "list" {
  type    = list(number)
  default = []
}
variable "object" {
  type    = object({ a = number, b = optional(string, "b") })
  default = { a = 1 }
}
stage "table" "t" { any = [var.s, var.n, var.any, var.list, var.object] }
`
	object := func(a float64, b string) any { return map[string]any{"a": a, "b": b} }
	dir := t.TempDir()
	one := write(t, dir, "one.vars", "s = \"one\"\nn = 1\n")
	two := write(t, dir, "two.vars", "s = \"two\"\nlist = [for i in range(2) : i + 1]\n")
	for _, test := range []struct {
		name string
		opt  hcl.Options
		want []any
	}{
		{"defaults", hcl.Options{}, []any{"default", 0.0, nil, []any{}, object(1, "b")}},
		{"environment", hcl.Options{Environ: []string{"HOME=/", "EYRIE_VAR_s=env", "EYRIE_VAR_n=1e3", "EYRIE_VAR_other=3"}},
			[]any{"env", 1000.0, nil, []any{}, object(1, "b")}},
		{"files", hcl.Options{VarFiles: []string{one, two}, Environ: []string{"EYRIE_VAR_s=env", "EYRIE_VAR_any=[1, \"x\"]"}},
			[]any{"two", 1.0, []any{1.0, "x"}, []any{1.0, 2.0}, object(1, "b")}},
		{"options", hcl.Options{VarFiles: []string{two}, Vars: map[string]string{"s": "[1]", "n": "2", "any": "87ms", "list": "[3]", "object": `{ a = 2, b = "c" }`}},
			[]any{"[1]", 2.0, "87ms", []any{3.0}, object(2, "c")}},
		{"words", hcl.Options{Vars: map[string]string{"any": "fast", "s": ""}},
			[]any{"", 0.0, "fast", []any{}, object(1, "b")}},
		{"what only resembles an expression", hcl.Options{Vars: map[string]string{"any": "2024-01-02", "s": "{"}},
			[]any{"{", 0.0, "2024-01-02", []any{}, object(1, "b")}},
		{"a negative number", hcl.Options{Vars: map[string]string{"any": "-1.5", "s": "-true", "n": "-2"}},
			[]any{"-true", -2.0, -1.5, []any{}, object(1, "b")}},
		{"words with a sign", hcl.Options{Vars: map[string]string{"any": "-true"}},
			[]any{"default", 0.0, "-true", []any{}, object(1, "b")}},
		{"null", hcl.Options{Vars: map[string]string{"any": "null", "s": "null"}},
			[]any{"null", 0.0, nil, []any{}, object(1, "b")}},
		{"a list, behind a space", hcl.Options{Vars: map[string]string{"any": ` [true, "x"]`}},
			[]any{"default", 0.0, []any{true, "x"}, []any{}, object(1, "b")}},
		{"quoted", hcl.Options{Vars: map[string]string{"any": `"7"`}},
			[]any{"default", 0.0, "7", []any{}, object(1, "b")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			attrs, err := load(t, declared, test.opt).Steps[0].Attrs(outputs{}.known())
			if got := attrs["any"].Value; err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%v, %v\nwant %v", got, err, test.want)
			}
		})
	}
}

// A mistake in a variable's value is shown where it was given.
func TestVariableMistakes(t *testing.T) {
	const declared = `
variable "n" { type = number }
variable "size" {
  default = 1
  validation {
    condition     = var.size < 10
    error_message = "${var.size} is too large."
  }
}
`
	file := write(t, t.TempDir(), "my.vars", "n = [1]\nsiez = 3\nstage \"x\" \"y\" {}\n")
	for _, test := range []struct {
		opt  hcl.Options
		want []string
	}{
		{hcl.Options{}, []string{"Variable without a value"}},
		{hcl.Options{Vars: map[string]string{"n": "many", "siez": "2"}}, []string{
			`--var n:1: Wrong type: The variable "n" is of type number`, `--var siez:1: Variable does not exist: The recipe has no variable "siez". Did you mean "size"?`}},
		{hcl.Options{Vars: map[string]string{"n": "1 +"}}, []string{`--var n:1: Wrong type: The variable "n" is of type number`}},
		{hcl.Options{Vars: map[string]string{"n": "1", "size": "[1,2"}}, []string{
			`--var size:1: Malformed value: The value given for the variable "size" begins like a list, such as [1, "two"], but is not one.`, "type = string"}},
		{hcl.Options{Vars: map[string]string{"n": "1", "size": "{ a = 1"}}, []string{"--var size:1: Malformed value", "begins like an object"}},
		{hcl.Options{Vars: map[string]string{"n": "1", "size": `"open`}}, []string{"--var size:1: Malformed value", "begins like quoted text"}},
		{hcl.Options{Vars: map[string]string{"n": "1", "size": "[1] 2"}}, []string{"--var size:1: Malformed value"}},
		{hcl.Options{Vars: map[string]string{"n": "1", "size": "[one]"}}, []string{"--var size:1: Reference not allowed"}},
		{hcl.Options{Vars: map[string]string{"n": "1", "size": strings.Repeat("[", 10_000)}}, []string{"--var size:1: Malformed value", "nested 2000 deep"}},
		{hcl.Options{Vars: map[string]string{"n": `"x"`}}, []string{"--var n:1: Wrong type"}},
		{hcl.Options{Vars: map[string]string{"n": "1", "size": "10"}}, []string{"10 is too large."}},
		{hcl.Options{Environ: []string{"EYRIE_VAR_n=?"}}, []string{"EYRIE_VAR_n:1: "}},
		{hcl.Options{VarFiles: []string{file}}, []string{"my.vars:1: Wrong type", "my.vars:2: Variable does not exist", "my.vars:3: Block in a file"}},
		{hcl.Options{VarFiles: []string{"nowhere.vars"}}, []string{"There is no file nowhere.vars"}},
	} {
		r, diags := loadText(t, declared, test.opt)
		if r != nil || !diags.HasErrors() {
			t.Errorf("%+v was accepted", test.opt)
		}
		var all strings.Builder
		for _, d := range diags.All() {
			if d.Range != nil {
				all.WriteString(d.Range.File + ":" + string(rune('0'+d.Range.Start.Line)) + ": ")
			}
			all.WriteString(d.Summary + ": " + d.Detail + "\n")
		}
		for _, want := range test.want {
			if !strings.Contains(all.String(), want) {
				t.Errorf("%+v gets\n%swant %q", test.opt, all.String(), want)
			}
		}
	}
}

// What is wrong with a sensitive value is told without showing it.
func TestSensitiveMistakesAreNotShown(t *testing.T) {
	const declared = `
variable "key" {
  type      = list(number)
  sensitive = true
}
`
	for _, value := range []string{"hunter2", `["hunter2"`, `["hunter2"]`} {
		r, diags := loadText(t, declared, hcl.Options{Vars: map[string]string{"key": value}})
		var b strings.Builder
		if err := diags.Write(&b, 0, false); err != nil || r != nil {
			t.Fatalf("%s: %v, %v", value, r, err)
		}
		if text := b.String() + diags.Error(); strings.Contains(text, "hunter2") || !strings.Contains(text, "key") {
			t.Errorf("%s: %s", value, text)
		}
	}
}
