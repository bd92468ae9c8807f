package pipeline

import (
	"fmt"
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

// A step that asks for whole processors gets numbers that no other step has, as long as
// there are enough; others may use any.
func TestPoolOfProcessors(t *testing.T) {
	p := newPool(map[string]float64{"cpus": 4}, []int{2, 3, 6, 7})
	claim := func(n float64) grant { return p.take(map[string]float64{"cpus": n}) }
	two, half, one := claim(2), claim(0.5), claim(1)
	if fmt.Sprint(two.cpus, half.cpus, one.cpus) != "[2 3] [] [6]" {
		t.Errorf("%v %v %v", two.cpus, half.cpus, one.cpus)
	}
	p.release(two)
	p.release(one)
	if all := claim(3); fmt.Sprint(all.cpus) != "[2 3 6]" {
		t.Errorf("%v", all.cpus)
	}
	if few := claim(2); few.cpus != nil {
		t.Errorf("%v of one that is left", few.cpus)
	}
}
