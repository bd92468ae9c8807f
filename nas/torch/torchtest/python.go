// Package torchtest helps to test what runs in PyTorch.
package torchtest

import (
	"os"
	"os/exec"
	"testing"
)

// Python returns an interpreter that has PyTorch. Without one the test is skipped, except
// under CI, where it fails.
func Python(t testing.TB) string {
	t.Helper()
	for _, p := range []string{os.Getenv("PYTHON"), "/usr/bin/python3", "python3"} {
		if p != "" && exec.Command(p, "-c", "import torch").Run() == nil {
			return p
		}
	}
	const how = "no python3 with torch: install Debian's python3-torch, or set PYTHON"
	if os.Getenv("CI") == "true" {
		t.Fatal(how)
	}
	t.Skip(how)
	return ""
}
