package diagnostic

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/mattn/go-runewidth"
	"github.com/mitchellh/go-wordwrap"
)

// Write writes every diagnostic with the text at fault underlined:
//
//	Error: Unknown attribute
//
//	  on paper.hcl line 12, in stage "evolve" "raptornet":
//	  12:   suprnet = stage.supernet.weights
//	        ^^^^^^^
//
//	A stage "evolve" has no attribute "suprnet". Did you mean "supernet"?
//
// Sentences are wrapped to the width, unless it is 0; color adds ANSI escapes.
func (d List) Write(w io.Writer, width int, color bool) error {
	b := bufio.NewWriter(w)
	r := renderer{b, d.files, width, paint(color)}
	for _, diag := range d.list {
		r.diagnostic(diag)
	}
	return b.Flush()
}

type renderer struct {
	*bufio.Writer
	files map[string]*hcl.File
	width int
	paint
}

// paint says whether to colour.
type paint bool

const (
	red    = "\x1b[31;1m"
	yellow = "\x1b[33;1m"
	bold   = "\x1b[1m"
)

func (p paint) in(color, s string) string {
	if !p || s == "" {
		return s
	}
	return color + s + "\x1b[0m"
}

func (r renderer) diagnostic(d *hcl.Diagnostic) {
	word, color := "Error", red
	if d.Severity == hcl.DiagWarning {
		word, color = "Warning", yellow
	}
	fmt.Fprintf(r, "%s %s\n\n", r.in(color, word+":"), r.in(bold, d.Summary))
	if d.Subject != nil {
		r.snippet(*d.Subject, color)
	}
	if d.Detail != "" {
		detail := d.Detail
		if r.width > 0 {
			detail = wordwrap.WrapString(detail, uint(r.width))
		}
		fmt.Fprintf(r, "%s\n\n", detail)
	}
}

// mostLines is how many lines of a mistake that spans more are shown.
const mostLines = 4

func (r renderer) snippet(at hcl.Range, color string) {
	fmt.Fprintf(r, "  on %s line %d", at.Filename, at.Start.Line)
	f := r.files[at.Filename]
	if f == nil || !at.CanSliceBytes(f.Bytes) {
		fmt.Fprint(r, "\n\n")
		return
	}
	if nav, ok := f.Nav.(interface{ ContextString(offset int) string }); ok {
		if block := nav.ContextString(at.Start.Byte); block != "" {
			fmt.Fprint(r, ", in "+block)
		}
	}
	fmt.Fprintln(r, ":")
	begin := bytes.LastIndexByte(f.Bytes[:at.Start.Byte], '\n') + 1
	for n := range mostLines {
		text := f.Bytes[begin:]
		line, _, more := bytes.Cut(text, []byte("\n"))
		from, to := max(at.Start.Byte-begin, 0), min(at.End.Byte-begin, len(line))
		r.line(at.Start.Line+n, strings.TrimRight(string(line), "\r"), from, to, color)
		begin += len(line) + 1
		if !more || begin >= at.End.Byte {
			break
		}
	}
	fmt.Fprintln(r)
}

// line writes a line of source with what is between two of its bytes underlined.
func (r renderer) line(number int, line string, from, to int, color string) {
	from = min(from, len(line))
	to = min(max(to, from), len(line))
	line, from, to = excerpt(line, from, to)
	gutter := fmt.Sprintf("%4d: ", number)
	fmt.Fprintf(r, "%s%s\n", gutter, line)
	marked := line[from:to]
	space := len(marked) - len(strings.TrimLeft(marked, " \t"))
	before := line[:from+space]
	carets := strings.Repeat("^", max(1, runewidth.StringWidth(marked[space:])))
	fmt.Fprintf(r, "%s%s%s\n", strings.Repeat(" ", len(gutter)), blank(before), r.in(color, carets))
}

// excerpt returns the part of a long line that is about the bytes between from
// and to, and where these are in it.
func excerpt(line string, from, to int) (string, int, int) {
	const most, before = 240, 80 // bytes
	if len(line) <= most {
		return line, from, to
	}
	begin := max(0, min(from-before, len(line)-most))
	end := min(begin+most, len(line))
	for begin > 0 && !utf8.RuneStart(line[begin]) {
		begin--
	}
	for end < len(line) && !utf8.RuneStart(line[end]) {
		end++
	}
	part := line[begin:end]
	from, to = from-begin, min(to, end)-begin
	if begin > 0 {
		part, from, to = "…"+part, from+len("…"), to+len("…")
	}
	if end < len(line) {
		part += "…"
	}
	return part, from, to
}

// blank returns what leaves as much room as s, with its tabs.
func blank(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c == '\t' {
			b.WriteRune(c)
		} else {
			b.WriteString(strings.Repeat(" ", runewidth.RuneWidth(c)))
		}
	}
	return b.String()
}
