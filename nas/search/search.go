// Package search finds the best of many: Pareto fronts, evolutionary
// strategies, and the exact optimum where costs add up along a graph.
//
// A strategy is asked for genomes and told how they did; it never evaluates
// anything itself, so that the caller may do so in parallel, from a cache, or
// on a device. What a strategy asks for depends only on its [Space], its
// [Options] with their seed, and what it was told: a search is resumed by
// telling a new strategy once more what is already known.
//
// Larger scores are better. Limits come before scores: of two trials the one
// that violates the limits less is better, and only among equals does the
// score decide (Deb's constrained domination). Strategies never ask for the
// same genome twice, and end when they have asked for all that there are.
package search

import (
	"cmp"
	"context"
	"iter"
	"math/rand/v2"
	"slices"
)

// Space says what there is to search. Equal genomes are equal values of G: a
// genome is canonical.
type Space[G comparable] struct {
	Sample    func(rng *rand.Rand) G         // any genome
	Mutate    func(rng *rand.Rand, g G) G    // a genome near g
	Crossover func(rng *rand.Rand, a, b G) G // a genome whose genes are from a or b
	Violation func(g G) float64              // how far g is beyond the limits; 0 within. nil for no limits
	All       iter.Seq[G]                    // every genome once, in a fixed order
}

// Options are what the strategies have in common. Each uses what it needs.
type Options struct {
	Population int     // genomes kept; at least 1
	Iterations int     // after the first population; each asks for Population genomes
	Parents    float64 // share of the population that breeds, in (0, 1]
	Mutation   float64 // share of the children made by mutation; the others by crossover
	Seed       uint64  // of the random numbers
}

// Trial is a genome and how it did.
type Trial[G comparable] struct {
	Genome    G
	Violation float64   // of the limits; 0 for none. Scores count only then
	Score     []float64 // larger is better; the first one decides where a single one is sought
}

// Strategy proposes genomes.
type Strategy[G comparable] interface {
	// Ask returns the genomes to try next, none of them asked for before.
	// It returns none when the search is over.
	Ask() []G
	// Tell reports on all genomes of the last Ask, in its order.
	Tell(trials []Trial[G])
}

// Run asks, evaluates and tells until the strategy has no more questions. It
// stops early with evaluate's or the context's error.
func Run[G comparable](ctx context.Context, s Strategy[G], evaluate func([]G) ([]Trial[G], error)) error {
	for {
		genomes := s.Ask()
		if len(genomes) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		trials, err := evaluate(genomes)
		if err != nil {
			return err
		}
		s.Tell(trials)
	}
}

// Better compares two trials by violation, then by first score. It is negative
// when a is better.
func Better[G comparable](a, b Trial[G]) int {
	if c := cmp.Compare(a.Violation, b.Violation); c != 0 || a.Violation > 0 {
		return c
	}
	return cmp.Compare(b.Score[0], a.Score[0])
}

// proposer draws genomes that were not drawn before.
type proposer[G comparable] struct {
	Space[G]
	rng  *rand.Rand
	seen map[G]bool
	left int // genomes that may still be proposed
	rest []G // once chance found nothing new: what was new then, at most left
}

func newProposer[G comparable](space Space[G], o Options) *proposer[G] {
	budget := o.Population * (o.Iterations + 1)
	return &proposer[G]{
		Space: space,
		rng:   rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15)),
		seen:  make(map[G]bool, min(budget, 1<<20)),
		left:  budget,
	}
}

// tries is how many genomes are drawn in search of one that is new and within
// the limits, before the best new one of them is taken as it is.
const tries = 8

// propose returns the first genome made that is new and within the limits;
// failing that the one of those tried that violates them least. Where all of
// them were old it tries random ones, and at last any that is new.
func (p *proposer[G]) propose(make func() G) (g G, ok bool) {
	if p.left == 0 {
		return g, false
	}
	if g, ok = p.try(make); !ok {
		if g, ok = p.try(func() G { return p.Sample(p.rng) }); !ok {
			if g, ok = p.unseen(); !ok {
				p.left = 0
				return g, false
			}
		}
	}
	p.seen[g] = true
	p.left--
	return g, true
}

func (p *proposer[G]) try(make func() G) (best G, ok bool) {
	least := 0.0
	for range tries {
		g := make()
		if p.seen[g] {
			continue
		}
		violation := 0.0
		if p.Violation != nil {
			violation = p.Violation(g)
		}
		if !ok || violation < least {
			best, least, ok = g, violation, true
		}
		if violation == 0 {
			break
		}
	}
	return best, ok
}

// unseen returns a genome that was not proposed yet, unless there is none. It
// collects as many as may still be proposed, once.
func (p *proposer[G]) unseen() (g G, ok bool) {
	if p.rest == nil {
		p.rest = make([]G, 0, 1)
		for g := range p.All {
			if !p.seen[g] {
				p.rest = append(p.rest, g)
			}
			if len(p.rest) == p.left {
				break
			}
		}
	}
	for i, g := range p.rest {
		if !p.seen[g] {
			p.rest = p.rest[i+1:]
			return g, true
		}
	}
	return g, false
}

// sample proposes up to n random genomes.
func (p *proposer[G]) sample(n int) []G {
	return p.fill(nil, n, func() G { return p.Sample(p.rng) })
}

// fill appends up to n proposals.
func (p *proposer[G]) fill(genomes []G, n int, make func() G) []G {
	for range n {
		g, ok := p.propose(make)
		if !ok {
			break
		}
		genomes = append(genomes, g)
	}
	return genomes
}

// pick returns one of the trials.
func (p *proposer[G]) pick(trials []Trial[G]) Trial[G] {
	return trials[p.rng.IntN(len(trials))]
}

// share returns the part of n, at least one.
func share(part float64, n int) int {
	return min(n, max(1, int(float64(part*float64(n))+0.5)))
}

func sortTrials[G comparable](trials []Trial[G]) {
	slices.SortStableFunc(trials, Better[G])
}
