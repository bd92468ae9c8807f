package evolve

import (
	"math/rand/v2"
	"testing"

	"eyrie/nas/arch"
)

// paperSpace is the space of the paper's supernet: table 2's widths.
func paperSpace() arch.Space {
	return arch.Space{
		Backbone:    arch.MobileNetV2(),
		Widths:      arch.Widths{0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6},
		Resolutions: []int{128, 160, 192, 224},
		Expansions:  []int{3, 4, 6},
		Depths:      []int{2, 3, 4},
		Kernels:     []int{3, 5},
	}
}

// smallSpace has 4,800 subnets, few enough to try them all.
func smallSpace() arch.Space {
	return arch.Space{
		Backbone: arch.Backbone{
			Input: 3,
			Stem:  arch.Stem{Channels: 16, Kernel: 3, Stride: 2},
			Groups: []arch.Group{
				{Expansion: 1, Channels: 8, Repeats: 1, Stride: 1},
				{Expansion: 6, Channels: 16, Repeats: 2, Stride: 2},
				{Expansion: 6, Channels: 24, Repeats: 2, Stride: 2},
				{Expansion: 6, Channels: 32, Repeats: 1, Stride: 1},
			},
			Head: 64, Classes: 10,
		},
		Widths:      arch.Widths{1, 1, 1, 1, 1, 1},
		Resolutions: []int{48, 64, 96},
		Expansions:  []int{3, 6},
		Depths:      []int{1, 2},
		Kernels:     []int{3, 5},
	}
}

func mustCodec(t testing.TB, space arch.Space) *codec {
	t.Helper()
	if err := space.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := newCodec(space)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever sampling, mutation and crossover make is a subnet of the space and
// survives the way to a subnet and back; so genomes are canonical.
func TestGenomesAreSubnets(t *testing.T) {
	for _, space := range []arch.Space{paperSpace(), smallSpace()} {
		c := mustCodec(t, space)
		rng := rand.New(rand.NewPCG(1, 2))
		a := c.sample(rng)
		for range 2000 {
			b := c.mutate(rng, a, 0.5, 0.1)
			a = c.crossover(rng, b, c.sample(rng))
			for _, g := range []genome{a, b} {
				n := c.decode(g)
				if err := space.Contains(n); err != nil {
					t.Fatalf("%v: %v", n, err)
				}
				if c.encode(n) != g {
					t.Fatalf("%v: genome %x becomes %x", n, g, c.encode(n))
				}
			}
		}
	}
}

// Enumeration yields as many different genomes as the space has subnets.
func TestAllIsTheSpace(t *testing.T) {
	c := mustCodec(t, smallSpace())
	seen := map[genome]bool{}
	for g := range c.all {
		if seen[g] {
			t.Fatalf("%x twice", g)
		}
		seen[g] = true
		if err := c.space.Contains(c.decode(g)); err != nil {
			t.Fatal(err)
		}
	}
	if want := c.space.Size().Int64(); int64(len(seen)) != want {
		t.Errorf("%d genomes, the space has %d subnets", len(seen), want)
	}
}

// A child of crossover has nothing that neither parent has, and mutation with
// probability 0 changes nothing.
func TestInheritance(t *testing.T) {
	c := mustCodec(t, paperSpace())
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		a, b := c.sample(rng), c.sample(rng)
		child := c.crossover(rng, a, b)
		for i := range child {
			if child[i] != 0 && child[i] != a[i] && child[i] != b[i] {
				t.Fatalf("slot %d of %x is from neither %x nor %x", i, child, a, b)
			}
		}
		if c.mutate(rng, a, 0, 0) != a {
			t.Fatalf("%x mutates with probability 0", a)
		}
	}
}
