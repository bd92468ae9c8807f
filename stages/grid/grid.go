// Package grid is the stage "progressive-grid": it prices every assignment of a
// width multiplier to each row of a backbone (the stem, the groups, the head)
// and finds those that no other beats in both MACs and μ (paper, §2.4).
//
// It is exact. What a row costs depends on its neighbours only through its
// input's channels and the place of the map between them, so that a table per
// row and pair of choices holds all there is to know; the assignments are then
// enumerated with three running sums.
package grid

import (
	"context"
	"fmt"
	"math"

	"eyrie/pipeline"
	"eyrie/stages/arch"
	"eyrie/stages/raptor"
)

// Stage is "progressive-grid".
var Stage = pipeline.Define("progressive-grid", 1,
	"Find the width assignments that maximise MACs and μ, exactly.\n\n"+
		"Every assignment of a multiplier to each row of the backbone is priced on the platform. The result is the Pareto front of "+
		"(MACs, μ), one point of it picked by a rule, and where a given assignment (such as the paper's table 2) stands among all.",
	Config{Backbone: arch.MobileNetV2(), Min: 0.3, Max: 1.5, Step: 0.3, Rule: Product, Window: 0.15, Cloud: 500}, run)

// The values of Config.Rule.
const (
	Product = "product" // most MACs × μ
	Knee    = "knee"    // farthest from the line between the front's ends
	MostMu  = "mu"      // highest μ
	Most    = "macs"    // most MACs
)

// Config is what a recipe may write in the block.
type Config struct {
	Platform         raptor.Platform `json:"platform" doc:"NPU to scale for"`
	Backbone         arch.Backbone   `json:"backbone" doc:"what is scaled; MobileNetV2 when not written"`
	Resolutions      []int           `json:"resolutions" min:"1" max:"4096" doc:"input sizes in pixels; the first one's result is also the step's own"`
	Min              float64         `json:"min" min:"0.01" max:"10" doc:"least multiplier"`
	Max              float64         `json:"max" min:"0.01" max:"10" doc:"greatest multiplier"`
	Step             float64         `json:"step" min:"0.01" max:"10" doc:"step between multipliers"`
	Rounding         arch.Rounding   `json:"rounding,omitzero" doc:"how scaled widths become channels"`
	Limit            Limit           `json:"limit,omitzero" doc:"what an assignment may cost at most"`
	AllowUnsupported bool            `json:"allow_unsupported,omitempty" doc:"admit layers whose weights are beyond the platform's limit"`
	Rule             string          `json:"rule" oneof:"product,knee,mu,macs" doc:"which point of the front is best: the most MACs × μ; the one farthest from the line between its ends, both axes logarithmic; the highest μ; the most MACs"`
	Reference        *Reference      `json:"reference,omitempty" doc:"an assignment whose standing among all is reported"`
	Window           float64         `json:"window" min:"0" max:"10" doc:"the reference's percentile is taken among assignments whose MACs differ from its by at most this share"`
	Cloud            int             `json:"cloud" min:"0" max:"100000" doc:"about how many of all assignments to return for a plot"`
}

// Limit is what an assignment may cost at most; zero is no limit.
type Limit struct {
	Latency float64 `json:"latency,omitempty" unit:"s" min:"0" doc:"time of one inference"`
	Energy  float64 `json:"energy,omitempty" unit:"J" min:"0" doc:"energy of one inference"`
	MACs    float64 `json:"macs,omitempty" min:"0" doc:"multiply-accumulate operations"`
	Params  float64 `json:"params,omitempty" min:"0" doc:"parameters"`
}

// Reference is an assignment from elsewhere, on the grid or off it.
type Reference struct {
	Name   string      `json:"name" doc:"what reports call it"`
	Widths arch.Widths `json:"widths" min:"0" max:"100" doc:"a multiplier for the stem, each group, the head"`
}

// maxAssignments bounds the grid: beyond it enumeration would take hours.
const maxAssignments = 1e10

// Validate checks what the schema cannot.
func (c *Config) Validate() error {
	if err := c.Platform.Validate(); err != nil {
		return pipeline.Badf("platform", "%w", err)
	}
	if err := c.Backbone.Validate(); err != nil {
		return pipeline.Badf("backbone", "%w", err)
	}
	if len(c.Resolutions) == 0 {
		return pipeline.Badf("resolutions", "want at least one input size")
	}
	if c.Max < c.Min {
		return pipeline.Badf("max", "%v is below min, %v", c.Max, c.Min)
	}
	n := math.Pow(float64(len(options(c.Min, c.Max, c.Step))), float64(len(c.Backbone.Groups)+2))
	if n > maxAssignments {
		return pipeline.Badf("step", "%.2g assignments, at most %.0g can be enumerated: write a larger step", n, maxAssignments)
	}
	if c.Reference != nil {
		if err := c.Backbone.CheckWidths(c.Reference.Widths); err != nil {
			return pipeline.Badf("reference.widths", "%w", err)
		}
	}
	return nil
}

