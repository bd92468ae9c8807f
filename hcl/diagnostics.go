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

// errorf reports a mistake at a place in the recipe.
func (m *module) errorf(at hcl.Range, summary, format string, args ...any) {
	m.report(&at, summary, format, args...)
}

// report reports a mistake, at nil where it is not in a file.
func (m *module) report(at *hcl.Range, summary, format string, args ...any) {
	m.diags = append(m.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: at,
	})
}

func (m *module) failed() bool { return m.diags.HasErrors() }

// diagnostics returns what was reported.
func (m *module) diagnostics() Diagnostics { return diagnostic.New(m.diags, m.files) }
