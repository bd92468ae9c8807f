package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/dominikbraun/graph"
)

func bare(id string, deps ...string) *Step {
	return &Step{ID: id, Pos: "g.hcl:" + id, Deps: deps}
}

func ids(steps []*Step) (s []string) {
	for _, x := range steps {
		s = append(s, x.ID)
	}
	return s
}

// Steps are put behind what they need and otherwise stay where they were written.
func TestOrderKeepsTheRecipesOrder(t *testing.T) {
	tests := []struct {
		name  string
		steps []*Step
		want  string
	}{
		{"nothing", nil, "[]"},
		{"as written", []*Step{bare("c"), bare("a"), bare("b")}, "[c a b]"},
		{"used before declared", []*Step{bare("a", "z"), bare("b"), bare("z")}, "[z a b]"},
		{"diamond", []*Step{bare("d", "b", "c"), bare("c", "a"), bare("b", "a"), bare("a")}, "[a b c d]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Order(test.steps)
			if err != nil || fmt.Sprint(ids(got)) != test.want {
				t.Errorf("got %v, %v; want %s", ids(got), err, test.want)
			}
		})
	}
}

// On random graphs each step comes once, and after what it needs.
func TestOrderOfRandomGraphs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 1 + rng.IntN(40)
		perm := rng.Perm(n) // the hidden order that makes it acyclic
		steps := make([]*Step, n)
		for i := range steps {
			steps[i] = bare(fmt.Sprint(i))
			for j := range n {
				if perm[j] < perm[i] && rng.IntN(5) == 0 {
					steps[i].Deps = append(steps[i].Deps, fmt.Sprint(j))
				}
			}
		}
		sorted, err := Order(steps)
		if err != nil || len(sorted) != n {
			t.Fatalf("%d of %d steps, %v", len(sorted), n, err)
		}
		at := map[string]int{}
		for i, s := range sorted {
			at[s.ID] = i
		}
		for _, s := range sorted {
			for _, d := range s.Deps {
				if at[d] >= at[s.ID] {
					t.Fatalf("%s comes before %s, which it needs", s.ID, d)
				}
			}
		}
	}
}

// The error shows a whole cycle, and only steps that are in it.
func TestOrderShowsTheCycle(t *testing.T) {
	tests := []struct {
		name  string
		steps []*Step
		want  string
	}{
		{"itself", []*Step{bare("a", "a")}, "[a]"},
		{"two", []*Step{bare("a", "b"), bare("b", "a")}, "[a b]"},
		{"behind a tail", []*Step{bare("tail", "a"), bare("a", "b"), bare("b", "c", "leaf"), bare("c", "a"), bare("leaf")}, "[a b c]"},
		{"the shorter way", []*Step{bare("a", "b", "d"), bare("b", "c"), bare("c", "a"), bare("d", "a")}, "[a d]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Order(test.steps)
			var c *CycleError
			if !errors.As(err, &c) || fmt.Sprint(ids(c.Steps)) != test.want {
				t.Errorf("got %v, want the cycle %s", err, test.want)
			}
		})
	}
}

// A chain of 100,000 steps is ordered without recursion, a cycle of as many is found.
func TestOrderOfALongChain(t *testing.T) {
	const n = 100_000
	steps := make([]*Step, n)
	for i := range steps {
		steps[i] = bare(fmt.Sprint(i), fmt.Sprint(i+1))
	}
	steps[n-1].Deps = nil
	if sorted, err := Order(steps); err != nil || sorted[0].ID != fmt.Sprint(n-1) {
		t.Fatalf("%v", err)
	}
}

// Reduce drops the edges that follow from others, and no others: it agrees with
// the graph library.
func TestReduce(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		steps := make([]*Step, 1+rng.IntN(200)) // several times 64
		near := 1 + rng.IntN(len(steps))
		for i := range steps {
			steps[i] = bare(fmt.Sprint(i))
			for range rng.IntN(5) * min(i, 1) {
				steps[i].Deps = append(steps[i].Deps, fmt.Sprint(i-1-rng.IntN(min(i, near)))) // also twice the same
			}
		}
		full, err := NewGraph(steps)
		if err != nil {
			t.Fatal(err)
		}
		want, err := graph.TransitiveReduction(full)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Reduce(steps)
		if err != nil {
			t.Fatal(err)
		}
		if g, w := edges(t, got), edges(t, want); !slices.Equal(g, w) {
			t.Fatalf("%d steps: got %v, want %v", len(steps), g, w)
		}
	}
}

// edges returns the graph's edges as text, sorted.
func edges(t *testing.T, g Graph) []string {
	t.Helper()
	es, err := g.Edges()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range es {
		all = append(all, e.Source+"→"+e.Target)
	}
	slices.Sort(all)
	return all
}

// linked returns steps each of which needs the one before it and that in the
// middle of those before it.
func linked(n int) []*Step {
	steps := make([]*Step, n)
	for i := range steps {
		steps[i] = bare(fmt.Sprint(i))
		if i > 0 {
			steps[i].Deps = []string{fmt.Sprint(i - 1), fmt.Sprint(i / 2)}
		}
	}
	return steps
}

func BenchmarkOrder(b *testing.B) {
	benchmark(b, func(steps []*Step) error { _, err := Order(steps); return err })
}
func BenchmarkReduce(b *testing.B) {
	benchmark(b, func(steps []*Step) error { _, err := Reduce(steps); return err })
}

func benchmark(b *testing.B, f func([]*Step) error) {
	for _, n := range []int{1_000, 10_000} {
		steps := linked(n)
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) {
			for b.Loop() {
				if err := f(steps); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
