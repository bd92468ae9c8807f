package evolve

import (
	"context"
	"math"
	"slices"

	"eyrie/nas/search"
	"eyrie/pipeline"
)

// time returns the latency up to which neither the limit on it nor that on
// energy, which is power × latency, is exceeded.
func (l Limit) time(power float64) float64 {
	limit := math.Inf(1)
	if l.Latency > 0 {
		limit = l.Latency
	}
	if l.Energy > 0 && power > 0 {
		limit = min(limit, l.Energy/power)
	}
	return limit
}

// counted reports whether costs are within the limits on what is counted, which are
// left out of the optimum.
func (l Limit) counted(c costs) bool {
	return (l.Params == 0 || c.Params <= l.Params) && (l.MACs == 0 || c.MACs <= l.MACs)
}

// findOptimum finds the optimum exactly, if the objective adds up.
func (s *evolution) findOptimum() {
	if s.objective.adds == nil {
		return
	}
	all := s.model.choices(s.Limit.Memory, s.objective.adds)
	if path, ok := all.graph.Best(s.Limit.time(s.Platform.Power)); ok {
		n := all.subnet(path)
		c := s.model.price(s.codec.encode(n))
		s.optimum, s.most = &Optimum{MACs: c.MACs, Latency: c.Latency, Mu: c.Mu, NPUCycles: c.NPUCycles, Within: s.Limit.counted(c), Subnet: n}, path.Value
		if s.predictor != nil {
			s.optimum.Predicted = &path.Value
		}
	}
}

// intervals finds the optimum on every plausible platform, and what its figures range over.
func (s *evolution) intervals(ctx context.Context) error {
	if s.optimum == nil || len(s.Plausible) == 0 {
		return nil
	}
	found := make([]costs, len(s.Plausible))
	err := s.task.Each(ctx, len(found), pipeline.Progress{Unit: "platforms", Note: "the optimum on plausible platforms"}, func(i int) {
		m, err := newModel(s.Plausible[i], s.codec)
		if err != nil {
			return // checked before
		}
		all := m.choices(s.Limit.Memory, s.objective.adds)
		if path, ok := all.graph.Best(s.Limit.time(m.platform.Power)); ok {
			found[i] = m.price(s.codec.encode(all.subnet(path)))
		}
	})
	o := s.optimum
	o.MuInterval, o.MACsInterval = []float64{o.Mu, o.Mu}, []float64{float64(o.MACs), float64(o.MACs)}
	without := 0
	for _, c := range found {
		if c.MACs == 0 {
			without++
		}
		if c.MACs > 0 {
			o.MuInterval[0], o.MuInterval[1] = min(o.MuInterval[0], c.Mu), max(o.MuInterval[1], c.Mu)
			o.MACsInterval[0], o.MACsInterval[1] = min(o.MACsInterval[0], float64(c.MACs)), max(o.MACsInterval[1], float64(c.MACs))
		}
	}
	if without > 0 {
		s.task.Log().Warn().Msgf("nothing meets the limits on %d of the %d plausible platforms: the optimum's intervals are of the others", without, len(found))
	}
	return err
}

// gap returns how far below the optimum an objective is, as a part of it; nil where the
// optimum is not known or not above 0.
func (s *evolution) gap(best float64) *float64 {
	if s.optimum == nil || s.most <= 0 {
		return nil
	}
	gap := 1 - best/s.most
	if math.Abs(gap) < 1e-12 { // the same sum in another order
		gap = 0
	}
	return &gap
}

// coverage returns how much of the true front's hypervolume, objective against
// latency, the front that was found covers; nil where the former is not known
// or covers nothing, or the search sought another one.
func (s *evolution) coverage(front []found) *float64 {
	if s.objective.adds == nil || s.Strategy != NSGA2 || !slices.Equal(s.Against, []Cost{Latency}) {
		return nil
	}
	var exact, points [][]float64
	slowest := 0.0
	for _, p := range s.model.choices(s.Limit.Memory, s.objective.adds).graph.Front(s.Limit.time(s.Platform.Power)) {
		exact = append(exact, []float64{p.Value, -p.Cost})
		slowest = max(slowest, p.Cost)
	}
	for _, f := range front {
		points = append(points, f.score)
	}
	reference := []float64{0, -slowest}
	all := search.Hypervolume(exact, reference)
	if all == 0 { // a front of one point
		return nil
	}
	covered := search.Hypervolume(points, reference) / all
	return &covered
}
