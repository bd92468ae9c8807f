package hcl

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"

	"eyrie/hcl/diagnostic"
)

// Diagnostics are the mistakes found in a recipe, in the order of the text. They
// are an error when there is any.
type Diagnostics = diagnostic.List

// What diagnostics consist of, for machines.
type (
	Diagnostic = diagnostic.Diagnostic
	Range      = diagnostic.Range
	Position   = diagnostic.Position
)

// report reports a mistake, at nil where it is not in a file.
func (r *recipe) report(at *hcl.Range, summary, format string, args ...any) {
	r.diags = append(r.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: at,
	})
}

func (r *recipe) failed() bool { return r.diags.HasErrors() }

// errorf reports a mistake at a place in the module.
func (m *module) errorf(at hcl.Range, summary, format string, args ...any) {
	m.add(hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: &at}})
}

// add reports mistakes.
func (m *module) add(diags hcl.Diagnostics) { m.diags = append(m.diags, m.own(diags)...) }

// own notes in diagnostics which module they are from, unless that is known.
func (m *module) own(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		if _, known := d.Extra.(*module); !known {
			d.Extra = m
		}
	}
	return diags
}

// diagnostics returns what was reported.
func (r *recipe) diagnostics() Diagnostics { return r.shown(r.diags) }

// shown returns diagnostics as people read them. What modules that are made of one text
// have wrong in common is shown once, with the block that the first of them comes from.
func (r *recipe) shown(diags hcl.Diagnostics) Diagnostics {
	type mistake struct {
		at      hcl.Range
		summary string
	}
	first := make(map[mistake]*module)
	var all hcl.Diagnostics
	for _, d := range diags {
		m, _ := d.Extra.(*module)
		if m == nil || m.each == nil || d.Subject == nil || !m.has(d.Subject.Filename) {
			all = append(all, d)
			continue
		}
		k := mistake{*d.Subject, d.Summary}
		if first[k] == nil {
			first[k] = m
		}
		if first[k] == m {
			noted := *d
			noted.Detail += "\n\nIt is part of " + m.name() + ", declared at " + diagnostic.Pos(m.each.of.node.DefRange()) + "."
			all = append(all, &noted)
		}
	}
	return diagnostic.New(all, r.files)
}
