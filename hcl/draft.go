package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/editor"
	"eyrie/pipeline"
)

// Draft is a recipe as it was read, with mistakes in it or not: its index answers what
// an editor asks.
type Draft struct {
	*editor.Index
	recipe *pipeline.Recipe
	diags  Diagnostics
}

// Open reads the recipe at path as [Load] does, and keeps what an editor asks, however
// many mistakes there are. Files are known to the index by the names that diagnostics
// call them: path, or what is in it. Those of modules are recipes of their own.
func Open(path string, opt Options) *Draft {
	r := newRecipe(opt)
	result := r.load(path)
	m := r.root
	own := make(map[string]*hcl.File, len(m.names))
	for _, name := range m.names {
		if f := m.files[name]; f != nil {
			own[name] = f
		}
	}
	return &Draft{editor.New(own, r.types, evaluator{m}), result, r.diagnostics()}
}

// Recipe returns the recipe, nil where there is any mistake, and all mistakes.
func (d *Draft) Recipe() (*pipeline.Recipe, Diagnostics) {
	if d.diags.HasErrors() {
		return nil, d.diags
	}
	return d.recipe, d.diags
}

// evaluator evaluates for an editor, with no output known.
type evaluator struct{ m *module }

// Value implements [editor.Evaluator].
func (e evaluator) Value(x hclsyntax.Expression, in editor.Place) cty.Value {
	m := e.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.meter.Restart()
	reported := m.diags
	defer func() { m.diags = reported }() // what is asked for is no part of the recipe
	at := e.instance(in)
	c := m.compile(x, place{each: at != nil && at.of.many})
	v, _ := m.bare.with(at).value(c)
	return v
}

// instance returns the first instance of a block, nil outside of one.
func (e evaluator) instance(in editor.Place) *instance {
	b := e.block(in)
	switch {
	case b == nil:
		return nil
	case b.stage != nil && len(b.stage.steps) > 0:
		return &b.stage.steps[0].instance
	case b.call != nil && len(b.call.modules) > 0:
		return b.call.modules[0].each
	}
	return &instance{of: b}
}

// block returns a block that may have instances, nil for any other.
func (e evaluator) block(in editor.Place) *block {
	switch in.Kind {
	case editor.Stage:
		if s := e.m.stages[in.Name]; s != nil {
			return &s.block
		}
	case editor.Module:
		if c := e.m.calls[in.Name]; c != nil {
			return &c.block
		}
	}
	return nil
}

// Instances implements [editor.Evaluator].
func (e evaluator) Instances(in editor.Place) []string {
	if b := e.block(in); b != nil && b.many {
		return b.sortedKeys()
	}
	return nil
}

// Arguments implements [editor.Evaluator].
func (e evaluator) Arguments(module string) []pipeline.Field {
	c := e.m.calls[module]
	if c == nil || c.text == nil {
		return nil
	}
	return c.text.arguments()
}

// Result implements [editor.Evaluator].
func (e evaluator) Result(module, output string) *hclsyntax.Block {
	if c := e.m.calls[module]; c != nil && c.text != nil {
		return c.text.outputs[output]
	}
	return nil
}
