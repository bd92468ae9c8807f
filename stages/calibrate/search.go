package calibrate

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// maxLimits is how many weight limits are tried: below the largest layers of
// the networks, one after the other.
const maxLimits = 8

// screen is how much worse than the best a design's rms error may be for it to
// be looked at again, in the validation and for the intervals.
const screen = 3

// design is one choice of what is not continuous: policy, scope, memory and
// weight limit. Neighbouring choices under which every network runs in the same
// way are one design.
type design struct {
	platform           raptor.Platform
	memory, largest    int64 // the greatest choice, platform having the least
	limit, beyondLimit int64 // the limit lies from limit to below beyondLimit; 0 for none
	terms              [][]term
	fitted
}

// calibration is a fit under way.
type calibration struct {
	Config
	task     *pipeline.Task
	ms       []measurement
	distinct []int // index of the first measurement of each network
	free     []int // continuous parameters to fit
	fits     int   // number of parameters that are fitted, continuous or not
	data     int   // number of values that are fitted to
}

// each calls f(i) for all i in [0, n) and reports the fits with a note.
func (c *calibration) each(ctx context.Context, n int, note string, f func(i int)) error {
	return c.task.Each(ctx, n, pipeline.Progress{Unit: "fits", Note: note}, f)
}

// search fits every design and returns them in a fixed order.
func (c *calibration) search(ctx context.Context) ([]design, error) {
	bases := c.platforms()
	priced := make([]design, len(bases))
	failed := make([]error, len(bases))
	err := c.each(ctx, len(bases), "pricing the networks", func(i int) {
		priced[i] = design{platform: bases[i], memory: bases[i].Memory, largest: bases[i].Memory}
		priced[i].terms, failed[i] = c.price(&bases[i])
	})
	if err != nil {
		return nil, err
	}
	var designs []design
	for i := range priced {
		if failed[i] != nil {
			continue
		}
		if n := len(designs); n > 0 && designs[n-1].sameTerms(&priced[i]) {
			designs[n-1].largest = priced[i].memory
			continue
		}
		designs = append(designs, priced[i])
	}
	if len(designs) == 0 {
		return nil, fmt.Errorf("no network fits in any memory that was tried: %w", failed[len(failed)-1])
	}
	designs = c.limits(designs)
	if err := c.fitAll(ctx, designs, "fitting"); err != nil {
		return nil, err
	}
	// The tiles were those of the platform as given: take those of the fit.
	best := slices.MinFunc(designs, bySSE)
	return designs, c.each(ctx, len(designs), "refitting", func(i int) {
		d := &designs[i]
		if d.sse > screen*screen*best.sse {
			return
		}
		p := d.middle(c.MemoryStep)
		if ts, err := c.price(&p); err == nil {
			d.terms = withLimit(ts, d.limit)
			d.platform = d.x.with(d.platform, c.free)
			d.fitted = c.problem(d, -1).fit(2, c.rng(i))
		}
	})
}

// platforms returns the platforms to try: by policy, then ascending memory.
func (c *calibration) platforms() []raptor.Platform {
	var all []raptor.Platform
	for _, policy := range c.Policies {
		p := c.Platform
		p.Policy, p.Scope = policy.Policy, policy.Scope
		if !c.fitted("memory") {
			all = append(all, p)
			continue
		}
		for m := c.MemoryMin; m <= c.MemoryMax; m += c.MemoryStep {
			p.Memory = m
			all = append(all, p)
		}
	}
	return all
}

// price takes every network apart; measurements of one network share it.
func (c *calibration) price(p *raptor.Platform) ([][]term, error) {
	all := make([][]term, len(c.ms))
	for i := range c.ms {
		if first := c.distinct[c.ms[i].group]; first != i {
			all[i] = all[first]
			continue
		}
		ts, err := terms(p, c.ms[i].net)
		if err != nil {
			return nil, err
		}
		all[i] = ts
	}
	return all, nil
}

