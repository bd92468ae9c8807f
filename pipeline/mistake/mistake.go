// Package mistake says what is wrong with a value in a recipe: where in the value,
// what, and what to write instead. It is what vocabulary, stages and
// languages of recipes have in common: a type checks itself with a [Report], and
// a language shows each [Mistake] where the value at its path is written.
package mistake

import (
	"errors"
	"fmt"
	"strings"
)

// Mistake is what is wrong with a part of a value.
type Mistake struct {
	Path Path  // to the part; empty for the value as a whole
	Err  error // what is wrong, and what to write: "0 is even: want odd sizes"
}

func (m *Mistake) Error() string {
	if len(m.Path) == 0 {
		return m.Err.Error()
	}
	return m.Path.String() + ": " + m.Err.Error()
}

// Unwrap returns Err.
func (m *Mistake) Unwrap() error { return m.Err }

// At returns a mistake at a path as [Parse] reads it.
func At(path, format string, args ...any) *Mistake {
	return &Mistake{Parse(path), fmt.Errorf(format, args...)}
}

// List is all the mistakes of a value, in the order in which they were found.
type List []*Mistake

// Error returns a line for each mistake.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, m := range l {
		lines[i] = m.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the first mistake, and errors.Is what it wraps.
func (l List) Unwrap() []error {
	all := make([]error, len(l))
	for i, m := range l {
		all[i] = m
	}
	return all
}

// Of returns the mistakes that an error is: those of a List, one for a Mistake or what
// wraps one, and for any other error one without a path. nil has none.
func Of(err error) List {
	switch e := err.(type) {
	case nil:
		return nil
	case List:
		return e
	case *Mistake:
		return List{e}
	}
	var inner *Mistake
	if errors.As(err, &inner) {
		return List{{inner.Path, err}}
	}
	return List{{Err: err}}
}

// Within returns an error's mistakes as those of the value around, in which the path
// leads to the value that they are about; nil for nil.
func Within(path string, err error) error {
	if err == nil {
		return nil
	}
	r := New().In(path)
	r.Add(err)
	return r.Err()
}

// Checker is a value that finds its own mistakes.
type Checker interface {
	// Check reports mistakes. Parts of the value may be unknown, and are then zero:
	// it asks [Report.Knows] before it reads what a mistake is about.
	Check(*Report)
}

// In returns the mistakes in a value, all of which is known, as a [List]; nil
// without any.
func In(c Checker) error {
	r := New()
	c.Check(r)
	return r.Err()
}
