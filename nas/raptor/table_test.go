package raptor

import (
	"math"
	"math/rand/v2"
	"testing"

	"eyrie/nas/arch"
)

// testSpace is the paper's space on table 2's widths.
func testSpace() arch.Space {
	return arch.Space{
		Backbone: arch.MobileNetV2(), Widths: arch.Widths{0.3, 0.3, 0.3, 0.3, 1.5, 1.0, 0.9, 0.6, 0.6},
		Resolutions: []int{128, 160, 192, 224}, Expansions: []int{3, 4, 6}, Depths: []int{2, 3, 4}, Kernels: []int{3, 5},
	}
}

// variants returns the platform under every policy and scope, and with double
// buffering, with split memories and with little memory.
func variants(p Platform) []Platform {
	var all []Platform
	for _, policy := range []Policy{Layerwise, Resident, Mixed} {
		for _, scope := range []Scope{BlockScope, GroupScope, NetworkScope} {
			p.Policy, p.Scope = policy, scope
			q, r, s := p, p, p
			q.DoubleBuffer = true
			r.WeightMemory = 200 << 10
			s.Memory = 48 << 10
			all = append(all, p, q, r, s)
		}
	}
	return all
}

// spills returns the platform under policy spill, which has no scopes: also with transfers
// that hide each other, with bytes that are read again, and with little memory.
func spills(p Platform) []Platform {
	p.Policy, p.SpillCost = Spill, 5
	hides, rereads, little := p, p, p
	hides.Overlap, hides.Array, hides.OutputRate, hides.ElementRate = 0.9, Array{Channels: 8, Rows: 1, Columns: 2}, 3, 2
	hides.WeightMemory = 200 << 10
	rereads.Rereads, rereads.Free.Add, rereads.OutputCost = true, true, 0.5
	little.Memory, little.LayerCost, little.TileCost = 48<<10, 300, 0
	return []Platform{p, hides, rereads, little}
}

// Adding up a table's parts gives what pricing the whole network gives.
func TestTableEqualsEstimate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for i, p := range append(variants(mixed(t)), spills(mixed(t))...) {
		s := testSpace()
		if i%2 == 1 { // also widths at which neighbouring groups are alike
			s.Widths = arch.Widths{0.5, 1, 1, 1, 1.5, 1, 1, 0.5, 1}
		}
		table, err := NewTable(p, s)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			n := s.Sample(rng)
			want, err := p.Estimate(s.Network(n))
			if err != nil {
				t.Fatal(err)
			}
			var got Cost
			if err := table.Estimate(&n, &got); err != nil {
				t.Fatal(err)
			}
			near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }
			if !near(got.Latency, want.Latency) || !near(got.Energy, want.Energy) || !near(got.NPUCycles, want.NPUCycles) ||
				got.MACs != want.MACs || got.Params != want.Params || got.Unsupported != len(want.Unsupported) {
				t.Fatalf("%s, %s, %v:\ntable    %+v\nestimate %v s, %v SYS cycles, peak %d", p.Policy, p.Scope, n, got, want.Latency, want.SYSCycles, want.PeakMemory)
			}
			// Ways of equal time may differ in what they move and hold.
			if !p.DoubleBuffer && !near(got.SYSCycles, want.SYSCycles) || got.PeakMemory > int(p.Memory+p.WeightMemory) {
				t.Fatalf("%s, %s, %v: SYS cycles %v, want %v; peak %d", p.Policy, p.Scope, n, got.SYSCycles, want.SYSCycles, got.PeakMemory)
			}
		}
	}
}

// A subnet that is none of the space's is refused with the space's own words,
// one that does not fit with the layer's.
func TestTableRefuses(t *testing.T) {
	s := testSpace()
	table, err := NewTable(mixed(t), s)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*arch.Subnet){
		"resolution": func(n *arch.Subnet) { n.Resolution = 100 },
		"groups":     func(n *arch.Subnet) { n.Groups = n.Groups[1:] },
		"expansion":  func(n *arch.Subnet) { n.Groups[2][1].Expansion = 5 },
		"huge":       func(n *arch.Subnet) { n.Groups[2][1].Expansion = 1 << 40 },
		"negative":   func(n *arch.Subnet) { n.Groups[2][1].Kernel = -1 },
	} {
		n := s.Largest()
		spoil(&n)
		var c Cost
		if err := table.Estimate(&n, &c); err == nil || err.Error() != s.Contains(n).Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
	tiny := mixed(t)
	tiny.Memory = 1000
	if table, err = NewTable(tiny, s); err != nil {
		t.Fatal(err)
	}
	n := s.Largest()
	if err := table.Estimate(&n, new(Cost)); err == nil {
		t.Error("a subnet fits in 1000 bytes")
	}
}

// The graph's cheapest path has the latency of the fastest subnet, and the
// path of least cycles through a subnet's blocks has that subnet's latency.
func TestGraphEqualsTable(t *testing.T) {
	s := testSpace()
	s.Expansions, s.Kernels, s.Depths = []int{3, 6}, []int{3, 5}, []int{1, 2}
	for _, p := range append(variants(mixed(t)), spills(mixed(t))...) {
		table, err := NewTable(p, s)
		if err != nil {
			t.Fatal(err)
		}
		nodes, edges := table.Graph(160)
		// least cycles to each node, and by which way
		least, from := make([]float64, len(nodes)), make([]int, len(nodes))
		for i := range least {
			least[i] = math.Inf(1)
		}
		least[0] = 0
		for i, out := range edges {
			for _, e := range out {
				if e.To <= i {
					t.Fatalf("edge %d → %d does not lead to a later node", i, e.To)
				}
				if c := least[i] + e.Cycles; c < least[e.To] {
					least[e.To], from[e.To] = c, i
				}
			}
		}
		last := len(nodes) - 1
		path := []Node{nodes[last]}
		for i := last; i != 0; i = from[i] {
			path = append([]Node{nodes[from[i]]}, path...)
		}
		n := table.Subnet(160, path)
		var c Cost
		if err := table.Estimate(&n, &c); err != nil {
			t.Fatal(err)
		}
		if math.Abs(c.Latency*p.Clock/least[last]-1) > 1e-9 {
			t.Errorf("%s, %s: %v takes %v cycles, the path %v", p.Policy, p.Scope, n, c.Latency*p.Clock, least[last])
		}
		rng := rand.New(rand.NewPCG(7, 7))
		for range 300 { // nothing is faster
			n := s.Sample(rng)
			n.Resolution = 160
			if err := table.Estimate(&n, &c); err != nil {
				t.Fatal(err)
			}
			if c.Unsupported == 0 && c.Latency*p.Clock < least[last]*(1-1e-9) {
				t.Fatalf("%v takes %v cycles, the cheapest path %v", n, c.Latency*p.Clock, least[last])
			}
		}
	}
}

func BenchmarkEstimateSubnet(b *testing.B) {
	s := testSpace()
	table, err := NewTable(mixed(b), s)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	subnets := make([]arch.Subnet, 1024)
	for i := range subnets {
		subnets[i] = s.Sample(rng)
	}
	var c Cost
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := table.Estimate(&subnets[i%len(subnets)], &c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "subnets/s")
}

func BenchmarkNewTable(b *testing.B) {
	p, s := mixed(b), testSpace()
	for b.Loop() {
		if _, err := NewTable(p, s); err != nil {
			b.Fatal(err)
		}
	}
}
