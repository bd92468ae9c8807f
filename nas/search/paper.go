package search

type paper[G comparable] struct {
	Options
	proposer   *proposer[G]
	population []Trial[G] // best first
}

// Paper returns the search of the paper (§2.6), which is that of Once-for-All
// (Cai et al., ICLR 2020): the best share of the population survives and
// breeds; in each iteration half of the children are mutations of a
// parent and half are crossovers of two. It gives up diversity for speed: a
// parent that is best stays for ever.
func Paper[G comparable](space Space[G], o Options) Strategy[G] {
	return &paper[G]{Options: o, proposer: newProposer(space, o)}
}

func (s *paper[G]) Ask() []G {
	if s.population == nil {
		return s.proposer.sample(s.Population)
	}
	p, parents := s.proposer, s.population
	mutations := int(float64(s.Mutation*float64(s.Population)) + 0.5)
	children := p.fill(nil, mutations, func() G {
		return p.Mutate(p.rng, p.pick(parents).Genome)
	})
	return p.fill(children, s.Population-mutations, func() G {
		return p.Crossover(p.rng, p.pick(parents).Genome, p.pick(parents).Genome)
	})
}

func (s *paper[G]) Tell(trials []Trial[G]) {
	s.population = append(s.population, trials...)
	sortTrials(s.population)
	s.population = s.population[:min(len(s.population), share(s.Parents, s.Population))]
}
