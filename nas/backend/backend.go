// Package backend chooses what computes: Go's kernels or PyTorch. Stages that train or
// measure embed its [Choice] in their configuration.
package backend

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"eyrie/nas/meter"
	"eyrie/nas/native"
	"eyrie/nas/nn"
	"eyrie/nas/train"
	"eyrie/pipeline/mistake"
)

// Choice is what computes, as recipes write it.
type Choice struct {
	Backend    Name          `json:"backend,omitempty" doc:"what computes: \"go\", kernels of the runner's own for this machine's processors (the default)"`
	Arithmetic nn.Arithmetic `json:"arithmetic" doc:"backend go: the kernels that compute: the fastest of this machine, or those named; \"go\" rounds the same on every machine"`
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

// Machine is what a backend may use of the machine: a pipeline.Task.
type Machine interface {
	CPUs() int
	CPUSet() []int
	GPUs() []int
	Grace() time.Duration
	Log() *zerolog.Logger
}

// Check reports what does not fit the backend.
func (c Choice) Check(r *mistake.Report) {}

// Open opens the chosen backend for a job, on a machine.
func (c Choice) Open(ctx context.Context, m Machine, job train.Job) (train.Backend, error) {
	b, err := native.Open(job, native.Options{Arithmetic: c.Arithmetic, Threads: m.CPUs()})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Meter opens a meter that measures with the chosen backend.
func (c Choice) Meter(ctx context.Context, m Machine, o meter.Options) (*meter.Meter, error) {
	o.Open = func() (meter.Evaluator, error) {
		return c.Open(ctx, m, train.Job{Supernet: o.Supernet, Set: o.Set, Holdout: o.Holdout})
	}
	return meter.New(o)
}
