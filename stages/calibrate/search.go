package calibrate

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// screen is how far above the best of its form a design's cost may be for it to be priced
// again with what was fitted.
const screen = 30

// considered is how many designs of a form, the best ones, are fitted again when networks are
// left out, and from further starts at least. These are for all where there are few networks:
// the form overlap has local optima.
const (
	considered = 8
	restarts   = 3000 // of designs times networks, at most, where that is more
)

// pricings is how often networks may be priced on their way to a form's memory. Where all
// memories take more, they are searched by a coarse step first.
const pricings = 12_000

// design is one choice of what is not continuous: a form, and a memory. Neighbouring memories
// under which every network runs in the same way are one design.
type design struct {
	platform     raptor.Platform // with the least of the memories
	memory, most int64           // the least memory and the greatest
	terms        [][]term
	fitted
}

// formFit is a form as the measurements have it.
type formFit struct {
	*form
	free    []int           // parameters that it fits
	base    raptor.Platform // where the fit starts, and its priors have their centres
	designs []design        // by ascending memory
	best    int             // index of the best of them
	step    int64           // between memories; 0 where it is not fitted
	failed  error           // why it has no design

	platform   raptor.Platform
	determined float64 // parameters that the measurements determine
	rms, worst float64 // errors, as logarithms
	loo        float64
	aicc       float64
	unseen     []raptor.Estimate // by fits that have not seen the network
	posterior  posterior
}

// calibration is a fit under way.
type calibration struct {
	Config
	task     *pipeline.Task
	ms       []measurement
	distinct []int // index of the first measurement of each network that is fitted to
	data     int   // values that are fitted to
	stopped  func() bool
}

// each calls f(i) for all i in [0, n) and reports the fits with a note.
func (c *calibration) each(ctx context.Context, n int, note string, f func(i int)) error {
	return c.task.Each(ctx, n, pipeline.Progress{Unit: "fits", Note: note}, f)
}

