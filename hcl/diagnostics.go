package hcl

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Diagnostics are the mistakes found in a recipe, in the order of the text,
// with what is needed to show them. They are an error when there is any.
type Diagnostics struct {
	list  hcl.Diagnostics
	files map[string]*hcl.File
}

// Diagnostic is one mistake, for machines.
type Diagnostic struct {
	Severity string `json:"severity"` // "error" or "warning"
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	Range    *Range `json:"range,omitempty"`   // the text at fault
	Snippet  string `json:"snippet,omitempty"` // the lines it is on
}

// Range is a part of a file. Lines and columns count from 1, bytes from 0.
type Range struct {
	File  string   `json:"file"`
	Start Position `json:"start"`
	End   Position `json:"end"`
}

// Position is a place in a file.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"` // in characters
	Byte   int `json:"byte"`
}

// HasErrors reports whether there is any error.
func (d Diagnostics) HasErrors() bool { return d.list.HasErrors() }

// Len returns how many there are.
func (d Diagnostics) Len() int { return len(d.list) }

// All returns the diagnostics for machines.
func (d Diagnostics) All() []Diagnostic {
	all := make([]Diagnostic, len(d.list))
	for i, h := range d.list {
		all[i] = Diagnostic{Severity: severity(h), Summary: h.Summary, Detail: h.Detail}
		if h.Subject != nil {
			all[i].Range = &Range{h.Subject.Filename, Position(h.Subject.Start), Position(h.Subject.End)}
			all[i].Snippet = d.lines(*h.Subject)
		}
	}
	return all
}

func severity(d *hcl.Diagnostic) string {
	if d.Severity == hcl.DiagWarning {
		return "warning"
	}
	return "error"
}

// lines returns the source lines that a range lies on.
func (d Diagnostics) lines(r hcl.Range) string {
	f := d.files[r.Filename]
	if f == nil || r.Start.Byte > len(f.Bytes) || r.End.Byte > len(f.Bytes) {
		return ""
	}
	begin := bytes.LastIndexByte(f.Bytes[:r.Start.Byte], '\n') + 1
	end := len(f.Bytes)
	if i := bytes.IndexByte(f.Bytes[r.End.Byte:], '\n'); i >= 0 {
		end = r.End.Byte + i
	}
	return strings.TrimRight(string(f.Bytes[begin:max(begin, end)]), "\r\n")
}

// Error returns the first mistake in a line, and how many more there are.
func (d Diagnostics) Error() string {
	if len(d.list) == 0 {
		return "no mistakes"
	}
	first := d.list[0]
	s := first.Summary
	if first.Subject != nil {
		s = pos(*first.Subject) + ": " + s
	}
	if first.Detail != "" {
		s += ": " + first.Detail
	}
	if n := len(d.list) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// pos returns where a range begins, as "paper.hcl:41".
func pos(r hcl.Range) string { return r.Filename + ":" + strconv.Itoa(r.Start.Line) }

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

// diagnostics returns what was reported: in the order of the text, without
// repeats.
func (m *module) diagnostics() Diagnostics { return newDiagnostics(m.diags, m.files) }

func newDiagnostics(diags hcl.Diagnostics, files map[string]*hcl.File) Diagnostics {
	type key struct {
		at              hcl.Range
		summary, detail string
	}
	seen := make(map[key]bool, len(diags))
	var list hcl.Diagnostics
	for _, d := range diags {
		k := key{summary: d.Summary, detail: d.Detail}
		if d.Subject != nil {
			k.at = *d.Subject
		}
		if !seen[k] {
			seen[k] = true
			list = append(list, d)
		}
	}
	slices.SortStableFunc(list, func(a, b *hcl.Diagnostic) int {
		if a.Subject == nil || b.Subject == nil {
			return cmp.Compare(b2i(a.Subject != nil), b2i(b.Subject != nil))
		}
		return cmp.Or(cmp.Compare(a.Subject.Filename, b.Subject.Filename), cmp.Compare(a.Subject.Start.Byte, b.Subject.Start.Byte))
	})
	return Diagnostics{list, files}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
