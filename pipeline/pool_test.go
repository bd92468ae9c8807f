package pipeline

import (
	"math/rand/v2"
	"testing"
)

// Shares that do not add up to 1 in floating point leave a whole once they are given
// back, in whatever order.
func TestSharesComeBackWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		p := newPool(map[string]float64{"gpus": 1, "cpus": 1}, nil)
		var grants []grant
		for range 3 {
			claim := map[string]float64{"gpus": 0.1 * float64(1+rng.IntN(7)), "cpus": 0.1 * float64(1+rng.IntN(7))}
			if p.fits(claim) {
				grants = append(grants, p.take(claim))
			}
		}
		rng.Shuffle(len(grants), func(i, j int) { grants[i], grants[j] = grants[j], grants[i] })
		for _, g := range grants {
			p.release(g)
		}
		if !p.fits(map[string]float64{"gpus": 1, "cpus": 1}) {
			t.Fatalf("after %+v were given back, %v is free, %v of the GPU", grants, p.free, p.gpus)
		}
	}
}
