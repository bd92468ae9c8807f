package calibrate

import (
	"context"
	"math"
	"slices"

	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/float"
)

// fittedRole is under which the rows that were fitted to are summed up, whatever their role.
const fittedRole = "fitted"

// fair is how much worse than the chosen form's another's error may be for its plausible
// platforms to be worth a look.
const fair = 2

// output collects what the fits of the forms found.
func (c *calibration) output(ctx context.Context, fits []formFit, best int) (Output, error) {
	r := &fits[best]
	out := Output{Platform: r.platform, Form: r.name, RMS: r.rms, LOO: r.loo}
	var intervals map[int]interval
	for i := range fits {
		f := newForm(&fits[i])
		f.Chosen = i == best
		if i == best || fits[i].rms <= fair*r.rms {
			all, plausible, err := c.profile(ctx, &fits[i])
			if err != nil {
				return Output{}, err
			}
			f.Plausible = plausible
			if i == best {
				intervals, out.Plausible = all, plausible
			}
		}
		out.Forms = append(out.Forms, f)
	}
	slices.SortStableFunc(out.Forms, byAICc)
	k, err := c.learn(r)
	if err != nil {
		return Output{}, err
	}
	if err := c.rows(&out, r, k); err != nil {
		return Output{}, err
	}
	out.Parameters = c.parameters(r, intervals)
	out.Correlated = r.posterior.correlated()
	out.Error = math.Sqrt(r.posterior.missed() + r.posterior.variance)
	if out.Next, err = c.next(r, k); err != nil {
		return Output{}, err
	}
	if out.Ranking, err = rank(c.Compare, &out.Platform, out.Plausible); err != nil {
		return Output{}, pipeline.Badf("compare", "%w", err)
	}
	out.Summary = c.summary(&out, r, k)
	return out, nil
}

func newForm(r *formFit) Form {
	f := Form{Name: r.name, Meaning: r.doc, Policy: r.policy, Determined: r.parameters(), RMS: r.rms, LOO: r.loo, Worst: r.worst, Platform: r.platform}
	for _, j := range r.free {
		f.Fitted = append(f.Fitted, parameters[j].name)
	}
	if r.step > 0 {
		f.Fitted = append(f.Fitted, memory)
	}
	f.Parameters = len(f.Fitted)
	if !math.IsInf(r.aicc, 0) {
		f.AICc = &r.aicc
	}
	return f
}

// rows fills in the rows, and their errors by set and by role.
func (c *calibration) rows(out *Output, r *formFit, k *knowledge) error {
	sets, roles := map[string]*scores{}, map[string]*scores{}
	count := func(of map[string]*scores, name string, row *Row) {
		if of[name] == nil {
			of[name] = &scores{}
		}
		of[name].add(row)
	}
	for i := range c.ms {
		m := &c.ms[i]
		ours, err := r.platform.Estimate(m.net)
		if err != nil { // a row that is predicted
			return pipeline.Badf("measurements", "%w; remove the row, or write a greater memory", m.errorf("%w", err))
		}
		unseen := &r.unseen[i]
		if m.held {
			unseen = &ours
		}
		row := newRow(m, &ours, unseen)
		if m.latency > 0 && ours.Latency > 0 {
			seen, _, err := k.outlooks(&m.net, &ours)
			if err != nil {
				return err
			}
			spread := float.Exp(z * k.deviation(&seen))
			row.LatencyInterval = []float64{ours.Latency / spread, ours.Latency * spread}
		}
		out.Rows = append(out.Rows, row)
		count(sets, row.Set, &row)
		if role := row.Role; row.Fitted {
			count(roles, fittedRole, &row)
		} else {
			count(roles, role, &row)
		}
	}
	out.Sets, out.Roles = map[string]Set{}, map[string]Set{}
	for name, s := range sets {
		out.Sets[name] = s.set()
	}
	for name, s := range roles {
		out.Roles[name] = s.set()
	}
	return nil
}

