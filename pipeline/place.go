package pipeline

import (
	"maps"
	"math"
	"slices"
)

// Place is where steps run other than on this machine, such as a cluster.
type Place struct {
	Executor Executor
	Jobs     int // how many steps may run or wait there at once; 0 for any number
}

// place is a place during a run, with the steps that are for it.
type place struct {
	Place
	pool    *pool // nil where somebody else keeps account of what is free
	ready   []int // steps that could start, in order
	running int   // steps that have what they were granted
	waiting int   // steps that only wait for the disk
}

// open makes the places of a run, and returns them by name.
func (x *execution) open(places map[string]Place) map[string]*place {
	known := map[string]*place{"": x.here}
	x.places = []*place{x.here}
	for _, name := range slices.Sorted(maps.Keys(places)) {
		p := places[name]
		if p.Jobs <= 0 {
			p.Jobs = math.MaxInt
		}
		known[name] = &place{Place: p}
		x.places = append(x.places, known[name])
	}
	return known
}

// busy reports whether anything runs.
func (x *execution) busy() bool {
	for _, p := range x.places {
		if p.running+p.waiting > 0 {
			return true
		}
	}
	return false
}

// claim returns what a step takes of the place, which must be able to give it.
func (p *place) claim(s *Step) (map[string]float64, error) {
	if p.pool != nil {
		return p.pool.claim(s)
	}
	return s.Resources, nil
}

func (p *place) fits(claim map[string]float64) bool { return p.pool == nil || p.pool.fits(claim) }

// take grants a claim that fits. Which GPUs these are elsewhere is known there.
func (p *place) take(claim map[string]float64) grant {
	if p.pool != nil {
		return p.pool.take(claim)
	}
	return grant{amounts: claim}
}

func (p *place) release(g grant) {
	if p.pool != nil {
		p.pool.release(g)
	}
}
