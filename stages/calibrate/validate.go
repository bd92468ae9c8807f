package calibrate

import (
	"context"
	"math"
	"slices"

	"eyrie/nas/raptor"
)

// leaveOneOut predicts each network by a fit that has not seen any measurement
// of it: of all designs, policies and scopes included, so that the choice
// among them is validated, too. It returns an estimate per measurement.
func (c *calibration) leaveOneOut(ctx context.Context, designs []design, best design) ([]raptor.Estimate, error) {
	var near []design
	for _, d := range designs {
		if d.sse <= screen*screen*best.sse {
			near = append(near, d)
		}
	}
	platforms := make([]raptor.Platform, len(c.distinct))
	err := c.each(ctx, len(platforms), "leaving one network out", func(g int) {
		refitted := slices.Clone(near)
		for i := range refitted {
			d := &refitted[i]
			p := c.problem(d, g)
			p.start = d.x
			d.fitted = p.descend(p.start)
		}
		d := slices.MinFunc(refitted, bySSE)
		platforms[g] = c.chosen(&d)
	})
	if err != nil {
		return nil, err
	}
	return c.estimate(func(g int) raptor.Platform { return platforms[g] })
}

// estimate prices every measured network on the platform of its group.
func (c *calibration) estimate(platform func(group int) raptor.Platform) ([]raptor.Estimate, error) {
	es := make([]raptor.Estimate, len(c.ms))
	for i := range c.ms {
		e, err := platform(c.ms[i].group).Estimate(c.ms[i].net)
		if err != nil {
			return nil, err
		}
		es[i] = e
	}
	return es, nil
}

// errorsOf collects squared log errors.
type errorsOf struct {
	sum, worst float64
	n          int
}

func (e *errorsOf) add(log float64) {
	e.sum += float64(log * log)
	e.worst = max(e.worst, math.Abs(log))
	e.n++
}

func (e *errorsOf) rms() float64 { return rms(e.sum, e.n) }
