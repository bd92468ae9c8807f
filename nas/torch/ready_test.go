package torch

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
	without := fake(`echo '{"python": "3.8", "torch": null}'`)
	noGPU, oneGPU := fake(`echo '{"python": "3.8", "torch": "1.13.0a0"}'`), fake(`echo Welcome; echo '{"python": "3.11", "torch": "2.0", "gpus": 1}'; echo Bye`)
	two, old := fake(`echo '{"python": "2.7", "torch": null}'`), fake(`echo '{"python": "3.8", "torch": "1.12.1"}'`)
	silent := fake("exit 3")
	broken := fake(`echo "ImportError: libcudart.so: cannot open shared object file" >&2; exit 1`)
	for _, c := range []struct {
		o    Options
		want string // "" for nothing
	}{
		{Options{Python: "/nowhere/python3"}, "torch.python: there is no /nowhere/python3: install Python 3 with PyTorch"},
		{Options{Python: without}, "torch.python: " + without + " has no PyTorch: install"},
		{Options{Python: without, Device: CUDA}, "torch.python: " + without + " has no PyTorch: install"},
		{Options{Python: two}, "torch.python: " + two + " is Python 2.7, and 3.8 or later is needed: install"},
		{Options{Python: old}, "torch.python: " + old + " has PyTorch 1.12.1, and 1.13 or later is needed: install"},
		{Options{Python: silent}, "torch.python: " + silent + " does not say whether it has PyTorch (exit status 3)"},
		{Options{Python: broken, Device: CUDA}, "cannot import PyTorch: ImportError: libcudart.so"},
		{Options{Python: noGPU, Device: CUDA}, "torch.device: PyTorch sees no GPU"},
		{Options{Python: oneGPU, Device: CUDA, Ranks: 4}, "torch.ranks: 4, one for each GPU, but PyTorch sees one GPU"},
		{Options{Python: oneGPU, Device: CUDA}, ""},
		{Options{Python: noGPU, Ranks: 4}, ""},
		{Options{Python: "/nowhere/python3", Launch: []string{"sh"}}, ""},
		{Options{Launch: []string{"/nowhere/srun"}}, `torch.launch[0]: there is no command "/nowhere/srun" on this machine`},
	} {
		for range 2 { // the second answer is a memory
			err := c.o.Ready()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.o, err, c.want)
			}
		}
	}
}

// An interpreter that does not answer is given up, though a process that it has started still
// holds its output.
func TestNoAnswer(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "python3")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nsleep 1000 & echo >"+dir+"/started; wait\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(dir + "/started"); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if err := (Options{Python: path}).ask(ctx); err == nil || !strings.Contains(err.Error(), "torch.python: "+path+" does not say within 2m0s whether it has PyTorch") {
		t.Error(err)
	}
}

// PyTorch is found where clusters and pip install --user put it, and not in the directory in
// which the command happens to run.
func TestWhereTorchIs(t *testing.T) {
	real, err := exec.LookPath("python3")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
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
