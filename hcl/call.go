package hcl

import (
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
)

// call is a module block: a text that is used, and what its variables are given.
type call struct {
	block
	text      *text // nil where there is none to use, which was reported
	arguments map[string]*argument
	modules   []*module // one, or the instances, without those that its when leaves out
	whole     *named    // the outputs of all of them
}

// argument is what a module block gives a variable.
type argument struct {
	attr   *hclsyntax.Attribute
	expr   *expr
	failed bool // a mistake was reported
}

func (m *module) declareCall(b *hclsyntax.Block) {
	c := &call{arguments: make(map[string]*argument)}
	c.block = block{m: m, kind: "module", name: b.Labels[0], node: b, many: b.Body.Attributes["for_each"] != nil, call: c}
	if first := m.calls[c.name]; first != nil {
		m.twice(b, first.node)
		return
	}
	m.calls[c.name] = c
	m.blocks = append(m.blocks, &c.block)
	for _, inner := range b.Body.Blocks {
		m.errorf(inner.TypeRange, "Unknown block", "A module has no blocks: what a variable is given is written as %s = { … }.", inner.Type)
	}
	a := b.Body.Attributes["source"]
	if a == nil {
		if !m.partial {
			m.errorf(b.DefRange(), "Missing attribute", `A module needs source = "./…", the directory or file that it is made of.`)
		}
		return
	}
	c.text = m.sourceOf(a)
}

// sourceOf reads the text that a module is made of.
func (m *module) sourceOf(a *hclsyntax.Attribute) *text {
	v := m.constant(a, "in source: which files a recipe consists of is known before anything is evaluated")
	if value.IsBroken(v) {
		return nil
	}
	if v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		m.errorf(a.Expr.Range(), "Wrong type", "source is a string.")
		return nil
	}
	name := v.AsString()
	if !isLocal(name) {
		m.errorf(a.Expr.Range(), "Not a source", "%q is not a path that begins with ./ or ../: a module is in a directory, or a file, near the one that uses it. "+
			"There are no sources elsewhere: copy the module to here.", name)
		return nil
	}
	path := filepath.Join(filepath.Dir(a.SrcRange.Filename), filepath.FromSlash(name))
	if _, err := m.dir.Stat(path); err != nil {
		m.errorf(a.Expr.Range(), "No such source", "There is no %s.%s", path, m.dir.Nearby(path))
		return nil
	}
	return m.textWithin(a, path)
}

// isLocal reports whether a source is a path from the file that names it.
func isLocal(source string) bool {
	return source == "." || source == ".." || strings.HasPrefix(source, "./") || strings.HasPrefix(source, "../")
}

// mostDeep is how deep modules may be within each other. As none is within itself, only a
// recipe of that many texts gets there.
const mostDeep = 32

// textWithin returns the text at a path that a block in m is made of, nil where that is one
// of those that m itself is within.
func (m *module) textWithin(a *hclsyntax.Attribute, path string) *text {
	inner := m.textAt(path)
	chain, deep := inner.path, 0
	for outer := m; outer != nil; outer = outer.in {
		chain = outer.path + " uses " + chain
		if outer.text == inner {
			m.errorf(a.Expr.Range(), "Module within itself", "A module cannot be made of the text that it is part of: %s.", chain)
			return nil
		}
		if deep++; deep > mostDeep {
			m.errorf(a.Expr.Range(), "Modules too deep", "Modules may be %d deep within each other.", mostDeep)
			return nil
		}
	}
	return inner
}

// ofModules are the attributes of module blocks that give nothing to a variable.
var ofModules = []string{"source", "for_each", "when", "depends_on"}

// compile implements [owner].
func (c *call) compile() {
	m, body := c.m, c.node.Body
	in := place{each: c.many}
	for _, a := range syntax.InOrder(body.Attributes) {
		switch a.Name {
		case "source":
		case "for_each":
			c.forEach = m.compile(a.Expr, place{list: true})
		case "when":
			c.when = m.compile(a.Expr, in)
		case "depends_on":
			c.dependsOn = m.dependencies(a.Expr, in)
		default:
			c.arguments[a.Name] = &argument{attr: a, expr: m.compile(a.Expr, in)}
			if c.text != nil && !c.text.partial && c.text.variables[a.Name] == nil {
				m.errorf(a.NameRange, "Variable does not exist", "The module %s has no variable %q; it has %s.%s", c.text.path, a.Name,
					orNone(word.Keys(c.text.variables)), word.DidYouMean(a.Name, slices.Concat(word.Keys(c.text.variables), ofModules)))
			}
		}
	}
	c.missingArguments()
}

