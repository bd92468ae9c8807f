package search

import (
	"cmp"
	"slices"
)

type nsga2[G comparable] struct {
	Options
	proposer   *proposer[G]
	population []ranked[G] // best first
}

// ranked is a trial with its place in the population.
type ranked[G comparable] struct {
	Trial[G]
	rank     int     // of its front
	crowding float64 // larger is lonelier
}

// NSGA2 returns NSGA-II (Deb et al., IEEE TEVC 2002) with constrained
// domination, for the whole front of several scores: parents win a binary
// tournament by rank, then by loneliness; of parents and children together the
// best Options.Population survive. Children are made as in [Paper], so that the
// strategies differ in selection only.
func NSGA2[G comparable](space Space[G], o Options) Strategy[G] {
	return &nsga2[G]{Options: o, proposer: newProposer(space, o)}
}

func (s *nsga2[G]) Ask() []G {
	if s.population == nil {
		return s.proposer.sample(s.Population)
	}
	p := s.proposer
	mutations := int(float64(s.Mutation*float64(s.Population)) + 0.5)
	children := p.fill(nil, mutations, func() G { return p.Mutate(p.rng, s.tournament()) })
	return p.fill(children, s.Population-mutations, func() G {
		return p.Crossover(p.rng, s.tournament(), s.tournament())
	})
}

// tournament returns the better of two members: the population is sorted.
func (s *nsga2[G]) tournament() G {
	n := len(s.population)
	return s.population[min(s.proposer.rng.IntN(n), s.proposer.rng.IntN(n))].Genome
}

func (s *nsga2[G]) Tell(trials []Trial[G]) {
	all := make([]Trial[G], 0, len(s.population)+len(trials))
	for _, r := range s.population {
		all = append(all, r.Trial)
	}
	s.population = rank(append(all, trials...))
	s.population = s.population[:min(len(s.population), s.Population)]
}

// rank sorts trials by constrained domination, then by crowding.
func rank[G comparable](trials []Trial[G]) []ranked[G] {
	var within, beyond []ranked[G]
	var points [][]float64
	for _, t := range trials {
		if t.Violation > 0 {
			beyond = append(beyond, ranked[G]{Trial: t})
			continue
		}
		within = append(within, ranked[G]{Trial: t})
		points = append(points, t.Score)
	}
	for r, front := range fronts(points) {
		scores := make([][]float64, len(front))
		for k, i := range front {
			scores[k] = points[i]
		}
		for k, distance := range Crowding(scores) {
			within[front[k]].rank, within[front[k]].crowding = r, distance
		}
	}
	slices.SortStableFunc(within, func(a, b ranked[G]) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.crowding, a.crowding))
	})
	slices.SortStableFunc(beyond, func(a, b ranked[G]) int { return cmp.Compare(a.Violation, b.Violation) })
	return append(within, beyond...)
}
