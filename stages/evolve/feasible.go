package evolve

import (
	"fmt"
	"math"
	"strings"

	"eyrie/pipeline"
	"eyrie/pipeline/float"
	"eyrie/pipeline/mistake"
	"eyrie/stages/arch"
)

// infeasible returns why no subnet of the space is within the limits, or nil. It is asked
// of the same space again and again, by steps that differ in their limits.
func infeasible(c Config, space arch.Space) error {
	if c.Limit == (Limit{}) {
		return nil
	}
	s := &hunt{Config: c}
	var err error
	if s.codec, err = newCodec(space); err != nil {
		return mistake.At("space", "%w", err)
	}
	if s.model, err = newModel(c.Platform, s.codec); err != nil {
		return nil // is told by the search, with what it searches
	}
	return s.feasible()
}

// feasible says at once where no subnet can meet a limit, with the least that
// there is. Limits that only together cannot be met show in the search.
func (s *hunt) feasible() error {
	l, m := s.Limit, s.model
	if _, ok := m.choices(0, macs().adds).graph.Cheapest(); !ok {
		return s.nothingRuns()
	}
	all := m.choices(l.Memory, macs().adds)
	fastest, ok := all.graph.Cheapest()
	if !ok {
		return pipeline.Badf("limit.memory", "no subnet does with %d bytes on %s; the least is %d bytes", l.Memory, s.Platform.Name, m.leastMemory())
	}
	with := ""
	if l.Memory > 0 {
		with = fmt.Sprintf(" in %d bytes of memory", l.Memory)
	}
	if l.Latency > 0 && fastest.Cost > l.Latency {
		return pipeline.Badf("limit.latency", "no subnet is as fast as %.6g ms on %s%s; the least latency is %s ms",
			1e3*l.Latency, s.Platform.Name, with, enough(1e3*fastest.Cost))
	}
	if energy := fastest.Cost * s.Platform.Power; l.Energy > 0 && energy > l.Energy {
		return pipeline.Badf("limit.energy", "no subnet takes as little as %.6g µJ on %s%s; the least energy is %s µJ",
			1e6*l.Energy, s.Platform.Name, with, enough(1e6*energy))
	}
	small := m.price(s.codec.encode(s.codec.space.Smallest()))
	if l.Params > 0 && small.Params > l.Params {
		return pipeline.Badf("limit.params", "no subnet has as few as %d parameters; the smallest has %d", l.Params, small.Params)
	}
	if l.MACs > 0 && small.MACs > l.MACs {
		return pipeline.Badf("limit.macs", "no subnet has as few as %d MACs; the smallest has %d", l.MACs, small.MACs)
	}
	return nil
}

// enough writes a number with six digits, rounded up, so that a limit of what it
// says is met.
func enough(v float64) string {
	digit := float.Pow(10, math.Floor(float.Log10(v))-5)
	return fmt.Sprintf("%.6g", math.Ceil(v/digit)*digit)
}

// nothingRuns explains why not even the smallest subnet runs on the platform.
func (s *hunt) nothingRuns() error {
	e, err := s.Platform.Estimate(s.codec.space.Network(s.codec.space.Smallest()))
	if err == nil {
		err = fmt.Errorf("%s: more weights than the %d bytes that it supports in a layer", strings.Join(e.Unsupported, ", "), s.Platform.WeightLimit)
	}
	return pipeline.Badf("platform", "no subnet of the space runs on %s: %w", s.Platform.Name, err)
}
