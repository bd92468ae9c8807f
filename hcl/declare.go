package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
)

// A step whose stage has no outputs of its own declares them:
//
//	declare {
//	  output "latency" {
//	    type = number
//	    json = "result.json"
//	  }
//	}
//
// The block is taken as the attribute "declare", an object with a member for each output,
// and the stage, as this block uses it, gets the outputs that follow from its value. So
// these are known before anything else is evaluated, and the value refers to no steps.

// exampleDeclaration is what a block needs that lacks its declaration.
const exampleDeclaration = `
  declare {
    output "NAME" {
      type = number
      json = "result.json"
    }
  }`

// readDeclaration reads the declare block of a stage, nil where there is none. Until it is
// evaluated, how the steps look is not known.
func (m *module) readDeclaration(s *stage, g *syntax.BlockGroup) {
	s.broken = true
	if g == nil {
		return
	}
	if len(g.Blocks) > 1 {
		m.errorf(g.Blocks[1].TypeRange, "Block written twice", "A stage has one %s block, with all its outputs.", g.Name)
		return
	}
	object, sound := m.declaration(g.Blocks[0])
	m.readAttribute(s, g.Name, object, g.At(), place{})
	a := s.attrs[len(s.attrs)-1]
	a.failed = true
	s.declaration, s.unsound = a, !sound
}

// evaluateDeclaration gives a stage its outputs, after the names that its declaration
// refers to: before them it is not known what these wait for.
func (s *stage) evaluateDeclaration(path []node) {
	a, m := s.declaration, s.m
	if a == nil || a.expr.bad {
		return
	}
	m.settleNames(a.expr, path)
	for r := range a.expr.refs(nil) {
		m.errorf(r.whole, "Known too late", "Which outputs a step has must be known before anything runs: it may refer to variables and locals, and not to stages.")
		return
	}
	result, diags := m.bare.attr(a)
	if m.add(diags); diags.HasErrors() || result == nil {
		return
	}
	kind, err := s.kind.Declare(result.Value)
	if err != nil {
		m.unsuitable(candidate{stage: s}, err, make(map[string]bool))
		return
	}
	if s.unsound {
		return
	}
	s.kind, s.broken = kind, false
	a.failed, a.result = false, result
	m.shapes.Add(kind.Output)
}

// declaration returns the object that a declare block stands for, without what is no output,
// and whether there was nothing of that.
func (m *module) declaration(b *hclsyntax.Block) (object *hclsyntax.ObjectConsExpr, ok bool) {
	ok = len(b.Labels) == 0
	if !ok {
		m.errorf(b.LabelRanges[0], "Wrong labels", "Such a block has no labels: %s {", b.Type)
	}
	for _, a := range syntax.InOrder(b.Body.Attributes) {
		m.errorf(a.NameRange, "Unknown attribute", "A %s block holds a block for each output: output %q { … }", b.Type, a.Name)
		ok = false
	}
	object = &hclsyntax.ObjectConsExpr{SrcRange: b.Body.SrcRange, OpenRange: b.Body.SrcRange}
	seen := make(map[string]*hclsyntax.Block)
	for _, inner := range b.Body.Blocks {
		if inner.Type != grammar.Declared.Type {
			m.errorf(inner.TypeRange, "Unknown block", "A %s block holds output blocks, and no %q.", b.Type, inner.Type)
			ok = false
			continue
		}
		if !m.labels(inner, grammar.Declared.Labels...) {
			ok = false
			continue
		}
		name := inner.Labels[0]
		if seen[name] != nil {
			m.twice(inner, seen[name])
			ok = false
			continue
		}
		seen[name] = inner
		members, sound := m.declared(inner)
		ok = ok && sound
		object.Items = append(object.Items, itemOf(name, inner.LabelRanges[0], members))
	}
	return object, ok
}

// declared returns the object that an output in a declare block stands for.
func (m *module) declared(b *hclsyntax.Block) (object *hclsyntax.ObjectConsExpr, ok bool) {
	ok = true
	for _, inner := range b.Body.Blocks {
		m.errorf(inner.TypeRange, "Unknown block", "An output has no blocks.")
		ok = false
	}
	object = &hclsyntax.ObjectConsExpr{SrcRange: b.DefRange(), OpenRange: b.DefRange()}
	for _, a := range syntax.InOrder(b.Body.Attributes) {
		e := hclsyntax.Expression(a.Expr)
		if a.Name == "type" {
			text, sound := m.typeText(a.Expr)
			e = &hclsyntax.LiteralValueExpr{Val: cty.StringVal(text), SrcRange: a.Expr.Range()}
			ok = ok && sound
		}
		object.Items = append(object.Items, itemOf(a.Name, a.NameRange, e))
	}
	return object, ok
}

func itemOf(name string, at hcl.Range, value hclsyntax.Expression) hclsyntax.ObjectConsItem {
	return hclsyntax.ObjectConsItem{KeyExpr: &hclsyntax.LiteralValueExpr{Val: cty.StringVal(name), SrcRange: at}, ValueExpr: value}
}

// typeText returns the type that an expression is, as [pipeline.ParseType] reads it, or file
// or dir.
func (m *module) typeText(e hclsyntax.Expression) (text string, ok bool) {
	if k := hcl.ExprAsKeyword(e); k == "file" || k == "dir" {
		return k, true
	}
	ty, diags := typeexpr.TypeConstraint(e)
	if !diags.HasErrors() {
		return value.TypeExpr(ty), true
	}
	at := e.Range()
	if d := diags[0]; d.Subject != nil {
		at = *d.Subject
	}
	m.errorf(at, "Not a type", "The types of outputs are any, bool, number, string, list(T), map(T), object({ NAME = T, … }), file and dir.%s",
		word.DidYouMean(m.source(at), grammar.DeclaredTypes))
	return "any", false
}
