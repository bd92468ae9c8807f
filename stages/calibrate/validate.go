package calibrate

import (
	"context"
	"math"
	"slices"

	"eyrie/nas/raptor"
	"eyrie/pipeline/float"
)

// folds is how many fits leave networks out at most: each one network where there are no
// more, else every folds-th. With 300 networks a fit for each would take 20 times as long
// as all the rest.
const folds = 24

// leaveOneOut predicts each network that a form was fitted to by a fit that has not seen any
// measurement of it, at whatever memory suits the others. It fills in the form's errors.
func (c *calibration) leaveOneOut(ctx context.Context, r *formFit) error {
	var near []design
	for _, i := range bestOf(r.designs, considered) {
		near = append(near, r.designs[i])
	}
	platforms := make([]raptor.Platform, min(folds, len(c.distinct)))
	err := c.each(ctx, len(platforms), "leaving networks out of form "+r.name, func(fold int) {
		refitted := slices.Clone(near)
		for i := range refitted {
			d := &refitted[i]
			p := c.problem(r, d)
			p.left = func(group int) bool { return group%folds == fold }
			d.fitted = p.descend(d.x)
		}
		platforms[fold] = c.chosen(r, &refitted[leastCost(refitted)])
	})
	if err != nil {
		return err
	}
	var left, seen errorsOf
	r.unseen = make([]raptor.Estimate, len(c.ms))
	for i := range c.ms {
		m := &c.ms[i]
		if m.held {
			continue
		}
		ours, err := r.platform.Estimate(m.net)
		if err != nil {
			return err
		}
		if r.unseen[i], err = platforms[m.group%folds].Estimate(m.net); err != nil {
			return err
		}
		left.measured(m, &r.unseen[i])
		seen.measured(m, &ours)
	}
	r.loo, r.rms, r.worst = left.rms(), seen.rms(), seen.worst
	// What is known of the error beforehand counts, as in the fit: else a form that meets four
	// values has an AICc without end, and one that misses them by a factor of three is taken.
	r.aicc = aicc(seen.sum+usualCount*usualError*usualError, seen.n+usualCount, r.parameters()) + r.designs[r.best].prior
	return nil
}

// parameters returns how many parameters the measurements determine, the memory among them.
func (r *formFit) parameters() float64 {
	if r.step > 0 {
		return r.determined + 1
	}
	return r.determined
}

// errorsOf collects squared log errors.
type errorsOf struct {
	sum, worst float64
	n          int
}

// measured adds the errors of a network's measured values.
func (e *errorsOf) measured(m *measurement, ours *raptor.Estimate) {
	if m.mu > 0 {
		e.add(float.Log(ours.Mu / m.mu))
	}
	if m.latency > 0 {
		e.add(float.Log(ours.Latency / m.latency))
	}
}

func (e *errorsOf) add(log float64) {
	e.sum += float64(log * log)
	e.worst = max(e.worst, math.Abs(log))
	e.n++
}

func (e *errorsOf) rms() float64 { return rms(e.sum, e.n) }
