package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// Verdict is what a plan says of a step.
type Verdict string

// The verdicts.
const (
	Cached  Verdict = "cached"  // its result is in the store
	MustRun Verdict = "run"     // it must be run, for the reasons given
	Unknown Verdict = "unknown" // known after other steps have run
)

// Plan is a recipe checked, ordered and held against a store: every step with
// its verdict.
type Plan struct {
	Recipe *Recipe
	Steps  []*Planned // each after those it needs, otherwise in the recipe's order

	byID     map[string]*Planned
	outputs  Outputs // of the steps that are cached
	supposed Outputs // these, with what is foreseen of others: for checks
	observed *Observations
}

// Planned is a step with its verdict.
type Planned struct {
	*Step
	Verdict Verdict
	Reasons []Reason           // of MustRun
	After   []string           // of Unknown: the steps that must run first
	Action  artifacts.ActionID // zero while unknown
	Resumes bool               // of MustRun: an interrupted run has left a checkpoint, from which it goes on
	Record  *store.Record      // of Cached
	Attrs   Attrs              // evaluated as far as known
	Secret  bool               // its output is sensitive, as attributes are on which it may depend

	action   *action
	awaited  bool // it is being looked up
	rerun    bool
	foreseen bool // something is, of the output
}

// PlanOptions restrict or widen what a plan does.
type PlanOptions struct {
	Targets []string // only these steps and what they need; none for all
	Rerun   []string // steps to run though their result is cached
	// Accept says why a step cannot run at its [Step.Place], as mistakes in its attributes. It is
	// asked for steps that are to run, and not on this machine; nil accepts all of them.
	Accept func(s *Planned) error
}

// NewPlan orders the recipe's steps and gives each its verdict. It reads the
// store and the files that the recipe names, and changes nothing, except that the
// store keeps what tools said of their versions (see [Observations]).
func NewPlan(ctx context.Context, r *Recipe, store *store.Store, opt PlanOptions) (*Plan, error) {
	p := &Plan{Recipe: r, byID: make(map[string]*Planned, len(r.Steps)), observed: newObservations(store)}
	p.supposed.base = &p.outputs
	sorted, err := Order(r.Steps)
	if err != nil {
		return nil, err
	}
	wanted, err := closure(sorted, opt.Targets)
	if err != nil {
		return nil, err
	}
	rerun, err := match(sorted, opt.Rerun)
	if err != nil {
		return nil, err
	}
	for _, s := range sorted {
		if rerun[s.ID] && !wanted[s.ID] {
			return nil, &NoStepError{Name: s.ID, Steps: sorted, Targets: opt.Targets}
		}
	}
	lookups := newLookups(ctx, p, store)
	for _, s := range sorted {
		if !wanted[s.ID] {
			continue
		}
		if ctx.Err() != nil {
			break
		}
		j := &Planned{Step: s, rerun: rerun[s.ID]}
		p.Steps = append(p.Steps, j)
		p.byID[s.ID] = j
		lookups.await(s.Deps)
		p.judge(lookups, j)
	}
	mistakes := onceEach(lookups.end())
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(mistakes) == 0 {
		mistakes = p.checkOutputs()
	}
	if opt.Accept != nil {
		mistakes = append(mistakes, p.refused(opt.Accept)...)
	}
	return p, errors.Join(mistakes...)
}

// refused asks of the steps that are to run elsewhere whether they can.
func (p *Plan) refused(accept func(*Planned) error) (mistakes []error) {
	for _, s := range p.Steps {
		if s.Place == "" || s.Verdict == Cached {
			continue
		}
		if err := accept(s); err != nil {
			mistakes = append(mistakes, placed(s.Step, s.Attrs, mistake.Of(err)))
		}
	}
	return mistakes
}

// onceEach returns errors of which what a machine lacks is said once, for all steps.
func onceEach(all []error) (some []error) {
	said := map[string]*StepError{}
	for _, err := range all {
		e, ok := err.(*StepError)
		if !ok || !e.machine {
			some = append(some, err)
		} else if first := said[e.reason()]; first != nil {
			first.alike++
		} else {
			said[e.reason()] = e
			some = append(some, e)
		}
	}
	return some
}

// checkOutputs evaluates the recipe's outputs as far as they are known, for mistakes that
// show only now: sensitive values that must not be shown.
func (p *Plan) checkOutputs() (mistakes []error) {
	for _, o := range p.Recipe.Outputs {
		if slices.ContainsFunc(o.Deps, p.outputs.Guarded) {
			if _, err := o.Attr(&p.outputs); err != nil {
				mistakes = append(mistakes, err)
			}
		}
	}
	return mistakes
}

// Step returns the step with this ID, or nil.
func (p *Plan) Step(id string) *Planned { return p.byID[id] }

// Count returns how many steps have the verdict.
func (p *Plan) Count(v Verdict) int {
	n := 0
	for _, s := range p.Steps {
		if s.Verdict == v {
			n++
		}
	}
	return n
}

// AllCached reports whether nothing has to run.
func (p *Plan) AllCached() bool { return p.Count(Cached) == len(p.Steps) }

// Known returns the output of a step that is cached.
func (p *Plan) Known(id string) (json.RawMessage, bool) {
	return p.outputs.Known(id)
}