// fitForm fits a form at every memory.
func (c *calibration) fitForm(ctx context.Context, f *form, seed uint64) (*formFit, error) {
	fit := c.fitOf(f)
	r := &formFit{form: f}
	for j := range parameters {
		if slices.Contains(fit, parameters[j].name) {
			r.free = append(r.free, j)
		}
	}
	base := f.on(c.Platform, fit)
	base.WeightLimit = c.weightLimit()
	r.base = base
	memories := []int64{base.Memory}
	if slices.Contains(fit, memory) {
		memories, r.step = nil, c.MemoryStep
		for m := c.MemoryMin; m <= c.MemoryMax; m += c.MemoryStep {
			memories = append(memories, m)
		}
	}
	stride := max(1, len(memories)*len(c.distinct)/pricings)
	var coarse []int64
	for i := 0; i < len(memories); i += stride {
		coarse = append(coarse, memories[i])
	}
	if err := c.fitAt(ctx, r, base, coarse, seed); err != nil {
		return nil, err
	}
	if stride > 1 && len(r.designs) > 0 {
		d := &r.designs[r.best]
		fine := slices.DeleteFunc(memories, func(m int64) bool {
			return m < d.memory-int64(stride)*r.step || m > d.most+int64(stride)*r.step
		})
		r.designs = nil
		if err := c.fitAt(ctx, r, base, fine, seed); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// fitAt fits a form at the memories given.
func (c *calibration) fitAt(ctx context.Context, r *formFit, base raptor.Platform, memories []int64, seed uint64) error {
	priced := make([]design, len(memories))
	failed := make([]error, len(memories))
	err := c.each(ctx, len(memories), "pricing the networks, form "+r.name, func(i int) {
		p := base
		p.Memory = memories[i]
		priced[i] = design{platform: p, memory: p.Memory, most: p.Memory}
		priced[i].terms, failed[i] = c.price(r, &p)
	})
	if err != nil {
		return err
	}
	for i := range priced {
		if failed[i] != nil {
			r.failed = failed[i]
			continue
		}
		if n := len(r.designs); n > 0 && sameTerms(r.designs[n-1].terms, priced[i].terms) {
			r.designs[n-1].most = priced[i].memory
			continue
		}
		r.designs = append(r.designs, priced[i])
	}
	if len(r.designs) == 0 {
		return nil
	}
	note := "fitting form " + r.name
	err = c.each(ctx, len(r.designs), note, func(i int) {
		d := &r.designs[i]
		p := c.problem(r, d)
		d.fitted = p.descend(p.start)
	})
	if err != nil {
		return err
	}
	again := bestOf(r.designs, max(considered, restarts/len(c.distinct)))
	err = c.each(ctx, len(again), note, func(i int) {
		d := &r.designs[again[i]]
		d.fitted = c.problem(r, d).restart(d.fitted, c.Starts-1, rand.New(rand.NewPCG(uint64(c.Seed), seed<<32|uint64(again[i]))))
	})
	if err != nil {
		return err
	}
	r.best = leastCost(r.designs)
	if r.policy == raptor.Spill {
		return nil
	}
	// How layers run was by the prices before the fit: take those after it.
	best := r.designs[r.best].cost
	err = c.each(ctx, len(r.designs), note, func(i int) {
		d := &r.designs[i]
		if d.cost > best+screen {
			return
		}
		p := c.problem(r, d).apply(&d.x, d.middle(r.step))
		if ts, err := c.price(r, &p); err == nil {
			d.terms, d.platform = ts, p
			d.platform.Memory = d.memory
			q := c.problem(r, d)
			d.fitted = q.descend(q.start)
		}
	})
	r.best = leastCost(r.designs)
	return err
}

// problem returns the fit of a form's design.
func (c *calibration) problem(r *formFit, d *design) *problem {
	p := newProblem(c.ms, d.terms, &d.platform, &r.base, r.form, r.free)
	p.stopped = c.stopped
	return p
}

// price takes every network that is fitted to apart; measurements of one network share it.
func (c *calibration) price(r *formFit, p *raptor.Platform) ([][]term, error) {
	all := make([][]term, len(c.ms))
	for i := range c.ms {
		m := &c.ms[i]
		if m.held {
			continue
		}
		if first := c.distinct[m.group]; first != i {
			all[i] = all[first]
			continue
		}
		if c.stopped != nil && c.stopped() {
			return nil, context.Canceled
		}
		ts, err := terms(p, &m.net, !r.adds(p))
		if err != nil {
			return nil, m.errorf("%w", err)
		}
		if err := c.costs(r, p, ts, m.group); err != nil {
			return nil, err
		}
		all[i] = ts
	}
	return all, nil
}

// costs returns an error where a measured value of a network is nothing in a form, whatever
// its parameters are: no logarithm is left to fit.
func (c *calibration) costs(r *formFit, p *raptor.Platform, ts []term, group int) error {
	prices := pricesOf(p)
	v := predict(ts, &prices)
	for i := range c.ms {
		switch m := &c.ms[i]; {
		case m.held || m.group != group:
		case m.latency > 0 && v.cycles == 0:
			return m.errorf("in the form %s it takes no time at all, so that its latency tells nothing: leave the cell empty, or write another form", r.name)
		case m.mu > 0 && (v.npu == 0 || v.sys == 0):
			return m.errorf("in the form %s it computes or moves nothing, so that its mu tells nothing: leave the cell empty, or write another form", r.name)
		}
	}
	return nil
}

// sameTerms reports whether the networks run in the same way.
func sameTerms(a, b [][]term) bool {
	return slices.EqualFunc(a, b, func(s, t []term) bool { return slices.Equal(s, t) })
}

// bestOf returns the indices of the n designs that fit best.
func bestOf(designs []design, n int) []int {
	of := make([]int, len(designs))
	for i := range of {
		of[i] = i
	}
	slices.SortStableFunc(of, func(i, j int) int { return cmp.Compare(designs[i].cost, designs[j].cost) })
	return of[:min(n, len(of))]
}

// leastCost returns the index of the design that fits best.
func leastCost(designs []design) (best int) {
	for i := range designs {
		if designs[i].cost < designs[best].cost {
			best = i
		}
	}
	return best
}

// middle returns the design's platform with the memory in the middle of those that are one
// design, a multiple of the step above the least.
func (d *design) middle(step int64) raptor.Platform {
	p := d.platform
	if step > 0 {
		p.Memory = d.memory + (d.most-d.memory)/2/step*step
	}
	return p
}

// chosen returns the platform that a design's fit stands for.
func (c *calibration) chosen(r *formFit, d *design) raptor.Platform {
	return c.problem(r, d).apply(&d.x, d.middle(r.step))
}

// weightLimit returns the limit on a layer's weights: where a measurement says that a network
// is not supported, the largest layer of those that are; else what the platform has.
func (c *calibration) weightLimit() int64 {
	least, below := c.known()
	if below == math.MaxInt64 {
		return c.Platform.WeightLimit
	}
	return max(least, 1)
}

// known returns what the measurements say of the limit on a layer's weights: it is at least
// the largest layer of every network that is supported, and below that of every network that
// is not.
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

// rms turns a sum of squares into the root of its mean.
func rms(sse float64, n int) float64 { return math.Sqrt(sse / float64(max(1, n))) }
