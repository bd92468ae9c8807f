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
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/float"
	"eyrie/pipeline/mistake"
)

// Stage is "progressive-grid".
var Stage = pipeline.Define("progressive-grid", 4,
	"Find the width assignments that maximise MACs and μ, exactly.\n\n"+
		"Every assignment of a multiplier to each row of the backbone is priced on the platform. The result is the Pareto front of "+
		"(MACs, μ), one point of it picked by a rule, and where a given assignment (such as the paper's table 2) stands among all.",
	Config{Backbone: arch.MobileNetV2(), Min: 0.3, Max: 1.5, Step: 0.3, Rule: Product, Window: 0.15, Cloud: 500}, run)

// Rule is which point of a front is best.
type Rule string

// The rules.
const (
	Product Rule = "product" // most MACs × μ
	Knee    Rule = "knee"    // farthest from the line between the front's ends
	MostMu  Rule = "mu"      // highest μ
	Most    Rule = "macs"    // most MACs
)

// Choices returns the rules.
func (Rule) Choices() []string {
	return []string{string(Product), string(Knee), string(MostMu), string(Most)}
}

// Config is what a recipe may write in the block.
type Config struct {
	Platform         raptor.Platform   `json:"platform" doc:"NPU to scale for"`
	Backbone         arch.Backbone     `json:"backbone" doc:"what is scaled; MobileNetV2 when not written"`
	Resolutions      []int             `json:"resolutions" min:"1" max:"4096" doc:"input sizes in pixels; the first one's result is also the step's own"`
	Min              float64           `json:"min" min:"0.01" max:"10" doc:"least multiplier"`
	Max              float64           `json:"max" min:"0.01" max:"10" doc:"greatest multiplier"`
	Step             float64           `json:"step" min:"0.01" max:"10" doc:"step between multipliers"`
	Rounding         arch.Rounding     `json:"rounding,omitzero" doc:"how scaled widths become channels"`
	Limit            Limit             `json:"limit,omitzero" doc:"what an assignment may cost at most"`
	AllowUnsupported bool              `json:"allow_unsupported,omitempty" doc:"admit layers whose weights are beyond the platform's limit"`
	Rule             Rule              `json:"rule" doc:"which point of the front is best: the most MACs × μ; the one farthest from the line between its ends, both axes logarithmic; the highest μ; the most MACs"`
	Reference        *Reference        `json:"reference,omitempty" doc:"an assignment whose standing among all is reported"`
	Plausible        []raptor.Platform `json:"plausible,omitempty" doc:"platforms that cannot be told from platform, as calibrate yields them: how far the result depends on the choice"`
	Window           float64           `json:"window" min:"0" max:"10" doc:"the reference's percentile is taken among assignments whose MACs differ from its by at most this share"`
	Cloud            int               `json:"cloud" min:"0" max:"100000" doc:"about how many of all assignments to return for a plot"`
}

