package hcl

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/pipeline"
)

// scope is what expressions are evaluated in: the outputs that there are, and
// the instance whose each it is.
type scope struct {
	m       *module
	known   func(step string) (json.RawMessage, bool)
	guarded func(step string) bool // its output is known to be sensitive
	memory  *memory                // nil while instances are still being found out
	step    *step                  // nil outside of a stage
	locals  map[*local]cty.Value   // those evaluated here so far
}

// newScope makes a scope with the outputs that there are. The caller holds m.mu.
func (m *module) newScope(known *pipeline.Outputs, st *step) *scope {
	m.meter.Restart()
	return &scope{m: m, known: known.Known, guarded: known.Guarded, memory: m.remember(known), step: st, locals: make(map[*local]cty.Value)}
}

// of returns the scope of a step with the same outputs.
func (s *scope) of(st *step) *scope {
	return &scope{m: s.m, known: s.known, guarded: s.guarded, memory: s.memory, step: st, locals: s.locals}
}

// value evaluates an expression. After a mistake the value is broken.
func (s *scope) value(e *expr) (cty.Value, hcl.Diagnostics) {
	v, diags := s.partial(e)
	if diags.HasErrors() {
		return value.Broken, diags
	}
	return v, diags
}

// partial evaluates an expression as far as its mistakes allow.
func (s *scope) partial(e *expr) (v cty.Value, diags hcl.Diagnostics) {
	if e.bad {
		return value.Broken, nil
	}
	ctx := s.m.root.NewChild() // HCL keeps the state of an evaluation by its context
	if len(e.locals) > 0 || len(e.stages) > 0 || e.each {
		ctx.Variables = make(map[string]cty.Value, 3)
		if len(e.locals) > 0 {
			ctx.Variables["local"], diags = s.localValues(e.locals)
		}
		if len(e.stages) > 0 {
			ctx.Variables["stage"] = s.stageValues(e.stages)
		}
		if e.each {
			ctx.Variables["each"] = s.eachValue(e.value)
		}
		if diags.HasErrors() {
			return value.Broken, diags
		}
	}
	v, diags = s.m.bounded(e, func() (cty.Value, hcl.Diagnostics) { return e.syntax.Value(ctx) })
	if len(diags) > 0 {
		return v, s.m.explain(e, diags, s.secret(e))
	}
	if !syntax.MakesNothing(e.syntax) {
		return s.measured(e, v)
	}
	return v, nil
}

// secret reports whether anything sensitive takes part in an expression.
func (s *scope) secret(e *expr) bool {
	for _, v := range e.vars {
		if value.HoldsSensitive(v.value) {
			return true
		}
	}
	for _, l := range e.locals {
		if v, _ := s.local(l); value.HoldsSensitive(v) {
			return true
		}
	}
	for _, r := range e.stages {
		for _, st := range s.targets(r) {
			if st.secret || s.guarded(st.id) {
				return true
			}
		}
	}
	return e.value && s.step != nil && s.step.each != cty.NilVal && value.HoldsSensitive(s.element())
}

// bounded evaluates an expression within the limits on what that may take.
func (m *module) bounded(e *expr, evaluate func() (cty.Value, hcl.Diagnostics)) (v cty.Value, diags hcl.Diagnostics) {
	if m.meter.Exhausted() { // which was reported
		return value.Broken, nil
	}
	outer := m.meter.Begin()
	defer m.meter.End(outer)
	defer func() {
		r := recover()
		switch over := m.meter.Over(); { // which a function may have recovered from
		case over != nil:
			at := e.syntax.Range()
			v, diags = value.Broken, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Too much to evaluate", Subject: &at, Detail: over.Detail}}
		case r != nil:
			v, diags = value.Broken, m.internal(e, r)
		}
	}()
	m.meter.Spend(1+e.weight/2, "")
	return evaluate()
}

// measured holds a value against the limits on its size and its numbers, and reports one
// that nothing will ever make known.
func (s *scope) measured(e *expr, v cty.Value) (cty.Value, hcl.Diagnostics) {
	at := e.syntax.Range()
	size := value.Measure(v, budget.Value)
	switch {
	case size.Parts > budget.Value:
		return s.m.bounded(e, func() (cty.Value, hcl.Diagnostics) { s.m.meter.TooLarge(); return v, nil })
	case size.Huge:
		return value.Broken, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Number out of range", Subject: &at,
			Detail: "A number here is out of range. A number is less than 2^65536, and if it is not 0, more than 2^-65536."}}
	case size.Unknown && !s.waits(e) && !value.IsBroken(v):
		return value.Broken, neverKnown(e)
	}
	return s.m.bounded(e, func() (cty.Value, hcl.Diagnostics) {
		s.m.meter.Spend(size.Parts/16, "")
		s.m.meter.Keep(size.Parts)
		return v, nil
	})
}

