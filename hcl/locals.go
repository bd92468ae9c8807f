package hcl

import (
	"iter"
	"slices"
	"strings"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// local is a named expression.
type local struct {
	name  string
	attr  *hclsyntax.Attribute
	expr  *expr
	refs  []stageRef // to stages, also through other locals
	state visit
	value cty.Value // set where no stage is referred to
}

// visit is how far a walk over things that refer to each other has come.
type visit int

const (
	unseen visit = iota
	visiting
	visited
)

func (m *module) declareLocals(b *hclsyntax.Block) {
	for _, inner := range b.Body.Blocks {
		m.errorf(inner.TypeRange, "Block within locals", "Locals are written as NAME = VALUE.")
	}
	for _, a := range syntax.InOrder(b.Body.Attributes) {
		if first := m.locals[a.Name]; first != nil {
			m.errorf(a.NameRange, "Name used twice", "The local %q was already declared at %s.", a.Name, diagnostic.Pos(first.attr.NameRange))
			continue
		}
		m.locals[a.Name] = &local{name: a.Name, attr: a}
	}
}

// setLocals finds what the locals refer to, and evaluates those that refer to
// no stage.
func (m *module) setLocals() {
	names := word.Keys(m.locals)
	for _, name := range names {
		l := m.locals[name]
		l.expr = m.compile(l.attr.Expr, place{local: name})
	}
	for _, name := range names {
		m.settle(m.locals[name], nil)
	}
}

// settle gives l its references and value, after those that it refers to.
func (m *module) settle(l *local, path []*local) {
	switch l.state {
	case visited:
		return
	case visiting:
		m.localCycle(l, path)
		return
	}
	l.state = visiting
	for _, to := range l.expr.locals {
		m.settle(to, append(path, l))
	}
	l.state = visited
	l.refs = slices.Collect(distinct(l.expr.refs))
	if l.value == cty.NilVal && len(l.refs) == 0 {
		v, diags := m.bare.value(l.expr)
		m.diags = append(m.diags, diags...)
		l.value = v
	}
}

// checkLocals evaluates the locals that refer to stages, none of which has an
// output yet.
func (m *module) checkLocals() {
	for _, name := range word.Keys(m.locals) {
		_, diags := m.bare.local(m.locals[name])
		m.diags = append(m.diags, diags...)
	}
}

// distinct leaves out references that were yielded before: locals may share
// what they refer to.
func distinct(refs iter.Seq[stageRef]) iter.Seq[stageRef] {
	return func(yield func(stageRef) bool) {
		seen := make(map[hcl.Range]bool)
		for r := range refs {
			if !seen[r.whole] {
				seen[r.whole] = true
				if !yield(r) {
					return
				}
			}
		}
	}
}

// localCycle reports locals that refer to each other: those on path from l on.
func (m *module) localCycle(l *local, path []*local) {
	for path[0] != l {
		path = path[1:]
	}
	var b strings.Builder
	for _, p := range path {
		b.WriteString("local." + p.name + " (" + diagnostic.Pos(p.attr.NameRange) + ") refers to ")
		p.value = value.Broken
	}
	m.errorf(l.attr.SrcRange, "Locals refer to each other", "%slocal.%s.", b.String(), l.name)
}