// Outputs returns the outputs of the steps that are cached.
func (p *Plan) Outputs() *Outputs { return &p.outputs }

// judge gives the plan's last step, whose dependencies have been judged, its verdict, or has
// it looked up.
func (p *Plan) judge(l *lookups, j *Planned) {
	last := len(p.Steps) - 1
	if err := p.evaluate(j); err != nil {
		l.fail(last, err)
	} else if j.Verdict == "" {
		l.begin(last, j)
	}
}

// evaluate evaluates a step's attributes. Where they wait for others, that is the verdict.
func (p *Plan) evaluate(j *Planned) (err error) {
	if j.Attrs, err = j.Step.Attrs(&p.outputs); err != nil {
		return err
	}
	if err := mayKeep(j.Step, j.Attrs); err != nil {
		return err
	}
	if revealing(j.Stage, j.Attrs) != "" {
		j.Secret = true
		p.outputs.Guard(j.ID)
	}
	if j.After = waitsFor(j.Attrs); len(j.After) > 0 {
		j.Verdict = Unknown
		return p.check(j)
	}
	return nil
}

// foresee notes what is foreseen of the output of a step all of whose attributes are known:
// nothing where one of them is a secret.
func (p *Plan) foresee(j *Planned) {
	if !secret(j.Stage, j.Attrs) {
		p.suppose(j, foresee(j.action.config, func(...string) bool { return true }))
	}
}

func (p *Plan) suppose(j *Planned, foreseen json.RawMessage) {
	if foreseen != nil {
		j.foreseen = true
		p.supposed.Suppose(j.ID, foreseen)
	}
}

// check reports the mistakes that can be told of a step before all its attributes are
// known, and notes what is foreseen of its output. It takes the outputs that are
// foreseen for true: nothing but mistakes follows from that, neither verdict nor key.
func (p *Plan) check(j *Planned) error {
	attrs := j.Attrs
	if slices.ContainsFunc(j.Deps, func(id string) bool { s := p.byID[id]; return s != nil && s.foreseen }) {
		var err error
		if attrs, err = j.Step.Attrs(&p.supposed); err != nil {
			return err
		}
	}
	values, unknown, perhaps := judged(attrs)
	if err := j.Stage.Check(values, unknown, perhaps...); err != nil {
		return attrErrors(j.Step, attrs, err)
	}
	config, ok := j.Stage.partial(values, unknown)
	if ok && !secret(j.Stage, attrs) {
		p.suppose(j, foresee(config, mistake.New(unknown...).Knows))
	}
	return ready(j.Step, attrs, config, unknown)
}

// judged returns attributes as [Stage.Check] takes them.
func judged(attrs Attrs) (values map[string]any, unknown []mistake.Path, perhaps []string) {
	values = make(map[string]any, len(attrs))
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		a := attrs[name]
		values[name] = a.Value
		if len(a.Unknown) > 0 && a.Value == nil && len(a.Parts) == 0 {
			unknown = append(unknown, mistake.Path{{Name: name}})
		}
		unknown = append(unknown, a.Parts...)
		if a.MayBeNull {
			perhaps = append(perhaps, name)
		}
	}
	return values, unknown, perhaps
}

// waitsFor returns the steps that unknown attributes wait for, in a stable order.
func waitsFor(attrs Attrs) []string {
	var ids []string
	for _, a := range attrs {
		ids = append(ids, a.Unknown...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// LastName is the name under which the store remembers what a step did last.
func (r *Recipe) LastName(step string) string { return r.Name + "/" + step }

// closure returns the IDs of the targets and of all they need; of all steps
// when there are no targets. The steps must be in order.
func closure(sorted []*Step, targets []string) (map[string]bool, error) {
	wanted, err := match(sorted, targets)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		for _, s := range sorted {
			wanted[s.ID] = true
		}
		return wanted, nil
	}
	for _, s := range slices.Backward(sorted) {
		if wanted[s.ID] {
			for _, d := range s.Deps {
				wanted[d] = true
			}
		}
	}
	return wanted, nil
}

// match returns the IDs that the names stand for: a step's own, or all
// instances of a step with for_each.
func match(steps []*Step, names []string) (map[string]bool, error) {
	ids := make(map[string]bool)
	if len(names) == 0 {
		return ids, nil
	}
	found := make(map[string]bool, len(names))
	for _, name := range names {
		found[name] = false
	}
	for _, s := range steps {
		for _, name := range []string{s.ID, s.Name()} {
			if _, ok := found[name]; ok {
				found[name], ids[s.ID] = true, true
			}
		}
	}
	for _, name := range names {
		if !found[name] {
			return nil, &NoStepError{Name: name, Steps: steps}
		}
	}
	return ids, nil
}

// NoStepError reports a name that no step of the recipe has, or a step to run
// again that the targets leave out.
type NoStepError struct {
	Name    string
	Steps   []*Step
	Targets []string // that leave out the step; none where there is no such step
}

func (e *NoStepError) Error() string {
	if len(e.Targets) > 0 {
		return fmt.Sprintf("step %s is to run again, but %s does not need it: name it as a target, too", e.Name, few(e.Targets))
	}
	return fmt.Sprintf("the recipe has no step %q", e.Name)
}

// few lists the first of some names.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
}
