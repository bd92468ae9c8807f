package grid

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// census is what is remembered of the assignments seen.
type census struct {
	window float64
	stride int // every stride-th goes into the cloud; 0 for none

	count  int
	front  front
	dots   []Dot
	rivals []rival
}

// rival is an assignment from elsewhere, and how those seen compare with it.
type rival struct {
	Reference
	estimate   raptor.Estimate
	peers      int // of similar MACs
	below      int // peers whose μ is not above its own
	dominators []point
}

func (c *census) add(p point) {
	c.count++
	c.front.add(p)
	if c.stride > 0 && p.index%c.stride == 0 {
		c.dots = append(c.dots, Dot{p.macs, p.mu})
	}
	for i := range c.rivals {
		c.rivals[i].compare(p, c.window)
	}
}

func (r *rival) compare(p point, window float64) {
	macs, mu := r.estimate.MACs, r.estimate.Mu
	if math.Abs(float64(p.macs-macs)) <= window*float64(macs) {
		r.peers++
		if p.mu <= mu {
			r.below++
		}
	}
	if p.macs >= macs && p.mu >= mu && (p.macs > macs || p.mu > mu) {
		r.dominators = append(r.dominators, p)
	}
}

// percentile returns the share of the peers whose μ is not above the rival's.
func (r *rival) percentile() float64 {
	if r.peers == 0 {
		return 1
	}
	return float64(r.below) / float64(r.peers)
}

// merge adds what another census saw, of assignments that come later.
func (c *census) merge(d *census) {
	c.count += d.count
	c.dots = append(c.dots, d.dots...)
	for i := range d.rivals {
		r, q := &c.rivals[i], &d.rivals[i]
		r.peers += q.peers
		r.below += q.below
		r.dominators = append(r.dominators, q.dominators...)
	}
	for _, p := range d.front {
		c.front.add(p)
	}
}

// front holds points by descending MACs, and so by ascending μ, none of which
// another beats. It keeps the one of least index among equal points.
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
	// Members from j up to i may equal it in MACs; those from i on with no higher μ
	// are beaten.
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
func (f front) pick(rule Rule) point {
	score := func(p point) float64 { return float64(p.macs) * p.mu }
	switch rule {
	case MostMu:
		score = func(p point) float64 { return p.mu }
	case Most:
		score = func(p point) float64 { return float64(p.macs) }
	case Knee:
		a, b := f[0], f[len(f)-1]
		x, y := float.Log(float64(b.macs)/float64(a.macs)), float.Log(b.mu/a.mu)
		score = func(p point) float64 { // the distance from the line a–b, times its length
			return float64(y*float.Log(float64(p.macs)/float64(a.macs))) - float64(x*float.Log(p.mu/a.mu))
		}
	}
	return slices.MaxFunc(f, func(p, q point) int { return cmp.Compare(score(p), score(q)) })
}
