package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
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

// Reduce drops the edges that follow from others.
func TestReduce(t *testing.T) {
	g, err := NewGraph([]*Step{bare("a"), bare("b", "a"), bare("c", "a", "b")})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Reduce(g)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Edge("a", "c"); err == nil {
		t.Error("a → c follows from a → b → c, and is still there")
	}
	if n, _ := r.Size(); n != 2 {
		t.Errorf("%d edges, want 2", n)
	}
}

func BenchmarkOrder(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		steps := make([]*Step, n)
		for i := range steps {
			steps[i] = bare(fmt.Sprint(i))
			if i > 0 {
				steps[i].Deps = []string{fmt.Sprint(i - 1), fmt.Sprint(i / 2)}
			}
		}
		b.Run(fmt.Sprintf("steps=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := Order(steps); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
