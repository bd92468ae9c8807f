package pipeline

import (
	"fmt"
	"maps"
	"slices"
)

// pool is what the machine has left for steps to start.
type pool struct {
	total, free map[string]float64
}

func newPool(total map[string]float64) *pool {
	return &pool{total: total, free: maps.Clone(total)}
}

// claim returns what a step takes: at most all threads, as a step that could use
// more than there are runs well on fewer. Of anything else the
// machine must have what the step asks for.
func (p *pool) claim(s *Step) (map[string]float64, error) {
	claim := maps.Clone(s.Resources)
	if claim["cpus"] > p.total["cpus"] {
		claim["cpus"] = p.total["cpus"]
	}
	for _, name := range slices.Sorted(maps.Keys(claim)) {
		if claim[name] > p.total[name] {
			return nil, stepError(s.Pos, s, "resources", fmt.Errorf("asks for %s = %g, this run has %g (say what the machine has with --resource %s=%g)",
				name, claim[name], p.total[name], name, claim[name]))
		}
	}
	return claim, nil
}

func (p *pool) fits(claim map[string]float64) bool {
	for name, n := range claim {
		if n > p.free[name] {
			return false
		}
	}
	return true
}

func (p *pool) take(claim map[string]float64) {
	for name, n := range claim {
		p.free[name] -= n
	}
}

func (p *pool) release(claim map[string]float64) {
	for name, n := range claim {
		p.free[name] += n
	}
}
