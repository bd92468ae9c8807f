package torch

import (
	"context"
	_ "embed" // ready.py
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"eyrie/pipeline/mistake"
	"eyrie/pipeline/process"
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
		_, err := o.lookup(o.Launch[0])
		return err
	}
	q := question{python: o.Python, device: o.Device}
	if o.Device == CUDA {
		q.gpus = o.ranks()
	}
	v, _ := known.LoadOrStore(q, new(found))
	f := v.(*found)
	f.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hesitation)
		defer cancel()
		f.err = o.ask(ctx)
	})
	return f.err
}

// program answers what is asked of an interpreter.
//
//go:embed ready.py
var program string

// machine is its answer.
type machine struct {
	Python string  `json:"python"`
	Torch  *string `json:"torch"` // version, if it is known; nil where there is none
	GPUs   int     `json:"gpus"`
}

// hesitation is how long the answer may take: PyTorch may have to come over a network.
const hesitation = 2 * time.Minute

// ask looks for PyTorch where the ranks will: also in the user's own packages, and on PYTHONPATH, by
// which clusters offer it.
func (o Options) ask(ctx context.Context) error {
	python, err := o.python()
	if err != nil {
		return err
	}
	has, err := interrogate(ctx, python, o.Device)
	switch {
	case err != nil:
		return err
	case older(has.Python, 3, 8):
		return mistake.At("torch.python", "%s is Python %s, and 3.8 or later is needed: %s", python, has.Python, install)
	case has.Torch == nil:
		return mistake.At("torch.python", "%s has no PyTorch: %s", python, install)
	case older(*has.Torch, 1, 13):
		return mistake.At("torch.python", "%s has PyTorch %s, and 1.13 or later is needed: %s", python, *has.Torch, install)
	case o.Device == CUDA && has.GPUs == 0:
		return mistake.At("torch.device", "PyTorch sees no GPU on this machine: write %q, or run where there is one", CPU)
	case o.Device == CUDA && has.GPUs < o.ranks():
		return mistake.At("torch.ranks", "%d, one for each GPU, but PyTorch sees %s on this machine", o.ranks(), gpus(has.GPUs))
	}
	return nil
}

// interrogate returns an interpreter's answer. What else it writes, such as a greeting of
// the script that starts it, is no answer.
func interrogate(ctx context.Context, python string, device Device) (has machine, err error) {
	answered := false
	p := &process.Program{
		Path: python, Args: []string{python, "-c", program, string(device)}, Env: os.Environ(), Grace: time.Second,
		Line: func(line string) {
			var m machine
			if json.Unmarshal([]byte(line), &m) == nil && m.Python != "" {
				has, answered = m, true
			}
		},
	}
	ended, err := p.Run(ctx)
	switch {
	case ctx.Err() != nil:
		return has, mistake.At("torch.python", "%s does not say within %v whether it has PyTorch: write torch = { python = \"/path/of/python3\" }", python, hesitation)
	case err != nil:
		return has, mistake.At("torch.python", "%s cannot be started: %w", python, err)
	case answered:
		return has, nil
	case len(ended.Tail) > 0:
		return has, mistake.At("torch.python", "%s cannot import PyTorch: %s", python, ended.Tail[len(ended.Tail)-1])
	}
	return has, mistake.At("torch.python", "%s does not say whether it has PyTorch (%v): is it an interpreter?", python, ended.State)
}

// older returns whether a version is known to be below another.
func older(version string, major, minor int) bool {
	var a, b int
	n, _ := fmt.Sscanf(version, "%d.%d", &a, &b)
	return n == 2 && (a < major || a == major && b < minor)
}

func gpus(n int) string {
	if n == 1 {
		return "one GPU"
	}
	return fmt.Sprintf("%d GPUs", n)
}
