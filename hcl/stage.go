package hcl

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// stage is a stage block.
type stage struct {
	block
	kind  *pipeline.Stage // nil when there is no such kind
	attrs []*attribute    // what is written for the stage, in the order of the text
	steps []*step         // its instances, or the one step, without those that its when leaves out

	retry     *attribute
	timeout   *attribute
	resources []*attribute
	reveal    bool
	tried     bool // its outputs are declared, however well

	declaration *attribute // of a stage whose outputs are declared, where there is a block for that
	unsound     bool       // a mistake in that block was reported

	checked bool
	deps    []string // what the instances need, where that is the same for all
	linked  bool     // deps is set
}

// attribute is one attribute of a stage block.
type attribute struct {
	field  *pipeline.Field
	expr   *expr
	at     hcl.Range      // of the name
	pos    string         // "paper.hcl:43"
	result *pipeline.Attr // where it is the same for all instances and times
	failed bool           // a mistake was reported
	sound  bool           // there is a result, and nothing to say of it
	twin   *attribute     // the first of several that are written in the same way, nil of one alone
}

func (m *module) declareStage(b *hclsyntax.Block) {
	s := &stage{}
	s.block = block{m: m, kind: "stage", name: b.Labels[1], node: b, many: b.Body.Attributes["for_each"] != nil, stage: s}
	if first := m.stages[s.name]; first != nil {
		m.errorf(b.LabelRanges[1], "Name used twice", "The stage %q was already declared at %s. References go by name alone, whatever the type.", s.name, diagnostic.Pos(first.node.DefRange()))
		return
	}
	if len(m.ordered) == budget.Steps {
		if !m.crowded {
			m.errorf(b.DefRange(), "Too many steps", "A recipe has at most %d steps. Write one stage with for_each, or hand one step a list.", budget.Steps)
		}
		m.crowded = true
		return
	}
	m.stages[s.name] = s
	m.ordered = append(m.ordered, s)
	m.blocks = append(m.blocks, &s.block)
	s.kind = m.types[b.Labels[0]]
	if s.kind == nil {
		m.errorf(b.LabelRanges[0], "Unknown stage type", "There is no stage %q.%s", b.Labels[0], word.DidYouMean(b.Labels[0], word.Keys(m.types)))
	}
}

// checkInOrder checks a stage after those that its attributes refer to: which of their
// outputs are sensitive is known by then.
func (s *stage) checkInOrder() {
	if s.checked {
		return
	}
	s.checked = true
	if s.kind != nil {
		for _, a := range s.attrs {
			for r := range a.expr.refs(nil) {
				r.to.checkInOrder()
			}
		}
		for m := s.m; m.each != nil; m = m.in { // whose each reaches the attributes as arguments
			m.each.of.guardEach()
		}
		s.guardEach()
	}
	s.m.checkStage(s)
}

// guardEach makes what a block's for_each holds anew where outputs that it reads have
// turned out to be sensitive since the instances were found.
func (b *block) guardEach() {
	if b.forEach == nil || b.guarded {
		return
	}
	b.guarded = true
	secret := false
	for r := range b.forEach.refs(nil) {
		r.to.checkInOrder()
		secret = secret || slices.ContainsFunc(r.to.steps, func(st *step) bool { return st.secret })
	}
	if !secret {
		return
	}
	v, _ := b.m.bare.value(b.forEach) // its mistakes were reported
	elements := elementsOf(v)
	for k, i := range b.made {
		if e, ok := elements[k]; ok {
			i.each = e
		}
	}
}

