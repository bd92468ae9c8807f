package history

import (
	"encoding/json"
	"time"

	"eyrie/pipeline"
)

// Amount is how much of something was used, as far as that is known.
type Amount struct {
	Value float64
	Least bool // there was more, or may have been: something was not measured
	Most  bool // there was less, or may have been: of something only what it was granted is known
}

// unknown is an amount of which nothing is known.
var unknown = Amount{Least: true}

// Known reports whether anything is known of the amount.
func (a Amount) Known() bool { return a.Value > 0 || !a.Least }

// Plus returns the sum of both.
func (a Amount) Plus(b Amount) Amount {
	return Amount{a.Value + b.Value, a.Least || b.Least, a.Most || b.Most}
}

// Max returns the greater of both.
func (a Amount) Max(b Amount) Amount {
	return Amount{max(a.Value, b.Value), a.Least || b.Least, a.Most || b.Most}
}

// How says in a word how the amount is known.
func (a Amount) How() string {
	switch {
	case !a.Known():
		return "unknown"
	case a.Least && a.Most:
		return "roughly"
	case a.Least:
		return "at least"
	case a.Most:
		return "granted"
	}
	return "measured"
}

// MarshalJSON encodes the amount: {"value": 12.5, "how": "measured"}, or {"how": "unknown"}.
func (a Amount) MarshalJSON() ([]byte, error) {
	var doc struct {
		Value *float64 `json:"value,omitempty"`
		How   string   `json:"how"`
	}
	if doc.How = a.How(); a.Known() {
		doc.Value = &a.Value
	}
	return json.Marshal(doc)
}

// Cost is what a step has cost in a run, all of its attempts, or what several have.
type Cost struct {
	Elapsed  time.Duration `json:"-"`        // of the steps, each as long as it took
	Attempts int           `json:"attempts"` // that have begun, as far as the journal tells
	CPU      Amount        `json:"cpu"`      // s, user and system
	CPUs     int           `json:"cpus"`     // the most that one attempt was granted
	GPU      Amount        `json:"gpu"`      // s: GPUs that were granted, as long as they were
	Memory   Amount        `json:"memory"`   // bytes: the most that one process held
	Read     Amount        `json:"read"`     // bytes, by system calls
	Written  Amount        `json:"written"`  // likewise
	Inputs   Amount        `json:"inputs"`   // bytes of artifacts that attempts were given
	Outputs  Amount        `json:"outputs"`  // bytes of artifacts that were made
	Fetched  Amount        `json:"fetched"`  // bytes of artifacts that came from caches
	Sent     Amount        `json:"sent"`     // bytes of artifacts that went to caches
}

// Plus returns the cost of both.
func (c Cost) Plus(d Cost) Cost {
	return Cost{
		Elapsed: c.Elapsed + d.Elapsed, Attempts: c.Attempts + d.Attempts, CPUs: max(c.CPUs, d.CPUs),
		CPU: c.CPU.Plus(d.CPU), GPU: c.GPU.Plus(d.GPU), Memory: c.Memory.Max(d.Memory),
		Read: c.Read.Plus(d.Read), Written: c.Written.Plus(d.Written),
		Inputs: c.Inputs.Plus(d.Inputs), Outputs: c.Outputs.Plus(d.Outputs),
		Fetched: c.Fetched.Plus(d.Fetched), Sent: c.Sent.Plus(d.Sent),
	}
}

// Unknown returns the cost of a step of which only how long it took is known.
func Unknown(elapsed time.Duration) Cost {
	return Cost{Elapsed: elapsed, CPU: unknown, GPU: unknown, Memory: unknown, Read: unknown, Written: unknown, Inputs: unknown, Outputs: unknown, Fetched: unknown, Sent: unknown}
}

// costOf returns the cost of one attempt, without its time.
func costOf(u *pipeline.Usage) Cost {
	c := Unknown(0)
	c.Attempts = 1
	c.Fetched, c.Sent = Amount{}, Amount{} // which the step's whole has
	if u == nil {
		return c
	}
	c.CPUs = u.CPUs
	c.GPU = Amount{Value: u.GPUs * u.Elapsed}
	c.Inputs, c.Outputs = Amount{Value: float64(u.Inputs)}, Amount{Value: float64(u.Outputs)}
	if u.Measured == pipeline.Nothing {
		c.CPU = Amount{Value: float64(u.CPUs) * u.Elapsed, Most: true}
		return c
	}
	part := u.Measured != pipeline.Whole
	measured := func(v float64) Amount { return Amount{Value: v, Least: part || v == 0} }
	c.CPU, c.Memory = measured(u.CPU), measured(float64(u.Memory))
	c.Read, c.Written = measured(float64(u.Read)), measured(float64(u.Written))
	return c
}

// Cost returns what the step has cost in its run. One that was cached or skipped has cost
// nothing.
func (s *Step) Cost() Cost {
	var c Cost
	for _, a := range s.Attempts {
		c = c.Plus(costOf(a.Usage))
	}
	if s.Usage != nil || s.began() {
		c = c.Plus(costOf(s.Usage))
	}
	c.Elapsed = s.Elapsed
	c.Fetched, c.Sent = s.moved()
	return c
}

// moved returns what the step has moved in its run. What it has sent is known when the run has come to
// its end, as results are published beside it.
func (s *Step) moved() (fetched, sent Amount) {
	fetched, sent = Amount{Value: float64(s.Fetched)}, Amount{Value: float64(s.Sent)}
	switch {
	case s.run == nil || s.run.Header == nil || s.run.Header.Backed == nil: // an earlier version's, which did not tell
		fetched.Least, sent.Least = true, true
	case *s.run.Header.Backed:
		over := s.run.Status != Running && s.run.Status != Killed
		fetched.Least, sent.Least = !over && !IsEnd(s.Type), !over
	}
	return fetched, sent
}

// Moved returns what was moved for a step that was cached, in this run.
func (s *Step) Moved() Cost {
	var c Cost
	c.Fetched, c.Sent = s.moved()
	return c
}

// began reports whether the step's last attempt began, as far as the journal tells.
func (s *Step) began() bool { return !s.Started.IsZero() && s.Type != pipeline.StepCached }
