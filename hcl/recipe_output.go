package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/pipeline"
)

// output is an output block.
type output struct {
	named
	name      string
	block     *hclsyntax.Block
	doc       string
	sensitive bool
	result    *pipeline.Output // of the recipe itself
}

func (m *module) declareOutput(b *hclsyntax.Block) {
	o := &output{name: b.Labels[0], block: b}
	o.named = named{m: m, title: m.prefix() + o.name, at: b.DefRange()}
	for _, other := range m.outputs {
		if other.name == o.name {
			m.twice(b, other.block)
			return
		}
	}
	m.outputs = append(m.outputs, o)
	for _, inner := range b.Body.Blocks {
		m.errorf(inner.TypeRange, "Unknown block", "An output has no blocks.")
	}
}

// compileOutputs reads the output blocks.
func (m *module) compileOutputs() {
	for _, o := range m.outputs {
		m.compileOutput(o)
	}
}

func (m *module) compileOutput(o *output) {
	for _, a := range syntax.InOrder(o.block.Body.Attributes) {
		switch a.Name {
		case "value":
			o.expr = m.compile(a.Expr, place{})
		case "description":
			o.doc = m.constString(a)
		case "sensitive":
			o.sensitive = m.constBool(a)
		default:
			m.extraAttribute(a, "An output", grammar.Of("output").Body)
		}
	}
	if o.expr == nil && !m.partial {
		m.errorf(o.block.DefRange(), "Missing attribute", "An output needs value = …")
	}
	if o.sensitive && m.in != nil {
		o.finish = func(_ *scope, v cty.Value) (cty.Value, hcl.Diagnostics) { return v.Mark(value.SensitiveMark{}), nil }
	}
}

// checkOutputs checks the outputs before anything has run, and makes the recipe's own.
func (m *module) checkOutputs() {
	for _, o := range m.outputs {
		switch {
		case o.expr == nil:
		case m.in != nil:
			o.check()
		default:
			m.makeOutput(o)
		}
	}
}

// makeOutput makes an output of the recipe.
func (m *module) makeOutput(o *output) {
	o.result = &pipeline.Output{Name: o.name, Doc: o.doc, Pos: diagnostic.Pos(o.block.DefRange()), Deps: m.needs(o.expr)}
	o.result.Attr = func(known *pipeline.Outputs) (pipeline.Attr, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		a, diags := m.newScope(known, nil).outputAttr(o)
		if diags.HasErrors() {
			return a, m.shown(diags)
		}
		return a, nil
	}
	_, diags := m.bare.outputAttr(o)
	m.add(diags)
}

// needs returns the steps that an expression outside of a stage refers to.
func (m *module) needs(e *expr) []string {
	var ids []string
	seen := make(map[string]bool)
	for r := range e.refs(nil) {
		for _, st := range m.bare.targets(r) {
			if !seen[st.id] {
				seen[st.id] = true
				ids = append(ids, st.id)
			}
		}
	}
	return ids
}

// outputAttr evaluates an output of the recipe.
func (s *scope) outputAttr(o *output) (pipeline.Attr, hcl.Diagnostics) {
	v, diags := s.value(o.expr)
	if diags.HasErrors() || value.IsBroken(v) {
		return pipeline.Attr{}, diags
	}
	c := value.ConvertAny(v, "value")
	if len(c.Faults) > 0 {
		return pipeline.Attr{}, append(diags, faults(o.expr, c.Faults)...)
	}
	a := s.result(c, o.expr, diagnostic.Pos(o.block.DefRange()))
	a.Type = value.TypeExpr(v.Type())
	if a.Sensitive && !o.sensitive {
		at := o.expr.syntax.Range()
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Sensitive output", Subject: &at,
			Detail: "The value is, or contains, what is sensitive. Write sensitive = true in this block if it may be asked for by name."})
	}
	a.Sensitive = o.sensitive
	return *a, diags
}
