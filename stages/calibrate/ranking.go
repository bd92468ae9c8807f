package calibrate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
)

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
	var all []priced
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		net, err := specs[name].Network()
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", name, err)
		}
		v := priced{Compared: Compared{Name: name}}
		if err := v.price(net, best, plausible); err != nil {
			return nil, fmt.Errorf("network %q: %w", name, err)
		}
		all = append(all, v)
	}
	slices.SortStableFunc(all, func(a, b priced) int { return cmp.Compare(a.Latency, b.Latency) })
	r := &Ranking{Agreed: 1}
	agreed, pairs := 0, 0
	for i := range all {
		r.Networks = append(r.Networks, all[i].Compared)
		for j := i + 1; j < len(all); j++ {
			pairs++
			if all[i].faster(&all[j]) {
				agreed++
			}
		}
	}
	if pairs > 0 {
		r.Agreed = float64(agreed) / float64(pairs)
	}
	r.Survives = agreed == pairs
	r.Words = fmt.Sprintf("Of %d pairs of networks, %d are ranked by latency in the same order on all %d plausible platforms.", pairs, agreed, len(plausible))
	return r, nil
}

// priced is a network with its latency on each plausible platform.
type priced struct {
	Compared
	latencies []float64
}

func (v *priced) price(net arch.Network, best *raptor.Platform, plausible []raptor.Platform) error {
	e, err := best.Estimate(net)
	if err != nil {
		return err
	}
	v.Latency, v.LatencyLow, v.LatencyHigh = e.Latency, e.Latency, e.Latency
	v.Mu, v.MuLow, v.MuHigh = e.Mu, e.Mu, e.Mu
	for i := range plausible {
		e, err := plausible[i].Estimate(net)
		if err != nil {
			return err
		}
		v.LatencyLow, v.LatencyHigh = min(v.LatencyLow, e.Latency), max(v.LatencyHigh, e.Latency)
		v.MuLow, v.MuHigh = min(v.MuLow, e.Mu), max(v.MuHigh, e.Mu)
		v.latencies = append(v.latencies, e.Latency)
	}
	return nil
}

// faster reports whether v is at least as fast as w on every plausible platform.
func (v *priced) faster(w *priced) bool {
	for k := range v.latencies {
		if v.latencies[k] > w.latencies[k] {
			return false
		}
	}
	return true
}