// readStage takes a block apart.
func (m *module) readStage(s *stage) {
	body := s.node.Body
	if a := body.Attributes["for_each"]; a != nil {
		s.forEach = m.compile(a.Expr, place{list: true})
	}
	in := place{each: s.many}
	for _, a := range syntax.InOrder(body.Attributes) {
		switch a.Name {
		case "for_each":
		case "when":
			s.when = m.compile(a.Expr, in)
		case "depends_on":
			s.dependsOn = m.dependencies(a.Expr, in)
		case "reveal":
			s.reveal = m.constBool(a)
		case "retry":
			s.retry = m.attribute(a.Expr, a.NameRange, retryField, in)
		case "timeout":
			s.timeout = m.attribute(a.Expr, a.NameRange, timeoutField, in)
		case "resources":
			m.readResources(s, a.Expr, in)
		default:
			if s.declares() && a.Name == pipeline.Declaration {
				m.errorf(a.NameRange, "Not an attribute", "Outputs are declared in a block:%s", exampleDeclaration)
				s.tried = true
				continue
			}
			if read := m.readAttribute(s, a.Name, a.Expr, a.NameRange, in); read != nil {
				m.pair(read, a)
			}
		}
	}
	var declaration *syntax.BlockGroup
	for _, b := range syntax.GroupBlocks(body.Blocks) {
		switch {
		case b.Name == "resources":
			m.readResources(s, b.Object(), in)
		case b.Name == pipeline.Declaration && s.declares():
			declaration, s.tried = b, true
		default:
			m.readBlocks(s, b, in)
		}
	}
	if s.declares() {
		m.readDeclaration(s, declaration)
	}
	m.missingAttributes(s)
}

// declares reports whether the block declares the outputs of its steps.
func (s *stage) declares() bool { return s.kind != nil && s.kind.Declares() }

func (m *module) attribute(e hclsyntax.Expression, at hcl.Range, f *pipeline.Field, in place) *attribute {
	in.typed = true
	return &attribute{field: f, expr: m.compile(e, in), at: at, pos: diagnostic.Pos(at)}
}

// commonAttributes are those of every stage.
var commonAttributes = value.FieldNames(grammar.Of("stage").Body)

// readAttribute reads what is written for an attribute, and returns nil where the stage does not
// have it.
func (m *module) readAttribute(s *stage, name string, e hclsyntax.Expression, at hcl.Range, in place) *attribute {
	if s.kind == nil {
		m.compile(e, in)
		return nil
	}
	f := s.kind.Config.Field(name)
	if f == nil {
		names := slices.Concat(value.FieldNames(s.kind.Config), commonAttributes)
		m.errorf(at, "Unknown attribute", "A stage %q has no attribute %q.%s", s.kind.Name, name, word.DidYouMean(name, names))
		m.compile(e, in)
		return nil
	}
	for _, a := range s.attrs {
		if a.field == f {
			m.errorf(at, "Attribute written twice", "%s was already written at %s.", name, a.pos)
			return nil
		}
	}
	a := m.attribute(e, at, f, in)
	s.attrs = append(s.attrs, a)
	return a
}

// missingAttributes reports the attributes that a stage needs and the block lacks.
func (m *module) missingAttributes(s *stage) {
	if s.kind == nil || m.partial {
		return
	}
	list := ""
	for _, f := range missing(s) {
		if f.Name == pipeline.Declaration && s.declares() {
			if !s.tried {
				list += exampleDeclaration
			}
			continue
		}
		list += "\n  " + f.Name + " = " + value.Expected(f, f.Type) + value.DocOf(f)
	}
	if list != "" {
		m.errorf(s.node.DefRange(), "Missing attribute", "A stage %q needs also:%s", s.kind.Name, list)
	}
}

// dependencies reads the list of depends_on.
func (m *module) dependencies(e hclsyntax.Expression, in place) []*expr {
	list, ok := e.(*hclsyntax.TupleConsExpr)
	if !ok {
		m.errorf(e.Range(), "Wrong type", "depends_on is a list of stages and modules, such as [stage.a, stage.b[\"k\"]].")
		return nil
	}
	var all []*expr
	for _, item := range list.Exprs {
		c := m.compile(item, in)
		switch {
		case c.bad:
		case !isStageReference(item) || len(c.stages)+len(c.modules) == 0:
			m.errorf(item.Range(), "Not a stage", "depends_on is a list of stages and modules, such as [stage.a, stage.b[\"k\"]].")
		default:
			all = append(all, c)
		}
	}
	return all
}

// isStageReference reports whether e is stage.NAME or stage.NAME[key], or a module so.
func isStageReference(e hclsyntax.Expression) bool {
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		if len(e.Traversal) == 3 {
			_, ok := e.Traversal[2].(hcl.TraverseIndex)
			return ok
		}
		return len(e.Traversal) == 2
	case *hclsyntax.IndexExpr:
		return isStageReference(e.Collection)
	}
	return false
}
