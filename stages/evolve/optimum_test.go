package evolve

import (
	"math"
	"testing"

	"eyrie/nas/raptor"
)

// On a space of 4,800 subnets the exact optimum, the least latency and the
// least memory are those of enumeration: at many limits, for memories in which
// maps stay for a while, always, or never.
func TestOptimumIsEnumerated(t *testing.T) {
	c := mustCodec(t, smallSpace())
	for _, scope := range []raptor.Scope{raptor.BlockScope, raptor.GroupScope, raptor.NetworkScope} {
		for _, memory := range []int64{16 << 10, 48 << 10, 320 << 10} {
			p := tinyraptor(t)
			p.Scope, p.Memory = scope, memory
			m, err := newModel(p, c)
			if err != nil {
				t.Fatal(err)
			}
			var all []costs
			least := math.Inf(1)
			for g := range c.all {
				all = append(all, m.price(g))
				least = min(least, all[len(all)-1].Latency)
			}
			choices := m.choices(0, macs().adds)
			if p, ok := choices.graph.Cheapest(); !ok || !near(p.Cost, least) {
				t.Fatalf("%s, %d bytes: the least latency is %v, %v; want %v", scope, memory, p.Cost, ok, least)
			}
			for _, factor := range []float64{0.99, 1.0001, 1.05, 1.2, 1.5, 2, 3, 5, 10} {
				limit := factor * least
				want := int64(0)
				for _, x := range all {
					if x.Latency <= limit {
						want = max(want, x.MACs)
					}
				}
				path, ok := choices.graph.Best(limit)
				if !ok {
					if want != 0 {
						t.Fatalf("%s, %d bytes, %v s: no optimum, want %d MACs", scope, memory, limit, want)
					}
					continue
				}
				got := m.price(c.encode(choices.subnet(path)))
				if got.MACs != want || got.MACs != int64(path.Value) || got.Latency > limit || !near(got.Latency, path.Cost) {
					t.Fatalf("%s, %d bytes, %v s: the optimum has %+v by a path of %v s; want %d MACs", scope, memory, limit, got, path.Cost, want)
				}
			}
		}
	}
}

func BenchmarkOptimum(b *testing.B) {
	m, err := newModel(tinyraptor(b), mustCodec(b, paperSpace()))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := m.choices(0, macs().adds).graph.Best(0.087); !ok {
			b.Fatal("no optimum")
		}
	}
}