// Output is what the block's references yield.
type Output struct {
	Result
	Backbone arch.Backbone `json:"backbone" doc:"what was scaled, for a space"`
	Results  []Result      `json:"results" doc:"one per resolution"`
}

// Result is what was found at one resolution.
type Result struct {
	Resolution  int       `json:"resolution" doc:"input size in pixels"`
	Assignments int       `json:"assignments" doc:"how many there are"`
	Feasible    int       `json:"feasible" doc:"how many are supported and within the limits"`
	Best        Point     `json:"best" doc:"the point of the front that the rule picks"`
	Front       []Point   `json:"front" doc:"assignments that no other beats in both MACs and μ, by descending MACs"`
	Standing    *Standing `json:"standing" doc:"where the reference stands"`
	Rows        []Row     `json:"rows" doc:"per row of the backbone: how wide it may be beside the reference's (else the best point's) other rows"`
	Cloud       []Dot     `json:"cloud" doc:"a sample of all feasible assignments, evenly spaced in their order"`
	Summary     []string  `json:"summary" doc:"the result in words"`
}

// Point is one assignment and what it costs.
type Point struct {
	Widths   arch.Widths `json:"widths" doc:"multipliers of the stem, each group, the head"`
	Channels []int       `json:"channels" doc:"channels of the stem, each group, the head"`
	MACs     int64       `json:"macs" provenance:"modelled" doc:"multiply-accumulate operations, counted"`
	Params   int64       `json:"params" provenance:"modelled" doc:"parameters, counted"`
	Mu       float64     `json:"mu" provenance:"modelled" doc:"NPU cycles / SYS cycles"`
	Latency  float64     `json:"latency" unit:"s" provenance:"modelled" doc:"time of one inference"`
	Energy   float64     `json:"energy" unit:"J" provenance:"modelled" doc:"energy of one inference"`
	Largest  int64       `json:"largest" unit:"bytes" provenance:"modelled" doc:"weights of the largest layer, the fully connected one aside"`
}

// Dot is an assignment in a plot.
type Dot struct {
	MACs int64   `json:"macs" provenance:"modelled"`
	Mu   float64 `json:"mu" provenance:"modelled"`
}

func run(ctx context.Context, c Config) (Output, error) {
	out := Output{Backbone: c.Backbone}
	opts := options(c.Min, c.Max, c.Step)
	for _, r := range c.Resolutions {
		s := newSpace(c.Platform, c.Backbone, c.Rounding, r, opts)
		result, err := s.search(ctx, c)
		if err != nil {
			return Output{}, fmt.Errorf("resolution %d: %w", r, err)
		}
		out.Results = append(out.Results, result)
	}
	out.Result = out.Results[0]
	return out, nil
}

// search enumerates the space and reports.
func (s *space) search(ctx context.Context, c Config) (Result, error) {
	var ref *raptor.Estimate
	if c.Reference != nil {
		e, err := s.platform.Estimate(s.backbone.Scale(c.Reference.Widths, s.resolution, s.rounding))
		if err != nil {
			return Result{}, fmt.Errorf("reference %q: %w", c.Reference.Name, err)
		}
		ref = &e
	}
	n, _ := s.tasks()
	found := make([]census, n)
	for i := range found {
		found[i] = census{ref: ref, window: c.Window, cloud: c.Cloud > 0, stride: max(1, s.size()/max(1, c.Cloud))}
	}
	err := s.enumerate(ctx, !c.AllowUnsupported, func(task int, p point) {
		if s.within(p, c.Limit) {
			found[task].add(p)
		}
	})
	if err != nil {
		return Result{}, err
	}
	all := &census{ref: ref, window: c.Window}
	for i := range found {
		all.merge(&found[i])
	}
	if all.count == 0 {
		return Result{}, fmt.Errorf("none of %d assignments is supported and within the limits", s.size())
	}
	return s.report(c, all), nil
}

// within tells whether a point meets the limits.
func (s *space) within(p point, l Limit) bool {
	t := p.cycles / s.platform.Clock
	return (l.Latency == 0 || t <= l.Latency) && (l.Energy == 0 || t*s.platform.Power <= l.Energy) &&
		(l.MACs == 0 || float64(p.macs) <= l.MACs) && (l.Params == 0 || float64(p.params) <= l.Params)
}
