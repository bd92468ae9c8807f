package hcl

import (
	"cmp"
	"iter"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// attr evaluates an attribute. One that is null is nil, as if it were not written. Parts
// with a mistake count as unknown, as does an attribute that cannot be evaluated at all.
func (s *scope) attr(a *attribute) (*pipeline.Attr, hcl.Diagnostics) {
	v, diags := s.partial(a.expr)
	if plain, _ := v.Unmark(); plain.IsNull() && !a.field.Type.Nullable && !a.field.Required {
		return nil, diags
	}
	c := value.Convert(v, a.field, s.m.dir)
	mistakes := append(diags, faults(a.expr, c.Faults)...)
	if c.Broken || diags.HasErrors() { // written, whatever it is
		return &pipeline.Attr{Parts: []mistake.Path{{{Name: a.field.Name}}}, Pos: a.pos}, mistakes
	}
	result := s.result(c, a.expr, a.pos)
	for _, f := range c.Faults {
		result.Parts = append(result.Parts, f.At)
	}
	return result, mistakes
}

// sharedAttr evaluates an attribute that is the same for all instances of a stage.
func (s *scope) sharedAttr(a *attribute) (*pipeline.Attr, hcl.Diagnostics) {
	k := s.memory
	return recall(k.attrs, a, k.version(a.expr.blocks()), func() (*pipeline.Attr, hcl.Diagnostics) { return s.attr(a) })
}

// result is what an expression became, with the steps that it waits for.
func (s *scope) result(c value.Result, e *expr, pos string) *pipeline.Attr {
	r := &pipeline.Attr{Value: c.Tree, Sensitive: c.Sensitive, Origins: c.Origins, Pos: pos, Parts: c.Parts, MayBeNull: c.MayBeNull, Unknown: c.Waits}
	if len(c.Parts) > 0 && (c.Blind || len(c.Waits) == 0) {
		r.Unknown = s.missing(e)
	}
	return r
}

// missing returns the steps without output that an expression refers to. It is asked
// where the unknown value itself does not say what it waits for.
func (s *scope) missing(e *expr) []string {
	ids := make(map[string]bool)
	for id := range s.awaited(e) {
		ids[id] = true
	}
	return word.Keys(ids)
}

// waits reports whether an expression refers to a step without output. It looks no
// further than the first: each of thousands of instances may refer to thousands of steps.
func (s *scope) waits(e *expr) bool {
	for range s.awaited(e) {
		return true
	}
	return false
}

// awaited yields the steps without output that an expression refers to.
func (s *scope) awaited(e *expr) iter.Seq[string] {
	return func(yield func(string) bool) {
		for r := range e.refs(s.each) {
			for _, st := range s.targets(r) {
				if !s.has(st.id) && !yield(st.id) {
					return
				}
			}
		}
	}
}

func (s *scope) has(id string) bool {
	_, ok := s.known(id)
	return ok
}

// faults turns faults into diagnostics, each at the part of the attribute's
// text that it is about.
func faults(e *expr, all []value.Fault) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, f := range all {
		at := syntax.Inner(e.syntax, f.At, f.Name).Range()
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: f.Summary, Detail: f.Detail, Subject: &at})
	}
	return diags
}

// check evaluates an attribute before anything has run, and reports mistakes:
// for the first instance that has any.
func (m *module) check(st *step, a *attribute) *pipeline.Attr {
	if a.failed {
		return nil
	}
	if a.result != nil {
		return a.result
	}
	if a.twin != nil && a.twin.sound {
		a.result = a.like(a.twin.result)
		return a.result
	}
	result, diags := m.bare.with(&st.instance).attr(a)
	m.add(diags)
	a.failed = diags.HasErrors()
	a.sound = result != nil && len(diags) == 0
	if result != nil && !a.expr.each {
		a.result = result
	}
	return result
}

// checkStage checks the attributes of all instances of a stage. Where a mistake hides
// which instances there are, one stands for them.
func (m *module) checkStage(s *stage) {
	if s.kind == nil {
		return
	}
	steps := s.steps
	if s.broken {
		steps = []*step{{instance: instance{of: &s.block}, m: m, stage: s}}
	}
	for _, st := range steps {
		c := candidate{stage: s, values: make(map[string]any, len(s.attrs))}
		st.fixed = make([]*pipeline.Attr, len(s.attrs))
		for i, a := range s.attrs {
			result := m.check(st, a)
			if result != nil && result.Sensitive && a.field.Key {
				m.reveals(st, a)
			}
			if !a.failed && !st.varies(a) {
				st.fixed[i] = cmp.Or(result, &leftOut)
			}
			switch {
			case result != nil:
				c.values[a.field.Name] = result.Value
				c.unknown = append(c.unknown, result.Parts...)
				if result.Sensitive {
					c.secrets = append(c.secrets, a.field.Name)
				}
				if result.MayBeNull {
					c.perhaps = append(c.perhaps, a.field.Name)
				}
			case a.failed || a.expr.bad:
				c.unknown = append(c.unknown, mistake.Path{{Name: a.field.Name}})
			}
		}
		if !s.broken && !m.partial {
			for _, f := range missing(s) { // as was reported
				c.unknown = append(c.unknown, mistake.Path{{Name: f.Name}})
			}
			if len(c.unknown) == 0 && st.settled() {
				c.step = st
			}
			m.candidates = append(m.candidates, c)
		}
	}
}

// settled reports whether the step's attributes are what they will be whatever outputs
// there are, and name no file, which is looked at later.
func (st *step) settled() bool {
	for i, a := range st.stage.attrs {
		if st.fixed[i] == nil || a.field.Type.Holds(pipeline.File) {
			return false
		}
	}
	return true
}

// reveals notes that a step's output may depend on a sensitive attribute, and reports it
// where the block does not say that it may.
func (m *module) reveals(st *step, a *attribute) {
	if !st.secret {
		st.secret = true
		clear(m.bare.values) // which may have been made of the output
	}
	if !st.stage.reveal && !a.failed {
		a.failed = true
		m.errorf(a.expr.syntax.Range(), "Sensitive attribute", "%s %s.", a.field.Name, pipeline.ErrReveals)
	}
}

// missing returns the attributes that a stage needs and that are not written.
func missing(s *stage) (fields []*pipeline.Field) {
	for i := range s.kind.Config.Fields {
		f := &s.kind.Config.Fields[i]
		if f.Required && !slices.ContainsFunc(s.attrs, func(a *attribute) bool { return a.field == f }) {
			fields = append(fields, f)
		}
	}
	return fields
}
