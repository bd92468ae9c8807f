package hcl

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"eyrie/hcl/diagnostic"
	"eyrie/pipeline"
)

// order reports a cycle among the steps, with the text that makes each of them
// need the next.
func (r *recipe) order(steps []*pipeline.Step) {
	_, err := pipeline.Order(steps)
	var cycle *pipeline.CycleError
	if !errors.As(err, &cycle) {
		if err != nil && !r.failed() { // else a step may be missing for a mistake in it
			r.report(nil, "Steps cannot be ordered", "%s.", err)
		}
		return
	}
	byID := make(map[string]*step)
	for _, m := range r.root.all(nil) {
		for _, s := range m.ordered {
			for _, st := range s.steps {
				byID[st.id] = st
			}
		}
	}
	var b strings.Builder
	var at hcl.Range
	for i, s := range cycle.Steps {
		next := cycle.Steps[(i+1)%len(cycle.Steps)]
		l := byID[s.ID].reason(next.ID)
		if i == 0 {
			at = l.at
		}
		fmt.Fprintf(&b, "\n  %s needs %s: %s at %s", s.ID, next.ID, r.source(l.at), diagnostic.Pos(l.at))
	}
	if len(cycle.Steps) == 1 {
		r.report(&at, "Step needs itself", "The step %s refers to its own output.", cycle.Steps[0].ID)
		return
	}
	r.report(&at, "Cycle", "These steps wait for each other:%s", b.String())
}

// reason returns why the step needs another.
func (st *step) reason(id string) link {
	for l := range st.links {
		if l.to == id {
			return l
		}
	}
	panic("hcl: no link from " + st.id + " to " + id)
}
