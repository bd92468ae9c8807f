package onnxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/cpu"
)

// Processor is one that onnxruntime can be run on here.
type Processor struct {
	Name string
	// Saturates: products of unsigned and signed bytes are added up by pairs in 16
	// bits, as x86 does without VNNI, so that large weights overflow.
	Saturates bool

	run []string // what runs Python on it
	env []string
}

// Here is this machine's processor. Without a Python that has onnx and
// onnxruntime the test is skipped; in CI it fails.
func Here(t testing.TB) Processor {
	t.Helper()
	vnni := cpu.X86.HasAVX512VNNI || cpu.X86.HasAVXVNNI
	return Processor{Name: "this machine", Saturates: runtime.GOARCH == "amd64" && !vnni, run: []string{python(t)}}
}

// OnEach runs a test on all processors on which onnxruntime must agree with us: this
// machine's; Haswell, an x86 without VNNI; and an Arm Cortex-A76, which adds products
// in 32 bits as VNNI does. What this machine is not is emulated, by qemu, which can't
// emulate VNNI itself. On machines other than x86 there is only their own.
func OnEach(t *testing.T, test func(*testing.T, Processor)) {
	here := Here(t)
	t.Run("here", func(t *testing.T) { test(t, here) })
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		return
	}
	if !here.Saturates {
		t.Run("haswell", func(t *testing.T) {
			test(t, Processor{Name: "an emulated Haswell", Saturates: true, run: []string{emulator(t, "qemu-x86_64"), "-cpu", "Haswell", here.run[0]}})
		})
	}
	t.Run("arm", func(t *testing.T) {
		root := made("arm64/root")
		if _, err := os.Stat(root); err != nil {
			skip(t, "%s is missing: run scripts/test-needs", root)
		}
		test(t, Processor{
			Name: "an emulated Cortex-A76",
			run:  []string{emulator(t, "qemu-aarch64"), "-L", root, "-cpu", "cortex-a76", filepath.Join(root, "usr/bin/python3")},
			env:  []string{"PYTHONPATH=" + made("arm64/site")},
		})
	})
}

func (p Processor) command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.run[0], append(p.run[1:len(p.run):len(p.run)], args...)...)
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

func emulator(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skip(t, "%s is missing (Debian: qemu-user): run scripts/test-needs", name)
	}
	return path
}

// made returns a path under data/, where scripts/test-needs puts things.
func made(path string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../../data", path)
}

// skip skips the test, or fails it in CI, where nothing may be missing.
func skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
