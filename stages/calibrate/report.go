package calibrate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/float"
)

// rows fills in the rows, the sets and the errors over all.
func (c *calibration) rows(out *Output, ours, unseen []raptor.Estimate) {
	sets := map[string]*scores{}
	var all, left errorsOf
	for i := range c.ms {
		r := newRow(&c.ms[i], &ours[i], &unseen[i])
		out.Rows = append(out.Rows, r)
		s := sets[r.Set]
		if s == nil {
			s = &scores{}
			sets[r.Set] = s
		}
		s.add(&r)
		if r.MuResidual != nil {
			all.add(*r.MuResidual)
			left.add(*r.MuUnseen)
		}
		if r.LatencyError != nil {
			all.add(float.Log1p(*r.LatencyError))
			left.add(float.Log1p(*r.LatencyUnseen))
		}
	}
	out.RMS, out.LOO = all.rms(), left.rms()
	out.Sets = map[string]Set{}
	for name, s := range sets {
		out.Sets[name] = s.set()
	}
}

// newRow puts a measurement beside the estimate of the fit, and of the fit that
// has not seen the network.
func newRow(m *measurement, ours, unseen *raptor.Estimate) Row {
	r := Row{Set: m.set, Network: m.net.Name, Width: m.width, Resolution: m.resolution, MACs: ours.MACs, Mu: ours.Mu, Latency: ours.Latency,
		Supported: len(ours.Unsupported) == 0, Source: m.source}
	if m.macs > 0 {
		r.MACsMeasured, r.MACsError = m.traced(m.macs), ptr(float64(ours.MACs)/m.macs-1)
	}
	if m.mu > 0 {
		r.MuMeasured, r.MuResidual, r.MuUnseen = m.traced(m.mu), ptr(float.Log(ours.Mu/m.mu)), ptr(float.Log(unseen.Mu/m.mu))
	}
	if m.latency > 0 {
		r.LatencyMeasured, r.LatencyError, r.LatencyUnseen = m.traced(m.latency), ptr(ours.Latency/m.latency-1), ptr(unseen.Latency/m.latency-1)
	}
	return r
}

// traced returns a figure of the measurement with where it came from.
func (m *measurement) traced(v float64) pipeline.Traced {
	return pipeline.Traced{Value: v, Origins: []pipeline.Origin{{Kind: m.kind, Source: m.source}}}
}

func ptr(v float64) *float64 { return &v }

// scores sums up the errors of rows: logarithmic ones, and relative ones.
type scores struct {
	rows                                          int
	macs, macsRel, mu, muLOO, latency, latencyLOO errorsOf
}

func (s *scores) add(r *Row) {
	s.rows++
	if r.MACsError != nil {
		s.macs.add(float.Log1p(*r.MACsError))
		s.macsRel.add(*r.MACsError)
	}
	if r.MuResidual != nil {
		s.mu.add(*r.MuResidual)
		s.muLOO.add(*r.MuUnseen)
	}
	if r.LatencyError != nil {
		s.latency.add(*r.LatencyError)
		s.latencyLOO.add(*r.LatencyUnseen)
	}
}

func (s *scores) set() Set {
	return Set{Rows: s.rows, MACsRMS: s.macs.mean(), MACsWorst: s.macsRel.most(), MuRMS: s.mu.mean(), MuWorst: s.mu.most(),
		MuLOO: s.muLOO.mean(), LatencyWorst: s.latency.most(), LatencyLOO: s.latencyLOO.most()}
}

// mean returns the root mean square, or nil of nothing.
func (e *errorsOf) mean() *float64 {
	if e.n == 0 {
		return nil
	}
	v := e.rms()
	return &v
}

// most returns the greatest error, or nil of nothing.
func (e *errorsOf) most() *float64 {
	if e.n == 0 {
		return nil
	}
	return &e.worst
}

// parameters describes what was fitted.
func (c *calibration) parameters(p *raptor.Platform, intervals map[int]interval, memory, limit interval) []Parameter {
	var all []Parameter
	if c.fitted("memory") {
		all = append(all, newParameter("memory", "bytes", float64(p.Memory), memory))
	}
	if c.fitted("weight_limit") {
		all = append(all, newParameter("weight_limit", "bytes", float64(p.WeightLimit), limit))
	}
	for _, j := range c.free {
		all = append(all, newParameter(parameters[j].name, parameters[j].unit, *parameters[j].get(p), intervals[j]))
	}
	return all
}

func newParameter(name, unit string, value float64, i interval) Parameter {
	p := Parameter{Name: name, Unit: unit, Value: value}
	if !i.openLow {
		p.Low = &i.low
	}
	if !i.openHigh {
		p.High = &i.high
	}
	quantity := func(v float64) string { return fmt.Sprintf("%.4g %s", v, unit) }
	if unit == "bytes" {
		quantity = func(v float64) string { return fmt.Sprintf("%.0f bytes", v) }
	}
	switch {
	case i.openLow && i.openHigh:
		p.Words = fmt.Sprintf("%s: not identified: the data allow any value that was tried", name)
	case i.openLow:
		p.Words = fmt.Sprintf("%s: bounded from above only: at most %s", name, quantity(i.high))
	case i.openHigh:
		p.Words = fmt.Sprintf("%s: bounded from below only: at least %s", name, quantity(i.low))
	case i.high <= 3*i.low:
		p.Identified = true
		p.Words = fmt.Sprintf("%s: identified: %s, between %s and %s", name, quantity(value), quantity(i.low), quantity(i.high))
	default:
		p.Words = fmt.Sprintf("%s: weakly identified: anywhere between %s and %s", name, quantity(i.low), quantity(i.high))
	}
	return p
}

// policies lists the best fit of each policy, best first.
func (c *calibration) policies(designs []design) []Fit {
	var fits []Fit
	for _, policy := range c.Policies {
		least := design{fitted: fitted{sse: math.Inf(1)}}
		for _, d := range designs {
			if d.platform.Policy == policy.Policy && d.platform.Scope == policy.Scope && d.sse < least.sse {
				least = d
			}
		}
		if !math.IsInf(least.sse, 1) {
			p := least.middle(c.MemoryStep)
			fits = append(fits, Fit{policy.Policy, policy.Scope, rms(least.sse, c.data), p.Memory, p.WeightLimit})
		}
	}
	slices.SortStableFunc(fits, func(a, b Fit) int { return cmp.Compare(a.RMS, b.RMS) })
	return fits
}

// summary describes the fit in words.
func (c *calibration) summary(out *Output) []string {
	s := []string{
		fmt.Sprintf("%d values of %d networks are met within %.1f %% rms, and within %.1f %% by fits that have not seen the network.",
			c.data, len(c.distinct), 100*out.RMS, 100*out.LOO),
	}
	if out.RMS > math.Ln2 {
		s = append(s, fmt.Sprintf("That is no fit: measurements and platform differ by a factor of %.3g. Are latencies in seconds, is mu NPU cycles / SYS cycles, are clock, pes and rates right?", float.Exp(out.RMS)))
	}
	var fits []string
	for _, f := range out.Policies {
		fits = append(fits, fmt.Sprintf("%s %.1f %%", Policy{f.Policy, f.Scope}, 100*f.RMS))
	}
	s = append(s, "By policy: "+strings.Join(fits, ", ")+".")
	for _, p := range out.Parameters {
		s = append(s, p.Words+".")
	}
	if out.Ranking != nil {
		s = append(s, out.Ranking.Words)
	}
	return s
}
