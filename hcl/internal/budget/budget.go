// Package budget bounds what evaluating a recipe's expressions may take. It counts
// steps and parts, and looks at no clock: what one machine evaluates, all do.
//
// A step is about what one turn of a small loop takes. A part is about what a number
// takes in memory. The limits are far beyond what describes an experiment, and keep
// what a recipe can ask for within seconds and a gigabyte.
package budget

import "fmt"

// The limits.
const (
	Expression = 5_000_000  // steps of one expression
	Recipe     = 10_000_000 // steps of all that are evaluated to load a recipe, or for one step of it
	Value      = 3_000_000  // parts of one value
	Kept       = 3_300_000  // parts of all values of a recipe
	Exponent   = 1 << 16    // binary, of a number
	Digits     = 20_000     // of a number that is written out
	Steps      = 120_000    // of a recipe, and its modules
)

// Over says which limit was passed. It is what a meter panics with.
type Over struct {
	Detail string // for the recipe's author
	whole  bool   // the recipe's, not the expression's
}

// Error implements error.
func (o *Over) Error() string { return o.Detail }

const advice = " Write less, or put large data into a file that a stage reads."

// Meter counts for one recipe. From where a limit is passed on, whatever is asked of
// it panics, so that an evaluation ends that recovers from a panic and goes on. A nil
// meter has no limits. It is for one goroutine at a time.
type Meter struct {
	spent, recipe, kept int
	over                *Over
	trying              int
}

// Frame is an expression that others are evaluated within.
type Frame struct {
	spent int
	over  *Over
}

// Begin begins to count for an expression of its own, and returns what was counted
// for the one around it.
func (m *Meter) Begin() Frame {
	f := Frame{m.spent, m.over}
	m.spent = 0
	if m.over != nil && !m.over.whole {
		m.over = nil
	}
	return f
}

// End goes on with the expression around.
func (m *Meter) End(f Frame) {
	m.spent = f.spent
	if m.over == nil || !m.over.whole {
		m.over = f.over
	}
}

// Restart begins to count for a recipe anew.
func (m *Meter) Restart() { *m = Meter{} }

// Over returns the limit that the expression passed, nil if none.
func (m *Meter) Over() *Over { return m.over }

// Exhausted reports whether the recipe's limit was passed.
func (m *Meter) Exhausted() bool { return m.over != nil && m.over.whole }

// Spend counts n steps of what messages call by a name, "" for the expression itself.
// It panics where that is too much, before they are taken.
func (m *Meter) Spend(n int, by string) {
	if m == nil {
		return
	}
	if m.over != nil {
		panic(m.over)
	}
	m.spent, m.recipe = sum(m.spent, n), sum(m.recipe, n)
	in := ""
	if by != "" {
		in = " (in a call of " + by + ")"
	}
	switch {
	case m.spent > Expression:
		m.fail(false, "The expression takes more than %s steps to evaluate%s.%s", millions(Expression), in, advice)
	case m.recipe > Recipe:
		m.fail(true, "The recipe's expressions take more than %s steps to evaluate in all; with this one%s they do.%s", millions(Recipe), in, advice)
	}
}

// Keep counts the parts of a value that is kept.
func (m *Meter) Keep(parts int) {
	if m.kept = sum(m.kept, parts); m.kept > Kept {
		m.fail(true, "The recipe's values have more than %s parts in all; with this one they do.%s", millions(Kept), advice)
	}
}

// TooLarge ends the evaluation of an expression whose value, or a value on the way to it,
// has too many parts.
func (m *Meter) TooLarge() {
	m.fail(false, "A value here has more than %s parts: elements, attributes, and bytes of text by 32.%s", millions(Value), advice)
}

func (m *Meter) fail(whole bool, format string, args ...any) {
	if m == nil {
		return
	}
	m.over = &Over{fmt.Sprintf(format, args...), whole}
	panic(m.over)
}

// Try begins what may fail without being a mistake; the function that it returns ends it.
func (m *Meter) Try() func() {
	if m == nil {
		return func() {}
	}
	m.trying++
	return func() { m.trying-- }
}

// Trying reports whether what fails now is no mistake.
func (m *Meter) Trying() bool { return m != nil && m.trying > 0 }

func millions(n int) string { return fmt.Sprintf("%g million", float64(n)/1e6) }

// most is what counts are at most, so that no sum overflows.
const most = 1 << 40

func sum(a, b int) int { return min(a+min(max(b, 0), most), most) }

// Product returns the product of counts, or of some that are so large that it is beyond
// every limit.
func Product(counts ...int) int {
	p := 1
	for _, n := range counts {
		if n <= 0 {
			return 0
		}
		if p > most/n {
			return most
		}
		p *= n
	}
	return p
}
