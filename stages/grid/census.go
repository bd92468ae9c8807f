package grid

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"eyrie/stages/raptor"
)

// census is what is remembered of the assignments seen.
type census struct {
	ref    *raptor.Estimate // whose standing is taken; may be nil
	window float64
	stride int // one in so many goes into the cloud
	cloud  bool

	count      int
	front      front
	dots       []Dot
	peers      int     // of similar MACs
	below      int     // peers whose μ is not above the reference's
	dominators []point // of the reference
}

func (c *census) add(p point) {
	c.count++
	c.front.add(p)
	if c.cloud && p.index%c.stride == 0 {
		c.dots = append(c.dots, Dot{p.macs, p.mu})
	}
	if c.ref == nil {
		return
	}
	if math.Abs(float64(p.macs)-float64(c.ref.MACs)) <= c.window*float64(c.ref.MACs) {
		c.peers++
		if p.mu <= c.ref.Mu {
			c.below++
		}
	}
	if p.macs >= c.ref.MACs && p.mu >= c.ref.Mu && (p.macs > c.ref.MACs || p.mu > c.ref.Mu) {
		c.dominators = append(c.dominators, p)
	}
}

// merge adds what another census saw, of assignments that come later.
func (c *census) merge(d *census) {
	c.count += d.count
	c.dots = append(c.dots, d.dots...)
	c.peers += d.peers
	c.below += d.below
	c.dominators = append(c.dominators, d.dominators...)
	for i := range d.front {
		c.front.add(d.front[i])
	}
}

// front holds points by descending MACs, and so by ascending μ, none of which
// another beats. Of equal points it keeps the one of least index.
type front []point

// add takes the point in unless another is as good in both.
func (f *front) add(p point) {
	// Members before i have at least as many MACs; the last of them has the
	// highest μ of those.
	i := sort.Search(len(*f), func(i int) bool { return (*f)[i].macs < p.macs })
	if i > 0 {
		if b := (*f)[i-1]; b.mu > p.mu || b.mu == p.mu && (b.macs > p.macs || b.index < p.index) {
			return
		}
	}
	// Of members from j on, those up to i may equal it in MACs; from i on,
	// those with no higher μ are beaten.
	j := i
	for j > 0 && (*f)[j-1].macs == p.macs {
		j--
	}
	for i < len(*f) && (*f)[i].mu <= p.mu {
		i++
	}
	*f = slices.Replace(*f, j, i, p)
}

// pick returns the point that the rule names; of equals the first.
func (f front) pick(rule string) point {
	score := func(p point) float64 { return float64(p.macs) * p.mu }
	switch rule {
	case MostMu:
		score = func(p point) float64 { return p.mu }
	case Most:
		score = func(p point) float64 { return float64(p.macs) }
	case Knee:
		a, b := f[0], f[len(f)-1]
		x, y := math.Log(float64(b.macs)/float64(a.macs)), math.Log(b.mu/a.mu)
		score = func(p point) float64 { // the distance from the line a–b, times its length
			return y*math.Log(float64(p.macs)/float64(a.macs)) - x*math.Log(p.mu/a.mu)
		}
	}
	return slices.MaxFunc(f, func(p, q point) int { return cmp.Compare(score(p), score(q)) })
}
