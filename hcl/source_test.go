package hcl_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"eyrie/hcl"
	"eyrie/hcl/source"
)

// All that Load reads comes from its files: the recipe's, those of variables, those
// that file reads, and those that a stage is to take.
func TestLoadFromBuffers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.hcl", "not saved {")
	in := func(name string) string { return filepath.Join(dir, name) }
	opt := hcl.Options{Stages: testStages, VarFiles: []string{in("my.vars")}, Files: source.Overlay(source.Disk, map[string][]byte{
		in("a.hcl"):   []byte(`variable "x" {}`),
		in("b.hcl"):   []byte("stage \"table\" \"t\" { any = [var.x, file(\"n.txt\"), fileexists(\"m.txt\")] }\nstage \"calibrate\" \"c\" {\n  policy = \"tiled\"\n  measurements = \"n.txt\"\n}"),
		in("n.txt"):   []byte("note"),
		in("my.vars"): []byte("x = 3"),
	})}
	r, diags := hcl.Load(dir, opt)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	attrs, err := step(t, r, "t").Attrs(outputs{}.known())
	if got := attrs["any"].Value; err != nil || !reflect.DeepEqual(got, []any{3.0, "note", false}) {
		t.Errorf("any is %v, %v", got, err)
	}
}

// A pipe or device is refused at once, by name, wherever a recipe names it.
func TestOnlyRegularFilesAreRead(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, diags := hcl.Load(pipe, hcl.Options{}); !strings.Contains(diags.Error(), pipe+": is not a regular file: it is a pipe") {
		t.Error(diags)
	}
	if _, diags := hcl.Load("/dev/zero", hcl.Options{}); !strings.Contains(diags.Error(), "/dev/zero: is not a regular file: it is a device") {
		t.Error(diags)
	}
	for name, opt := range map[string]hcl.Options{
		"/dev/zero": {}, pipe: {}, "my.vars": {VarFiles: []string{pipe}},
	} {
		_, diags := loadText(t, `output "o" { value = file("`+name+`") }`, opt)
		if !diags.HasErrors() || !strings.Contains(diags.Error(), name) && !strings.Contains(diags.Error(), pipe) {
			t.Errorf("%s: %v", name, diags)
		}
	}
}
