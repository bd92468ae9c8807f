package hcl

import (
	"slices"

	"eyrie/hcl/internal/syntax"
)

// fold lets go of what will not be read again once a sound recipe is loaded: the trees of its
// files, and the expressions of the stages whose attributes are as they will ever be. They are
// a quarter of the memory of a plan of 10,000 steps.
func (r *recipe) fold() {
	for name, f := range r.files {
		r.files[name] = syntax.Fold(f, name)
	}
	for _, t := range r.texts {
		t.bodies = nil
	}
	for _, m := range r.root.all(nil) {
		m.twins = nil
		for _, s := range m.ordered {
			s.fold()
		}
	}
}

func (s *stage) fold() {
	s.node, s.retry, s.timeout, s.resources = nil, nil, nil, nil
	if slices.ContainsFunc(s.steps, func(st *step) bool { return st.config == nil }) {
		return
	}
	for _, a := range s.attrs {
		a.expr = nil
	}
}