// missingArguments reports the variables without a default that are given nothing.
func (c *call) missingArguments() {
	if c.text == nil || c.text.partial || c.m.partial {
		return
	}
	list := ""
	for _, f := range c.text.arguments() {
		if f.Required && c.arguments[f.Name] == nil {
			list += "\n  " + f.Name + " = " + f.Type.String() + value.DocOf(&f)
		}
	}
	if list != "" {
		c.m.errorf(c.node.DefRange(), "Missing attribute", "The module %s has variables without a default, and needs also:%s", c.text.path, list)
	}
	for _, name := range ofModules {
		if v := c.text.variables[name]; v != nil {
			c.m.errorf(c.node.DefRange(), "Variable cannot be given", "The module's variable %q (%s) has the name of an attribute that every module block has. Call it by another name.", name, diagnostic.Pos(v.DefRange()))
		}
	}
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// add implements [owner].
func (c *call) add(i instance) {
	if c.text == nil {
		c.broken = true
		return
	}
	m := newModule(c.m.recipe, c.text)
	m.in, m.each = c.m, &i
	c.modules = append(c.modules, m)
	m.open()
}

// everything returns the object of all instances as a name, so that it is made once for
// all that refer to it.
func (c *call) everything() *named {
	if c.whole == nil {
		c.whole = &named{m: c.m, title: "module." + c.name, state: visited}
		c.whole.refs = slices.Collect(distinct(moduleRef{to: c}.refs(nil)))
		c.whole.make = c.result
	}
	return c.whole
}

// result returns the outputs of all instances.
func (c *call) result(s *scope) (cty.Value, hcl.Diagnostics) {
	values := make(map[string]cty.Value, len(c.modules))
	var all hcl.Diagnostics
	for _, m := range c.modules {
		v, diags := m.result(s, nil)
		values[m.each.key] = v
		all = append(all, diags...)
	}
	return cty.ObjectVal(values), all
}

// moduleRef is a reference to outputs of a module.
type moduleRef struct {
	to      *call
	key     *expr    // the instance's key, where the reference has one that no loop changes
	outputs []string // that it needs; nil for all
	whole   hcl.Range
}

// modules returns the modules that the reference leads to, all instances while its key
// depends on an each that is not given.
func (r moduleRef) modules(each *instance) []*module {
	if r.to.broken {
		return nil
	}
	if r.key == nil || r.key.each && each == nil {
		return r.to.modules
	}
	key, ok := r.key.m.bare.key(r.key, each)
	if !ok {
		return r.to.modules
	}
	if i, ok := r.to.byKey[key]; ok {
		return r.to.modules[i : i+1]
	}
	return nil
}

// refs yields the references to stages in the outputs that are referred to.
func (r moduleRef) refs(each *instance) iter.Seq[stageRef] {
	return func(yield func(stageRef) bool) {
		for _, m := range r.modules(each) {
			for _, o := range m.outputsNamed(r.outputs) {
				for _, ref := range o.refs {
					if !yield(ref) {
						return
					}
				}
			}
		}
	}
}

// outputsNamed returns the outputs of these names, all for nil.
func (m *module) outputsNamed(names []string) []*output {
	if names == nil {
		return m.outputs
	}
	var all []*output
	for _, o := range m.outputs {
		if slices.Contains(names, o.name) {
			all = append(all, o)
		}
	}
	return all
}

// checkCalls checks what the module's blocks give their modules, before anything has run.
func (m *module) checkCalls() {
	for _, b := range m.blocks {
		if b.call == nil {
			continue
		}
		for _, inner := range b.call.modules {
			for _, name := range word.Keys(inner.variables) {
				inner.variables[name].named.check()
			}
		}
		m.warnSame(b.call)
	}
}
