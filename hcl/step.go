package hcl

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline"
)

// step is one instance of a stage.
type step struct {
	m     *module
	stage *stage
	id    string
	key   string    // of for_each
	each  cty.Value // what for_each holds for the key
	links []link
	fixed []*pipeline.Attr // of the stage's attributes, those that no output can change

	mu      sync.Mutex
	unknown cty.Value       // the output before there is one
	raw     json.RawMessage // the output last seen, and its value
	value   cty.Value
}

// link is why a step needs another one.
type link struct {
	to string
	at hcl.Range
}

// output returns a step's output as a value, unknown while there is none.
func (s *scope) output(st *step) cty.Value {
	raw, ok := s.known(st.id)
	st.mu.Lock()
	defer st.mu.Unlock()
	if ok {
		if st.raw != nil && bytes.Equal(raw, st.raw) { // at once where they are one and the same
			return st.value
		}
		if v, err := st.m.shapes.knownOutput(raw, st.stage.kind.Output, st.id); err == nil {
			st.raw, st.value = raw, v
			return v
		}
	}
	if st.unknown == cty.NilVal {
		st.unknown = st.m.shapes.unknownOutput(st.stage.kind.Output, st.id)
	}
	return st.unknown
}

// steps returns the steps of the recipe, in the order of the text.
func (m *module) steps() []*pipeline.Step {
	var all []*pipeline.Step
	for _, s := range m.ordered {
		for _, st := range s.steps {
			p := &pipeline.Step{ID: st.id, Stage: s.kind, Pos: pos(s.block.DefRange()), Attrs: st.evaluate, Policy: m.policy(st)}
			st.link()
			seen := make(map[string]bool, len(st.links))
			for _, l := range st.links {
				if !seen[l.to] {
					seen[l.to] = true
					p.Deps = append(p.Deps, l.to)
				}
			}
			all = append(all, p)
		}
	}
	return all
}

// link notes the steps that the step needs: those that its attributes refer
// to, and those of depends_on.
func (st *step) link() {
	value := false
	for _, a := range st.stage.attrs {
		st.linkTo(a.expr)
		value = value || a.expr.value
	}
	for _, e := range st.stage.dependsOn {
		st.linkTo(e)
	}
	if !value {
		return
	}
	if from := st.stage.mirrors; from != nil {
		st.links = append(st.links, link{from.byKey[st.key].id, st.stage.forEach.syntax.Range()})
	} else {
		st.linkTo(st.stage.forEach)
	}
}

func (st *step) linkTo(e *expr) {
	scope := st.m.bare.of(st)
	for r := range e.refs {
		for _, to := range scope.targets(r) {
			st.links = append(st.links, link{to.id, r.whole})
		}
	}
}

// evaluate is the step's [pipeline.Eval].
func (st *step) evaluate(known *pipeline.Outputs) (map[string]pipeline.Attr, error) {
	st.m.mu.Lock()
	defer st.m.mu.Unlock()
	scope := st.m.newScope(known, st)
	attrs := make(map[string]pipeline.Attr, len(st.stage.attrs))
	var all hcl.Diagnostics
	for i, a := range st.stage.attrs {
		result := st.fixed[i]
		shared := result != nil
		if !shared {
			var diags hcl.Diagnostics
			if shared = st.stage.many && !a.expr.each; shared {
				result, diags = scope.sharedAttr(a)
			} else {
				result, diags = scope.attr(a)
			}
			all = append(all, diags...)
		}
		if shared && result != nil && result != &leftOut {
			copied := *result
			copied.Value = copyTree(result.Value)
			result = &copied
		}
		if result != nil && result != &leftOut {
			attrs[a.field.Name] = *result
		}
	}
	if all.HasErrors() {
		return nil, newDiagnostics(all, st.m.files)
	}
	return attrs, nil
}

// leftOut stands for an attribute that is null, as if it were not written.
var leftOut pipeline.Attr

// varies tells whether outputs may change an attribute.
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
