package evolve

import (
	"math"
	"math/rand/v2"
	"testing"
)

// near reports whether two sums of the same terms agree.
func near(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-12*math.Abs(b) }

// A genome costs what raptor estimates for its network; one with a layer that
// the platform does not support costs infinite time.
func TestPricesAreEstimates(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, limit := range []int64{0, 150000} {
		p := tinyraptor(t)
		p.WeightLimit = limit
		c := mustCodec(t, paperSpace())
		m, err := newModel(p, c)
		if err != nil {
			t.Fatal(err)
		}
		supported := 0
		for range 100 {
			g := c.sample(rng)
			e, err := p.Estimate(c.space.Network(c.decode(g)))
			if err != nil {
				t.Fatal(err)
			}
			got := m.price(g)
			if len(e.Unsupported) > 0 {
				if !math.IsInf(got.Latency, 1) {
					t.Fatalf("%v: %v s, although %v are not supported", c.decode(g), got.Latency, e.Unsupported)
				}
				continue
			}
			supported++
			if !near(got.Latency, e.Latency) || !near(got.Energy, e.Energy) || !near(got.Mu, e.Mu) ||
				got.PeakMemory != e.PeakMemory || got.Params != e.Params || got.MACs != e.MACs {
				t.Fatalf("%v: %+v, want %v s, %v J, μ %v, %d bytes, %d, %d",
					c.decode(g), got, e.Latency, e.Energy, e.Mu, e.PeakMemory, e.Params, e.MACs)
			}
		}
		if supported == 0 {
			t.Errorf("limit %d: nothing was compared", limit)
		}
	}
}

func BenchmarkPrice(b *testing.B) {
	c := mustCodec(b, paperSpace())
	m, err := newModel(tinyraptor(b), c)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	genomes := make([]genome, 1000)
	for i := range genomes {
		genomes[i] = c.sample(rng)
	}
	i := 0
	for b.Loop() {
		m.price(genomes[i%1000])
		i++
	}
}

func BenchmarkNewModel(b *testing.B) {
	c := mustCodec(b, paperSpace())
	p := tinyraptor(b)
	for b.Loop() {
		if _, err := newModel(p, c); err != nil {
			b.Fatal(err)
		}
	}
}
