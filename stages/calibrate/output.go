package calibrate

import (
	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// Output is what the block's references yield.
type Output struct {
	Platform   raptor.Platform   `json:"platform" doc:"the platform with the fitted values"`
	RMS        float64           `json:"rms" provenance:"modelled" doc:"root mean square of the log errors of μ and latency"`
	LOO        float64           `json:"loo" provenance:"modelled" doc:"the same, each network predicted by a fit that has not seen it"`
	Rows       []Row             `json:"rows" doc:"one per measurement: ours, measured, residual"`
	Sets       map[string]Set    `json:"sets" doc:"errors by the set that rows belong to"`
	Roles      map[string]Set    `json:"roles" doc:"errors by the role of rows that were predicted; those that were fitted to are under fitted"`
	Parameters []Parameter       `json:"parameters" doc:"what was fitted, and how far the data determine it"`
	Correlated []Pair            `json:"correlated" doc:"pairs of parameters that the measurements cannot tell apart"`
	Forms      []Form            `json:"forms" doc:"the forms compared, best first"`
	Form       string            `json:"form" doc:"the one that was taken"`
	Plausible  []raptor.Platform `json:"plausible" doc:"platforms that the data cannot tell from the fitted one: the ends of the intervals"`
	Next       []Probe           `json:"next" doc:"what to measure next, the most telling first"`
	Error      float64           `json:"error" provenance:"modelled" doc:"by how much the platform's estimates are off for a network unlike those measured: the standard deviation of the logarithm. deploy-estimate takes it for its intervals"`
	Ranking    *Ranking          `json:"ranking" doc:"the networks of compare"`
	Summary    []string          `json:"summary" doc:"the result in words"`
}

// Row is one measurement beside the model. What was not measured is null.
type Row struct {
	Set             string          `json:"set"`
	Network         string          `json:"network"`
	Width           float64         `json:"width" provenance:"given"`
	Resolution      int             `json:"resolution" provenance:"given"`
	MACs            int64           `json:"macs" provenance:"modelled" doc:"counted"`
	MACsMeasured    pipeline.Traced `json:"macs_measured" doc:"measured, or published, as the file says"`
	MACsError       *float64        `json:"macs_error" provenance:"modelled" doc:"relative"`
	Mu              float64         `json:"mu" provenance:"modelled"`
	MuMeasured      pipeline.Traced `json:"mu_measured" doc:"measured, or published, as the file says"`
	MuResidual      *float64        `json:"mu_residual" provenance:"modelled" doc:"ln(ours / measured)"`
	MuUnseen        *float64        `json:"mu_unseen" provenance:"modelled" doc:"ln(ours / measured) by a fit that has not seen the network"`
	Latency         float64         `json:"latency" unit:"s" provenance:"modelled"`
	LatencyMeasured pipeline.Traced `json:"latency_measured" doc:"measured, or published, as the file says, in s"`
	LatencyError    *float64        `json:"latency_error" provenance:"modelled" doc:"relative"`
	LatencyInterval []float64       `json:"latency_interval" unit:"s" provenance:"modelled" doc:"where the latency of a network that was not fitted to lies, in 95 of 100 cases; null where it was not measured, or takes no time in this form"`
	Fitted          bool            `json:"fitted" doc:"the row was fitted to; else it was predicted"`
	Role            string          `json:"role"`
	LatencyUnseen   *float64        `json:"latency_unseen" provenance:"modelled" doc:"relative, by a fit that has not seen the network"`
	Supported       bool            `json:"supported" doc:"no layer is beyond the weight limit"`
	Source          string          `json:"source"`
}

// Set sums up the rows of a set. A figure of what was not measured is null.
type Set struct {
	Rows         int      `json:"rows"`
	MACsRMS      *float64 `json:"macs_rms" provenance:"modelled" doc:"root mean square of the log errors of MACs"`
	MACsWorst    *float64 `json:"macs_worst" provenance:"modelled" doc:"greatest relative error of MACs"`
	MuRMS        *float64 `json:"mu_rms" provenance:"modelled" doc:"root mean square of the log errors of μ"`
	MuWorst      *float64 `json:"mu_worst" provenance:"modelled" doc:"greatest log error of μ"`
	LatencyRMS   *float64 `json:"latency_rms" provenance:"modelled" doc:"root mean square of the log errors of the latency"`
	Coverage     *float64 `json:"coverage" provenance:"modelled" doc:"share of the measured latencies that lie in the interval that was predicted; null where all rows were fitted to"`
	MuLOO        *float64 `json:"mu_loo" provenance:"modelled" doc:"as mu_rms, each network predicted by a fit that has not seen it"`
	LatencyWorst *float64 `json:"latency_worst" provenance:"modelled" doc:"greatest relative error of the latency"`
	LatencyLOO   *float64 `json:"latency_loo" provenance:"modelled" doc:"as latency_worst, each network predicted by a fit that has not seen it"`
}

// Parameter is a fitted value with its 95 % interval.
type Parameter struct {
	Name       string    `json:"name"`
	Unit       string    `json:"unit"`
	Value      float64   `json:"value" provenance:"modelled"`
	Low        *float64  `json:"low" provenance:"modelled" doc:"null: as low as was tried"`
	High       *float64  `json:"high" provenance:"modelled" doc:"null: as high as was tried"`
	Prior      []float64 `json:"prior" provenance:"modelled" doc:"where it lies on 95 of 100 such chips, before anything is measured; null for the memory"`
	Determined *float64  `json:"determined" provenance:"modelled" doc:"share of the prior's variance that the measurements remove: 0 where they say nothing; null for the memory"`
	Identified bool      `json:"identified" doc:"the measurements determine it, and the upper bound is at most three times the lower"`
	Words      string    `json:"words" doc:"what the measurements say about it"`
}

// Pair is two parameters that the measurements cannot tell apart.
type Pair struct {
	Parameters  []string `json:"parameters"`
	Correlation float64  `json:"correlation" provenance:"modelled" doc:"of their logarithms, given the measurements"`
	Words       string   `json:"words"`
}

// Form is a form as the measurements have it.
type Form struct {
	Name       string            `json:"name"`
	Meaning    string            `json:"meaning" doc:"what it takes the hardware to do"`
	Policy     raptor.Policy     `json:"policy"`
	Fitted     []string          `json:"fitted" doc:"the parameters that were fitted"`
	Parameters int               `json:"parameters" doc:"how many were fitted"`
	Determined float64           `json:"determined" provenance:"modelled" doc:"how many of them the measurements determine; the priors hold the rest"`
	RMS        float64           `json:"rms" provenance:"modelled" doc:"root mean square of the log errors of μ and latency"`
	LOO        float64           `json:"loo" provenance:"modelled" doc:"the same, each network predicted by a fit that has not seen it"`
	Worst      float64           `json:"worst" provenance:"modelled" doc:"greatest log error"`
	AICc       *float64          `json:"aicc" provenance:"modelled" doc:"Akaike's criterion for small samples, less is better; null where there are too few values"`
	Chosen     bool              `json:"chosen" doc:"the one that was taken"`
	Platform   raptor.Platform   `json:"platform" doc:"the platform with the fitted values"`
	Plausible  []raptor.Platform `json:"plausible" doc:"platforms of this form that the data cannot tell from it"`
}
