package search

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// knapsack is a toy space: sets of items with values, and weights that a limit
// bounds.
type knapsack struct {
	value, weight []float64
	limit         float64
}

func newKnapsack(n int, limit float64) knapsack {
	rng := rand.New(rand.NewPCG(7, 8))
	k := knapsack{make([]float64, n), make([]float64, n), limit}
	for i := range n {
		k.value[i], k.weight[i] = float64(1+rng.IntN(50)), float64(1+rng.IntN(50))
	}
	return k
}

func (k knapsack) sum(of []float64, g uint32) (sum float64) {
	for i, v := range of {
		if g>>i&1 == 1 {
			sum += v
		}
	}
	return sum
}

func (k knapsack) violation(g uint32) float64 { return max(0, k.sum(k.weight, g)-k.limit) }

func (k knapsack) space() Space[uint32] {
	all := uint32(1)<<len(k.value) - 1
	return Space[uint32]{
		Sample: func(rng *rand.Rand) uint32 { return rng.Uint32() & all },
		Mutate: func(rng *rand.Rand, g uint32) uint32 {
			for i := range k.value {
				if rng.IntN(10) == 0 {
					g ^= 1 << i
				}
			}
			return g
		},
		Crossover: func(rng *rand.Rand, a, b uint32) uint32 {
			mask := rng.Uint32()
			return a&mask | b&^mask
		},
		Violation: k.violation,
		All: func(yield func(uint32) bool) {
			for g := uint32(0); g <= all && yield(g); g++ {
			}
		},
	}
}

// graph is the same problem for the exact solver: a node per item.
func (k knapsack) graph() Graph {
	g := make(Graph, len(k.value)+1)
	for i := range k.value {
		g[i] = []Edge{{i + 1, 0, 0}, {i + 1, k.weight[i], k.value[i]}}
	}
	return g
}

func (k knapsack) trial(g uint32) Trial[uint32] {
	return Trial[uint32]{g, k.violation(g), []float64{k.sum(k.value, g), -k.sum(k.weight, g)}}
}

