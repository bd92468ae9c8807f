package pipeline

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
)

// pool is what the machine has left for steps to start.
type pool struct {
	total, free map[string]float64
	gpus        []float64 // what is left of each: 1 for all of it
	cpus        []int     // the numbers of the processors that are no step's own
	granted     int       // how many steps have something
}

// grant is what a step has been given.
type grant struct {
	amounts map[string]float64
	gpus    []int // which ones
	cpus    []int // likewise, of a step that asks for whole processors; none where it may use any
}

// newPool returns a pool of what the machine has, with the numbers of its processors where
// steps can be confined to some.
func newPool(total map[string]float64, cpus []int) *pool {
	p := &pool{total: total, free: maps.Clone(total), cpus: slices.Clone(cpus)}
	for range int(math.Ceil(total["gpus"])) {
		p.gpus = append(p.gpus, 1)
	}
	return p
}

// claim returns what a step takes. The machine must have all that the step asks for.
func (p *pool) claim(s *Step) (map[string]float64, error) {
	claim := maps.Clone(s.Resources)
	for _, name := range slices.Sorted(maps.Keys(claim)) {
		if claim[name] > p.total[name] {
			return nil, stepError(s.Pos, s, "resources", fmt.Errorf("asks for %s = %s, this run has %s (say what the machine has with --resource %[1]s=%[2]s or, in the site file, machine { resources = { %[1]s = %[2]s } })",
				name, amount(claim[name]), amount(p.total[name])))
		}
	}
	return claim, nil
}

// amount writes an amount in full.
func amount(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// slack is the part of a resource by which a claim may exceed what is free, because
// shares such as 0.1, 0.2 and 0.7 do not add up to 1 in floating point.
const slack = 1e-9

func (p *pool) fits(claim map[string]float64) bool {
	for name, n := range claim {
		if n > p.free[name]+float64(slack*p.total[name]) {
			return false
		}
	}
	_, ok := p.choose(claim["gpus"])
	return ok
}

// choose returns which GPUs a claim of n gets. A step with one or more has them to
// itself, the last one too if n is 1.5; a share of one goes where the least is left,
// so that whole ones stay free.
func (p *pool) choose(n float64) (gpus []int, ok bool) {
	if n <= 0 {
		return nil, true
	}
	if n < 1 {
		best := -1
		for i, left := range p.gpus {
			if left >= n-slack && (best < 0 || left < p.gpus[best]) {
				best = i
			}
		}
		return []int{best}, best >= 0
	}
	for i, left := range p.gpus {
		if left == 1 && float64(len(gpus)) < n {
			gpus = append(gpus, i)
		}
	}
	return gpus, float64(len(gpus)) >= n
}

// take grants a claim that fits.
func (p *pool) take(claim map[string]float64) grant {
	g := grant{amounts: claim}
	p.granted++
	g.gpus, _ = p.choose(claim["gpus"])
	for _, i := range g.gpus {
		p.gpus[i] -= min(claim["gpus"], 1)
	}
	for name, n := range claim {
		p.free[name] -= n
	}
	if n := int(claim["cpus"]); n > 0 && float64(n) == claim["cpus"] && n <= len(p.cpus) {
		g.cpus, p.cpus = slices.Clone(p.cpus[:n]), p.cpus[n:]
	}
	return g
}

func (p *pool) release(g grant) {
	for _, i := range g.gpus {
		p.gpus[i] += min(g.amounts["gpus"], 1)
		if p.gpus[i] > 1-slack {
			p.gpus[i] = 1
		}
	}
	for name, n := range g.amounts {
		p.free[name] += n
	}
	p.cpus = append(p.cpus, g.cpus...)
	slices.Sort(p.cpus)
	if p.granted--; p.granted == 0 {
		p.free = maps.Clone(p.total)
	}
}
