package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"eyrie/artifacts"
)

const wideRecipe = `
stage "write" "part" {
  for_each = { for i in range(30) : "p${i}" => i }
  text     = "part ${each.value}"
}

stage "read" "copy" {
  for_each = stage.part
  file     = each.value.file
}

stage "list" "tree" {
  dir = "tree"
}

stage "list" "again" {
  dir = stage.tree.dir
}

output "texts" { value = [for c in stage.copy : c.text] }
output "names" { value = stage.again.names }
output "dir" { value = stage.again.dir }
`

// verifying is a directory with a recipe that was run.
type verifying struct {
	*testing.T
	dir string
	r   *rand.Rand
}

func newVerifying(t *testing.T) *verifying {
	v := &verifying{t, t.TempDir(), rand.New(rand.NewPCG(9, 9))}
	v.write("wide.hcl", wideRecipe)
	for i := range 20 {
		v.write(fmt.Sprint("tree/sub/file", i), fmt.Sprint("in the tree ", i))
	}
	v.runner(0, "run", "wide.hcl")
	return v
}

func (v *verifying) write(name, text string) {
	path := filepath.Join(v.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		v.Fatal(err)
	}
}

// runner runs the command, checks its exit code, and returns what it printed to standard
// output.
func (v *verifying) runner(code int, args ...string) string {
	v.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("runner", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = v.dir, &out, &errs
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		v.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
	}
	return out.String()
}

// object returns where the store has a file with this content.
func (v *verifying) object(content string) string {
	hex := artifacts.Sum([]byte(content)).String()
	return filepath.Join(v.dir, ".eyrie", "objects", hex[:2], hex[2:])
}

// record returns where the store has the record of a step.
func (v *verifying) record(step string) string {
	var plan struct {
		Steps []struct{ Step, Action string }
	}
	if err := json.Unmarshal([]byte(v.runner(0, "plan", "wide.hcl", "--json")), &plan); err != nil {
		v.Fatal(err)
	}
	for _, s := range plan.Steps {
		if s.Step == step {
			return filepath.Join(v.dir, ".eyrie", "actions", s.Action[:2], s.Action[2:])
		}
	}
	v.Fatalf("there is no step %s", step)
	return ""
}

func (v *verifying) flip(path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		v.Fatal(err)
	}
	fi, _ := os.Stat(path)
	b[v.r.IntN(len(b))] ^= 1 << v.r.IntN(8)
	if err := os.Chmod(path, 0o666); err != nil {
		v.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		v.Fatal(err)
	}
	_ = os.Chtimes(path, fi.ModTime(), fi.ModTime())
	_ = os.Chmod(path, fi.Mode())
}

// Whatever is damaged, missing or no file is reported with the steps that made it, and put
// aside; repaired, everything is whole, and what the recipe yields is what it was.
func TestVerifyRepairs(t *testing.T) {
	v := newVerifying(t)
	before := v.runner(0, "output", "wide.hcl", "--json")
	if out := v.runner(0, "verify"); !strings.Contains(out, "all whole") {
		t.Fatal(out)
	}
	damaged, inPlace := v.record(`part["p20"]`), v.record(`copy["p21"]`)
	for i := range 10 {
		v.flip(v.object(fmt.Sprint("part ", i)))
		remove(t, v.object(fmt.Sprint("part ", 10+i)))
	}
	remove(t, v.object("in the tree 7"))
	v.flip(damaged)
	remove(t, inPlace)
	if err := os.MkdirAll(filepath.Join(inPlace, "in"), 0o777); err != nil {
		t.Fatal(err)
	}
	pipe, link := v.object("part 22"), v.object("part 23")
	remove(t, pipe)
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	remove(t, link)
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	out := v.runner(1, "verify", "--json")
	for what, n := range map[string]int{`"problem":"damaged"`: 11, `"problem":"missing"`: 11, "a directory is in its place": 1, "a pipe is in its place": 1, "a link is in its place": 1} {
		if got := strings.Count(out, what); got != n {
			t.Errorf("%s: %d times, want %d\n%s", what, got, n, out)
		}
	}
	if aside, _ := os.ReadDir(filepath.Join(v.dir, ".eyrie", "quarantine")); len(aside) != 14 {
		t.Errorf("%d things are in quarantine, want 14", len(aside))
	}
	v.runner(0, "verify", "wide.hcl", "--repair")
	if out := v.runner(0, "verify"); !strings.Contains(out, "all whole") {
		t.Error(out)
	}
	v.runner(0, "run", "wide.hcl", "--frozen")
	after := v.runner(0, "output", "wide.hcl", "--json")
	if a, b := outputsIn(before), outputsIn(after); a != b {
		t.Errorf("outputs before and after:\n%s\n%s", a, b)
	}
}

// A repair runs what is not whole, and not what was never made.
func TestRepairRunsNoMore(t *testing.T) {
	v := newVerifying(t)
	v.write("wide.hcl", wideRecipe+"\nstage \"fail\" \"never\" {}\n")
	remove(t, v.object("part 3"))
	out := v.runner(0, "verify", "wide.hcl", "--repair")
	if !strings.Contains(out, `of part["p3"]`) || !strings.Contains(out, "1 result made again") {
		t.Error(out)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// outputsIn returns a line of output --json from the outputs on.
func outputsIn(line string) string { return line[max(0, strings.Index(line, `"outputs"`)):] }
