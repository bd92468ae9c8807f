package hcl

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// warnAlike warns of a stage whose instances all do the same: for_each with nothing in
// the block that depends on each.
func (m *module) warnAlike(s *stage) {
	if !s.many || len(s.steps) < 2 || m.failed() { // mistakes come first
		return
	}
	if slices.ContainsFunc(s.attrs, func(a *attribute) bool { return a.expr.dependsOnEach() }) {
		return
	}
	at := s.block.Body.Attributes["for_each"].NameRange
	m.warnf(at, "Instances that do the same", "Nothing that the stage %q takes refers to each.key or each.value, so that its %d instances have the same result, which is computed once. "+
		"Refer to each, or leave for_each out.", s.name, len(s.steps))
}

// dependsOnEach reports whether an expression is another one for each instance.
func (e *expr) dependsOnEach() bool {
	return e.each || e.bad || slices.ContainsFunc(e.stages, func(r stageRef) bool { return r.key != nil && r.key.each })
}

// warnf reports what is no mistake and hardly meant.
func (m *module) warnf(at hcl.Range, summary, format string, args ...any) {
	m.errorf(at, summary, format, args...)
	m.diags[len(m.diags)-1].Severity = hcl.DiagWarning
}
