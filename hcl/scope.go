package hcl

import (
	"cmp"
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

// scope is what expressions are evaluated in: the names of a module, the instance whose
// each it is, and the outputs that there are.
type scope struct {
	*view
	m    *module
	each *instance // nil outside of a block with instances
}

// view is the outputs that there are, and what names come to with these.
type view struct {
	known   func(step string) (json.RawMessage, bool)
	guarded func(step string) bool // its output is known to be sensitive
	adopted func(step string) bool // its output was not made by its stage
	memory  *memory                // nil while instances are still being found out
	values  map[*named]cty.Value   // of the names evaluated so far
}

// newScope makes a scope with the outputs that there are. The caller holds m.mu.
func (m *module) newScope(known *pipeline.Outputs, each *instance) *scope {
	m.meter.Restart()
	return &scope{&view{known: known.Known, guarded: known.Guarded, adopted: known.Adopted, memory: m.remember(known), values: make(map[*named]cty.Value)}, m, each}
}

// with returns the scope of an instance with the same outputs.
func (s *scope) with(each *instance) *scope { return &scope{s.view, s.m, each} }

// in returns the scope of a module, outside of its blocks, with the same outputs.
func (s *scope) in(m *module) *scope { return &scope{s.view, m, nil} }

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
	if e.refers() {
		if ctx.Variables, diags = s.variables(e); diags.HasErrors() {
			return value.Broken, diags
		}
	}
	v, diags = s.m.bounded(e, func() (cty.Value, hcl.Diagnostics) {
		v, diags := e.syntax.Value(ctx)
		if e.listed {
			v = value.Listed(v, budget.Steps)
		}
		return v, diags
	})
	switch {
	case len(diags) > 0:
		diags = s.m.explain(e, diags, s.secret(e))
	case !syntax.MakesNothing(e.syntax):
		v, diags = s.measured(e, v)
	}
	return v, s.m.own(diags)
}

// variables returns what the names that an expression refers to stand for.
func (s *scope) variables(e *expr) (map[string]cty.Value, hcl.Diagnostics) {
	all := make(map[string]cty.Value, 3)
	var diags, more hcl.Diagnostics
	if len(e.vars) > 0 && s.m.in != nil {
		vars := make(map[string]cty.Value, len(e.vars))
		for _, v := range e.vars {
			vars[v.name], more = s.named(v.named)
			diags = append(diags, more...)
		}
		all["var"] = cty.ObjectVal(vars)
	}
	if len(e.locals) > 0 {
		locals := make(map[string]cty.Value, len(e.locals))
		for _, l := range e.locals {
			locals[l.name], more = s.named(&l.named)
			diags = append(diags, more...)
		}
		all["local"] = cty.ObjectVal(locals)
	}
	if len(e.stages) > 0 {
		all["stage"] = s.stageValues(e.stages)
	}
	if len(e.modules) > 0 {
		all["module"], more = s.moduleValues(e.modules)
		diags = append(diags, more...)
	}
	if e.each {
		all["each"], more = s.eachValue(e.value)
		diags = append(diags, more...)
	}
	return all, diags
}

// secret reports whether anything sensitive takes part in an expression.
func (s *scope) secret(e *expr) bool {
	for n := range e.names {
		if v, _ := s.named(n); value.HoldsSensitive(v) {
			return true
		}
	}
	for _, r := range e.modules {
		for _, m := range r.modules(s.each) {
			if v, _ := m.result(s, r.outputs); value.HoldsSensitive(v) {
				return true
			}
		}
	}
	for _, r := range e.stages {
		for _, st := range s.targets(r) {
			if st.secret || s.guarded(st.id) {
				return true
			}
		}
	}
	if !e.value || s.each == nil || s.each.each == cty.NilVal {
		return false
	}
	v, _ := s.element()
	return value.HoldsSensitive(v)
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

// named returns what a name comes to.
func (s *scope) named(n *named) (cty.Value, hcl.Diagnostics) {
	if n.value != cty.NilVal {
		return n.value, nil
	}
	if v, ok := s.values[n]; ok {
		return v, nil
	}
	evaluate := func() (cty.Value, hcl.Diagnostics) { return n.evaluate(s) }
	var v cty.Value
	var diags hcl.Diagnostics
	if s.memory != nil {
		v, diags = recall(s.memory.values, n, s.memory.version(n.blocks()), evaluate)
	} else {
		v, diags = evaluate()
	}
	s.values[n] = v
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
		if key, ok := s.key(r.key, cmp.Or(r.each, s.each)); ok {
			if i, ok := r.to.byKey[key]; ok {
				return r.to.steps[i : i+1]
			}
			return nil
		}
	}
	return r.to.steps
}

