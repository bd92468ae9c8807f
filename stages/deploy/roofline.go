package deploy

import "eyrie/nas/raptor"

// Roofline places a network under its platform's roof (Williams et al., CACM
// 2009): no network computes faster than the peak, nor faster than its operands
// arrive. As TinyRAPTOR's MCU moves data while the NPU waits, a network reaches
// at most half of the roof at the ridge.
type Roofline struct {
	Intensity float64  `json:"intensity" doc:"MACs per byte moved"`
	Peak      float64  `json:"peak" unit:"MAC/s" doc:"MACs per second that the NPU can do"`
	Attained  float64  `json:"attained" unit:"MAC/s" doc:"MACs per second that the network does"`
	Bandwidth *float64 `json:"bandwidth" unit:"bytes/s" doc:"bytes per second while the network's data is moved; null where moving costs nothing"`
	Ridge     *float64 `json:"ridge" doc:"MACs per byte from which on the peak is the limit; null with bandwidth"`
	Roof      float64  `json:"roof" unit:"MAC/s" doc:"the limit at the network's intensity"`
	Bound     string   `json:"bound" doc:"what the limit is: transfers or computing"`
}

func roofline(p raptor.Platform, e raptor.Estimate) Roofline {
	r := Roofline{
		Peak:     float64(p.PEs) * p.Clock,
		Attained: ratio(float64(e.MACs), e.Latency),
		Bound:    "computing",
	}
	r.Roof = r.Peak
	if e.Traffic == 0 {
		return r
	}
	r.Intensity = float64(e.MACs) / float64(e.Traffic)
	if e.SYSCycles == 0 {
		return r
	}
	bandwidth := float64(e.Traffic) / e.SYSCycles * p.Clock
	ridge := r.Peak / bandwidth
	r.Bandwidth, r.Ridge = &bandwidth, &ridge
	if r.Intensity < ridge {
		r.Roof, r.Bound = r.Intensity*bandwidth, "transfers"
	}
	return r
}
