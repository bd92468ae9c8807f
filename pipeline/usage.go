package pipeline

import (
	"math"
	"slices"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/pipeline/process"
)

// Usage is what one attempt at a job has cost. It is part of the event that ends the attempt,
// and so of the journal. No key and no record has it, as it is another one each time.
type Usage struct {
	Elapsed float64 `json:"elapsed"`        // s, since it had the action's lock
	CPUs    int     `json:"cpus"`           // how many threads it might keep busy
	GPUs    float64 `json:"gpus,omitempty"` // how many were its own, or the share of one

	Measured Extent  `json:"measured,omitempty"` // of what the four below are
	CPU      float64 `json:"cpu,omitempty"`      // s, user and system
	Memory   int64   `json:"memory,omitempty"`   // bytes: the most that one of its processes held; 0 where that is not known
	Read     int64   `json:"read,omitempty"`     // bytes, by system calls, whatever they were of; 0 where that is not known
	Written  int64   `json:"written,omitempty"`  // likewise

	Inputs  int64 `json:"inputs,omitempty"`  // bytes of the artifacts that it was given
	Outputs int64 `json:"outputs,omitempty"` // bytes of the artifacts that it made
}

// Extent is how much of an attempt was measured.
type Extent string

// The extents. Of stages that run as goroutines beside each other a system measures nothing;
// what is known is that each had no more than it was granted.
const (
	Nothing Extent = ""
	Part    Extent = "part"  // programs that it ran, or all but what ran elsewhere: there was more
	Whole   Extent = "whole" // a process of its own, with all that it started
)

// Granted returns a usage of which nothing is known but what the job was granted, and for how long.
func (j *Job) Granted(elapsed time.Duration) Usage {
	u := Usage{Elapsed: elapsed.Seconds(), CPUs: NewTask(Env{CPUs: int(j.Resources["cpus"])}).CPUs(), GPUs: j.Resources["gpus"]}
	if u.GPUs > 1 { // the last one is the job's own, also if it asked for a half of it
		u.GPUs = math.Ceil(u.GPUs)
	}
	var inputs []artifacts.File
	for _, in := range j.Inputs {
		inputs = append(inputs, in.File)
	}
	u.Inputs = size(inputs)
	return u
}

// Measure adds what processes have used.
func (u *Usage) Measure(p process.Usage, of Extent) {
	if p.Part {
		of = Part
	}
	u.Measured, u.CPU, u.Memory, u.Read, u.Written = of, p.CPU.Seconds(), p.Memory, p.Read, p.Written
}

// After adds what an attempt had used when it was begun anew elsewhere.
func (u Usage) After(before Usage) Usage {
	if before.Elapsed == 0 {
		return u
	}
	u.Elapsed += before.Elapsed
	if u.Measured != before.Measured {
		u.Measured = Part
	}
	u.CPU += before.CPU
	u.Memory = max(u.Memory, before.Memory)
	u.Read, u.Written = u.Read+before.Read, u.Written+before.Written
	return u
}

// size returns the size of some artifacts, each counted once. Trees that stay where they are
// do not count.
func size(files []artifacts.File) (n int64) {
	for _, f := range distinct(files) {
		if !f.Outside {
			n += f.Size
		}
	}
	return n
}

// ledger adds up what programs have used that a stage ran. A stage that was given up may
// still add to it.
type ledger struct {
	mu  sync.Mutex
	sum process.Usage
	any bool
}

func (l *ledger) add(u process.Usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum, l.any = l.sum.Plus(u), true
}

// usage returns what the attempt has cost so far.
func (p *performer) usage(began time.Time) *Usage {
	u := p.job.Granted(time.Since(began))
	p.programs.mu.Lock()
	defer p.programs.mu.Unlock()
	switch {
	case p.job.Alone:
		all := process.Own()
		all.Part = p.programs.sum.Part
		u.Measure(all, Whole)
	case p.programs.any:
		u.Measure(p.programs.sum, Part)
	}
	given := func(f artifacts.File) bool {
		return slices.ContainsFunc(p.job.Inputs, func(in Input) bool { return in.File.Digest == f.Digest })
	}
	u.Outputs = size(slices.DeleteFunc(slices.Clone(p.record.Objects), given))
	return &u
}
