package hcl

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/word"
)

// local is a named expression.
type local struct {
	named
	name string
	attr *hclsyntax.Attribute
}

func (m *module) declareLocals(b *hclsyntax.Block) {
	for _, inner := range b.Body.Blocks {
		m.errorf(inner.TypeRange, "Block within locals", "Locals are written as NAME = VALUE.")
	}
	for _, a := range syntax.InOrder(b.Body.Attributes) {
		if first := m.locals[a.Name]; first != nil {
			m.errorf(a.NameRange, "Name used twice", "The local %q was already declared at %s.", a.Name, diagnostic.Pos(first.attr.NameRange))
			continue
		}
		l := &local{name: a.Name, attr: a}
		l.named = named{m: m, title: "local." + a.Name, at: a.SrcRange}
		m.locals[a.Name] = l
	}
}

// compileLocals finds what the locals refer to.
func (m *module) compileLocals() {
	for _, name := range word.Keys(m.locals) {
		l := m.locals[name]
		l.expr = m.compile(l.attr.Expr, place{local: name})
	}
}

// checkLocals evaluates the locals that refer to stages, none of which has an
// output yet.
func (m *module) checkLocals() {
	for _, name := range word.Keys(m.locals) {
		m.locals[name].check()
	}
}
