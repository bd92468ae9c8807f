package raptor

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// With policy spill more memory, higher rates and lower costs are never slower either:
// the schedule is the one that what is charged makes the fastest. (Where transfers hide
// computing, a schedule that is charged for its own bytes is chosen as if they did not.)
func TestSpillProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	for range 2000 {
		net := randomNetwork(rng, 1+rng.IntN(8))
		p := randomPlatform(rng, &net)
		p.Policy, p.DoubleBuffer, p.SpillCost, p.Rereads = Spill, false, 5*rng.Float64(), rng.IntN(2) == 0
		if !p.Rereads {
			p.Overlap = []float64{0, 0.3, 1}[rng.IntN(3)]
		}
		p.OutputCost, p.OutputRate = rng.Float64(), rng.Float64()
		p.Array = Array{1 + rng.IntN(20), 1 + rng.IntN(4), 1 + rng.IntN(4)}
		e, err := p.Estimate(net)
		if err != nil {
			continue
		}
		for name, change := range map[string]func(*Platform){
			"a byte more":           func(q *Platform) { q.Memory++ },
			"more memory":           func(q *Platform) { q.Memory += 1 + q.Memory/7 },
			"more weight memory":    func(q *Platform) { q.WeightMemory += q.WeightMemory / 7 },
			"cheaper activations":   func(q *Platform) { q.ActivationCost /= 2 },
			"cheaper weights":       func(q *Platform) { q.WeightCost /= 2 },
			"cheaper spilling":      func(q *Platform) { q.SpillCost /= 2 },
			"cheaper tiles":         func(q *Platform) { q.TileCost /= 2 },
			"cheaper layers":        func(q *Platform) { q.LayerCost /= 2 },
			"cheaper results":       func(q *Platform) { q.OutputCost /= 2 },
			"more results a cycle":  func(q *Platform) { q.OutputRate *= 2 },
			"more elements a cycle": func(q *Platform) { q.ElementRate *= 2 },
			"faster depthwise":      func(q *Platform) { q.Rates.Depthwise *= 1.5 },
			"faster convolutions":   func(q *Platform) { q.Rates.Conv *= 1.5 },
			"more that is hidden":   func(q *Platform) { q.Overlap += (1 - q.Overlap) / 2 },
		} {
			q := p
			change(&q)
			if q.Rereads {
				q.Overlap = 0
			}
			f, err := q.Estimate(net)
			if err != nil || f.Latency > e.Latency*(1+1e-9) {
				t.Fatalf("%s: %v instead of %v s, %v\n%+v\n%+v", name, f.Latency, e.Latency, err, net, p)
			}
		}
	}
}

// Quantities beyond all numbers to be had are refused, as they make times that are none.
func TestImpossibleQuantities(t *testing.T) {
	for name, change := range map[string]func(*Platform){
		"rates.conv":      func(p *Platform) { p.Rates.Conv = 1e-320 },
		"element_rate":    func(p *Platform) { p.ElementRate = 1e-320 },
		"output_rate":     func(p *Platform) { p.OutputRate = 1e-300 },
		"activation_cost": func(p *Platform) { p.ActivationCost = 1e308 },
	} {
		p := tinyraptor(t)
		change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
