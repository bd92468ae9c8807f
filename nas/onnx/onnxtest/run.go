// Package onnxtest holds models against ONNX's own checker and the reference
// runtime, onnxruntime, in tests: on this machine's processor, and on others,
// emulated, which multiply integers in other ways.
package onnxtest

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/nas/onnx"
)

//go:embed run.py
var program string

// Check holds a model against ONNX's checker.
func Check(t testing.TB, m *onnx.Model) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := os.WriteFile(path, m.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	const script = "import sys, onnx; onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)"
	if b, err := exec.Command(python(t), "-c", script, path).CombinedOutput(); err != nil {
		t.Fatalf("onnx: %v\n%s", err, b)
	}
}

// Run runs the model on the images and returns what it yields. Its one input
// takes images × channels × rows × columns. Options are entries of the session's
// configuration, as "session.x64quantprecision=1".
func (p Processor) Run(t testing.TB, m *onnx.Model, input []float32, images, channels, rows, columns int, options ...string) []float32 {
	t.Helper()
	dir := t.TempDir()
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.LittleEndian, input); err != nil {
		t.Fatal(err)
	}
	model, in, out := filepath.Join(dir, "model.onnx"), filepath.Join(dir, "in"), filepath.Join(dir, "out")
	for path, b := range map[string][]byte{model: m.Marshal(), in: raw.Bytes()} {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shape := fmt.Sprintf("%d,%d,%d,%d", images, channels, rows, columns)
	cmd := p.command("-c", program, model, in, out, shape)
	cmd.Args = append(cmd.Args, options...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("onnxruntime on %s: %v\n%s", p.Name, err, b)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	result := make([]float32, len(b)/4)
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, result); err != nil {
		t.Fatal(err)
	}
	return result
}

// python returns a Python with numpy, onnx and onnxruntime: $ONNX_PYTHON, the
// environment that scripts/test-needs makes, or python3. Without one the test is
// skipped; in CI it fails.
func python(t testing.TB) string {
	t.Helper()
	var tried []string
	for _, program := range []string{os.Getenv("ONNX_PYTHON"), made("python/bin/python"), "python3"} {
		if program == "" {
			continue
		}
		if exec.Command(program, "-c", "import numpy, onnx, onnxruntime").Run() == nil {
			return program
		}
		tried = append(tried, program)
	}
	skip(t, "none of %s can import numpy, onnx and onnxruntime: run scripts/test-needs", strings.Join(tried, ", "))
	return ""
}
