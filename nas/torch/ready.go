package torch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"eyrie/pipeline/mistake"
)

// question is what is asked of a machine.
type question struct {
	python string
	device Device
	gpus   int // that must be there
}

// found is the answer to a question.
type found struct {
	once sync.Once
	err  error
}

// known has the answers of this process, because many steps ask the same.
var known sync.Map // question to *found

// Ready reports what this machine lacks: an interpreter, PyTorch, GPUs. It is a mistake in
// the attribute torch, or in one of its own. What a launcher starts is on other machines.
func (o Options) Ready() error {
	if len(o.Launch) > 0 {
		return nil
	}
	q := question{python: o.Python, device: o.Device}
	if o.Device == CUDA {
		q.gpus = o.ranks()
	}
	v, _ := known.LoadOrStore(q, new(found))
	f := v.(*found)
	f.once.Do(func() { f.err = o.ask() })
	return f.err
}

// here keeps modules in the current directory, which the ranks do not see, from being found.
const here = "import sys; sys.path = [p for p in sys.path if p]; "

// ask looks for PyTorch where the ranks will: also in the user's own packages, and on PYTHONPATH, by
// which clusters offer it. It is imported only to ask for GPUs: that takes seconds.
func (o Options) ask() error {
	python, err := o.python()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	program := here + "import importlib.util, json; print(json.dumps({'torch': importlib.util.find_spec('torch') is not None}))"
	if o.Device == CUDA {
		program = here + "import json, torch; print(json.dumps({'torch': True, 'gpus': torch.cuda.device_count() if torch.cuda.is_available() else 0}))"
	}
	out, err := exec.CommandContext(ctx, python, "-c", program).Output()
	var has struct {
		Torch bool
		GPUs  int
	}
	if json.Unmarshal(out, &has) != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && !strings.Contains(string(exit.Stderr), "No module named 'torch'") {
			lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n")
			return mistake.At("torch.python", "%s cannot import PyTorch: %s", python, lines[len(lines)-1])
		}
	}
	switch {
	case !has.Torch:
		return mistake.At("torch.python", "%s has no PyTorch: %s", python, install)
	case o.Device == CUDA && has.GPUs == 0:
		return mistake.At("torch.device", "PyTorch sees no GPU on this machine: write %q, or run where there is one", CPU)
	case o.Device == CUDA && has.GPUs < o.ranks():
		return mistake.At("torch.ranks", "%d, one for each GPU, but PyTorch sees %s on this machine", o.ranks(), gpus(has.GPUs))
	}
	return nil
}

func gpus(n int) string {
	if n == 1 {
		return "one GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}
