package hcl

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// envPrefix begins the names of environment variables that give values to a
// recipe's variables.
const envPrefix = "EYRIE_VAR_"

// givenValues gathers the values that variables were given: from the
// environment, overridden by files, overridden by options.
func (m *module) givenValues() map[string]*given {
	all := make(map[string]*given)
	for _, entry := range m.opt.Environ {
		name, text, _ := strings.Cut(entry, "=")
		name, ok := strings.CutPrefix(name, envPrefix)
		if ok && m.variables[name] != nil { // the environment may be meant for other recipes
			all[name] = m.text(name, text, envPrefix+name)
		}
	}
	for _, path := range m.opt.VarFiles {
		body := m.parse(path)
		if body == nil {
			continue
		}
		for _, b := range body.Blocks {
			m.errorf(b.DefRange(), "Block in a file of variables", "Such a file consists of lines NAME = VALUE.")
		}
		for _, a := range inOrder(body.Attributes) {
			all[a.Name] = &given{a.Expr.Range(), m.constant(a, "in a file of variables")}
		}
	}
	for _, name := range sortedKeys(m.opt.Vars) {
		all[name] = m.text(name, m.opt.Vars[name], "--var "+name)
	}
	return all
}

// text makes a value of text from outside. It is taken as it stands where the
// variable is a string; otherwise it is an expression, or, when it is none, a
// string after all.
func (m *module) text(name, text, source string) *given {
	file := &hcl.File{Bytes: []byte(text)}
	whole := hcl.Range{Filename: source, Start: hcl.InitialPos, End: hcl.Pos{Line: 1, Column: len(text) + 1, Byte: len(text)}}
	g := &given{whole, cty.StringVal(text)}
	v := m.variables[name]
	m.files[source] = file
	if v != nil && v.typ == cty.String {
		return g
	}
	if tooDeep(file.Bytes, source) != nil {
		return g
	}
	e, diags := hclsyntax.ParseExpression(file.Bytes, source, hcl.InitialPos)
	simple := v == nil || v.typ == cty.DynamicPseudoType
	if simple && (diags.HasErrors() || len(e.Variables()) > 0) {
		return g
	}
	if diags.HasErrors() {
		m.diags = append(m.diags, diags...)
		g.value = broken
		return g
	}
	g.value = m.constant(&hclsyntax.Attribute{Name: name, Expr: e}, "in a variable's value")
	return g
}
