package hcl

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// module is a text with names of its own: the recipe itself, or one instance of a module
// block. Two modules made of one text share its trees and nothing else.
type module struct {
	*recipe
	*text
	each *instance // of the module block; nil of the recipe itself
	in   *module   // that the block stands in

	variables map[string]*variable
	locals    map[string]*local
	stages    map[string]*stage
	calls     map[string]*call
	blocks    []*block // stages and calls in the order of the text
	ordered   []*stage // the stages alone
	outputs   []*output
	twins     twins

	root *hcl.EvalContext // functions, path and, where they are known from the start, variables
	bare *scope           // in which no step has an output yet
}

func newModule(r *recipe, t *text) *module {
	m := &module{
		recipe:    r,
		text:      t,
		variables: make(map[string]*variable),
		locals:    make(map[string]*local),
		stages:    make(map[string]*stage),
		calls:     make(map[string]*call),
		twins:     make(twins),
		root:      t.context,
	}
	m.bare = &scope{m: m, view: r.bare}
	return m
}

// prefix begins the IDs of the module's steps: `module.net["a"].`, "" of the recipe's own.
func (m *module) prefix() string {
	if m.each == nil {
		return ""
	}
	return m.name() + "."
}

// name is what an ID calls the module: `module.net["a"]`.
func (m *module) name() string { return m.each.id() }

// what is what messages call the module.
func (m *module) what() string {
	if m.each == nil {
		return "recipe"
	}
	return "module"
}

// open declares what is written, and finds what all expressions refer to.
func (m *module) open() {
	m.declare()
	m.setVariables()
	m.compileLocals()
	for _, b := range m.blocks {
		b.compile()
	}
	m.compileOutputs()
	m.compileValidations()
}

// expandAll gives all names their values, as far as these are known, and finds out which
// steps there are.
func (m *module) expandAll() {
	for _, name := range word.Keys(m.variables) {
		m.settle(m.variables[name].named, nil)
	}
	if m.in == nil {
		m.checkVariables()
	}
	for _, name := range word.Keys(m.locals) {
		m.settle(&m.locals[name].named, nil)
	}
	for _, b := range m.blocks {
		m.expand(b, nil)
		if b.call != nil {
			for _, inner := range b.call.modules {
				inner.expandAll()
			}
		}
	}
	for _, o := range m.outputs {
		m.settle(&o.named, nil)
	}
}

// all adds the module and those within it to a list.
func (m *module) all(list []*module) []*module {
	list = append(list, m)
	for _, b := range m.blocks {
		if b.call != nil {
			for _, inner := range b.call.modules {
				list = inner.all(list)
			}
		}
	}
	return list
}

// allSteps adds the steps of the module and of those within it, in the order of the text.
func (m *module) allSteps(list []*pipeline.Step) []*pipeline.Step {
	for _, b := range m.blocks {
		if b.call == nil {
			list = b.stage.plain(list)
			continue
		}
		for _, inner := range b.call.modules {
			list = inner.allSteps(list)
		}
	}
	return list
}

// declare collects the blocks, so that what follows can refer to any of them.
func (m *module) declare() {
	for _, body := range m.bodies {
		for _, a := range syntax.InOrder(body.Attributes) {
			m.errorf(a.NameRange, "Attribute outside of a block", "A recipe consists of blocks: %s. A named value belongs into locals.", strings.Join(blockTypes, ", "))
		}
		for _, b := range body.Blocks {
			m.declareBlock(b)
		}
	}
}

var blockTypes = grammar.Types()

func (m *module) declareBlock(b *hclsyntax.Block) {
	kind := grammar.Of(b.Type)
	if kind == nil {
		m.errorf(b.TypeRange, "Unknown block", "A recipe has no %q blocks; it has %s.%s", b.Type, strings.Join(blockTypes, ", "), word.DidYouMean(b.Type, blockTypes))
		return
	}
	if !m.labels(b, kind.Labels...) {
		return
	}
	switch b.Type {
	case "variable":
		m.declareVariable(b)
	case "locals":
		m.declareLocals(b)
	case "stage":
		m.declareStage(b)
	case "module":
		m.declareCall(b)
	case "output":
		m.declareOutput(b)
	}
}

// labels returns whether a block has the labels that it should have, and reports it if
// not.
func (m *module) labels(b *hclsyntax.Block, want ...string) bool {
	if len(b.Labels) != len(want) {
		usage := b.Type
		for _, w := range want {
			usage += ` "` + w + `"`
		}
		m.errorf(b.DefRange(), "Wrong labels", "Such a block begins with %s {", usage)
		return false
	}
	for i, l := range b.Labels {
		if want[i] == "NAME" && !hclsyntax.ValidIdentifier(l) {
			m.errorf(b.LabelRanges[i], "Not a name", "%q cannot be referred to: a name consists of letters, digits, _ and -, and begins with a letter.", l)
			return false
		}
	}
	return true
}

// result returns the module's outputs of these names, all for nil.
func (m *module) result(s *scope, names []string) (cty.Value, hcl.Diagnostics) {
	values := make(map[string]cty.Value, len(m.outputs))
	diags := m.results(s, names, values)
	return cty.ObjectVal(values), diags
}

// results adds outputs to values.
func (m *module) results(s *scope, names []string, values map[string]cty.Value) (all hcl.Diagnostics) {
	for _, o := range m.outputsNamed(names) {
		v, diags := s.named(&o.named)
		values[o.name] = v
		all = append(all, diags...)
	}
	return all
}

// Kind implements [editor.Evaluator].
func (e evaluator) Kind(name string) *pipeline.Stage {
	if s := e.m.stages[name]; s != nil {
		return s.kind
	}
	return nil
}
