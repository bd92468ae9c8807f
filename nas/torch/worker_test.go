package torch

import (
	"os"
	"os/exec"
	"testing"
)

// The worker passes the tests of its own, which test_worker.py lists, and its types hold.
// PYTHON is the interpreter of the ranks.
func TestWorker(t *testing.T) {
	t.Run("behaviour", func(t *testing.T) {
		python := tool(t, "a python3 with torch and pytest: install Debian's python3-torch and python3-pytest",
			[]string{os.Getenv("PYTHON"), "-c", "import torch, pytest"},
			[]string{"/usr/bin/python3", "-c", "import torch, pytest"},
			[]string{"python3", "-c", "import torch, pytest"})
		run(t, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_worker.py")
	})
	t.Run("types", func(t *testing.T) {
		mypy := tool(t, "mypy: install Debian's mypy", []string{"mypy", "--version"})
		run(t, mypy, "--strict", "--python-executable", "/usr/bin/python3", "--cache-dir", "../../data/mypy", "worker")
	})
}

// tool returns the program of the first command that works. Without one the test is
// skipped, except under CI, where it fails.
func tool(t *testing.T, what string, commands ...[]string) string {
	t.Helper()
	for _, c := range commands {
		if c[0] != "" && exec.Command(c[0], c[1:]...).Run() == nil {
			return c[0]
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("missing: " + what)
	}
	t.Skip("missing: " + what)
	return ""
}

// run runs a program, which is to succeed.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
}
