package calibrate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"eyrie/stages/arch"
	"eyrie/stages/raptor"
)

// Output is what the block's references yield.
type Output struct {
	Platform   raptor.Platform   `json:"platform" doc:"the platform with the fitted values"`
	RMS        float64           `json:"rms" provenance:"modelled" doc:"root mean square of the log errors of μ and latency"`
	LOO        float64           `json:"loo" provenance:"modelled" doc:"the same, each network predicted by a fit that has not seen it"`
	Rows       []Row             `json:"rows" doc:"one per measurement: ours, measured, residual"`
	Sets       map[string]Set    `json:"sets" doc:"errors by the set that rows belong to"`
	Parameters []Parameter       `json:"parameters" doc:"what was fitted, and how far the data determine it"`
	Policies   []Fit             `json:"policies" doc:"the best fit of every policy, best first"`
	Plausible  []raptor.Platform `json:"plausible" doc:"platforms that the data cannot tell from the fitted one: the ends of the intervals"`
	Ranking    *Ranking          `json:"ranking" doc:"the networks of compare"`
	Summary    []string          `json:"summary" doc:"the result in words"`
}

// Row is one measurement beside the model. What was not measured is null.
type Row struct {
	Set             string   `json:"set"`
	Network         string   `json:"network"`
	Width           float64  `json:"width" provenance:"given"`
	Resolution      int      `json:"resolution" provenance:"given"`
	MACs            int64    `json:"macs" provenance:"modelled" doc:"counted"`
	MACsMeasured    *float64 `json:"macs_measured" provenance:"published"`
	MACsError       *float64 `json:"macs_error" provenance:"modelled" doc:"relative"`
	Mu              float64  `json:"mu" provenance:"modelled"`
	MuMeasured      *float64 `json:"mu_measured" provenance:"published"`
	MuResidual      *float64 `json:"mu_residual" provenance:"modelled" doc:"ln(ours / measured)"`
	MuUnseen        *float64 `json:"mu_unseen" provenance:"modelled" doc:"ln(ours / measured) by a fit that has not seen the network"`
	Latency         float64  `json:"latency" unit:"s" provenance:"modelled"`
	LatencyMeasured *float64 `json:"latency_measured" unit:"s" provenance:"published"`
	LatencyError    *float64 `json:"latency_error" provenance:"modelled" doc:"relative"`
	LatencyUnseen   *float64 `json:"latency_unseen" provenance:"modelled" doc:"relative, by a fit that has not seen the network"`
	Supported       bool     `json:"supported" doc:"no layer is beyond the weight limit"`
	Source          string   `json:"source"`
}

// Set sums up the rows of a set. A figure of what was not measured is null.
type Set struct {
	Rows         int      `json:"rows"`
	MACsRMS      *float64 `json:"macs_rms" provenance:"modelled" doc:"root mean square of the log errors of MACs"`
	MACsWorst    *float64 `json:"macs_worst" provenance:"modelled" doc:"greatest relative error of MACs"`
	MuRMS        *float64 `json:"mu_rms" provenance:"modelled" doc:"root mean square of the log errors of μ"`
	MuWorst      *float64 `json:"mu_worst" provenance:"modelled" doc:"greatest log error of μ"`
	MuLOO        *float64 `json:"mu_loo" provenance:"modelled" doc:"as mu_rms, each network predicted by a fit that has not seen it"`
	LatencyWorst *float64 `json:"latency_worst" provenance:"modelled" doc:"greatest relative error of the latency"`
	LatencyLOO   *float64 `json:"latency_loo" provenance:"modelled" doc:"as latency_worst, each network predicted by a fit that has not seen it"`
}

// Parameter is a fitted value with its 95 % interval.
type Parameter struct {
	Name       string   `json:"name"`
	Unit       string   `json:"unit"`
	Value      float64  `json:"value" provenance:"modelled"`
	Low        *float64 `json:"low" provenance:"modelled" doc:"null: the data give no lower bound"`
	High       *float64 `json:"high" provenance:"modelled" doc:"null: the data give no upper bound"`
	Identified bool     `json:"identified" doc:"bounded on both sides, the upper bound at most three times the lower"`
	Words      string   `json:"words" doc:"what the data say about it"`
}

// Fit is the best fit of a policy.
type Fit struct {
	Policy string  `json:"policy"`
	Scope  string  `json:"scope"`
	RMS    float64 `json:"rms" provenance:"modelled" doc:"root mean square of the log errors"`
	Memory int64   `json:"memory" unit:"bytes" provenance:"modelled"`
	Limit  int64   `json:"weight_limit" unit:"bytes" provenance:"modelled"`
}

