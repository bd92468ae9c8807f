package evolve

import (
	"context"
	"fmt"
	"slices"

	"eyrie/pipeline"
	"eyrie/stages/arch"
	"eyrie/stages/nn"
	"eyrie/stages/search"
)

// hunt is a search under way.
type hunt struct {
	Config
	supernet *nn.Supernet // nil without weights
	meter    *meter       // nil without images
	codec    *codec
	model    *model
	optimum  *Optimum

	evaluated int
	within    []found              // every candidate within the limits, in order
	nearest   search.Trial[genome] // the candidate that violated them least
	history   []Progress
}

// found is a candidate within the limits.
type found struct {
	genome genome
	costs  costs
	score  []float64 // the objective, and the costs named in Against, negative
}

func newHunt(ctx context.Context, c Config) (*hunt, error) {
	s := &hunt{Config: c, within: make([]found, 0, min(1<<20, c.Population*(c.Iterations+1)))}
	var err error
	if c.Supernet != nil {
		if s.supernet, err = nn.Load(c.Supernet.Path); err != nil {
			return nil, pipeline.Badf("supernet", "%w", err)
		}
	}
	space, err := s.space()
	if err != nil {
		return nil, err
	}
	if s.codec, err = newCodec(space); err != nil {
		return nil, pipeline.Badf("space", "%w", err)
	}
	if s.model, err = newModel(c.Platform, s.codec); err != nil {
		return nil, err
	}
	if c.Dataset != nil {
		s.meter, err = newMeter(ctx, s.supernet, *c.Dataset, c.Calibration, c.Holdout)
	}
	return s, err
}

// space returns the space that is searched.
func (s *hunt) space() (arch.Space, error) {
	var space arch.Space
	if s.supernet != nil {
		space = s.supernet.Space()
	} else {
		space = *s.Space
	}
	if len(s.Resolutions) == 0 {
		return space, nil
	}
	for _, r := range s.Resolutions {
		if !slices.Contains(space.Resolutions, r) {
			return space, pipeline.Badf("resolutions", "%d is not one of the space's %v", r, space.Resolutions)
		}
	}
	space.Resolutions = slices.Compact(slices.Sorted(slices.Values(s.Resolutions)))
	return space, nil
}

func (s *hunt) close() {
	if s.meter != nil {
		s.meter.close()
	}
}

// output collects what the search found, and measures the best of it.
func (s *hunt) output(ctx context.Context) (Output, error) {
	if len(s.within) == 0 {
		return Output{}, s.nothing()
	}
	all := s.front()
	top := best(all)
	front := thin(all, s.Population, top)
	out := Output{
		Front: make([]Candidate, len(front)), Optimum: s.optimum,
		History: append(s.history, s.progress(top.score[0])), Evaluated: s.evaluated,
	}
	out.Gap = out.History[len(out.History)-1].Gap
	for i, f := range front {
		out.Front[i] = s.candidate(f)
	}
	if err := s.measure(ctx, front, top, out.Front); err != nil {
		return Output{}, err
	}
	for i, f := range front {
		if f.genome == top.genome {
			out.Best = out.Front[i]
		}
	}
	if s.meter != nil {
		out.Measured = len(s.meter.known)
	}
	space, subnet := s.codec.space, out.Best.Subnet
	out.Network = arch.Spec{Name: s.Name, Space: &space, Subnet: &subnet}
	return out, nil
}

// measure measures the best and others of the front, evenly spread over it.
func (s *hunt) measure(ctx context.Context, front []found, top found, candidates []Candidate) error {
	if s.meter == nil || s.Measure == 0 {
		return nil
	}
	chosen := thin(front, s.Measure, top)
	for i, f := range front {
		if !slices.ContainsFunc(chosen, func(c found) bool { return c.genome == f.genome }) {
			continue
		}
		top1, err := s.meter.result(ctx, candidates[i].Subnet)
		if err != nil {
			return err
		}
		candidates[i].Top1 = &top1
	}
	return nil
}

// thin returns at most n of the front, evenly spread over it, with top among
// them.
func thin(front []found, n int, top found) []found {
	if len(front) <= n {
		return front
	}
	chosen := map[genome]bool{top.genome: true}
	for k := range n - 1 {
		chosen[front[k*len(front)/(n-1)].genome] = true
	}
	return slices.DeleteFunc(slices.Clone(front), func(f found) bool { return !chosen[f.genome] })
}

// nothing explains that no candidate was within the limits.
func (s *hunt) nothing() error {
	c := s.model.price(s.nearest.Genome)
	return pipeline.Badf("limit", "none of %d candidates is within %v; the nearest takes %.4g ms, %.4g µJ, %d bytes, %d params and %d MACs: search longer, or allow more",
		s.evaluated, s.Limit, 1e3*c.Latency, 1e6*c.Energy, c.PeakMemory, c.Params, c.MACs)
}

func (s *hunt) candidate(f found) Candidate {
	c := f.costs
	return Candidate{
		Name: s.Name, Latency: c.Latency, Energy: c.Energy, Mu: c.Mu, MACs: c.MACs, Params: c.Params, Memory: c.PeakMemory,
		Resolution: s.codec.space.Resolutions[f.genome[0]-1], Subnet: s.codec.decode(f.genome),
	}
}

// cost returns the cost of this name, one of those that Config.Against allows.
func cost(c costs, name string) float64 {
	switch name {
	case "latency":
		return c.Latency
	case "energy":
		return c.Energy
	case "memory":
		return float64(c.PeakMemory)
	case "params":
		return float64(c.Params)
	}
	panic(fmt.Sprintf("evolve: no cost %q", name))
}
