package calibrate

import (
	"context"
	"math"
	"slices"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// interval is where a parameter can lie: the values for which the others can be
// chosen such that the cost stays below the threshold (a profile likelihood interval).
type interval struct {
	low, high         float64
	openLow, openHigh bool // as far as was tried
}

// walked is how many terms may be priced for one step along a profile; of the memories that
// meet the measurements those beyond that are left out, but for the best ones. A form whose
// layers stay apart has fifty terms a network.
const walked = 2400

// priced returns how many terms there are to price.
func (d *design) priced() (n int) {
	for _, ts := range d.terms {
		n += len(ts)
	}
	return max(1, n)
}

// threshold returns the cost beyond which a parameter is rejected, by Student's test with
// as many degrees of freedom as there are values more than parameters.
func (c *calibration) threshold(r *formFit) float64 {
	n := usualCount + c.data
	return r.designs[r.best].cost + float64(float64(n)*float.Log1p(fisher(max(1, n-int(math.Ceil(r.determined))))))
}

// profile finds the interval of every continuous parameter of a form and, for each end,
// the platform that reaches it: platforms that meet the measurements as well.
func (c *calibration) profile(ctx context.Context, r *formFit) (map[int]interval, []raptor.Platform, error) {
	limit := c.threshold(r)
	best := &r.designs[r.best]
	var plausible []design
	for _, d := range r.designs {
		if d.cost <= limit {
			plausible = append(plausible, d)
		}
	}
	tried := plausible
	if n := max(considered, walked/best.priced()); n < len(tried) { // the best, by ascending memory
		of := bestOf(tried, n)
		slices.Sort(of)
		tried = nil
		for _, i := range of {
			tried = append(tried, plausible[i])
		}
	}
	ends := make([]end, 2*len(r.free))
	err := c.each(ctx, len(ends), "intervals of form "+r.name, func(i int) {
		sign := 1.0
		if i%2 == 0 {
			sign = -1
		}
		ends[i] = c.walk(r, tried, best, i/2, sign, limit)
	})
	intervals := map[int]interval{}
	platforms := []raptor.Platform{c.chosen(r, best)}
	for k, j := range r.free {
		low, high := ends[2*k], ends[2*k+1]
		par := &parameters[j]
		intervals[j] = interval{par.first(&low.platform), par.first(&high.platform), low.open, high.open}
		platforms = append(platforms, low.platform, high.platform)
	}
	for i := range plausible { // and those that differ in what is not continuous
		platforms = append(platforms, c.chosen(r, &plausible[i]))
	}
	return intervals, compact(platforms), err
}

// compact removes repeated platforms, keeping the order.
func compact(ps []raptor.Platform) []raptor.Platform {
	var kept []raptor.Platform
	for _, p := range ps {
		if !slices.Contains(kept, p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// end is an end of an interval.
type end struct {
	at       float64 // on the parameter's scale
	open     bool    // the parameter's own limit was reached
	platform raptor.Platform
}

// walk follows the profile of the k-th parameter from the best fit until it passes the
// limit: doubling steps, then bisection.
func (c *calibration) walk(r *formFit, designs []design, best *design, k int, sign, limit float64) end {
	p := c.problem(r, best)
	stop := p.high[k]
	if sign < 0 {
		stop = p.low[k]
	}
	inside := end{at: min(max(best.x[k], p.low[k]), p.high[k]), platform: c.chosen(r, best)}
	step := 0.02
	outside := math.NaN()
	for math.IsNaN(outside) {
		at := inside.at + float64(sign*step)
		if sign*(at-stop) >= 0 {
			at = stop
		}
		cost, q := c.pinned(r, designs, k, at)
		switch {
		case cost > limit:
			outside = at
		case at == stop:
			return end{at: stop, open: true, platform: q}
		default:
			inside = end{at: at, platform: q}
		}
		step *= 2
	}
	for range 10 {
		at := (inside.at + outside) / 2
		if cost, q := c.pinned(r, designs, k, at); cost > limit {
			outside = at
		} else {
			inside = end{at: at, platform: q}
		}
	}
	return inside
}

// pinned fits the designs with the k-th parameter held and returns the best.
func (c *calibration) pinned(r *formFit, designs []design, k int, at float64) (float64, raptor.Platform) {
	least, platform := math.Inf(1), raptor.Platform{}
	for i := range designs {
		d := designs[i]
		p := c.problem(r, &d)
		p.low[k], p.high[k] = at, at
		if d.fitted = p.descend(p.clamp(d.x)); d.cost < least {
			least, platform = d.cost, c.chosen(r, &d)
		}
	}
	return least, platform
}

// memories returns the interval of the local memory.
func (c *calibration) memories(r *formFit) interval {
	all := interval{low: math.Inf(1)}
	most := c.threshold(r)
	for _, d := range r.designs {
		if d.cost <= most {
			all.low, all.high = min(all.low, float64(d.memory)), max(all.high, float64(d.most))
		}
	}
	all.openLow = all.low <= float64(c.MemoryMin)
	all.openHigh = all.high > float64(c.MemoryMax-c.MemoryStep)
	return all
}
