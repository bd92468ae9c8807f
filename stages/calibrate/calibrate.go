// Package calibrate is the stage "calibrate": it fits the values of a platform
// that its maker does not disclose to measurements of networks on it, and says
// how far they can be trusted.
package calibrate

import (
	"context"
	"maps"
	"slices"
	"strings"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Stage is "calibrate".
var Stage = pipeline.Define("calibrate", 9,
	`Fits the undisclosed values of a platform to measurements.

The measurements are a CSV file; its first line names columns, some of set,
network, width, resolution, macs, mu, latency (s), supported (yes or no), role, kind and
source. A row is MobileNetV2 of a width at a resolution, a network that the attribute
networks names, or a built-in one that next named. Cells may be empty; μ and latency are fitted, MACs are compared, and
what is supported bounds the weight limit. kind and source say of a row's figures that
they were measured (by default), published, or modelled by another tool, and where: tables
show it. role says what a row is for: those of another role than train are predicted and
compared, not fitted to.

Several forms of the cost model are compared, in each of which some parameters are fitted to
the logarithms of μ and latency, by least squares, from several starts and with every memory
where the platform has none. A prior says of each parameter what such chips have, as a normal
distribution of its logarithm, or of the logit of a rate's share of the PEs: what the
measurements do not determine stays there, and has that width. Of the forms that AICc does not
tell from the best, the one that errs least where it errs most is taken; form overrides that.
The forms:

`+formLines()+`

The result comes with each row's residual, the error of fits that have not seen the network
(above 24 networks they are left out several at a time) and, for every parameter, the interval
that measurements and prior allow (95 %, profile likelihood), how far the measurements
determine it, and from which other it cannot be told. The interval of a network that was not
fitted to also has what the form itself misses, which is less for a network that spends its
time as a measured one does; coverage is the share of the predicted rows that lie in theirs.
next ranks what to measure next: the candidates by how much a measurement of each narrows the
predictions of the targets.

    stage "calibrate" "raptor" {
      platform     = { name = "tinyraptor", clock = "200MHz", pes = 128, power = "10.22mW" }
      measurements = "${path.recipe}/raptor.csv"
    }

A platform may be what a datasheet says: clock, pes and memory. A platform without memory has
it fitted. A weight limit is found only where a row says supported = no.

The fitted platform is stage.raptor.platform; the error of table 1's μ is
stage.raptor.sets["table 1"].mu_rms.`,
	Config{
		Fit:       []string{auto},
		MemoryMin: 32 << 10, MemoryMax: 1 << 20, MemoryStep: 4 << 10, Starts: 4, Seed: 1, Next: Next{Count: 4},
	}, run)

// Config is what a recipe may write in the block.
type Config struct {
	Platform     raptor.Platform      `json:"platform" doc:"what is known; the start for what is fitted"`
	Measurements artifacts.File       `json:"measurements" is:"file" doc:"CSV file"`
	Columns      map[string]string    `json:"columns,omitempty" doc:"what the file calls its columns, where it calls them otherwise: { latency = \"time_s\" }. Columns that are not known are then left out"`
	Kind         string               `json:"kind,omitempty" oneof:"measured,published,modelled" doc:"what the figures of rows are that do not say it; measured when not written"`
	Source       string               `json:"source,omitempty" doc:"where the figures of rows are from that do not say it"`
	Train        []string             `json:"train,omitempty" doc:"the rows to fit to, by role or network; those of role train or none when not written. The others are predicted, and compared"`
	Networks     map[string]arch.Spec `json:"networks,omitempty" doc:"networks that the file names, besides MobileNetV2 and the built-in ones of next"`
	Scaling      arch.Scaling         `json:"scaling,omitempty" doc:"what the file's width applies to; uniform (stem and head stay) when not written"`
	Rounding     arch.Rounding        `json:"rounding,omitzero" doc:"how the file's widths become channels"`
	Form         string               `json:"form,omitempty" doc:"the form to take; when not written, the measurements choose"`
	Forms        []string             `json:"forms,omitempty" doc:"the forms to compare; all that have the platform's policy, or all, when not written"`
	Fit          []string             `json:"fit" doc:"parameters to fit in every form; the others stay as platform has them. auto, by itself, is the form's own, and the memory where platform has none"`
	MemoryMin    int64                `json:"memory_min" unit:"bytes" min:"1024" doc:"least local memory to try"`
	MemoryMax    int64                `json:"memory_max" unit:"bytes" min:"1024" max:"1073741824" doc:"greatest local memory to try"`
	MemoryStep   int64                `json:"memory_step" unit:"bytes" min:"256" doc:"step between memories"`
	Starts       int                  `json:"starts" min:"1" max:"1000" doc:"starting points of each fit"`
	Seed         int                  `json:"seed" min:"0" doc:"of the starting points"`
	Next         Next                 `json:"next,omitzero" doc:"what to measure next, ranked"`
	Compare      map[string]arch.Spec `json:"compare,omitempty" doc:"networks to compare: with intervals, and whether their ranking survives the uncertainty"`
}

// names lists what can be fitted.
func names() []string {
	var all []string
	for _, p := range parameters {
		all = append(all, p.name)
	}
	return append(all, memory)
}

// memory is the parameter that is not continuous.
const memory = "memory"

// auto is in place of a list of parameters: the form's own.
const auto = "auto"

// Check reports the mistakes of the platform and of the networks to compare, unknown
// parameters, and a range of memories that is empty or too long.
func (c *Config) Check(r *mistake.Report) {
	platform := c.Platform
	platform.PEs = max(platform.PEs, 1) // which may be unknown or wrong: then the rates are not at fault, too
	platform = complete(platform, false)
	platform.PEs = c.Platform.PEs
	if platform.Policy == "" {
		platform.Policy = raptor.Spill
	}
	platform.Memory = max(1, platform.Memory) // it is fitted where it is not written
	platform.Check(r.At("platform"))
	for i, name := range append([]string{c.Form}, c.Forms...) {
		in := r.At("form")
		if i > 0 {
			in = r.At("forms", i-1)
		}
		if in.Knows() && (i > 0 || name != "") && !slices.Contains(formNames(), name) {
			in.Add(mistake.OneOf(name, formNames()))
		}
	}
	if r.Knows("forms", "form", "platform.policy") && len(c.compared()) == 0 {
		r.At("platform", "policy").Badf("no form has the policy %q", c.Platform.Policy)
	}
	if len(c.Fit) > maxFree && r.Knows("fit") {
		r.At("fit").Badf("%d parameters: at most %d can be fitted at once", len(c.Fit), maxFree)
	}
	for i, name := range c.Fit {
		if name == auto && len(c.Fit) > 1 && r.Knows("fit") {
			r.At("fit", i).Badf("%q stands by itself, without other parameters", auto)
			continue
		} else if name == auto {
			continue
		}
		if in := r.At("fit", i); in.Knows() && !slices.Contains(names(), name) {
			in.Badf("there is no parameter %q; there are %s", name, strings.Join(names(), ", "))
		}
	}
	if n := len(distinctOf(c.Fit)); n > maxFree && r.Knows("fit") {
		r.At("fit").Badf("%d parameters, at most %d can be fitted at once, and the memory: leave out those that the platform has, or write forms", n, maxFree)
	}
	named := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		theirs, in := c.Columns[name], r.At("columns", name)
		if !slices.Contains(columns, name) {
			in.Badf("there is no such column; the columns are %s", strings.Join(columns, ", "))
		} else if ours, twice := named[theirs]; twice && in.Knows() {
			in.Badf("%q is columns.%s already: a column of the file is one thing", theirs, ours)
		}
		named[theirs] = name
	}
	if r.Knows("memory_max", "memory_min") && c.MemoryMax < c.MemoryMin {
		r.At("memory_max").Badf("%d is below memory_min, %d", c.MemoryMax, c.MemoryMin)
	}
	if r.Knows("memory_max", "memory_min", "memory_step") && c.MemoryStep > 0 {
		if n := (c.MemoryMax - c.MemoryMin) / c.MemoryStep; n > 10_000 {
			r.At("memory_step").Badf("%d memories to try, at most 10000 are: write a larger step", n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Networks)) {
		c.Networks[name].Check(r.At("networks", name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Compare)) {
		c.Compare[name].Check(r.At("compare", name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Next.Candidates)) {
		c.Next.Candidates[name].Check(r.At("next", "candidates", name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Next.Targets)) {
		c.Next.Targets[name].Check(r.At("next", "targets", name))
	}
}

// distinctOf returns the continuous parameters among names, each once.
func distinctOf(names []string) []string {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	return slices.DeleteFunc(names, func(name string) bool { return index(name) < 0 })
}

// Foresee returns the values of the platform that are not fitted.
func (c Config) Foresee(knows func(paths ...string) bool) pipeline.Partial {
	platform := pipeline.Partial{}
	if knows("platform") {
		p := c.Platform
		platform["clock"], platform["pes"] = p.Clock, p.PEs
		if p.Name != "" { // what is empty is left out of the output
			platform["name"] = p.Name
		}
		if p.Power > 0 {
			platform["power"] = p.Power
		}
	}
	return pipeline.Partial{"platform": platform}
}

// fitOf returns the parameters that are fitted in a form.
func (c *Config) fitOf(f *form) []string {
	if !slices.Contains(c.Fit, auto) {
		return c.Fit
	}
	if c.Platform.Memory == 0 {
		return append(slices.Clone(f.fit), memory)
	}
	return f.fit
}

func run(ctx context.Context, task *pipeline.Task, c Config) (Output, error) {
	r := reader{networks: c.Networks, scaling: arch.Spec{Scaling: c.Scaling, Rounding: c.Rounding}, columns: c.Columns, kind: pipeline.Provenance(c.Kind), source: c.Source}
	ms, err := r.read(c.Measurements)
	if err != nil {
		return Output{}, pipeline.Badf("measurements", "%w", err)
	}
	cal := newCalibration(task, c, ms)
	cal.stopped = func() bool { return ctx.Err() != nil } // a single fit may take long
	if cal.data == 0 {
		return Output{}, pipeline.Badf("measurements", "no value of mu or latency in %d rows: there is nothing to fit to", len(ms))
	}
	if least, below := cal.known(); least >= below {
		return Output{}, pipeline.Badf("measurements", "a network whose largest layer has %d bytes of weights is supported, one with %d is not: no limit on a layer's weights agrees", least, below)
	}
	var fits []formFit
	var failed error
	for _, i := range c.compared() {
		r, err := cal.fitForm(ctx, &forms[i], uint64(i))
		if err != nil {
			return Output{}, err
		}
		if len(r.designs) == 0 {
			if failed == nil || r.name == c.Form {
				failed = r.failed
			}
			continue
		}
		if err := cal.summarise(ctx, r); err != nil {
			return Output{}, err
		}
		fits = append(fits, *r)
	}
	if len(fits) == 0 {
		return Output{}, pipeline.Badf("measurements", "no form can be fitted to all rows, with any memory that was tried: %w", failed)
	}
	best := choose(fits)
	if c.Form != "" {
		best = slices.IndexFunc(fits, func(f formFit) bool { return f.name == c.Form })
		if best < 0 {
			return Output{}, pipeline.Badf("form", "%w", failed)
		}
	}
	return cal.output(ctx, fits, best)
}

// summarise says how well a form fits.
func (c *calibration) summarise(ctx context.Context, r *formFit) error {
	d := &r.designs[r.best]
	r.platform = c.chosen(r, d)
	r.posterior = newPosterior(c.problem(r, d), &d.fitted, r.platform)
	r.determined = r.posterior.determined
	return c.leaveOneOut(ctx, r)
}

// count returns how many values there are to fit to.
func count(ms []measurement) (n int) {
	for i := range ms {
		if m := &ms[i]; !m.held {
			if m.mu > 0 {
				n++
			}
			if m.latency > 0 {
				n++
			}
		}
	}
	return n
}

// newCalibration counts what is there and what is asked.
func newCalibration(task *pipeline.Task, c Config, ms []measurement) *calibration {
	cal := &calibration{Config: c, task: task, ms: ms}
	groups := map[int]int{}
	for i := range ms {
		m := &ms[i]
		m.held = !c.trains(m)
		if m.held {
			continue
		}
		g, seen := groups[m.group]
		if !seen {
			g = len(cal.distinct)
			groups[m.group] = g
			cal.distinct = append(cal.distinct, i)
		}
		m.group = g
	}
	cal.data = count(ms)
	return cal
}

// trains reports whether a row is fitted to.
func (c *Config) trains(m *measurement) bool {
	if len(c.Train) == 0 {
		return m.role == "" || m.role == "train"
	}
	return slices.Contains(c.Train, m.role) || slices.Contains(c.Train, m.net.Name)
}
