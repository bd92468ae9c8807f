package hcl

import (
	"bytes"
	"encoding/json"
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/value"
	"eyrie/pipeline"
)

// step is one instance of a stage.
type step struct {
	instance
	m     *module
	stage *stage
	id    string
	fixed []*pipeline.Attr // of the stage's attributes, those that no output can change

	config any // of one that is settled

	secret bool // its output is sensitive, as far as can be told before it is known

	mu      sync.Mutex
	unknown cty.Value       // the output before there is one
	raw     json.RawMessage // the output last seen, and its value
	adopted bool            // whether that was adopted
	value   cty.Value
}

// link is why a step needs another one.
type link struct {
	to string
	at hcl.Range
}

// output returns a step's output as a value, unknown while there is none.
func (s *scope) output(st *step) cty.Value {
	v := s.bareOutput(st)
	if st.secret || s.guarded(st.id) {
		return v.Mark(value.SensitiveMark{})
	}
	return v
}

// bareOutput is output but for whether it is sensitive.
func (s *scope) bareOutput(st *step) cty.Value {
	raw, ok := s.known(st.id)
	st.mu.Lock()
	defer st.mu.Unlock()
	if ok {
		adopted := s.adopted(st.id)
		if st.raw != nil && st.adopted == adopted && bytes.Equal(raw, st.raw) { // at once where they are one and the same
			return st.value
		}
		if v, err := st.m.shapes.Known(raw, st.stage.kind.Output, st.id, adopted); err == nil {
			st.raw, st.adopted, st.value = raw, adopted, v
			return v
		}
	}
	if !ok && raw != nil {
		if v, err := st.m.shapes.Foreseen(raw, st.stage.kind.Output, st.id); err == nil {
			return v
		}
	}
	if st.unknown == cty.NilVal {
		st.unknown = st.m.shapes.Unknown(st.stage.kind.Output, st.id)
	}
	return st.unknown
}

// plain adds the stage's steps to a list, as the pipeline takes them.
func (s *stage) plain(list []*pipeline.Step) []*pipeline.Step {
	for _, st := range s.steps {
		list = append(list, &pipeline.Step{ID: st.id, Stage: s.kind, Pos: diagnostic.Pos(s.node.DefRange()), Deps: st.deps(),
			Attrs: st.evaluate, Config: st.config, Reveal: s.reveal, Policy: st.policy()})
	}
	return list
}

// deps returns the steps that the step needs, without repeats. Instances that need
// the same ones share the list: as lists of their own, 2,000 instances that need
// 2,000 others took 500 MB.
func (st *step) deps() []string {
	s := st.stage
	if s.linked {
		return s.deps
	}
	var ids []string
	seen := make(map[string]bool)
	for l := range st.links {
		if !seen[l.to] {
			seen[l.to] = true
			ids = append(ids, l.to)
		}
	}
	ids = slices.Clip(ids)
	if s.alike() {
		s.deps, s.linked = ids, true
	}
	return ids
}

// links calls yield for each reason why the step needs another one: what its
// attributes refer to, and what depends_on does, its own and those of the modules around.
func (st *step) links(yield func(link) bool) {
	to := func(s *scope, e *expr) bool {
		for r := range e.refs(s.each) {
			for _, to := range s.targets(r) {
				if !yield(link{to.id, r.whole}) {
					return false
				}
			}
		}
		return true
	}
	scope := st.m.bare.with(&st.instance)
	for e := range st.stage.linking {
		if !to(scope, e) {
			return
		}
	}
	for _, e := range st.stage.dependsOn {
		if !scope.whole(e, yield) {
			return
		}
	}
	for m := st.m; m.in != nil; m = m.in {
		for _, e := range m.each.of.dependsOn {
			if !m.in.bare.with(m.each).whole(e, yield) {
				return
			}
		}
	}
}

// whole calls yield for each step of what an entry of depends_on names.
func (s *scope) whole(e *expr, yield func(link) bool) bool {
	for _, r := range e.stages {
		for _, to := range s.targets(r) {
			if !yield(link{to.id, r.whole}) {
				return false
			}
		}
	}
	for _, r := range e.modules {
		for _, m := range r.modules(s.each) {
			for _, inner := range m.all(nil) {
				for _, stage := range inner.ordered {
					for _, to := range stage.steps {
						if !yield(link{to.id, r.whole}) {
							return false
						}
					}
				}
			}
		}
	}
	return true
}

// linking calls yield for each expression whose values steps need.
func (s *stage) linking(yield func(*expr) bool) {
	for _, a := range s.attrs {
		if !yield(a.expr) {
			return
		}
	}
}

// alike returns whether all instances of the stage need the same steps.
func (s *stage) alike() bool {
	for e := range s.linking {
		if e.value && s.mirrors != nil || e.chosenByEach() {
			return false
		}
	}
	return !slices.ContainsFunc(s.dependsOn, (*expr).chosenByEach)
}

// chosenByEach returns whether e refers to one instance of a block for each of its own.
func (e *expr) chosenByEach() bool {
	return slices.ContainsFunc(e.stages, func(r stageRef) bool { return r.key != nil && r.key.each }) ||
		slices.ContainsFunc(e.modules, func(r moduleRef) bool { return r.key != nil && r.key.each })
}

// evaluate is the step's [pipeline.Eval]. The attributes of a step that is settled are the same
// each time, and not copied.
func (st *step) evaluate(known *pipeline.Outputs) (pipeline.Attrs, error) {
	attrs := make(pipeline.Attrs, len(st.stage.attrs))
	if st.config != nil {
		for i, a := range st.stage.attrs {
			if st.fixed[i] != &leftOut {
				attrs[a.field.Name] = st.fixed[i]
			}
		}
		return attrs, nil
	}
	st.m.mu.Lock()
	defer st.m.mu.Unlock()
	scope := st.m.newScope(known, &st.instance)
	var all hcl.Diagnostics
	for i, a := range st.stage.attrs {
		result := st.fixed[i]
		shared := result != nil
		if !shared {
			var diags hcl.Diagnostics
			switch shared = true; {
			case a.twin != nil:
				result, diags = scope.pairedAttr(a)
			case st.stage.many && !a.expr.each:
				result, diags = scope.sharedAttr(a)
			default:
				result, diags = scope.attr(a)
				shared = false
			}
			all = append(all, diags...)
		}
		if shared && result != nil && result != &leftOut {
			copied := *result
			copied.Value = copyTree(result.Value)
			result = &copied
		}
		if result != nil && result != &leftOut {
			attrs[a.field.Name] = result
		}
	}
	if all.HasErrors() {
		return nil, st.m.shown(all)
	}
	return attrs, nil
}

// leftOut stands for an attribute that is null, as if it were not written.
var leftOut pipeline.Attr

// varies reports whether outputs may change an attribute.
func (st *step) varies(a *attribute) bool {
	return a.expr.uses() || a.expr.value && st.stage.forEach.uses()
}

// copyTree returns a tree that shares no lists and maps with the one given.
func copyTree(tree any) any {
	switch v := tree.(type) {
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = copyTree(v[i])
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for k := range v {
			all[k] = copyTree(v[k])
		}
		return all
	case pipeline.Traced:
		v.Value = copyTree(v.Value)
		return v
	}
	return tree
}
