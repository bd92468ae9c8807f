package search

type regularized[G comparable] struct {
	Options
	proposer   *proposer[G]
	population []Trial[G] // oldest first
}

// Regularized returns regularized evolution (Real et al., AAAI 2019,
// algorithm 1): the best of a random sample of the population (Options.Parents
// is the sample's share) has one mutated child, and the oldest dies. As
// no genome lives long, it has to prove itself again through its
// descendants, which forgives noisy scores. It has no crossover.
func Regularized[G comparable](space Space[G], o Options) Strategy[G] {
	return &regularized[G]{Options: o, proposer: newProposer(space, o)}
}

func (s *regularized[G]) Ask() []G {
	if s.population == nil {
		return s.proposer.sample(s.Population)
	}
	p := s.proposer
	parent := p.pick(s.population)
	for range share(s.Parents, s.Population) - 1 {
		if t := p.pick(s.population); Better(t, parent) < 0 {
			parent = t
		}
	}
	return p.fill(nil, 1, func() G { return p.Mutate(p.rng, parent.Genome) })
}

func (s *regularized[G]) Tell(trials []Trial[G]) {
	s.population = append(s.population, trials...)
	s.population = s.population[max(0, len(s.population)-s.Population):]
}
