package calibrate

import (
	"context"
	"math"
	"slices"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// confidence is that of the intervals.
const confidence = 0.95

// interval is where a parameter can lie: the values for which the others can be
// chosen such that the sum of squares stays below the threshold (a profile
// likelihood interval).
type interval struct {
	low, high         float64
	openLow, openHigh bool // as far as was tried
}

// threshold returns the sum of squares beyond which a parameter is rejected:
// that of the F test of one parameter against the residual variance of the
// best fit.
func (c *calibration) threshold(best float64) float64 {
	return best * (1 + fisher(max(1, c.data-c.fits)))
}

// fisher returns F/dof, where F is the quantile of Fisher's distribution with 1
// and dof degrees of freedom: the square of Student's t. In the angle
// arctan(t/√dof) the probability of |T| ≤ t is a finite sum (Abramowitz and
// Stegun, 26.7.3 and 26.7.4), which rises with the angle.
func fisher(dof int) float64 {
	low, high := 0.0, math.Pi/2
	for range 60 {
		if angle := (low + high) / 2; student(angle, dof) < confidence {
			low = angle
		} else {
			high = angle
		}
	}
	tangent := float.Sin(low) / float.Cos(low)
	return tangent * tangent
}

// student returns the probability of |T| ≤ √dof·tan(angle).
func student(angle float64, dof int) float64 {
	sin, cos := float.Sin(angle), float.Cos(angle)
	term, sum := 1.0, 0.0
	if dof%2 == 1 {
		term = cos
	}
	for i := dof % 2; i < dof-1; i += 2 {
		sum += float64(sin * term)
		term = float64(term * cos * cos * float64(i+1) / float64(i+2))
	}
	if dof%2 == 1 {
		return (angle + sum) * (2 / math.Pi)
	}
	return sum
}

// profile finds the interval of every continuous parameter and, for each end,
// the platform that reaches it: fits that the data cannot tell from the best.
func (c *calibration) profile(ctx context.Context, designs []design, best design) (map[int]interval, []raptor.Platform, error) {
	limit := c.threshold(best.sse)
	var plausible []design
	for _, d := range designs {
		if d.sse <= limit && d.platform.Policy == best.platform.Policy && d.platform.Scope == best.platform.Scope {
			plausible = append(plausible, d)
		}
	}
	ends := make([]end, 2*len(c.free))
	err := c.each(ctx, len(ends), "intervals", func(i int) {
		sign := 1.0
		if i%2 == 0 {
			sign = -1
		}
		ends[i] = c.walk(plausible, best, c.free[i/2], sign, limit)
	})
	intervals := map[int]interval{}
	platforms := []raptor.Platform{c.chosen(&best)}
	for k, j := range c.free {
		low, high := ends[2*k], ends[2*k+1]
		intervals[j] = interval{float.Exp(low.at), float.Exp(high.at), low.open, high.open}
		platforms = append(platforms, low.platform, high.platform)
	}
	for _, d := range plausible { // and those that differ in what is not continuous
		platforms = append(platforms, c.chosen(&d))
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
	at       float64 // logarithm
	open     bool    // the parameter's own limit was reached
	platform raptor.Platform
}

// walk follows the profile from the best fit until it passes the limit:
// doubling steps, then bisection.
func (c *calibration) walk(designs []design, best design, j int, sign, limit float64) end {
	low, high := limits(j, &best.platform)
	stop := high
	if sign < 0 {
		stop = low
	}
	inside := end{at: min(max(best.x[j], low), high), platform: c.chosen(&best)}
	step := 0.02
	outside := math.NaN()
	for math.IsNaN(outside) {
		at := inside.at + float64(sign*step)
		if sign*(at-stop) >= 0 {
			at = stop
		}
		sse, p := c.pinned(designs, j, at)
		switch {
		case sse > limit:
			outside = at
		case at == stop:
			return end{at: stop, open: true, platform: p}
		default:
			inside = end{at: at, platform: p}
		}
		step *= 2
	}
	for range 10 {
		at := (inside.at + outside) / 2
		if sse, p := c.pinned(designs, j, at); sse > limit {
			outside = at
		} else {
			inside = end{at: at, platform: p}
		}
	}
	return inside
}

// pinned fits the designs with one parameter held and returns the best.
func (c *calibration) pinned(designs []design, j int, at float64) (float64, raptor.Platform) {
	least, platform := math.Inf(1), raptor.Platform{}
	for i := range designs {
		d := designs[i]
		p := c.problem(&d, -1)
		p.start = d.x
		p.start[j] = at
		p.free = slices.DeleteFunc(slices.Clone(p.free), func(k int) bool { return k == j })
		if d.fitted = p.descend(p.start); d.sse < least {
			least, platform = d.sse, c.chosen(&d)
		}
	}
	return least, platform
}

// memories returns the interval of the local memory, and weights that of the
// weight limit, over the designs of the best one's policy.
func (c *calibration) memories(designs []design, best design) (memory, limit interval) {
	memory, limit = interval{low: math.Inf(1)}, interval{low: math.Inf(1)}
	most := c.threshold(best.sse)
	for _, d := range designs {
		if d.sse > most || d.platform.Policy != best.platform.Policy || d.platform.Scope != best.platform.Scope {
			continue
		}
		memory.low = min(memory.low, float64(d.memory))
		memory.high = max(memory.high, float64(d.largest))
		limit.low = min(limit.low, float64(d.limit))
		if d.beyondLimit == 0 {
			limit.openHigh = true
			limit.high = max(limit.high, float64(d.limit))
		} else {
			limit.high = max(limit.high, float64(d.beyondLimit-1))
		}
	}
	memory.openLow = memory.low <= float64(c.MemoryMin)
	memory.openHigh = memory.high > float64(c.MemoryMax-c.MemoryStep)
	return memory, limit
}