// run returns all trials of a search.
func (k knapsack) run(t testing.TB, s Strategy[uint32]) (trials []Trial[uint32]) {
	t.Helper()
	err := Run(context.Background(), s, func(genomes []uint32) ([]Trial[uint32], error) {
		batch := make([]Trial[uint32], len(genomes))
		for i, g := range genomes {
			batch[i] = k.trial(g)
		}
		trials = append(trials, batch...)
		return batch, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return trials
}

var strategies = []struct {
	name string
	new  func(Space[uint32], Options) Strategy[uint32]
}{
	{"random", Random[uint32]},
	{"paper", Paper[uint32]},
	{"regularized", Regularized[uint32]},
	{"nsga2", NSGA2[uint32]},
}

var usual = Options{Population: 50, Iterations: 39, Parents: 0.25, Mutation: 0.5, Seed: 1}

func best(trials []Trial[uint32]) Trial[uint32] {
	return slices.MinFunc(trials, Better[uint32])
}

// A strategy asks for exactly as many genomes as its options say, and never
// for the same one twice.
func TestBudgetWithoutDuplicates(t *testing.T) {
	for _, s := range strategies {
		k := newKnapsack(24, 200)
		seen := map[uint32]bool{}
		trials := k.run(t, s.new(k.space(), usual))
		for _, trial := range trials {
			if seen[trial.Genome] {
				t.Fatalf("%s asked twice for %x", s.name, trial.Genome)
			}
			seen[trial.Genome] = true
		}
		if want := usual.Population * (usual.Iterations + 1); len(trials) != want {
			t.Errorf("%s tried %d genomes, want %d", s.name, len(trials), want)
		}
	}
}

// In a space smaller than its budget a strategy tries everything once, then
// ends; also where every genome violates the limits.
func TestExhaustsSmallSpaces(t *testing.T) {
	for _, s := range strategies {
		for _, limit := range []float64{100, -1} {
			for _, n := range []int{0, 1, 5, 10} {
				k := newKnapsack(n, limit)
				if trials := k.run(t, s.new(k.space(), usual)); len(trials) != 1<<n {
					t.Errorf("%s with limit %v tried %d of %d genomes", s.name, limit, len(trials), 1<<n)
				}
			}
		}
	}
}

// The same seed gives the same trials, another seed others.
func TestSeeded(t *testing.T) {
	for _, s := range strategies {
		k := newKnapsack(24, 200)
		o := usual
		a := k.run(t, s.new(k.space(), o))
		b := k.run(t, s.new(k.space(), o))
		o.Seed++
		c := k.run(t, s.new(k.space(), o))
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: two runs with one seed differ", s.name)
		}
		if reflect.DeepEqual(a, c) {
			t.Errorf("%s: two seeds give the same run", s.name)
		}
	}
}

// Every guided strategy comes closer to the exact optimum than random search
// does with the same number of trials; the paper's within 2 %.
func TestBeatsRandom(t *testing.T) {
	k := newKnapsack(30, 150)
	optimum, _ := k.graph().Best(k.limit)
	value := map[string]float64{}
	for _, s := range strategies {
		b := best(k.run(t, s.new(k.space(), usual)))
		if b.Violation > 0 {
			t.Errorf("%s: the best violates the limit by %v", s.name, b.Violation)
		}
		value[s.name] = b.Score[0]
		if b.Score[0] > optimum.Value {
			t.Errorf("%s: %v beats the optimum %v", s.name, b.Score[0], optimum.Value)
		}
	}
	for name, v := range value {
		if name != "random" && v <= value["random"] {
			t.Errorf("%s reached %v, random search %v", name, v, value["random"])
		}
	}
	if value["paper"] < 0.98*optimum.Value {
		t.Errorf("paper reached %v of %v", value["paper"], optimum.Value)
	}
}

// Where one genome in 2²⁴ meets the limit, the violations lead there.
func TestFindsTheOnlyFeasible(t *testing.T) {
	for _, s := range strategies[1:] {
		k := newKnapsack(24, 0)
		if b := best(k.run(t, s.new(k.space(), usual))); b.Genome != 0 || b.Violation != 0 {
			t.Errorf("%s ended at %x, which violates the limit by %v", s.name, b.Genome, b.Violation)
		}
	}
}

// NSGA-II's front covers nearly all of the exact front's hypervolume, and more
// than random search's.
func TestNSGA2CoversTheFront(t *testing.T) {
	k := newKnapsack(24, 1e9)
	reference := []float64{0, -k.sum(k.weight, 1<<24-1)}
	var exact [][]float64
	for _, p := range k.graph().Front(k.limit) {
		exact = append(exact, []float64{p.Value, -p.Cost})
	}
	covered := func(s Strategy[uint32]) float64 {
		var scores [][]float64
		for _, trial := range k.run(t, s) {
			scores = append(scores, trial.Score)
		}
		return Hypervolume(scores, reference) / Hypervolume(exact, reference)
	}
	nsga2, random := covered(NSGA2(k.space(), usual)), covered(Random(k.space(), usual))
	if nsga2 < 0.98 || nsga2 > 1 || nsga2 <= random {
		t.Errorf("nsga2 covers %.4f of the exact front, random search %.4f", nsga2, random)
	}
}

// Run ends with the context's error, or with the evaluation's.
func TestRunStops(t *testing.T) {
	k := newKnapsack(24, 200)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Run(ctx, Paper(k.space(), usual), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Run with a cancelled context: %v", err)
	}
	broken := errors.New("broken")
	fail := func([]uint32) ([]Trial[uint32], error) { return nil, broken }
	if err := Run(context.Background(), Paper(k.space(), usual), fail); err != broken {
		t.Errorf("Run with a broken evaluation: %v", err)
	}
}

func ExampleRun() {
	// The largest product of two digits whose sum is at most 9.
	digits := func(g int) (a, b int) { return g / 10, g % 10 }
	space := Space[int]{
		Sample:    func(rng *rand.Rand) int { return rng.IntN(100) },
		Mutate:    func(rng *rand.Rand, g int) int { return (g + 1 + rng.IntN(9)) % 100 },
		Crossover: func(_ *rand.Rand, g, h int) int { return g/10*10 + h%10 },
		Violation: func(g int) float64 { a, b := digits(g); return float64(max(0, a+b-9)) },
		All: iter.Seq[int](func(yield func(int) bool) {
			for g := 0; g < 100 && yield(g); g++ {
			}
		}),
	}
	var best Trial[int]
	evaluate := func(genomes []int) (trials []Trial[int], err error) {
		for _, g := range genomes {
			a, b := digits(g)
			trial := Trial[int]{g, space.Violation(g), []float64{float64(a * b)}}
			if best.Score == nil || Better(trial, best) < 0 {
				best = trial
			}
			trials = append(trials, trial)
		}
		return trials, nil
	}
	strategy := Paper(space, Options{Population: 10, Iterations: 8, Parents: 0.25, Mutation: 0.5, Seed: 1})
	if err := Run(context.Background(), strategy, evaluate); err != nil {
		panic(err)
	}
	fmt.Println(best.Score[0])
	// Output: 20
}

func BenchmarkStrategies(b *testing.B) {
	k := newKnapsack(30, 150)
	for _, s := range strategies {
		b.Run(s.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n += len(k.run(b, s.new(k.space(), usual)))
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "candidates/s")
		})
	}
}
