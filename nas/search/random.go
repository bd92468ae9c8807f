package search

type random[G comparable] struct {
	proposer   *proposer[G]
	population int
}

// Random returns random search: the baseline that every other strategy has to
// beat at an equal number of trials.
func Random[G comparable](space Space[G], o Options) Strategy[G] {
	return &random[G]{newProposer(space, o), o.Population}
}

func (s *random[G]) Ask() []G        { return s.proposer.sample(s.population) }
func (s *random[G]) Tell([]Trial[G]) {}
