package process

import (
	"bytes"
	"io"
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
			text = text[:min(len(text), longestLine)] + " … (cut)"
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

// hidden returns text without what must not be shown.
func hidden(text string, hide []string) string {
	for _, s := range hide {
		text = strings.ReplaceAll(text, s, "(sensitive)")
	}
	return text
}

// parts returns what of the texts can be within a line: the lines of one that has several.
func parts(texts []string) (all []string) {
	for _, t := range texts {
		for line := range strings.FieldsFuncSeq(t, func(r rune) bool { return r == '\n' || r == '\r' }) {
			if strings.TrimSpace(line) != "" {
				all = append(all, line)
			}
		}
	}
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
