// Package picturetest finds what tests of images are held against.
package picturetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Python returns an interpreter that has Pillow. Without one the test is skipped,
// except under CI, where it fails.
func Python(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	installed := filepath.Join(filepath.Dir(here), "../../../../data/python/bin/python")
	for _, p := range []string{os.Getenv("PILLOW_PYTHON"), installed, "python3"} {
		if p != "" && exec.Command(p, "-c", "import PIL").Run() == nil {
			return p
		}
	}
	const how = "no Python with Pillow: scripts/test-needs installs it, or set PILLOW_PYTHON"
	if os.Getenv("CI") == "true" {
		t.Fatal(how)
	}
	t.Skip(how)
	return ""
}
