package hcl

import (
	"cmp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// attr evaluates an attribute: nil where it is null, as if it were not written. Parts with
// a mistake count as unknown, and so does all of what cannot be evaluated.
func (s *scope) attr(a *attribute) (*pipeline.Attr, hcl.Diagnostics) {
	v, diags := s.partial(a.expr)
	if plain, _ := v.Unmark(); plain.IsNull() && !a.field.Type.Nullable && !a.field.Required {
		return nil, diags
	}
	c := &converter{dir: s.m.dir, at: mistake.Path{{Name: a.field.Name}}}
	tree := c.tree(v, a.field, a.field.Type, inherited{})
	if c.broken || diags.HasErrors() { // written, whatever it is
		return &pipeline.Attr{Parts: []mistake.Path{{{Name: a.field.Name}}}, Pos: a.pos}, append(diags, faults(a.expr, c.faults)...)
	}
	result := s.result(c, tree, a.expr, a.pos)
	for _, f := range c.faults {
		result.Parts = append(result.Parts, f.at)
	}
	return result, append(diags, faults(a.expr, c.faults)...)
}

// sharedAttr evaluates an attribute that is the same for all instances of a stage.
func (s *scope) sharedAttr(a *attribute) (*pipeline.Attr, hcl.Diagnostics) {
	k := s.memory
	return recall(k.attrs, a, k.version(a.expr), func() (*pipeline.Attr, hcl.Diagnostics) { return s.attr(a) })
}

// result gathers what a conversion found.
func (s *scope) result(c *converter, tree any, e *expr, pos string) *pipeline.Attr {
	r := &pipeline.Attr{Value: tree, Sensitive: c.sensitive, Origins: sortOrigins(c.origins), Pos: pos, Parts: c.parts, MayBeNull: c.null}
	if !c.unknown {
		return r
	}
	r.Unknown = sortedKeys(c.waits)
	if c.blind || len(r.Unknown) == 0 {
		r.Unknown = s.missing(e)
	}
	return r
}

// missing returns the steps without output that an expression refers to, for
// where the unknown value itself does not tell.
func (s *scope) missing(e *expr) []string {
	ids := make(map[string]bool)
	add := func(e *expr) {
		for r := range e.refs {
			for _, st := range s.targets(r) {
				if _, ok := s.known(st.id); !ok {
					ids[st.id] = true
				}
			}
		}
	}
	add(e)
	if e.value && s.step != nil {
		if from := s.step.stage.mirrors; from != nil {
			if id := from.byKey[s.step.key].id; !s.has(id) {
				ids[id] = true
			}
		} else {
			add(s.step.stage.forEach)
		}
	}
	return sortedKeys(ids)
}

func (s *scope) has(id string) bool {
	_, ok := s.known(id)
	return ok
}

// faults turns faults into diagnostics, each at the part of the attribute's
// text that it is about.
func faults(e *expr, all []fault) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, f := range all {
		at := inner(e.syntax, f.at, f.name).Range()
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: f.summary, Detail: f.detail, Subject: &at})
	}
	return diags
}

// inner follows a path, whose first step is the attribute's own name, into an
// expression as far as that is written out: to the value there, or to its name.
func inner(e hclsyntax.Expression, p mistake.Path, name bool) hclsyntax.Expression {
	for i := 1; i < len(p); i++ {
		key, value := child(e, p[i])
		if value == nil {
			break
		}
		if name && i == len(p)-1 {
			return key
		}
		e = value
	}
	return e
}

func child(e hclsyntax.Expression, step mistake.Step) (key, value hclsyntax.Expression) {
	switch e := e.(type) {
	case *hclsyntax.ParenthesesExpr:
		return child(e.Expression, step)
	case *hclsyntax.TupleConsExpr:
		if i := step.Index; step.Name == "" && 0 <= i && i < len(e.Exprs) {
			return e.Exprs[i], e.Exprs[i]
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			if name, ok := constantKey(item.KeyExpr); ok && name == step.Name {
				return item.KeyExpr, item.ValueExpr
			}
		}
	}
	return nil, nil
}

// check evaluates an attribute before anything has run, and reports mistakes:
// for the first instance that has any.
func (m *module) check(st *step, a *attribute) *pipeline.Attr {
	if a.failed {
		return nil
	}
	if a.result != nil {
		return a.result
	}
	result, diags := m.bare.of(st).attr(a)
	m.diags = append(m.diags, diags...)
	a.failed = diags.HasErrors()
	if result != nil && !a.expr.each {
		a.result = result
	}
	return result
}

// checkStage checks the attributes of all instances of a stage; of a stage
// whose instances cannot be told, those of one that stands for them.
func (m *module) checkStage(s *stage) {
	if s.kind == nil {
		return
	}
	steps := s.steps
	if s.broken {
		steps = []*step{{m: m, stage: s}}
	}
	for _, st := range steps {
		c := candidate{stage: s, values: make(map[string]any, len(s.attrs))}
		st.fixed = make([]*pipeline.Attr, len(s.attrs))
		for i, a := range s.attrs {
			result := m.check(st, a)
			if !a.failed && !st.varies(a) {
				st.fixed[i] = cmp.Or(result, &leftOut)
			}
			switch {
			case result != nil:
				c.values[a.field.Name] = result.Value
				c.unknown = append(c.unknown, result.Parts...)
				c.sensitive = c.sensitive || result.Sensitive
				if result.MayBeNull {
					c.perhaps = append(c.perhaps, a.field.Name)
				}
			case a.failed || a.expr.bad:
				c.unknown = append(c.unknown, mistake.Path{{Name: a.field.Name}})
			}
		}
		if !s.broken && !m.partial {
			for _, f := range missing(s) { // as was reported
				c.unknown = append(c.unknown, mistake.Path{{Name: f.Name}})
			}
			m.candidates = append(m.candidates, c)
		}
	}
}

// missing returns the attributes that a stage needs and that are not written.
func missing(s *stage) (fields []*pipeline.Field) {
	for i := range s.kind.Config.Fields {
		f := &s.kind.Config.Fields[i]
		if f.Required && !slices.ContainsFunc(s.attrs, func(a *attribute) bool { return a.field == f }) {
			fields = append(fields, f)
		}
	}
	return fields
}
