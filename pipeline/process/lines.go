package process

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strings"
)

// longestLine is how much of a line is shown, in bytes. Progress bars that never end
// their line, and binaries, are cut there.
const longestLine = 16 << 10

// readLines calls take for each line until there are no more, and closes the pipe. A
// carriage return ends a line, too, as that is how programs redraw theirs.
func readLines(r io.ReadCloser, hide []string, take func(line string)) {
	defer r.Close()
	hide = parts(hide)
	overlap := 0 // of what is hidden, which must not be shown in part where a line is cut
	for _, s := range hide {
		overlap = max(overlap, len(s))
	}
	l := &splitter{most: longestLine + overlap, take: func(line []byte, whole bool) {
		text := hidden(string(line), hide)
		if !whole {
			text = text[:max(min(len(text)-overlap, longestLine), 0)] + " … (cut)"
		}
		take(strings.ToValidUTF8(text, "�"))
	}}
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer)
		l.write(buffer[:n])
		if err != nil {
			break
		}
	}
	l.end()
}

// Hidden returns text without the secrets, as a program's lines are shown.
func Hidden(text string, secrets []string) string { return hidden(text, parts(secrets)) }

// hidden returns text without what must not be shown. All that is found is found in the
// text as it was, because secrets may overlap, or be within each other.
func hidden(text string, hide []string) string {
	type span struct{ from, to int }
	var found []span
	for _, s := range hide {
		for from := 0; ; from++ {
			i := strings.Index(text[from:], s)
			if i < 0 {
				break
			}
			from += i
			found = append(found, span{from, from + len(s)})
		}
	}
	slices.SortFunc(found, func(a, b span) int { return cmp.Or(a.from-b.from, b.to-a.to) })
	var b strings.Builder
	shown := 0
	for _, f := range found {
		if f.from >= shown {
			b.WriteString(text[shown:f.from] + "(sensitive)")
		}
		shown = max(shown, f.to)
	}
	return b.String() + text[shown:]
}

// leastPart is how long a line of a secret of several lines is that is hidden by itself, in
// bytes: a brace of a JSON document is in all other lines, too.
const leastPart = 4

// parts returns what of the texts can be within a line: the lines of one that has several.
// The longest come first, because one may be within another, and what is left of the longer
// one would be shown.
func parts(texts []string) (all []string) {
	for _, t := range texts {
		least := 1
		if strings.ContainsAny(strings.TrimSpace(t), "\r\n") {
			least = leastPart
		}
		for line := range strings.FieldsFuncSeq(t, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if line = strings.TrimSpace(line); len(line) >= least {
				all = append(all, line)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

// splitter finds lines.
type splitter struct {
	most int // how many bytes of a line are taken
	take func(line []byte, whole bool)
	line []byte
	rest bool // of a line that was cut, which is not taken
}

func (s *splitter) write(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		part := b
		if i >= 0 {
			part = b[:i]
		}
		if !s.rest {
			s.line = append(s.line, part...)
		}
		if len(s.line) > s.most {
			s.take(s.line[:s.most], false)
			s.line, s.rest = s.line[:0], true
		}
		if i < 0 {
			return
		}
		s.end()
		b = b[i+1:]
	}
}

// end ends the line.
func (s *splitter) end() {
	if len(bytes.TrimSpace(s.line)) > 0 {
		s.take(s.line, true)
	}
	s.line, s.rest = s.line[:0], false
}

// tail keeps the last lines.
type tail struct{ lines []string }

// lastLines is how many lines an error shows.
const lastLines = 20

func (t *tail) add(line string) {
	if len(t.lines) == lastLines {
		copy(t.lines, t.lines[1:])
		t.lines = t.lines[:lastLines-1]
	}
	t.lines = append(t.lines, line)
}
