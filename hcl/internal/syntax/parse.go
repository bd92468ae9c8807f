// Package syntax reads the text of recipes, and finds what is written where in the
// trees that the parser makes of it. It never changes these trees.
package syntax

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Parse parses a file. It returns as much as can be read of a text with mistakes; where
// that is nothing, the file has no body.
func Parse(src []byte, filename string) (*hcl.File, hcl.Diagnostics) {
	for _, check := range unreadable {
		if diag := check(src, filename); diag != nil {
			return &hcl.File{Bytes: src}, hcl.Diagnostics{diag}
		}
	}
	file, diags := parse(src, filename)
	return file, withoutCascade(diags, src)
}

// unreadable tell text that the parser would take long to read, or fail to.
var unreadable = []func(src []byte, filename string) *hcl.Diagnostic{TooDeep, TooLong}

// BodyOf returns a file's body, nil where nothing of it could be read.
func BodyOf(f *hcl.File) *hclsyntax.Body {
	body, _ := f.Body.(*hclsyntax.Body)
	return body
}

// NotText returns the first line that has a zero byte, or one that is part of no
// character in UTF-8, if there is any.
func NotText(src []byte) (line int, bad bool) {
	if utf8.Valid(src) && bytes.IndexByte(src, 0) < 0 {
		return 0, false
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(src[at:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return 1 + bytes.Count(src[:at], []byte("\n")), true
		}
		at += size
	}
}

// withoutCascade leaves out what follows from a quote that is missing: the
// parser takes all the rest of the file for a string, and objects to each line.
func withoutCascade(diags hcl.Diagnostics, src []byte) hcl.Diagnostics {
	i := slices.IndexFunc(diags, func(d *hcl.Diagnostic) bool { return d.Summary == "Invalid multi-line string" })
	if i < 0 {
		return diags
	}
	diags[i].Summary = "Unclosed string"
	diags[i].Detail = "A quote is missing at the end. Text of several lines is written between <<-END and END; \\n is a line's end within quotes."
	if at, open := openTemplate(src, diags[i].Subject); open {
		diags[i].Summary = "Unclosed ${"
		diags[i].Subject = &at
		diags[i].Detail = "The closing brace is missing: a value in text is written as ${…}."
	}
	return diags[:i+1]
}

// openTemplate returns the last ${ in a line before a place which nothing closes.
func openTemplate(src []byte, at *hcl.Range) (hcl.Range, bool) {
	if at == nil || at.Start.Byte > len(src) {
		return hcl.Range{}, false
	}
	begin := bytes.LastIndexByte(src[:at.Start.Byte], '\n') + 1
	start := hcl.Pos{Line: at.Start.Line, Column: 1, Byte: begin}
	tokens, _ := hclsyntax.LexConfig(src[begin:at.Start.Byte], at.Filename, start) // which is about a part of the text
	var open []hcl.Range
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			open = append(open, t.Range)
		case hclsyntax.TokenTemplateSeqEnd:
			open = open[:max(len(open)-1, 0)]
		}
	}
	if len(open) == 0 {
		return hcl.Range{}, false
	}
	return open[len(open)-1], true
}

// ParseExpression parses an expression, or says what is wrong first.
func ParseExpression(text, source string) (hclsyntax.Expression, *hcl.Diagnostic) {
	for _, check := range unreadable {
		if diag := check([]byte(text), source); diag != nil {
			return nil, diag
		}
	}
	e, diags := hclsyntax.ParseExpression([]byte(text), source, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags[0]
	}
	return e, nil
}
