// Package backend chooses what computes: Go's kernels or PyTorch. Stages that train or
// measure embed its [Choice] in their configuration.
package backend

import (
	"cmp"
	"context"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/meter"
	"eyrie/nas/native"
	"eyrie/nas/nn"
	"eyrie/nas/torch"
	"eyrie/nas/train"
	"eyrie/pipeline/mistake"
)

// Choice is a backend with its options, as recipes write them.
type Choice struct {
	Backend    Name           `json:"backend,omitzero" doc:"what computes: \"go\", the runner's own kernels for this machine's processors (the default), or \"torch\", PyTorch on CPUs or GPUs"`
	Arithmetic nn.Arithmetic  `json:"arithmetic" doc:"backend go: the kernels that compute: the fastest of this machine, or those named; \"go\" rounds the same on every machine"`
	Torch      *torch.Options `json:"torch,omitempty" doc:"backend torch: how it computes; by default in one process, on the CPU"`
}

// Name is a backend; Go where none is written.
type Name string

// The backends.
const (
	Go    Name = "go"
	Torch Name = "torch"
)

// Choices returns the backends.
func (Name) Choices() []string { return []string{string(Go), string(Torch)} }

// IsZero returns whether it is the default, which is not in the key.
func (n Name) IsZero() bool { return n == "" || n == Go }

// Check reports options that belong to the other backend, and those that do not fit each other.
func (c Choice) Check(r *mistake.Report) {
	if !r.Knows("backend") {
		return
	}
	if r.Knows("torch") && c.Torch != nil {
		c.Torch.Check(r.At("torch"))
		if c.Backend != Torch {
			r.At("torch").Badf("belongs to backend = %q: write that, or remove torch", Torch)
		}
	}
	if r.Knows("arithmetic") && c.Backend == Torch && c.Arithmetic != nn.Auto && c.Arithmetic != "" {
		r.At("arithmetic").Badf("belongs to backend = %q: remove it", Go)
	}
}

// CheckBatch reports a batch that the processes of the backend cannot share.
func (c Choice) CheckBatch(r *mistake.Report, batch int) {
	if ranks := int(c.options().Ranks); r.Knows("backend", "torch", "batch") && c.Backend == Torch && ranks > 0 && batch%ranks != 0 {
		r.At("batch").Badf("%d images cannot be shared equally by %d ranks: write a multiple of %d", batch, ranks, ranks)
	}
}

// CheckMaps reports a batch of which each process has one image, where the network's last map
// is a pixel: a batch normalised over one value is 0, and nothing would be learnt.
func (c Choice) CheckMaps(r *mistake.Report, batch int, n arch.Network) {
	if !r.Knows("backend", "torch", "batch") {
		return
	}
	ranks := 1
	if c.Backend == Torch {
		ranks = max(1, int(c.options().Ranks))
	}
	head := slices.IndexFunc(n.Layers, func(l arch.Layer) bool { return l.Name == "head" })
	if head >= 0 && batch == ranks && n.Layers[head].Out.H*n.Layers[head].Out.W == 1 {
		r.At("batch").Badf("one image for each process, whose map before the classifier is one pixel at resolution %d, leaves batch normalisation nothing to learn from: write at least %d", n.Input.H, 2*ranks)
	}
}

// Ready reports what this machine lacks for the backend.
func (c Choice) Ready(r *mistake.Report) {
	if r.Knows("backend", "torch") && c.Backend == Torch {
		r.Add(c.options().Ready())
	}
}

func (c Choice) options() torch.Options {
	if c.Torch == nil {
		return torch.Options{}
	}
	return *c.Torch
}

// Open opens the chosen backend for a job, on a machine.
func (c Choice) Open(ctx context.Context, m torch.Machine, job train.Job) (train.Backend, error) {
	if c.Backend == Torch {
		return asBackend(torch.Open(ctx, m, c.options(), job))
	}
	return asBackend(native.Open(job, native.Options{Arithmetic: c.Arithmetic, Threads: m.CPUs()}))
}

// Limit returns m with threads in place of its CPUs. 0 leaves it as it is.
func Limit(m torch.Machine, threads int) torch.Machine { return limited{m, threads} }

type limited struct {
	torch.Machine
	threads int
}

func (l limited) CPUs() int { return cmp.Or(l.threads, l.Machine.CPUs()) }

// asBackend returns a nil interface beside an error: b, a nil pointer then, would make one that is not nil.
func asBackend[T train.Backend](b T, err error) (train.Backend, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Report returns what has computed, for the provenance. It is nil for the Go backend, whose
// version and machine are in the action's record already.
func Report(e meter.Evaluator) *torch.Report {
	if s, ok := e.(*torch.Session); ok {
		r := s.Report()
		return &r
	}
	return nil
}

// Meter opens a meter that measures with the chosen backend.
func (c Choice) Meter(ctx context.Context, m torch.Machine, o meter.Options) (*meter.Meter, error) {
	o.Open = func() (meter.Evaluator, error) {
		return c.Open(ctx, m, train.Job{Supernet: o.Supernet, Set: o.Set, Holdout: o.Holdout})
	}
	return meter.New(o)
}
