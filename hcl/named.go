package hcl

import (
	"iter"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/value"
)

// named is an expression with a name that others refer to: a local, what a module is given
// for a variable, a module's output.
type named struct {
	m     *module   // whose names the expression refers to
	each  *instance // whose each it may refer to, nil where there is none
	title string    // as messages call it: local.best
	at    hcl.Range
	expr  *expr
	make  func(*scope) (cty.Value, hcl.Diagnostics) // makes the value of a name without an expression
	// finish makes the value of what the expression came to; nil leaves it as it is.
	finish func(*scope, cty.Value) (cty.Value, hcl.Diagnostics)
	also   []*expr // what finish evaluates
	failed *bool   // a mistake of a name that is written as this one was reported; nil where none is

	state visit
	refs  []stageRef // to stages, also through other names
	reads []string   // the blocks of these
	value cty.Value  // set where no stage is referred to
}

// visit is how far a walk over things that refer to each other has come.
type visit int

const (
	unseen visit = iota
	visiting
	visited
)

// node is a name or a block on the way of such a walk.
type node interface {
	label() (name string, at hcl.Range)
	breakOff() // a mistake hides what it is
	module() *module
}

func (n *named) label() (string, hcl.Range) { return n.title, n.at }
func (n *named) breakOff()                  { n.value = value.Broken }
func (n *named) module() *module            { return n.m }

// settle gives n its references, and its value where that does not wait for any output,
// after those names that it refers to.
func (r *recipe) settle(n *named, path []node) {
	if n == nil {
		return
	}
	switch n.state {
	case visited:
		return
	case visiting:
		r.circle(n, path)
		return
	}
	n.state = visiting
	if n.expr == nil { // which was reported
		n.value, n.state = value.Broken, visited
		return
	}
	r.settleNames(n.expr, append(path, n))
	n.state = visited
	refs := slices.Collect(n.expr.refs(n.each))
	for _, e := range n.also {
		r.settleNames(e, path)
		refs = slices.AppendSeq(refs, e.refs(nil))
	}
	n.refs = slices.Collect(distinct(slices.Values(refs)))
	if n.value == cty.NilVal && len(n.refs) == 0 {
		v, diags := n.evaluate(n.m.bare)
		n.report(diags)
		n.value = v
	}
}

// check evaluates n before anything has run, and reports its mistakes.
func (n *named) check() {
	_, diags := n.m.bare.named(n)
	n.report(diags)
}

// report reports mistakes of n, for the first of several names that are written as one.
func (n *named) report(diags hcl.Diagnostics) {
	if n.failed != nil {
		if *n.failed {
			return
		}
		*n.failed = diags.HasErrors()
	}
	n.m.add(diags)
}

// settleNames settles the names that e refers to, and expands the modules.
func (r *recipe) settleNames(e *expr, path []node) {
	for to := range e.names {
		r.settle(to, path)
	}
	for _, ref := range e.modules {
		r.expand(&ref.to.block, path)
		for _, m := range ref.to.modules {
			for _, o := range m.outputsNamed(ref.outputs) {
				r.settle(&o.named, path)
			}
		}
	}
}

// expandNames expands the blocks that e refers to, in whatever way.
func (r *recipe) expandNames(e *expr, path []node) {
	r.settleNames(e, path)
	for ref := range e.refs(nil) {
		r.expand(&ref.to.block, path)
	}
}

// evaluate evaluates a name in its own module, with the outputs that there are.
func (n *named) evaluate(s *scope) (cty.Value, hcl.Diagnostics) {
	if n.make != nil {
		return n.make(s)
	}
	v, diags := s.in(n.m).with(n.each).value(n.expr)
	if n.finish == nil || diags.HasErrors() || value.IsBroken(v) {
		return v, diags
	}
	return n.finish(s, v)
}

// distinct leaves out references that were yielded before: names may share what they refer
// to.
func distinct(refs iter.Seq[stageRef]) iter.Seq[stageRef] {
	type way struct {
		to  *stage
		key *expr
		in  *instance
		at  hcl.Range
	}
	return func(yield func(stageRef) bool) {
		seen := make(map[way]bool)
		for r := range refs {
			if w := (way{r.to, r.key, r.each, r.whole}); !seen[w] {
				seen[w] = true
				if !yield(r) {
					return
				}
			}
		}
	}
}

// circle reports names and blocks that refer to each other: those on path from n on.
func (r *recipe) circle(n node, path []node) {
	path = path[slices.Index(path, n):]
	var b strings.Builder
	locals, shape := true, false
	for _, p := range path {
		name, at := p.label()
		b.WriteString(name + " (" + diagnostic.Pos(at) + ") refers to ")
		p.breakOff()
		_, isBlock := p.(*block)
		shape = shape || isBlock
		locals = locals && strings.HasPrefix(name, "local.")
	}
	name, at := n.label()
	m := n.module()
	switch {
	case shape:
		m.errorf(at, "Stages refer to each other", "Which steps there are cannot be told: in for_each or when, %s%s.", b.String(), name)
	case locals:
		m.errorf(at, "Locals refer to each other", "%s%s.", b.String(), name)
	default:
		m.errorf(at, "Values refer to each other", "%s%s.", b.String(), name)
	}
}
