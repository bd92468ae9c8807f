package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/editor"
	"eyrie/pipeline"
)

// Module is a recipe as it was read, with mistakes in it or not: its index answers what
// an editor asks.
type Module struct {
	*editor.Index
	recipe *pipeline.Recipe
	diags  Diagnostics
}

// Open reads the recipe at path as [Load] does, and keeps what an editor asks, however
// many mistakes there are. Files are known to the index by the names that diagnostics
// call them: path, or what is in it.
func Open(path string, opt Options) *Module {
	m := newModule(opt)
	r := m.load(path)
	own := make(map[string]*hcl.File, len(m.names))
	for _, name := range m.names {
		if f := m.files[name]; f != nil {
			own[name] = f
		}
	}
	return &Module{editor.New(own, m.types, evaluator{m}), r, m.diagnostics()}
}

// Recipe returns the recipe, nil where there is any mistake, and all mistakes.
func (m *Module) Recipe() (*pipeline.Recipe, Diagnostics) {
	if m.diags.HasErrors() {
		return nil, m.diags
	}
	return m.recipe, m.diags
}

// evaluator evaluates for an editor, with no output known.
type evaluator struct{ m *module }

// Value implements [editor.Evaluator].
func (e evaluator) Value(x hclsyntax.Expression, in string) cty.Value {
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.meter.Restart()
	reported := m.diags
	defer func() { m.diags = reported }() // what is asked for is no part of the recipe
	var st *step
	if s := m.stages[in]; s != nil {
		if st = (&step{m: m, stage: s}); len(s.steps) > 0 {
			st = s.steps[0]
		}
	}
	v, _ := m.bare.of(st).value(m.compile(x, place{each: st != nil && st.stage.many}))
	return v
}

// Instances implements [editor.Evaluator].
func (e evaluator) Instances(stage string) []string {
	if s := e.m.stages[stage]; s != nil && s.many {
		return s.keys()
	}
	return nil
}
