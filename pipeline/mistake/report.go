package mistake

import (
	"fmt"
	"slices"
)

// Report gathers the mistakes of a value, or of a part of one.
type Report struct {
	outer *Report // on the value that this is a part of, nil of the whole
	step  Step    // from there
	*findings
}

// findings is what the reports of all parts of a value share.
type findings struct {
	unknown []Path
	written func(name string) (yes, no bool)
	list    List
}

// New returns a report on a value whose parts at the paths given are unknown.
func New(unknown ...Path) *Report {
	return &Report{findings: &findings{unknown: unknown}}
}

// WithWritten makes Written and Absent answer for the value's own fields: yes where
// one is certainly written, no where it certainly is not.
func (r *Report) WithWritten(written func(name string) (yes, no bool)) *Report {
	r.written = written
	return r
}

// At returns the report on a part: a field by its name (a string) or an element by
// its index (an int), and so on inwards.
func (r *Report) At(steps ...any) *Report {
	for _, s := range steps {
		switch s := s.(type) {
		case string:
			r = r.at(Step{Name: s})
		case int:
			r = r.at(Step{Index: s})
		default:
			panic(fmt.Sprintf("mistake: a step is a string or an int, not %T", s))
		}
	}
	return r
}

func (r *Report) at(s Step) *Report { return &Report{r, s, r.findings} }

// path returns where the report's part is in the whole value. It is made only when it is
// needed: a value of thousands of parts has mistakes in few.
func (r *Report) path() Path {
	var p Path
	for ; r.outer != nil; r = r.outer {
		p = append(p, r.step)
	}
	slices.Reverse(p)
	return slices.Clip(p)
}

// In returns the report on the part at a path as [Parse] reads it.
func (r *Report) In(path string) *Report {
	for _, s := range Parse(path) {
		r = r.at(s)
	}
	return r
}

// Unknown returns the parts that are unknown, of those in the report's value: paths from
// there on; an empty one where the value is unknown as a whole.
func (r *Report) Unknown() []Path {
	if len(r.unknown) == 0 {
		return nil
	}
	var all []Path
	at := r.path()
	for _, u := range r.unknown {
		switch {
		case len(u) <= len(at) && slices.Equal(u, at[:len(u)]):
			return []Path{{}}
		case len(u) > len(at) && slices.Equal(u[:len(at)], at):
			all = append(all, u[len(at):])
		}
	}
	return all
}

// Knows reports whether the parts at all of the paths (see [Parse]) are known, with
// everything in them; without paths, whether the whole value is.
func (r *Report) Knows(paths ...string) bool {
	if len(r.unknown) == 0 {
		return true
	}
	at := r.path()
	if len(paths) == 0 {
		return r.known(at)
	}
	for _, p := range paths {
		if !r.known(append(at, Parse(p)...)) { // which at, of no room, is not changed by
			return false
		}
	}
	return true
}

// known reports whether nothing at, in or around a part is unknown.
func (r *Report) known(p Path) bool {
	for _, u := range r.unknown {
		if u.begins(p) || p.begins(u) {
			return false
		}
	}
	return true
}

// Written reports whether a field of the whole value is certainly written, though its
// value may be unknown. One that may turn out to be null is neither written nor absent.
func (r *Report) Written(name string) bool {
	if r.written == nil {
		return false
	}
	yes, _ := r.written(name)
	return yes
}

// Absent reports whether a field of the whole value is certainly not written.
func (r *Report) Absent(name string) bool {
	if r.written == nil {
		return false
	}
	_, no := r.written(name)
	return no
}

// Badf reports a mistake in the part that r is about.
func (r *Report) Badf(format string, args ...any) {
	r.list = append(r.list, &Mistake{r.path(), fmt.Errorf(format, args...)})
}

// Add reports the mistakes that an error holds (see [Of]), whose paths begin here.
func (r *Report) Add(err error) {
	for _, m := range Of(err) {
		r.list = append(r.list, &Mistake{slices.Concat(r.path(), m.Path), m.Err})
	}
}

// Sound reports whether no mistake was found at or in the part so far.
func (r *Report) Sound() bool {
	at := r.path()
	return !slices.ContainsFunc(r.list, func(m *Mistake) bool { return m.Path.begins(at) })
}

// Err returns the mistakes found, as a [List], or nil.
func (r *Report) Err() error {
	if len(r.list) == 0 {
		return nil
	}
	return r.list
}
