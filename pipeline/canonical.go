package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// sortKeys returns compact JSON, as package json writes it, with the members of each
// object sorted by their names, the strings in one form, and without the fields of type t
// that are no part of the key. It does what decoding into maps and encoding them again
// does, in a third of the time.
func sortKeys(b []byte, t *Type) ([]byte, error) {
	k := keySorter{in: b, out: make([]byte, 0, len(b))}
	if err := k.value(t); err != nil {
		return nil, err
	}
	if len(k.in) > 0 {
		return nil, errNotCompact
	}
	return k.out, nil
}

var errNotCompact = errors.New("a configuration is not encoded as compact JSON: a mistake in a MarshalJSON of the stage's")

// keySorter is what is left to read and what was written.
type keySorter struct {
	in, out []byte
}

// value copies a value. A type of nil is one that the schema does not describe.
func (k *keySorter) value(t *Type) error {
	if len(k.in) == 0 {
		return errNotCompact
	}
	switch k.in[0] {
	case '{':
		return k.object(t)
	case '[':
		return k.list(t)
	case '"':
		s, err := k.text()
		k.out = append(k.out, s...)
		return err
	}
	n := 0
	for n < len(k.in) && bytes.IndexByte([]byte(`,:]}"[{ `+"\t\r\n"), k.in[n]) < 0 {
		n++
	}
	if n == 0 {
		return errNotCompact
	}
	k.out, k.in = append(k.out, k.in[:n]...), k.in[n:]
	return nil
}

func (k *keySorter) list(t *Type) error {
	var elem *Type
	if t != nil && t.Kind == List {
		elem = t.Elem
	}
	k.move()
	for first := true; ; first = false {
		switch {
		case len(k.in) == 0:
			return errNotCompact
		case k.in[0] == ']':
			k.move()
			return nil
		case !first && k.in[0] == ',':
			k.move()
		case !first:
			return errNotCompact
		}
		if err := k.value(elem); err != nil {
			return err
		}
	}
}

// member is a member of an object as it was written.
type member struct {
	name  string // decoded, by which members are sorted
	begin int    // where it is in what was written
	end   int
}

func (k *keySorter) object(t *Type) error {
	k.move()
	begin := len(k.out)
	var buffer [16]member
	all := buffer[:0]
	sorted := true
	for first := true; ; first = false {
		switch {
		case len(k.in) == 0:
			return errNotCompact
		case k.in[0] == '}':
			if !sorted {
				k.arrange(begin, all)
			}
			k.move()
			return nil
		case !first && k.in[0] == ',':
			k.in = k.in[1:]
		case !first:
			return errNotCompact
		}
		end := len(k.out)
		if len(all) > 0 {
			k.out = append(k.out, ',')
		}
		m, keep, err := k.member(t)
		if err != nil {
			return err
		}
		if !keep {
			k.out = k.out[:end]
			continue
		}
		sorted = sorted && (len(all) == 0 || all[len(all)-1].name < m.name)
		all = append(all, m)
	}
}

// member copies a member of an object of type t, and reports whether it is part of the
// key.
func (k *keySorter) member(t *Type) (m member, keep bool, err error) {
	m.begin, keep = len(k.out), true
	if len(k.in) == 0 || k.in[0] != '"' {
		return m, false, errNotCompact
	}
	quoted, err := k.text()
	if err != nil {
		return m, false, err
	}
	if m.name = string(quoted[1 : len(quoted)-1]); bytes.IndexByte(quoted, '\\') >= 0 {
		if err := json.Unmarshal(quoted, &m.name); err != nil {
			return m, false, err
		}
	}
	if len(k.in) == 0 || k.in[0] != ':' {
		return m, false, errNotCompact
	}
	k.out = append(k.out, quoted...)
	k.move()
	var inner *Type
	if t != nil {
		switch t.Kind {
		case Object:
			if f := t.Field(m.name); f != nil {
				inner, keep = f.Type, f.Key
			}
		case Map:
			inner = t.Elem
		}
	}
	err = k.value(inner)
	m.end = len(k.out)
	return m, keep, err
}

// arrange writes the members, which were written from begin on, in the order of their names,
// with commas between them. Of several of one name the last one counts.
func (k *keySorter) arrange(begin int, all []member) {
	text := slices.Clone(k.out[begin:])
	slices.SortStableFunc(all, func(a, b member) int { return strings.Compare(a.name, b.name) })
	k.out = k.out[:begin]
	for i, m := range all {
		if i+1 < len(all) && all[i+1].name == m.name {
			continue
		}
		if len(k.out) > begin {
			k.out = append(k.out, ',')
		}
		k.out = append(k.out, text[m.begin-begin:m.end-begin]...)
	}
}

// text takes a string and returns it in the form in which package json writes it.
func (k *keySorter) text() ([]byte, error) {
	plain := true
	for i := 1; i < len(k.in); i++ {
		switch c := k.in[i]; {
		case c == '\\':
			plain = false
			i++
		case c == '"':
			s := k.in[:i+1]
			k.in = k.in[i+1:]
			if plain {
				return s, nil
			}
			var decoded string
			if err := json.Unmarshal(s, &decoded); err != nil {
				return nil, err
			}
			return quotedJSON(decoded), nil
		case c >= 0x80:
			plain = false // it may not be UTF-8
		}
	}
	return nil, errNotCompact
}

// move copies one byte.
func (k *keySorter) move() { k.out, k.in = append(k.out, k.in[0]), k.in[1:] }

// quotedJSON returns a string in JSON.
func quotedJSON(s string) []byte {
	if isPlain(s) {
		return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
	}
	b, err := canonical(s)
	if err != nil {
		panic(err) // no string fails
	}
	return b
}

// isPlain reports whether nothing in a string is escaped in JSON, as in most names.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
