// Package diagnostic shows the mistakes of a recipe's author: to people, with the
// text at fault underlined, and to machines.
package diagnostic

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// List is the mistakes found in a recipe, in the order of the text,
// with what is needed to show them. It is an error when there is any.
type List struct {
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

// Position is a place in a file, as HCL counts.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"` // in characters as people see them (grapheme clusters)
	Byte   int `json:"byte"`
}

// HasErrors reports whether there is any error.
func (d List) HasErrors() bool { return d.list.HasErrors() }

// Len returns how many there are.
func (d List) Len() int { return len(d.list) }

// most is how many mistakes are shown.
const most = 50

// Brief returns the first mistakes, as many as somebody may want to read, and in the end how
// many more there are.
func (d List) Brief() List {
	if len(d.list) <= most {
		return d
	}
	more := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: fmt.Sprintf("and %d more mistakes", len(d.list)-most),
		Detail: "They may follow from those above."}
	return List{append(d.list[:most:most], more), d.files}
}

// All returns the diagnostics for machines.
func (d List) All() []Diagnostic {
	all := make([]Diagnostic, len(d.list))
	for i, h := range d.list {
		all[i] = Diagnostic{Severity: severity(h), Summary: h.Summary, Detail: h.Detail}
		if h.Subject != nil {
			at := RangeOf(*h.Subject)
			all[i].Range = &at
			all[i].Snippet = d.lines(*h.Subject)
		}
	}
	return all
}

// RangeOf returns one of the parser's ranges.
func RangeOf(r hcl.Range) Range { return Range{r.Filename, Position(r.Start), Position(r.End)} }

func severity(d *hcl.Diagnostic) string {
	if d.Severity == hcl.DiagWarning {
		return "warning"
	}
	return "error"
}

// lines returns the source lines that a range lies on.
func (d List) lines(r hcl.Range) string {
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
func (d List) Error() string {
	if len(d.list) == 0 {
		return "no mistakes"
	}
	first := d.list[0]
	s := first.Summary
	if first.Subject != nil {
		s = Pos(*first.Subject) + ": " + s
	}
	if first.Detail != "" {
		s += ": " + first.Detail
	}
	if n := len(d.list) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// Pos returns where a range begins, as "paper.hcl:41".
func Pos(r hcl.Range) string { return r.Filename + ":" + strconv.Itoa(r.Start.Line) }

// New returns diagnostics, which are about the files by their names: in the order of
// the text, without repeats.
func New(diags hcl.Diagnostics, files map[string]*hcl.File) List {
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
	return List{list, files}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
