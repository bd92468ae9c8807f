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
	at := s.node.Body.Attributes["for_each"].NameRange
	m.warnf(at, "Instances that do the same", "Nothing that the stage %q takes refers to each.key or each.value, so that its %d instances have the same result, which is computed once. "+
		"Refer to each, or leave for_each out.", s.name, len(s.steps))
}

// warnSame warns of a module whose instances are all given the same.
func (m *module) warnSame(c *call) {
	if !c.many || len(c.modules) < 2 || m.failed() {
		return
	}
	for _, a := range c.arguments {
		if a.expr.dependsOnEach() {
			return
		}
	}
	at := c.node.Body.Attributes["for_each"].NameRange
	m.warnf(at, "Instances that do the same", "Nothing that the module %q is given refers to each.key or each.value, so that its %d instances have the same results, which are computed once. "+
		"Refer to each, or leave for_each out.", c.name, len(c.modules))
}

// dependsOnEach reports whether an expression is another one for each instance.
func (e *expr) dependsOnEach() bool {
	return e.each || e.bad || e.chosenByEach()
}

// warnf reports what is no mistake and hardly meant.
func (m *module) warnf(at hcl.Range, summary, format string, args ...any) {
	m.errorf(at, summary, format, args...)
	m.diags[len(m.diags)-1].Severity = hcl.DiagWarning
}