// rows fills in the rows, the sets and the errors over all.
func (c *calibration) rows(out *Output, ours, unseen []raptor.Estimate) {
	type sums struct {
		rows                                  int
		macs, macsRel, mu, muLOO, lat, latLOO errorsOf
	}
	sets := map[string]*sums{}
	var all, left errorsOf
	for i := range c.ms {
		m, e, u := &c.ms[i], &ours[i], &unseen[i]
		s := sets[m.set]
		if s == nil {
			s = &sums{}
			sets[m.set] = s
		}
		s.rows++
		r := Row{Set: m.set, Network: m.net.Name, Width: m.width, Resolution: m.resolution, MACs: e.MACs, Mu: e.Mu, Latency: e.Latency,
			Supported: len(e.Unsupported) == 0, Source: m.source}
		if m.macs > 0 {
			rel := float64(e.MACs)/m.macs - 1
			r.MACsMeasured, r.MACsError = &m.macs, &rel
			s.macs.add(math.Log1p(rel))
			s.macsRel.add(rel)
		}
		if m.mu > 0 {
			log, loo := math.Log(e.Mu/m.mu), math.Log(u.Mu/m.mu)
			r.MuMeasured, r.MuResidual, r.MuUnseen = &m.mu, &log, &loo
			s.mu.add(log)
			s.muLOO.add(loo)
			all.add(log)
			left.add(loo)
		}
		if m.latency > 0 {
			rel, loo := e.Latency/m.latency-1, u.Latency/m.latency-1
			r.LatencyMeasured, r.LatencyError, r.LatencyUnseen = &m.latency, &rel, &loo
			s.lat.add(rel)
			s.latLOO.add(loo)
			all.add(math.Log1p(rel))
			left.add(math.Log1p(loo))
		}
		out.Rows = append(out.Rows, r)
	}
	out.RMS, out.LOO = all.rms(), left.rms()
	out.Sets = map[string]Set{}
	for name, s := range sets {
		out.Sets[name] = Set{Rows: s.rows, MACsRMS: s.macs.mean(), MACsWorst: s.macsRel.most(), MuRMS: s.mu.mean(), MuWorst: s.mu.most(),
			MuLOO: s.muLOO.mean(), LatencyWorst: s.lat.most(), LatencyLOO: s.latLOO.most()}
	}
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

// parameters describes what was fitted.
func (c *calibration) parameters(p *raptor.Platform, intervals map[int]interval, memory, limit interval) []Parameter {
	var all []Parameter
	if c.fitted("memory") {
		all = append(all, newParameter("memory", "bytes", float64(p.Memory), memory))
	}
	if c.fitted("weight_limit") {
		all = append(all, newParameter("weight_limit", "bytes", float64(p.WeightLimit), limit))
	}
	for _, j := range c.free {
		all = append(all, newParameter(parameters[j].name, parameters[j].unit, *parameters[j].get(p), intervals[j]))
	}
	return all
}

func newParameter(name, unit string, value float64, i interval) Parameter {
	p := Parameter{Name: name, Unit: unit, Value: value}
	if !i.openLow {
		p.Low = &i.low
	}
	if !i.openHigh {
		p.High = &i.high
	}
	quantity := func(v float64) string { return fmt.Sprintf("%.4g %s", v, unit) }
	if unit == "bytes" {
		quantity = func(v float64) string { return fmt.Sprintf("%.0f bytes", v) }
	}
	switch {
	case i.openLow && i.openHigh:
		p.Words = fmt.Sprintf("%s: not identified: the data allow any value that was tried", name)
	case i.openLow:
		p.Words = fmt.Sprintf("%s: bounded from above only: at most %s", name, quantity(i.high))
	case i.openHigh:
		p.Words = fmt.Sprintf("%s: bounded from below only: at least %s", name, quantity(i.low))
	case i.high <= 3*i.low:
		p.Identified = true
		p.Words = fmt.Sprintf("%s: identified: %s, between %s and %s", name, quantity(value), quantity(i.low), quantity(i.high))
	default:
		p.Words = fmt.Sprintf("%s: weakly identified: anywhere between %s and %s", name, quantity(i.low), quantity(i.high))
	}
	return p
}

// policies lists the best fit of each policy, best first.
func (c *calibration) policies(designs []design) []Fit {
	var fits []Fit
	for _, policy := range c.Policies {
		least := design{fitted: fitted{sse: math.Inf(1)}}
		for _, d := range designs {
			if d.platform.Policy == policy.Policy && d.platform.Scope == policy.Scope && d.sse < least.sse {
				least = d
			}
		}
		if !math.IsInf(least.sse, 1) {
			p := least.middle(c.MemoryStep)
			fits = append(fits, Fit{policy.Policy, policy.Scope, rms(least.sse, c.data), p.Memory, p.WeightLimit})
		}
	}
	slices.SortStableFunc(fits, func(a, b Fit) int { return cmp.Compare(a.RMS, b.RMS) })
	return fits
}

// summary describes the fit in words.
func (c *calibration) summary(out *Output) []string {
	s := []string{
		fmt.Sprintf("%d values of %d networks are met within %.1f %% rms, and within %.1f %% by fits that have not seen the network.",
			c.data, len(c.distinct), 100*out.RMS, 100*out.LOO),
	}
	var fits []string
	for _, f := range out.Policies {
		fits = append(fits, fmt.Sprintf("%s %.1f %%", Policy{f.Policy, f.Scope}, 100*f.RMS))
	}
	s = append(s, "By policy: "+strings.Join(fits, ", ")+".")
	for _, p := range out.Parameters {
		s = append(s, p.Words+".")
	}
	if out.Ranking != nil {
		s = append(s, out.Ranking.Words)
	}
	return s
}

// Ranking compares networks by latency under the fit's uncertainty.
type Ranking struct {
	Networks []Compared `json:"networks" doc:"by ascending latency"`
	Survives bool       `json:"survives" provenance:"modelled" doc:"every plausible platform ranks them in this order"`
	Agreed   float64    `json:"agreed" provenance:"modelled" doc:"share of pairs whose order is the same on every plausible platform"`
	Words    string     `json:"words"`
}

// Compared is a network with intervals over the plausible platforms.
type Compared struct {
	Name        string  `json:"name"`
	Latency     float64 `json:"latency" unit:"s" provenance:"modelled"`
	LatencyLow  float64 `json:"latency_low" unit:"s" provenance:"modelled"`
	LatencyHigh float64 `json:"latency_high" unit:"s" provenance:"modelled"`
	Mu          float64 `json:"mu" provenance:"modelled"`
	MuLow       float64 `json:"mu_low" provenance:"modelled"`
	MuHigh      float64 `json:"mu_high" provenance:"modelled"`
}

// rank prices the networks on every plausible platform.
func rank(specs map[string]arch.Spec, best *raptor.Platform, plausible []raptor.Platform) (*Ranking, error) {
	if len(specs) == 0 {
		return nil, nil
	}
	type priced struct {
		Compared
		latencies []float64
	}
	var all []priced
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		net, err := specs[name].Network()
		if err != nil {
			return nil, err
		}
		v := priced{Compared: Compared{Name: name}}
		e, err := best.Estimate(net)
		if err != nil {
			return nil, fmt.Errorf("compare[%q]: %w", name, err)
		}
		v.Latency, v.LatencyLow, v.LatencyHigh = e.Latency, e.Latency, e.Latency
		v.Mu, v.MuLow, v.MuHigh = e.Mu, e.Mu, e.Mu
		for i := range plausible {
			e, err := plausible[i].Estimate(net)
			if err != nil {
				return nil, fmt.Errorf("compare[%q]: %w", name, err)
			}
			v.LatencyLow, v.LatencyHigh = min(v.LatencyLow, e.Latency), max(v.LatencyHigh, e.Latency)
			v.MuLow, v.MuHigh = min(v.MuLow, e.Mu), max(v.MuHigh, e.Mu)
			v.latencies = append(v.latencies, e.Latency)
		}
		all = append(all, v)
	}
	slices.SortStableFunc(all, func(a, b priced) int { return cmp.Compare(a.Latency, b.Latency) })
	r := &Ranking{}
	agreed, pairs := 0, 0
	for i := range all {
		r.Networks = append(r.Networks, all[i].Compared)
		for j := i + 1; j < len(all); j++ {
			pairs++
			same := true
			for k := range all[i].latencies {
				same = same && all[i].latencies[k] <= all[j].latencies[k]
			}
			if same {
				agreed++
			}
		}
	}
	r.Survives, r.Agreed = agreed == pairs, 1
	if pairs > 0 {
		r.Agreed = float64(agreed) / float64(pairs)
	}
	r.Words = fmt.Sprintf("Of %d pairs of networks, %d are ranked by latency in the same order on all %d plausible platforms.", pairs, agreed, len(plausible))
	return r, nil
}
