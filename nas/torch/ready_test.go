package torch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a machine lacks is told by the attribute that must change, and what to do is said.
func TestReady(t *testing.T) {
	fake := func(script string) string {
		path := filepath.Join(t.TempDir(), "python3")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
		return path
	}
	without := fake(`echo '{"torch": false}'`)
	noGPU, oneGPU := fake(`echo '{"torch": true, "gpus": 0}'`), fake(`echo '{"torch": true, "gpus": 1}'`)
	broken := fake(`echo "ImportError: libcudart.so: cannot open shared object file" >&2; exit 1`)
	for _, c := range []struct {
		o    Options
		want string // "" for nothing
	}{
		{Options{Python: "/nowhere/python3"}, "torch.python: there is no /nowhere/python3: install Python 3 with PyTorch"},
		{Options{Python: without}, "torch.python: " + without + " has no PyTorch: install"},
		{Options{Python: without, Device: CUDA}, "torch.python: " + without + " has no PyTorch: install"},
		{Options{Python: broken, Device: CUDA}, "cannot import PyTorch: ImportError: libcudart.so"},
		{Options{Python: noGPU, Device: CUDA}, "torch.device: PyTorch sees no GPU"},
		{Options{Python: oneGPU, Device: CUDA, Ranks: 4}, "torch.ranks: 4, one for each GPU, but PyTorch sees one GPU"},
		{Options{Python: oneGPU, Device: CUDA}, ""},
		{Options{Python: noGPU, Ranks: 4}, ""},
		{Options{Python: "/nowhere/python3", Launch: []string{"srun"}}, ""},
	} {
		for range 2 { // the second answer is a memory
			err := c.o.Ready()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.o, err, c.want)
			}
		}
	}
}

// PyTorch is found where clusters and pip install --user put it, and not in the directory in
// which the command happens to run.
func TestWhereTorchIs(t *testing.T) {
	real, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	torch := func(dir string) string { // what Python takes for PyTorch
		if err := os.WriteFile(filepath.Join(dir, "torch.py"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	python := func() string { // an interpreter that has none
		path := filepath.Join(t.TempDir(), "python3")
		if err := os.WriteFile(path, []byte("#!/bin/sh\nexec "+real+" -S \"$@\"\n"), 0o777); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Chdir(torch(t.TempDir()))
	if err := (Options{Python: python()}).Ready(); err == nil || !strings.Contains(err.Error(), "has no PyTorch") {
		t.Errorf("in the current directory: %v", err)
	}
	t.Setenv("PYTHONPATH", torch(t.TempDir()))
	if err := (Options{Python: python()}).Ready(); err != nil {
		t.Errorf("on PYTHONPATH: %v", err)
	}
}