// neverKnown reports an expression without a definite value although all that it refers
// to has one.
func neverKnown(e *expr) hcl.Diagnostics {
	at := e.syntax.Range()
	from := ""
	if names := syntax.Calls(e.syntax); len(names) > 0 {
		from = " It may be due to " + strings.Join(names, ", ") + "."
	}
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Never known", Subject: &at,
		Detail: "All that this refers to is known, and yet its value, or a part of it, is not: a null without a type leads to nothing definite." + from +
			" Give the null a type, as in tostring(null), or write a value in its place."}}
}

// internal reports a panic of the HCL libraries, at the expression that they
// cannot cope with.
func (m *module) internal(e *expr, cause any) hcl.Diagnostics {
	at := e.syntax.Range()
	return hcl.Diagnostics{{
		Severity: hcl.DiagError, Summary: "Expression cannot be evaluated", Subject: &at,
		Detail: fmt.Sprintf("This is a mistake in the evaluator, not in the recipe: %v. Please report it, and write the expression in another way.", cause),
	}}
}

func (s *scope) localValues(locals []*local) (cty.Value, hcl.Diagnostics) {
	var all hcl.Diagnostics
	values := make(map[string]cty.Value, len(locals))
	for _, l := range locals {
		v, diags := s.local(l)
		values[l.name] = v
		all = append(all, diags...)
	}
	return cty.ObjectVal(values), all
}

func (s *scope) local(l *local) (cty.Value, hcl.Diagnostics) {
	if l.value != cty.NilVal {
		return l.value, nil
	}
	if v, ok := s.locals[l]; ok {
		return v, nil
	}
	evaluate := func() (cty.Value, hcl.Diagnostics) { return s.of(nil).value(l.expr) }
	var v cty.Value
	var diags hcl.Diagnostics
	if s.memory != nil {
		v, diags = recall(s.memory.values, l.expr, s.memory.version(l.expr), evaluate)
	} else {
		v, diags = evaluate()
	}
	s.locals[l] = v
	return v, diags
}

// stageValues makes the object that stage is in an expression, with the stages
// and instances that the expression refers to and no others.
func (s *scope) stageValues(refs []stageRef) cty.Value {
	values := make(map[string]cty.Value, len(refs))
	var parts map[*stage]map[string]cty.Value // of stages of which some instances are referred to
	var whole []*stage
	for _, r := range refs {
		switch {
		case r.to.broken || r.to.kind == nil:
			values[r.to.name] = value.Broken
		case !r.to.many:
			values[r.to.name] = s.single(r.to)
		default:
			targets := s.targets(r)
			if s.memory != nil && len(targets) > 1 {
				whole = append(whole, r.to)
				continue
			}
			instances := parts[r.to]
			if instances == nil {
				if parts == nil {
					parts = make(map[*stage]map[string]cty.Value)
				}
				instances = make(map[string]cty.Value)
				parts[r.to] = instances
			}
			for _, st := range targets {
				if _, ok := instances[st.key]; !ok {
					instances[st.key] = s.output(st)
				}
			}
		}
	}
	for to, instances := range parts {
		values[to.name] = cty.ObjectVal(instances)
	}
	for _, to := range whole {
		values[to.name] = s.memory.instances(s, to)
	}
	return cty.ObjectVal(values)
}

// single returns the output of a stage without for_each, null where when drops it.
func (s *scope) single(to *stage) cty.Value {
	if len(to.steps) == 0 {
		return cty.NullVal(s.m.shapes[to.kind.Output])
	}
	return s.output(to.steps[0])
}

// targets returns the steps that a reference leads to.
func (s *scope) targets(r stageRef) []*step {
	if r.to.broken {
		return nil
	}
	if r.key != nil {
		if key, ok := s.key(r.key); ok {
			if st := r.to.byKey[key]; st != nil {
				return []*step{st}
			}
			return nil
		}
	}
	return r.to.steps
}

// key evaluates an instance's key; it is not ok while it depends on outputs.
func (s *scope) key(e *expr) (string, bool) {
	if e.each && s.step == nil {
		return "", false
	}
	v, diags := s.m.bare.of(s.step).value(e)
	v = value.Bare(v)
	if diags.HasErrors() || !v.IsKnown() || v.IsNull() || !v.Type().IsPrimitiveType() {
		return "", false
	}
	return cty.NormalizeString(value.TextOf(v)), true
}

// eachValue makes the object that each is.
func (s *scope) eachValue(withValue bool) cty.Value {
	if s.step == nil || s.step.each == cty.NilVal { // of a stage whose instances are not known
		return value.Broken
	}
	each := map[string]cty.Value{"key": cty.StringVal(s.step.key)}
	if withValue {
		each["value"] = s.element()
	}
	return cty.ObjectVal(each)
}

// element returns what the step's for_each holds for it, which may be another
// step's output.
func (s *scope) element() cty.Value {
	st := s.step
	switch {
	case st.stage.mirrors != nil:
		return s.output(st.stage.mirrors.byKey[st.key])
	case !st.stage.forEach.uses():
		return st.each
	}
	if s.memory == nil { // no output is known, as when each was made
		return st.each
	}
	if v, ok := s.memory.elements(s, st.stage)[st.key]; ok {
		return v
	}
	return st.each
}
