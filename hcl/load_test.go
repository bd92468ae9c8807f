package hcl_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"eyrie/hcl"
	"eyrie/pipeline"
)

// load reads a recipe from text and fails the test on any mistake in it.
func load(t testing.TB, text string, opt hcl.Options) *pipeline.Recipe {
	t.Helper()
	r, diags := loadText(t, text, opt)
	if diags.HasErrors() {
		var b strings.Builder
		if err := diags.Write(&b, 0, false); err != nil {
			t.Fatal(err)
		}
		t.Fatal(b.String())
	}
	return r
}

func loadText(t testing.TB, text string, opt hcl.Options) (*pipeline.Recipe, hcl.Diagnostics) {
	t.Helper()
	if opt.Stages == nil {
		opt.Stages = testStages
	}
	return hcl.Load(recipe(t, text), opt)
}

// recipe makes a recipe of text and returns its path.
func recipe(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.hcl")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// outputs are steps' outputs, by step.
type outputs map[string]string

func (o outputs) known() *pipeline.Outputs {
	all := new(pipeline.Outputs)
	for id, s := range o {
		all.Set(id, json.RawMessage(s))
	}
	return all
}

func step(t testing.TB, r *pipeline.Recipe, id string) *pipeline.Step {
	t.Helper()
	for _, s := range r.Steps {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no step %s", id)
	return nil
}

// A program given as a recipe, or text in another encoding, is refused at once,
// without a flood of mistakes.
func TestLoadBinary(t *testing.T) {
	tests := []struct{ text, want string }{
		{"\x7fELF\x02\x00\x00{{{{", "is not text in UTF-8: see line 1."},
		{"# fine: \uFFFD é\n# caf\xe9\n", "is not text in UTF-8: see line 2."},
		{"\xff\xfes\x00t\x00", "is not text in UTF-8: see line 1."},
	}
	for _, test := range tests {
		if _, diags := loadText(t, test.text, hcl.Options{}); diags.Len() != 1 || !strings.Contains(diags.Error(), test.want) {
			t.Errorf("%q: got %v", test.text, diags)
		}
	}
}

// Of a directory, the files that end in .hcl are the recipe; directories are not.
func TestLoadDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "b[1].hcl", `output "b" { value = local.a }`)
	write(t, dir, "a.hcl", `locals { a = 1 }`)
	write(t, dir, "c.hcl.bak", `not a recipe`)
	if err := os.Mkdir(filepath.Join(dir, "d.hcl"), 0o777); err != nil {
		t.Fatal(err)
	}
	r, diags := hcl.Load(dir, hcl.Options{})
	if diags.Len() != 0 || len(r.Outputs) != 1 {
		t.Errorf("%v", diags)
	}
}

// A recipe's steps, edges and values arrive in pipeline's terms; what waits for
// an output says for which.
func TestLoad(t *testing.T) {
	r := load(t, `
variable "rounds" { default = 5 }
stage "calibrate" "raptor" {
  policy = "resident"
  memory = "352KiB"
}
stage "search" "net" {
  for_each = { "70ms" = 0.070, "87ms" = 0.087 }
  platform = stage.raptor.platform
  widths   = [0.3, 1]
  rounds   = var.rounds
  limit    = { latency = each.value }
}
stage "table" "table3" {
  rows = [for k, s in stage.net : { name = k, latency = s.best.latency }]
}
`, hcl.Options{})
	var ids []string
	for _, s := range r.Steps {
		ids = append(ids, s.ID+" "+strings.Join(s.Deps, " "))
	}
	want := []string{"raptor ", `net["70ms"] raptor`, `net["87ms"] raptor`, `table3 net["70ms"] net["87ms"]`}
	if !reflect.DeepEqual(ids, want) {
		t.Errorf("steps and dependencies are %q, want %q", ids, want)
	}
	attrs, err := step(t, r, `net["87ms"]`).Attrs(outputs{}.known())
	if err != nil {
		t.Fatal(err)
	}
	if got := attrs["limit"].Value; !reflect.DeepEqual(got, map[string]any{"latency": 0.087}) {
		t.Errorf("limit is %v", got)
	}
	if got := attrs["platform"].Unknown; !reflect.DeepEqual(got, []string{"raptor"}) {
		t.Errorf("platform waits for %v", got)
	}
}
