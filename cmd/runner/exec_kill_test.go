package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// unruly is a recipe whose program starts two processes that ignore SIGTERM, one of them a
// daemon, and has a secret in its environment.
const unruly = `
variable "mark" {
  type = string
}
variable "token" {
  type      = string
  sensitive = true
}
stage "exec" "unruly" {
  shell = <<-EOT
    trap '' TERM
    setsid sh -c 'trap "" TERM; sleep 1000; true' </dev/null >/dev/null 2>&1 3>&- &
    (trap '' TERM; sleep 1000; true) &
    echo "the token is $TOKEN"
    echo half >made
    sleep 0.03
    echo whole >>made
  EOT
  env     = { MARK = var.mark }
  secrets = { TOKEN = var.token }
  declare {
    output "made" {
      type = file
      path = "made"
    }
  }
}
stage "exec" "behind" {
  shell   = "sleep 0.03; cat made >made2"
  inputs  = { made = stage.unruly.made }
  declare {
    output "made" {
      type = file
      path = "made2"
    }
  }
}
`

// A runner that is killed at any moment leaves no process of its steps' programs behind,
// no result that is not whole, and a secret of theirs nowhere on the disk.
func TestExecKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows environments, by which daemons are found")
	}
	tests := []struct {
		name   string
		rounds int
		flags  []string
	}{
		{"together", 50, nil}, {"again", 50, nil}, {"isolated", 15, []string{"--isolate"}},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			killRounds(t, uint64(i), test.rounds, test.flags...)
		})
	}
}

func killRounds(t *testing.T, seed uint64, rounds int, flags ...string) {
	const secret = "zu6qWk3vTXm9"
	dir := t.TempDir()
	recipe, kept := filepath.Join(dir, "unruly.hcl"), filepath.Join(dir, "store")
	if err := os.WriteFile(recipe, []byte(unruly), 0o666); err != nil {
		t.Fatal(err)
	}
	command := func(mark string) *exec.Cmd {
		cmd := exec.Command("eyrie", append([]string{"run", recipe, "--store", kept, "--var", "mark=" + mark}, flags...)...)
		cmd.Env = append(os.Environ(), "EYRIE_VAR_token="+secret)
		cmd.Stderr = new(bytes.Buffer) // read to its end, which comes when nothing is left
		return cmd
	}
	random := rand.New(rand.NewPCG(1, seed))
	for round := range rounds {
		mark := fmt.Sprintf("%s/%d", dir, round)
		cmd := command(mark)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if pids := marked(t, mark); len(pids) > 0 {
			t.Fatalf("round %d: %v are alive\n%s", round, pids, cmd.Stderr)
		}
		if file := holding(t, kept, secret); file != "" {
			t.Fatalf("round %d: the secret is in %s", round, file)
		}
	}
	t.Logf("%d results", wholeRecords(t, kept))
	last := command("last")
	if out, err := last.Output(); err != nil || !bytes.Contains(out, []byte("the token is (sensitive)")) {
		t.Errorf("%v\n%s%s", err, out, last.Stderr)
	}
}

// marked returns the processes in whose environment MARK has this value.
func marked(t *testing.T, mark string) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte("MARK="+mark+"\x00")) {
			pids = append(pids, path)
		}
	}
	return pids
}

// holding returns a file below a directory that has the text in it, "" for none.
func holding(t *testing.T, dir, text string) (found string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // what a killed process leaves may be cleared away meanwhile
		}
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(text)) {
			found = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// wholeRecords checks that every record in a store has all that it refers to, and what
// the program writes last, and returns how many there are.
func wholeRecords(t *testing.T, dir string) int {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := filepath.Glob(filepath.Join(dir, "actions/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		var id artifacts.ActionID
		if err := id.UnmarshalText([]byte(filepath.Base(filepath.Dir(path)) + filepath.Base(path))); err != nil {
			t.Fatal(err)
		}
		r, err := s.Lookup(t.Context(), id)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		f, err := s.Fetch(t.Context(), r.Objects[0])
		if err != nil {
			t.Error(err)
			continue
		}
		if b, err := f.ReadFile(); err != nil || string(b) != "half\nwhole\n" {
			t.Errorf("step %s made %q, %v", r.Step, b, err)
		}
	}
	return len(all)
}