// learn returns what the measurements say of other networks, in a form.
func (c *calibration) learn(r *formFit) (*knowledge, error) {
	var seen []outlook
	for i := range c.ms {
		m := &c.ms[i]
		if m.held {
			continue
		}
		e, err := r.platform.Estimate(m.net)
		if err != nil {
			return nil, err
		}
		latency, mu, err := r.posterior.outlooks(&m.net, &e)
		if err != nil {
			return nil, err
		}
		if m.mu > 0 {
			seen = append(seen, mu)
		}
		if m.latency > 0 {
			seen = append(seen, latency)
		}
	}
	return r.posterior.learn(seen), nil
}

// newRow puts a measurement beside the estimate of the fit, and of the fit that
// has not seen the network.
func newRow(m *measurement, ours, unseen *raptor.Estimate) Row {
	r := Row{Set: m.set, Role: m.role, Fitted: !m.held, Network: m.net.Name, Width: m.width, Resolution: m.resolution, MACs: ours.MACs, Mu: ours.Mu, Latency: ours.Latency,
		Supported: len(ours.Unsupported) == 0, Source: m.source}
	if m.macs > 0 {
		r.MACsMeasured, r.MACsError = m.traced(m.macs), ptr(float64(ours.MACs)/m.macs-1)
	}
	if m.mu > 0 {
		r.MuMeasured = m.traced(m.mu)
	}
	if m.mu > 0 && ours.Mu > 0 && unseen.Mu > 0 { // what is predicted may compute or move nothing
		r.MuResidual, r.MuUnseen = ptr(float.Log(ours.Mu/m.mu)), ptr(float.Log(unseen.Mu/m.mu))
	}
	if m.latency > 0 {
		r.LatencyMeasured, r.LatencyError, r.LatencyUnseen = m.traced(m.latency), ptr(ours.Latency/m.latency-1), ptr(unseen.Latency/m.latency-1)
	}
	return r
}

// traced returns a figure of the measurement with where it came from.
func (m *measurement) traced(v float64) pipeline.Traced {
	return pipeline.Traced{Value: v, Origins: []pipeline.Origin{{Kind: m.kind, Source: m.source}}}
}

func ptr(v float64) *float64 { return &v }

// scores sums up the errors of rows: logarithmic ones, and relative ones.
type scores struct {
	rows, predicted, within                                   int
	macs, macsRel, mu, muLOO, latencyLog, latency, latencyLOO errorsOf
}

func (s *scores) add(r *Row) {
	s.rows++
	if r.MACsError != nil {
		s.macs.add(float.Log1p(*r.MACsError))
		s.macsRel.add(*r.MACsError)
	}
	if r.MuResidual != nil {
		s.mu.add(*r.MuResidual)
		s.muLOO.add(*r.MuUnseen)
	}
	if r.LatencyError != nil {
		s.latency.add(*r.LatencyError)
		if r.Latency > 0 { // of what is predicted to take no time there is no logarithm
			s.latencyLog.add(float.Log1p(*r.LatencyError))
		}
		s.latencyLOO.add(*r.LatencyUnseen)
		if measured, ok := r.LatencyMeasured.Value.(float64); ok && !r.Fitted {
			s.predicted++
			if r.LatencyInterval != nil && measured >= r.LatencyInterval[0] && measured <= r.LatencyInterval[1] {
				s.within++
			}
		}
	}
}

func (s *scores) set() Set {
	set := Set{Rows: s.rows, MACsRMS: s.macs.mean(), MACsWorst: s.macsRel.most(), MuRMS: s.mu.mean(), MuWorst: s.mu.most(),
		MuLOO: s.muLOO.mean(), LatencyRMS: s.latencyLog.mean(), LatencyWorst: s.latency.most(), LatencyLOO: s.latencyLOO.most()}
	if s.predicted > 0 {
		set.Coverage = ptr(float64(s.within) / float64(s.predicted))
	}
	return set
}

// mean returns the root mean square, or nil of nothing.
func (e *errorsOf) mean() *float64 {
	if e.n == 0 {
		return nil
	}
	v := e.rms()
	return &v
}

// most returns the greatest error, or nil of nothing.
func (e *errorsOf) most() *float64 {
	if e.n == 0 {
		return nil
	}
	return &e.worst
}