// sameTerms reports whether the networks run in the same way.
func (d *design) sameTerms(e *design) bool {
	if d.platform.Policy != e.platform.Policy || d.platform.Scope != e.platform.Scope {
		return false
	}
	return slices.EqualFunc(d.terms, e.terms, func(a, b []term) bool {
		return slices.EqualFunc(a, b, func(s, t term) bool { return s.use == t.use && s.tiles == t.tiles })
	})
}

// limits multiplies the designs by the weight limits to try.
func (c *calibration) limits(designs []design) []design {
	limits := []int64{c.Platform.WeightLimit}
	if c.fitted("weight_limit") {
		limits = c.sizes()
	}
	least, below := c.known()
	var all []design
	for _, d := range designs {
		tried := 0
		for i, limit := range limits {
			if c.fitted("weight_limit") && (limit < least || limit >= below || tried == maxLimits) {
				continue
			}
			tried++
			e := d
			e.limit = limit
			if i > 0 {
				e.beyondLimit = limits[i-1]
			}
			e.terms = withLimit(d.terms, limit)
			all = append(all, e)
		}
	}
	return all
}

// known returns what the measurements say of the weight limit: it is at least
// the largest layer of every network that is supported, and below that of every
// network that is not.
func (c *calibration) known() (least, below int64) {
	below = math.MaxInt64
	for i := range c.ms {
		switch largest := raptor.LargestWeights(c.ms[i].net); c.ms[i].supported {
		case "yes":
			least = max(least, largest)
		case "no":
			below = min(below, largest)
		}
	}
	return least, below
}

// sizes returns the different sizes of the networks' layers, descending.
func (c *calibration) sizes() []int64 {
	var sizes []int64
	for i := range c.ms {
		for k := range c.ms[i].net.Layers {
			if l := &c.ms[i].net.Layers[k]; l.Weights() > 0 && raptor.Limited(l) {
				sizes = append(sizes, l.Weights())
			}
		}
	}
	slices.Sort(sizes)
	slices.Reverse(sizes)
	return slices.Compact(sizes)
}

// withLimit returns the terms with the layers beyond the limit counted.
func withLimit(all [][]term, limit int64) [][]term {
	counted := make([][]term, len(all))
	for i, ts := range all {
		counted[i] = slices.Clone(ts)
		for k := range ts {
			if limit > 0 {
				counted[i][k].use[oversize] = ts[k].beyond(limit)
			}
		}
	}
	return counted
}

func (c *calibration) fitAll(ctx context.Context, designs []design, note string) error {
	return c.each(ctx, len(designs), note, func(i int) {
		designs[i].fitted = c.problem(&designs[i], -1).fit(c.Starts, c.rng(i))
	})
}

// rng returns the random source of a design.
func (c *calibration) rng(i int) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(c.Seed), uint64(i)))
}

// problem returns the fit of a design without one group of measurements.
func (c *calibration) problem(d *design, skip int) *problem {
	p := &problem{ms: c.ms, terms: d.terms, free: c.free, skip: skip, platform: &d.platform}
	p.start = p.clamp(vectorOf(&d.platform))
	return p
}

func bySSE(a, b design) int {
	switch {
	case a.sse < b.sse:
		return -1
	case a.sse > b.sse:
		return 1
	}
	return 0
}

// middle returns the design's platform with the memory in the middle of those
// that are one design, a multiple of the step above the least, and its limit.
func (d *design) middle(step int64) raptor.Platform {
	p := d.platform
	p.WeightLimit = d.limit
	if step > 0 {
		p.Memory = d.memory + (d.largest-d.memory)/2/step*step
	}
	return p
}

// chosen returns the platform that the design's fit stands for.
func (c *calibration) chosen(d *design) raptor.Platform {
	return d.x.with(d.middle(c.MemoryStep), c.free)
}

// rms turns a sum of squares into the root of its mean.
func rms(sse float64, n int) float64 { return math.Sqrt(sse / float64(max(1, n))) }
