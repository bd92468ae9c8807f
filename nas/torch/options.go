// Package torch is the backend in PyTorch: it trains and measures on CPUs or GPUs, in one
// process or many, which may be on several machines.
//
// A [Session] starts the ranks of the worker, in Python, each of them a process, and gives them orders:
// rank 0 is connected to this process and hands them on. The worker draws nothing and writes
// nothing. Its images come from feeders: this program once more, a process for each rank,
// that reads, decodes and varies images as package data does, so that both backends see the
// same bits.
package torch

import (
	"eyrie/pipeline/mistake"
)

// Options are how PyTorch computes, as recipes write them. A default is not in the key: to write
// it makes nothing anew.
type Options struct {
	Device    Device    `json:"device,omitzero" doc:"cpu (the default) or cuda: NVIDIA's GPUs, those that resources grants"`
	Precision Precision `json:"precision,omitzero" doc:"float32 (the default), or bfloat16: PyTorch's automatic mixed precision, for GPUs"`
	Ranks     Ranks     `json:"ranks,omitzero" min:"0" max:"4096" doc:"processes that share each batch (0 for 1); on cuda one for each GPU. Batch normalisation sees batch / ranks images"`
	Python    string    `json:"python,omitempty" key:"-" doc:"the interpreter that has PyTorch; python3 by default"`
	Launch    []string  `json:"launch,omitempty" key:"-" doc:"what starts the ranks, where it isn't the runner: a command to which that of a rank is added, python3 with arguments, such as [\"srun\", \"--ntasks=8\"] or [\"torchrun\", \"--no_python\", \"--nproc_per_node=8\"]. It starts them in an order of which the first is on this machine"`
	Loaders   int       `json:"loaders,omitempty" min:"0" key:"-" doc:"threads that decode images, for all ranks of a machine; 0 for as many as the run grants CPUs"`
}

// Device is what computes; CPU where none is written.
type Device string

// The devices.
const (
	CPU  Device = "cpu"
	CUDA Device = "cuda"
)

// Choices returns the devices.
func (Device) Choices() []string { return []string{string(CPU), string(CUDA)} }

// IsZero returns whether it is the default.
func (d Device) IsZero() bool { return d == "" || d == CPU }

// Precision is how numbers are rounded; Float32 where none is written.
type Precision string

// The precisions.
const (
	Float32  Precision = "float32"
	BFloat16 Precision = "bfloat16"
)

// Choices returns the precisions.
func (Precision) Choices() []string { return []string{string(Float32), string(BFloat16)} }

// IsZero returns whether it is the default.
func (p Precision) IsZero() bool { return p == "" || p == Float32 }

// Ranks is how many processes compute; one where none is written.
type Ranks int

// IsZero returns whether it is the default.
func (r Ranks) IsZero() bool { return r <= 1 }

// Check reports options that do not fit each other.
func (o Options) Check(r *mistake.Report) {
	if r.Knows("device", "precision") && o.Precision == BFloat16 && o.Device != CUDA {
		r.At("precision").Badf("bfloat16 is for GPUs: write device = %q, or remove precision", CUDA)
	}
}