// moduleValues makes the object that module is in an expression, with the modules, instances
// and outputs that the expression refers to and no others.
func (s *scope) moduleValues(refs []moduleRef) (cty.Value, hcl.Diagnostics) {
	values := make(map[string]cty.Value, len(refs))
	parts := make(map[*call]map[string]map[string]cty.Value) // outputs by instance
	var all hcl.Diagnostics
	for _, r := range refs {
		switch {
		case r.to.broken:
			values[r.to.name] = value.Broken
			continue
		case !r.to.many && len(r.to.modules) == 0:
			values[r.to.name] = cty.NullVal(cty.DynamicPseudoType)
			continue
		case r.to.many && r.key == nil && r.outputs == nil && s.memory != nil:
			var diags hcl.Diagnostics
			values[r.to.name], diags = s.named(r.to.everything())
			all = append(all, diags...)
			continue
		}
		instances := parts[r.to]
		if instances == nil {
			instances = make(map[string]map[string]cty.Value)
			parts[r.to] = instances
		}
		for _, m := range r.modules(s.each) {
			outputs := instances[m.each.key]
			if outputs == nil {
				outputs = make(map[string]cty.Value)
				instances[m.each.key] = outputs
			}
			all = append(all, m.results(s, r.outputs, outputs)...)
		}
	}
	for to, instances := range parts {
		if _, whole := values[to.name]; whole {
			continue
		}
		values[to.name] = objectOf(to, instances)
	}
	return cty.ObjectVal(values), all
}

// objectOf makes a module's object of its outputs by instance.
func objectOf(c *call, instances map[string]map[string]cty.Value) cty.Value {
	if !c.many {
		return cty.ObjectVal(instances[""])
	}
	values := make(map[string]cty.Value, len(instances))
	for key, outputs := range instances {
		values[key] = cty.ObjectVal(outputs)
	}
	return cty.ObjectVal(values)
}

// key evaluates an instance's key; it is not ok while it depends on outputs.
func (s *scope) key(e *expr, each *instance) (string, bool) {
	if e.each && each == nil {
		return "", false
	}
	v, diags := e.m.bare.with(each).value(e)
	v = value.Bare(v)
	if diags.HasErrors() || !v.IsKnown() || v.IsNull() || !v.Type().IsPrimitiveType() {
		return "", false
	}
	return cty.NormalizeString(value.TextOf(v)), true
}

// eachValue makes the object that each is, once where no output can change it.
func (s *scope) eachValue(withValue bool) (cty.Value, hcl.Diagnostics) {
	i := s.each
	if i == nil || i.each == cty.NilVal { // of a block whose instances are not known
		return value.Broken, nil
	}
	if i.object != cty.NilVal {
		return i.object, nil
	}
	each := map[string]cty.Value{"key": cty.StringVal(i.key)}
	if !i.of.forEach.uses() {
		each["value"] = i.each
		i.object = cty.ObjectVal(each)
		return i.object, nil
	}
	var diags hcl.Diagnostics
	if withValue {
		each["value"], diags = s.element()
	}
	return cty.ObjectVal(each), diags
}

// element returns what for_each holds for the scope's instance, which may be another
// step's output.
func (s *scope) element() (cty.Value, hcl.Diagnostics) {
	b := s.each.of
	switch {
	case b.mirrors != nil && b.mirrors.call != nil:
		from := b.mirrors.call
		return from.modules[from.byKey[s.each.key]].result(s, nil)
	case b.mirrors != nil:
		from := b.mirrors.stage
		return s.output(from.steps[from.byKey[s.each.key]]), nil
	case !b.forEach.uses() || s.memory == nil: // or no output is known, as when each was made
		return s.each.each, nil
	}
	if v, ok := s.memory.elements(s.in(b.m), b)[s.each.key]; ok {
		return v, nil
	}
	return s.each.each, nil
}
