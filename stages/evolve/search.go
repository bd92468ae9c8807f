package evolve

import (
	"context"
	"fmt"
	"math/rand/v2"

	"eyrie/nas/search"
	"eyrie/pipeline"
)

// run evaluates what the strategy asks for until it asks for no more.
func (s *evolution) run(ctx context.Context) error {
	if s.Strategy == Exact {
		if s.optimum == nil {
			return pipeline.Badf("strategy", "the optimum cannot be found exactly: the objective is no sum over blocks, which it is of MACs and of a ridge regression")
		}
		_, err := s.try(ctx, s.codec.encode(s.optimum.Subnet))
		return err
	}
	strategy := s.strategy()
	return search.Run(ctx, strategy, func(genomes []genome) ([]search.Trial[genome], error) {
		trials := make([]search.Trial[genome], len(genomes))
		for i, g := range genomes {
			t, err := s.try(ctx, g)
			if err != nil {
				return nil, err
			}
			trials[i] = t
			if s.Objective == Accuracy || i == len(genomes)-1 { // a measurement may take seconds
				s.report()
			}
		}
		return trials, nil
	})
}

// strategy returns a new strategy as configured.
func (s *evolution) strategy() search.Strategy[genome] {
	c := s.Config
	space := search.Space[genome]{
		Sample: s.codec.sample,
		Mutate: func(rng *rand.Rand, g genome) genome {
			return s.codec.mutate(rng, g, c.MutateResolution, c.MutateChoice)
		},
		Crossover: s.codec.crossover,
		Violation: func(g genome) float64 { return c.Limit.violation(s.model.price(g)) },
		All:       s.codec.all,
	}
	o := search.Options{Population: c.Population, Iterations: c.Iterations, Parents: c.Parents, Mutation: c.Mutation, Seed: uint64(c.Seed)}
	return strategies[c.Strategy](space, o)
}

var strategies = map[Strategy]func(search.Space[genome], search.Options) search.Strategy[genome]{
	Paper:       search.Paper[genome],
	Regularized: search.Regularized[genome],
	Random:      search.Random[genome],
	NSGA2:       search.NSGA2[genome],
}

// try evaluates a genome. The objective, which may be expensive, is evaluated
// only within the limits.
func (s *evolution) try(ctx context.Context, g genome) (search.Trial[genome], error) {
	c := s.model.price(g)
	t := search.Trial[genome]{Genome: g, Violation: s.Limit.violation(c)}
	s.evaluated++
	if t.Violation > 0 {
		if s.nearest.Genome == "" || t.Violation < s.nearest.Violation {
			s.nearest = t
		}
		return t, nil
	}
	score, err := s.objective.score(ctx, g, c)
	if err != nil {
		return t, err
	}
	t.Score = append(t.Score, score)
	for _, cost := range s.Against {
		t.Score = append(t.Score, -cost.of(c))
	}
	s.within = append(s.within, found{g, c, t.Score})
	if len(s.history) == 0 || score > s.history[len(s.history)-1].best {
		s.history = append(s.history, mark{s.evaluated, score})
	}
	return t, nil
}

func (s *evolution) report() {
	p := pipeline.Progress{Done: float64(s.evaluated), Total: float64(s.Population * (s.Iterations + 1)), Unit: "candidates"}
	if n := len(s.history); n > 0 {
		best := s.history[n-1].best
		p.Note = s.objective.note(best)
		if gap := s.gap(best); gap != nil {
			p.Note += fmt.Sprintf(", %.2f %% below the optimum", 100**gap)
		}
	}
	s.task.Report(p)
}
