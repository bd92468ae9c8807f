package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const smallRecipe = `
stage "write" "file" {
  text = "content"
}

stage "read" "text" {
  file = stage.file.file
}

stage "list" "tree" {
  dir = "tree"
}

stage "list" "again" {
  dir = stage.tree.dir
}

stage "slow" "slow" {
  steps = 10
}

output "text" {
  value = stage.text.text
}

output "names" {
  value = stage.again.names
}

output "file" {
  value = stage.file.file
}

output "state" {
  value = stage.slow.state
}
`

// Whatever takes the place of anything in the store, plan, run and output come to their
// end, and to the results that they would have had.
func TestAnythingInTheStore(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("a.hcl", smallRecipe)
	write("tree/one", "1")
	write("tree/below/two", "2")
	if err := os.Mkdir(filepath.Join(dir, "tree/empty"), 0o777); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, ".eyrie")
	ended(t, dir, "run", "a.hcl", "--target", "text", "--target", "again")
	slow := runnerIn(t, dir, "run", "a.hcl", "--target", "slow")
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(kept, "checkpoints/*/*/count")); len(found) > 0 {
			break
		} else if time.Since(begin) > 10*time.Second {
			t.Fatal("no checkpoint")
		}
	}
	slow.Process.Kill() // so that the store has a lock of nobody's, and a checkpoint
	slow.Wait()

	whole := t.TempDir()
	copyTree(t, dir, whole)
	ended(t, whole, "run", "a.hcl")
	want := ended(t, whole, "output", "a.hcl")

	var paths []string
	seen := map[string]bool{} // one of each kind: by the directory, and how deep it is
	err := filepath.WalkDir(kept, func(path string, _ fs.DirEntry, err error) error {
		parts := strings.Split(strings.TrimPrefix(path, kept), "/")
		if kind := fmt.Sprint(parts[:min(2, len(parts))], len(parts)); len(parts) > 1 && !seen[kind] {
			seen[kind] = true
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, top := range []string{"locks/", "checkpoints/", "objects/", "actions/", "trees/", "last/", "runs/", "outputs/", "tmp/", "statcache", "format"} {
		if !strings.Contains(strings.Join(paths, "\n"), "/.eyrie/"+top) {
			t.Fatalf("the store has no %s:\n%s", top, strings.Join(paths, "\n"))
		}
	}
	for what, replace := range map[string]func(path string) error{
		"nothing":        func(path string) error { return nil },
		"file":           func(path string) error { return os.WriteFile(path, []byte("else"), 0o666) },
		"directory":      func(path string) error { return os.MkdirAll(filepath.Join(path, "below"), 0o777) },
		"link":           func(path string) error { return os.Symlink("nowhere", path) },
		"link to itself": func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"pipe":           func(path string) error { return syscall.Mkfifo(path, 0o666) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, path := range paths {
				dir := filepath.Join(t.TempDir(), "copy")
				copyTree(t, filepath.Dir(kept), dir)
				at := filepath.Join(dir, ".eyrie", strings.TrimPrefix(path, kept))
				if err := os.RemoveAll(at); err != nil {
					t.Fatal(err)
				}
				if err := replace(at); err != nil {
					t.Fatal(err)
				}
				t.Log("instead of", path)
				ended(t, dir, "plan", "a.hcl")
				ended(t, dir, "run", "a.hcl")
				if got := ended(t, dir, "output", "a.hcl"); got != want {
					t.Errorf("%s\nwant\n%s", got, want)
				}
				if got := ended(t, dir, "plan", "a.hcl"); !strings.Contains(got, "5 steps cached") {
					t.Errorf("after the run: %s", got)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// runnerIn returns a command of the runner with the tests' stages.
func runnerIn(t *testing.T, dir string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "runner", args...)
	cmd.Dir = dir
	return cmd
}

// ended runs the command, which must succeed within ten seconds, and returns what it printed.
func ended(t *testing.T, dir string, args ...string) string {
	t.Helper()
	var out, notices bytes.Buffer
	cmd := runnerIn(t, dir, args...)
	cmd.Stdout, cmd.Stderr = &out, &notices
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, &out, &notices)
	}
	return out.String()
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o777); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
