// Package onnxtest holds models against ONNX's own checker and the reference
// runtime, onnxruntime, in tests.
package onnxtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"eyrie/stages/onnx"
)

// Run checks the model, runs it on the images, and returns what it yields. Its
// one input takes images × channels × rows × columns. Without a Python that has
// onnx and onnxruntime (see python) the test is skipped; in CI it fails.
func Run(t testing.TB, m *onnx.Model, input []float32, images, channels, rows, columns int) []float32 {
	t.Helper()
	program := python(t)
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
	const script = `
import sys, numpy, onnx, onnxruntime
model, images, out = sys.argv[1:4]
onnx.checker.check_model(onnx.load(model), full_check=True)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
images = numpy.fromfile(images, dtype="<f4").reshape([int(n) for n in sys.argv[4:]])
session.run(None, {session.get_inputs()[0].name: images})[0].astype("<f4").tofile(out)
`
	cmd := exec.Command(program, "-c", script, model, in, out, fmt.Sprint(images), fmt.Sprint(channels), fmt.Sprint(rows), fmt.Sprint(columns))
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("onnxruntime: %v\n%s", err, b)
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
// environment that scripts/test-needs makes, or python3.
func python(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	made := filepath.Join(filepath.Dir(file), "../../../data/python/bin/python")
	var tried []string
	for _, program := range []string{os.Getenv("ONNX_PYTHON"), made, "python3"} {
		if program == "" {
			continue
		}
		if exec.Command(program, "-c", "import numpy, onnx, onnxruntime").Run() == nil {
			return program
		}
		tried = append(tried, program)
	}
	why := fmt.Sprintf("none of %s can import numpy, onnx and onnxruntime: run scripts/test-needs", strings.Join(tried, ", "))
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}