// Limit is what an assignment may cost at most; zero is no limit.
type Limit struct {
	Latency float64 `json:"latency,omitempty" unit:"s" min:"0" doc:"time of one inference"`
	Energy  float64 `json:"energy,omitempty" unit:"J" min:"0" doc:"energy of one inference"`
	Memory  float64 `json:"memory,omitempty" unit:"bytes" min:"0" doc:"local memory occupied at once"`
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

// Check reports the mistakes of platforms and backbone, and a grid that is empty or has
// more assignments than can be enumerated.
func (c *Config) Check(r *mistake.Report) {
	c.Platform.Check(r.At("platform"))
	for i, p := range c.Plausible {
		p.Check(r.At("plausible", i))
	}
	c.Backbone.Check(r.At("backbone"))
	if r.Knows("resolutions") && len(c.Resolutions) == 0 {
		r.At("resolutions").Badf("want at least one input size")
	}
	if r.Knows("max", "min") && c.Max < c.Min {
		r.At("max").Badf("%v is below min, %v", c.Max, c.Min)
	} else if r.Knows("max", "min", "step", "backbone.groups") && c.Step > 0 {
		n := float.Pow(float64(len(options(c.Min, c.Max, c.Step))), float64(len(c.Backbone.Groups)+2))
		if n > maxAssignments {
			r.At("step").Badf("%.2g assignments, at most %.0g can be enumerated: write a larger step", n, maxAssignments)
		}
	}
	if c.Reference != nil && r.Knows("reference.widths", "backbone.groups") {
		r.In("reference.widths").Add(c.Backbone.CheckWidths(c.Reference.Widths))
	}
}

// Foresee returns the backbone.
func (c Config) Foresee(knows func(paths ...string) bool) pipeline.Partial {
	if !knows("backbone") {
		return nil
	}
	return pipeline.Partial{"backbone": c.Backbone}
}

// Output is what the block's references yield.
type Output struct {
	Result
	Backbone arch.Backbone `json:"backbone" doc:"what was scaled, for a space"`
	Results  []Result      `json:"results" doc:"one per resolution"`
}

// Result is what was found at one resolution.
type Result struct {
	Resolution   int       `json:"resolution" provenance:"given" doc:"input size in pixels"`
	Assignments  int       `json:"assignments" doc:"how many there are"`
	Feasible     int       `json:"feasible" doc:"how many are supported and within the limits"`
	Best         Point     `json:"best" doc:"the point of the front that the rule picks"`
	Front        []Point   `json:"front" doc:"assignments that no other beats in both MACs and μ, by descending MACs"`
	Standing     *Standing `json:"standing" doc:"where the reference stands"`
	Rows         []Row     `json:"rows" doc:"per row of the backbone: how wide it may be beside the reference's (else the best point's) other rows"`
	Cloud        []Dot     `json:"cloud" doc:"a sample of all feasible assignments, evenly spaced in their order"`
	BestSurvives *float64  `json:"best_survives" provenance:"modelled" doc:"share of the plausible platforms on whose front the best point is, too; null without any"`
	Summary      []string  `json:"summary" doc:"the result in words"`
}

// Point is one assignment and what it costs.
type Point struct {
	Widths   arch.Widths `json:"widths" provenance:"modelled" doc:"multipliers of the stem, each group, the head"`
	Channels []int       `json:"channels" provenance:"modelled" doc:"channels of the stem, each group, the head"`
	MACs     int64       `json:"macs" provenance:"modelled" doc:"multiply-accumulate operations, counted"`
	Params   int64       `json:"params" provenance:"modelled" doc:"parameters, counted"`
	Mu       float64     `json:"mu" provenance:"modelled" doc:"NPU cycles / SYS cycles"`
	Latency  float64     `json:"latency" unit:"s" provenance:"modelled" doc:"time of one inference"`
	Energy   float64     `json:"energy" unit:"J" provenance:"modelled" doc:"energy of one inference"`
	Memory   int         `json:"memory" unit:"bytes" provenance:"modelled" doc:"most local memory occupied"`
	Largest  int64       `json:"largest" unit:"bytes" provenance:"modelled" doc:"weights of the largest layer, the fully connected one aside"`
}

// Dot is an assignment in a plot.
type Dot struct {
	MACs int64   `json:"macs" provenance:"modelled"`
	Mu   float64 `json:"mu" provenance:"modelled"`
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	out := Output{Backbone: c.Backbone}
	for _, r := range c.Resolutions {
		result, err := c.search(ctx, task, r)
		if err != nil {
			return Output{}, fmt.Errorf("resolution %d: %w", r, err)
		}
		out.Results = append(out.Results, result)
	}
	out.Result = out.Results[0]
	return out, nil
}

// search enumerates the space at a resolution on the platform, and again on
// each plausible one, and reports.
func (c *Config) search(ctx context.Context, task *pipeline.Task, resolution int) (Result, error) {
	s := c.space(c.Platform, resolution)
	stride := 0
	if c.Cloud > 0 {
		stride = max(1, s.size()/c.Cloud)
	}
	rivals := s.rivals(c.Reference)
	all, err := s.count(ctx, task, c, rivals, stride)
	if err != nil {
		return Result{}, err
	}
	if all.count == 0 {
		return Result{}, fmt.Errorf("none of %d assignments is supported and within the limits", s.size())
	}
	var others []*census
	for _, p := range c.Plausible {
		other, err := c.space(p, resolution).count(ctx, task, c, rivals[:min(1, len(rivals))], 0)
		if err != nil {
			return Result{}, fmt.Errorf("plausible platform: %w", err)
		}
		others = append(others, other)
	}
	return s.report(c, all, others), nil
}

func (c *Config) space(p raptor.Platform, resolution int) *space {
	return newSpace(p, c.Backbone, c.Rounding, resolution, options(c.Min, c.Max, c.Step))
}

// rivals returns the reference and, where a multiplier is off the grid, the
// assignments on the grid just below it and just above.
func (s *space) rivals(ref *Reference) []Reference {
	if ref == nil {
		return nil
	}
	low := Reference{ref.Name + ", on the grid below", slices.Clone(ref.Widths)}
	high := Reference{ref.Name + ", on the grid above", slices.Clone(ref.Widths)}
	for i, w := range ref.Widths {
		for _, o := range s.options {
			if o <= w+1e-9 {
				low.Widths[i] = o
			}
		}
		for _, o := range slices.Backward(s.options) {
			if o >= w-1e-9 {
				high.Widths[i] = o
			}
		}
	}
	if slices.Equal(low.Widths, high.Widths) {
		return []Reference{*ref}
	}
	return []Reference{*ref, low, high}
}

// count enumerates the space and compares it with the rivals.
func (s *space) count(ctx context.Context, task *pipeline.Task, c *Config, rivals []Reference, stride int) (*census, error) {
	fresh := func() census { return census{window: c.Window, stride: stride} }
	all := fresh()
	for _, r := range rivals {
		e, err := s.platform.Estimate(s.backbone.Scale(r.Widths, s.resolution, s.rounding))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		all.rivals = append(all.rivals, rival{Reference: r, estimate: e})
	}
	n, _ := s.shares()
	found := make([]census, n)
	for i := range found {
		found[i] = fresh()
		found[i].rivals = slices.Clone(all.rivals)
	}
	err := s.enumerate(ctx, task, !c.AllowUnsupported, func(share int, p point) {
		if s.within(p, c.Limit) {
			found[share].add(p)
		}
	})
	for i := range found {
		all.merge(&found[i])
	}
	return &all, err
}

// within reports whether a point meets the limits.
func (s *space) within(p point, l Limit) bool {
	t := p.cycles / s.platform.Clock
	return (l.Latency == 0 || t <= l.Latency) && (l.Energy == 0 || t*s.platform.Power <= l.Energy) &&
		(l.Memory == 0 || float64(p.memory) <= l.Memory) && (l.MACs == 0 || float64(p.macs) <= l.MACs) && (l.Params == 0 || float64(p.params) <= l.Params)
}
