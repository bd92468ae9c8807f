package evolve

import (
	"cmp"
	"context"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/backend"
	"eyrie/nas/search"
	"eyrie/pipeline"
)

// output collects what the search found, and measures the best of it.
func (s *evolution) output(ctx context.Context) (Output, error) {
	if len(s.within) == 0 {
		return Output{}, s.nothing()
	}
	all := s.front()
	top := s.best(s.within)
	out := Output{Optimum: s.optimum, Gap: s.gap(top.score[0]), Evaluated: s.evaluated}
	for _, m := range append(s.history, mark{s.evaluated, top.score[0]}) {
		p := Progress{Evaluated: m.evaluated, Gap: s.gap(m.best)}
		*s.objective.field(&p) = &m.best
		out.History = append(out.History, p)
	}
	out.Coverage = s.coverage(all)
	if s.Objective == Predicted && s.meter != nil && s.Measure > 0 {
		var err error
		if top, err = s.playOff(ctx); err != nil {
			return Output{}, err
		}
	}
	front := thin(all, s.Population, top)
	var measured []found
	if s.meter != nil && s.Measure > 0 {
		if measured = thin(front, s.Measure, top); !contains(measured, top) {
			measured = append(measured, top)
		}
		if err := s.measureAll(ctx, measured, "measuring the result", s.meter.TestAll); err != nil {
			return Output{}, err
		}
	}
	for _, f := range append(front, top) { // the last is the best, and may be none of the front
		c := s.candidate(f)
		if contains(measured, f) {
			top1, err := s.meter.Test(ctx, c.Subnet)
			if err != nil {
				return Output{}, err
			}
			c.Top1 = &top1
		}
		out.Front = append(out.Front, c)
	}
	out.Front, out.Best = out.Front[:len(front)], out.Front[len(front)]
	if s.meter != nil {
		out.Measured, out.Torch = s.meter.Count(), backend.Report(s.meter.Evaluator())
	}
	space, subnet := s.codec.space, out.Best.Subnet
	out.Network = arch.Spec{Name: s.Name, Space: &space, Subnet: &subnet}
	return out, nil
}

// measureAll measures candidates together, so that the meter knows them: all is one of
// its HeldOutAll and TestAll.
func (s *evolution) measureAll(ctx context.Context, list []found, note string, all func(context.Context, []arch.Subnet, func(float64)) error) error {
	subnets := make([]arch.Subnet, len(list))
	for i, f := range list {
		subnets[i] = s.codec.decode(f.genome)
	}
	done := 0
	return all(ctx, subnets, func(float64) {
		done++
		s.task.Report(pipeline.Progress{Done: float64(done), Total: float64(len(subnets)), Unit: "subnets", Note: note})
	})
}

// playOff measures the candidates predicted best, on the images held out of
// training, and returns the best of them.
func (s *evolution) playOff(ctx context.Context) (best found, err error) {
	finalists := slices.Clone(s.within)
	slices.SortStableFunc(finalists, s.compare)
	finalists = finalists[:min(s.Measure, len(finalists))]
	if err := s.measureAll(ctx, finalists, "measuring the candidates predicted best", s.meter.HeldOutAll); err != nil {
		return best, err
	}
	most := -1.0
	for _, f := range finalists {
		top1, err := s.meter.HeldOut(ctx, s.codec.decode(f.genome))
		if err != nil {
			return best, err
		}
		if top1 > most {
			best, most = f, top1
		}
	}
	return best, nil
}

// compare orders candidates by their objective; of equal ones the fastest is
// first.
func (s *evolution) compare(a, b found) int {
	return cmp.Or(cmp.Compare(b.score[0], a.score[0]), cmp.Compare(a.costs.Latency, b.costs.Latency))
}

func (s *evolution) best(of []found) found { return slices.MinFunc(of, s.compare) }

// front returns the candidates that no other beats in all scores, by latency;
// of candidates with equal scores the first.
func (s *evolution) front() []found {
	scores := make([][]float64, len(s.within))
	for i, f := range s.within {
		scores[i] = f.score
	}
	var front []found
	for _, i := range search.Front(scores) {
		if !slices.ContainsFunc(front, func(f found) bool { return slices.Equal(f.score, scores[i]) }) {
			front = append(front, s.within[i])
		}
	}
	slices.SortStableFunc(front, func(a, b found) int { return cmp.Compare(a.costs.Latency, b.costs.Latency) })
	return front
}

// thin returns at most n of the front, evenly spread over it, and with top if it
// is one of them.
func thin(front []found, n int, top found) []found {
	if len(front) <= n {
		return slices.Clip(front)
	}
	var chosen []found
	for k := range n - 1 {
		chosen = append(chosen, front[k*len(front)/(n-1)])
	}
	if n > 0 {
		chosen = append(chosen, top)
	}
	return slices.DeleteFunc(slices.Clone(front), func(f found) bool { return !contains(chosen, f) })
}

func contains(list []found, f found) bool {
	return slices.ContainsFunc(list, func(g found) bool { return g.genome == f.genome })
}

// nothing explains that no candidate was within the limits.
func (s *evolution) nothing() error {
	c := s.model.price(s.nearest.Genome)
	return pipeline.Badf("limit", "none of %d candidates is within %v; the nearest takes %.4g ms, %.4g µJ, %d bytes, %d params and %d MACs: search longer, or allow more",
		s.evaluated, s.Limit, 1e3*c.Latency, 1e6*c.Energy, c.PeakMemory, c.Params, c.MACs)
}

func (s *evolution) candidate(f found) Candidate {
	c := f.costs
	out := Candidate{
		Name: s.Name, Latency: c.Latency, Energy: c.Energy, Mu: c.Mu, MACs: c.MACs, Params: c.Params, Memory: c.PeakMemory,
		Resolution: s.codec.space.Resolutions[f.genome[0]-1], Subnet: s.codec.decode(f.genome),
	}
	if s.predictor != nil {
		top1 := s.predictor.Predict(out.Subnet)
		out.Predicted = &top1
	}
	return out
}
