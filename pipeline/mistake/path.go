package mistake

import (
	"strconv"
	"strings"
)

// Path leads from a value to a part of it: phases[0].expansions[2].
type Path []Step

// Step is a field or key, or, where Name is empty, an element of a list.
type Step struct {
	Name  string
	Index int // -1 for each element
}

// String returns the path as a recipe would write it.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.Name == "" && s.Index < 0:
			b.WriteString("[*]")
		case s.Name == "":
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		case !plain(s.Name):
			b.WriteString("[" + strconv.Quote(s.Name) + "]")
		case i > 0:
			b.WriteString("." + s.Name)
		default:
			b.WriteString(s.Name)
		}
	}
	return b.String()
}

// plain reports whether a name can stand behind a dot.
func plain(name string) bool {
	for i, r := range name {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127
		if !letter && (i == 0 || r != '-' && (r < '0' || r > '9')) {
			return false
		}
	}
	return name != ""
}

// Parse reads what String writes. It panics on anything else: a path is written
// by a program.
func Parse(text string) Path {
	var p Path
	for rest := text; rest != ""; {
		if rest[0] != '[' {
			if p != nil {
				rest = strings.TrimPrefix(rest, ".")
			}
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			if end == 0 {
				panic("mistake: malformed path " + text)
			}
			p, rest = append(p, Step{Name: rest[:end]}), rest[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(rest[1:])
		if err != nil {
			quoted, _, _ = strings.Cut(rest[1:], "]")
		}
		p = append(p, step(quoted, text))
		var closed bool
		if rest, closed = strings.CutPrefix(rest[1+len(quoted):], "]"); !closed {
			panic("mistake: malformed path " + text)
		}
	}
	return p
}

// step reads what stands between brackets.
func step(text, path string) Step {
	if text == "*" {
		return Step{Index: -1}
	}
	if name, err := strconv.Unquote(text); err == nil {
		return Step{Name: name}
	}
	i, err := strconv.Atoi(text)
	if err != nil {
		panic("mistake: malformed path " + path)
	}
	return Step{Index: i}
}

// begins reports whether p begins with the steps of q.
func (p Path) begins(q Path) bool {
	if len(p) < len(q) {
		return false
	}
	for i, s := range q {
		if p[i] != s {
			return false
		}
	}
	return true
}
