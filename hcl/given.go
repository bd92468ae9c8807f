package hcl

import (
	"strings"

	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"

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
			all[name] = m.parseGiven(name, text, envPrefix+name)
		}
	}
	for _, path := range m.opt.VarFiles {
		body := m.parse(m.text, path)
		if body == nil {
			continue
		}
		for _, b := range body.Blocks {
			m.errorf(b.DefRange(), "Block in a file of variables", "Such a file consists of lines NAME = VALUE.")
		}
		for _, a := range syntax.InOrder(body.Attributes) {
			all[a.Name] = &given{a.Expr.Range(), m.constant(a, "in a file of variables")}
		}
	}
	for _, name := range word.Keys(m.opt.Vars) {
		all[name] = m.parseGiven(name, m.opt.Vars[name], "--var "+name)
	}
	return all
}

// parseGiven makes a value of text from outside. Where the variable is a string it is
// taken as it stands. Otherwise what begins like a list, an object or quoted
// text must be one; a number, true, false and null are what they look like; and
// anything else is text.
func (m *module) parseGiven(name, text, source string) *given {
	whole := hcl.Range{Filename: source, Start: hcl.InitialPos, End: hcl.Pos{Line: 1, Column: len(text) + 1, Byte: len(text)}}
	g := &given{whole, cty.StringVal(text)}
	v := m.variables[name]
	if v == nil || !v.sensitive { // whose text no message may show
		m.files[source] = &hcl.File{Bytes: []byte(text)}
	}
	if v == nil || v.typ == cty.String {
		return g
	}
	looks := looksLike(text)
	e, diag := syntax.ParseExpression(text, source)
	switch {
	case looks != "" && diag != nil:
		m.errorf(*diag.Subject, "Malformed value", "The value given for the variable %q begins like %s, but is not one. %s "+
			"If it is meant as text, declare the variable with type = string.", name, looks, diag.Detail)
		g.value = value.Broken
	case looks != "" || diag == nil && syntax.IsScalar(e):
		g.value = m.constant(&hclsyntax.Attribute{Name: name, Expr: e}, "in a variable's value")
	}
	return g
}

// looksLike says what the text begins like, if that is neither a word nor a number.
func looksLike(text string) string {
	switch first := strings.TrimSpace(text); {
	case strings.HasPrefix(first, "["):
		return `a list, such as [1, "two"]`
	case strings.HasPrefix(first, "{"):
		return `an object, such as { a = 1, b = "two" }`
	case strings.HasPrefix(first, `"`):
		return `quoted text, such as "two"`
	}
	return ""
}
