package nn

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A network of its own space computes, with the weights that it adopted, what it computes
// with the supernet's: to the bit in Go, whose kernels made the smaller windows.
func TestAdopted(t *testing.T) {
	space := smallSpace()
	eachEngine(t, func(t *testing.T, e *Engine) {
		from := randomised(space, 11)
		split := pixels(space, 12, 16)
		shared := NewEvaluator(e, from, split, split, 12)
		rng := rand.New(rand.NewPCG(4, 8))
		for range 8 {
			n := space.Sample(rng)
			own := New(space.Around(n), 7)
			if err := from.About().Holds(own.Space(), n); err != nil {
				t.Fatal(err)
			}
			if !own.Adopt(from, n) {
				t.Error("the classifier was left")
			}
			b := randomBatch(space, 5, n.Resolution, 3)
			want, err := shared.Model(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := NewEvaluator(e, own, split, split, 12).Model(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range slices.Clone(want.Logits(b)) {
				if g := got.Logits(b)[i]; g != w && (e.k == &plain || math.Abs(float64(g-w)) > 1e-5) {
					t.Errorf("%v: logit %d is %v, want %v", n, i, g, w)
				}
			}
		}
	})
}

// A classifier of other classes stays as it is, and all else is taken.
func TestAdoptedForOtherClasses(t *testing.T) {
	from := randomised(smallSpace(), 11)
	n := smallSpace().Largest()
	n.Resolution = 20 // which the supernet does not have
	space := smallSpace().Around(n)
	space.Backbone.Classes = 3
	s, fresh := New(space, 7), New(space, 7).Weights()
	if err := from.About().Holds(space, n); err != nil {
		t.Fatal(err)
	}
	if s.Adopt(from, n) {
		t.Error("the classifier of 5 classes was taken for one of 3")
	}
	theirs := from.Weights()
	for name, v := range s.Weights() {
		want := theirs[name]
		if strings.HasPrefix(name, "classifier") {
			want = fresh[name]
		}
		if !slices.Equal(v, want) {
			t.Errorf("%s is not as expected", name)
		}
	}
}

// Weights of one network say so; what they are of is read back, and no other subnet is held.
func TestOneNetwork(t *testing.T) {
	s := New(smallSpace(), 3)
	n := smallSpace().Smallest()
	s.Network = &n
	l, err := parse(saved(t, s))
	if err != nil || l.Network == nil || !l.Network.Equal(n) {
		t.Fatalf("read back: %v, %v", l.Network, err)
	}
	a := l.About()
	if a.Shared() == nil {
		t.Error("weights of one network pass for shared ones")
	}
	if err := a.Holds(smallSpace(), n); err != nil {
		t.Error(err)
	}
	if err := a.Holds(smallSpace(), smallSpace().Largest()); err == nil {
		t.Error("another subnet is held")
	}
	if again, ok := Foreseen(ptr(a.Promise())); !ok || again.Network == nil || !again.Network.Equal(n) {
		t.Errorf("the promise is of %v", again.Network)
	}
	b := withHeader(saved(t, s), func(text string) string {
		i := strings.Index(text, `"network"`)
		return text[:i] + strings.Replace(text[i:], `:13`, `:14`, 1)
	})
	if _, err := parse(b); err == nil || !strings.Contains(err.Error(), "network: resolution 14") {
		t.Errorf("weights of a subnet that the space does not have: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }
