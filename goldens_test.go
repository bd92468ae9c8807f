package eyrie_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A version's golden results stay what they were when they were first committed:
// whoever has a store has results of that version in it. (pipelinetest compares
// them with what the stage gives, and does not overwrite them.)
func TestGoldensStay(t *testing.T) {
	if _, err := os.Stat(".git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no history to compare with: ", err)
		}
		t.Skip("no history to compare with: ", err)
	}
	needs(t, "git")
	problems, err := changedGoldens(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
}

// changedGoldens says which files of golden results in the repository at dir
// are not what was first committed under their names.
func changedGoldens(dir string) (problems []string, err error) {
	first, err := firstCommitted(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(first)) {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			continue // of an earlier version
		}
		now, err := git(dir, "hash-object", "--", path)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(now) != first[path] {
			problems = append(problems, fmt.Sprintf("%s was first committed with other results (git cat-file -p %s): restore it, increase the stage's version in Define, "+
				"and run go test -update in its package, which writes those of the new version", path, first[path]))
		}
	}
	return problems, nil
}

// firstCommitted returns, for each file of golden results that was ever
// committed, the digest of its first content.
func firstCommitted(dir string) (map[string]string, error) {
	out, err := git(dir, "log", "--reverse", "--topo-order", "--format=", "--raw", "--no-abbrev", "--no-renames", "--diff-merges=separate",
		"--", ":(glob)stages/*/testdata/golden-v*/*")
	if err != nil {
		return nil, err
	}
	first := map[string]string{}
	for line := range strings.Lines(out) { // :100644 100644 OLD NEW M<tab>PATH
		about, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		fields := strings.Fields(about)
		if !ok || len(fields) != 5 {
			return nil, fmt.Errorf("git log wrote %q", line)
		}
		if _, seen := first[path]; !seen && fields[4] != "D" {
			first[path] = fields[3]
		}
	}
	return first, nil
}

// git runs git in dir, and returns what it wrote. It reads repositories that
// another user owns, too.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-c", "safe.directory=*", "-c", "core.quotePath=false"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	if err != nil {
		err = fmt.Errorf("git %s: %w", args[0], err)
	}
	return string(out), err
}

// An edited file is found before it is committed and after, also where it went
// away in between, until it is restored or makes way for a new version. New files
// are no matter.
func TestChangedGoldens(t *testing.T) {
	needs(t, "git")
	dir := t.TempDir()
	must := func(args ...string) {
		t.Helper()
		if _, err := git(dir, append([]string{"-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	path := func(version int, name string) string {
		return filepath.Join(dir, fmt.Sprintf("stages/a/testdata/golden-v%d", version), name)
	}
	write := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(path string) {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	must("init", "-q")
	for _, step := range []struct {
		name   string
		do     func()
		commit bool
		want   string // the file that changed; "" for none
	}{
		{"new", func() { write(path(1, "x.json"), "1") }, false, ""},
		{"not yet committed", func() { write(path(1, "x.json"), "2") }, true, ""},
		{"another name", func() { write(path(1, "é y.json"), "1") }, true, ""},
		{"edited", func() { write(path(1, "x.json"), "3") }, false, "golden-v1/x.json"},
		{"edited and committed", func() {}, true, "golden-v1/x.json"},
		{"restored", func() { write(path(1, "x.json"), "2") }, true, ""},
		{"new version", func() { remove(path(1, "x.json")); write(path(2, "x.json"), "3") }, true, ""},
		{"back, changed", func() { write(path(1, "x.json"), "3") }, false, "golden-v1/x.json"},
		{"back, the same", func() { write(path(1, "x.json"), "2") }, true, ""},
	} {
		if step.do(); step.commit {
			must("add", "-A")
			must("commit", "-q", "--allow-empty", "-m", step.name)
		}
		var problems string
		if _, err := git(dir, "rev-parse", "-q", "--verify", "HEAD"); err == nil {
			all, err := changedGoldens(dir)
			if err != nil {
				t.Fatal(err)
			}
			problems = strings.Join(all, "\n")
		}
		if (problems != "") != (step.want != "") || !strings.Contains(problems, step.want) {
			t.Errorf("%s: got %q, want %q", step.name, problems, step.want)
		}
	}
}

// needs skips a test without a program, and fails it in CI.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	} else if os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else {
		t.Skip(err)
	}
}
