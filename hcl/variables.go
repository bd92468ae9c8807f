package hcl

import (
	"errors"
	"strings"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// variable is a value that may be given from outside.
type variable struct {
	name        string
	block       *hclsyntax.Block
	typ         cty.Type
	defaults    *typeexpr.Defaults // of optional attributes within the type
	def         *hclsyntax.Attribute
	sensitive   bool
	validations []validation
	value       cty.Value
}

// validation is a condition on a variable's value, and what to say when it
// does not hold.
type validation struct{ condition, message *hclsyntax.Attribute }

// given is a value for a variable: where it was written, and what.
type given struct {
	at    hcl.Range
	value cty.Value
}

func (m *module) declareVariable(b *hclsyntax.Block) {
	name := b.Labels[0]
	if first := m.variables[name]; first != nil {
		m.twice(b, first.block)
		return
	}
	v := &variable{name: name, block: b, typ: cty.DynamicPseudoType}
	m.variables[name] = v
	for _, a := range syntax.InOrder(b.Body.Attributes) {
		switch a.Name {
		case "type":
			v.typ, v.defaults = m.typeOf(a)
		case "default":
			v.def = a
		case "description":
			m.constString(a)
		case "sensitive":
			v.sensitive = m.constBool(a)
		default:
			m.extraAttribute(a, "A variable", grammar.Of("variable").Body)
		}
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type != "validation" {
			m.errorf(inner.TypeRange, "Unknown block", "A variable has no %q blocks; it may have validation.", inner.Type)
			continue
		}
		if val := m.validationOf(inner); val.condition != nil && val.message != nil {
			v.validations = append(v.validations, val)
		}
	}
}

var typeNames = []string{"any", "bool", "number", "string", "list", "set", "map", "tuple", "object"}

func (m *module) typeOf(a *hclsyntax.Attribute) (cty.Type, *typeexpr.Defaults) {
	ty, defaults, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
	for _, d := range diags {
		if d.Subject != nil && d.Summary == "Invalid type specification" {
			name := m.source(*d.Subject)
			d.Detail += " The types are any, bool, number, string, list(T), set(T), map(T), tuple([T, …]) and object({ NAME = T, … })." + word.DidYouMean(name, typeNames)
		}
	}
	m.diags = append(m.diags, diags...)
	if diags.HasErrors() {
		return cty.DynamicPseudoType, nil
	}
	return ty, defaults
}

func (m *module) validationOf(b *hclsyntax.Block) validation {
	var v validation
	for _, a := range syntax.InOrder(b.Body.Attributes) {
		switch a.Name {
		case "condition":
			v.condition = a
		case "error_message":
			v.message = a
		default:
			m.extraAttribute(a, "A validation", grammar.Of("variable").Body.Field("validation").Type.Elem)
		}
	}
	if (v.condition == nil || v.message == nil) && !m.partial {
		m.errorf(b.DefRange(), "Missing attribute", "A validation needs condition, true for good values, and error_message.")
	}
	return v
}

// twice reports a second block of the same name.
func (m *module) twice(b, first *hclsyntax.Block) {
	m.errorf(b.DefRange(), "Name used twice", "The %s %q was already declared at %s.", b.Type, b.Labels[len(b.Labels)-1], diagnostic.Pos(first.DefRange()))
}

func (m *module) extraAttribute(a *hclsyntax.Attribute, block string, of *pipeline.Type) {
	known := grammar.Attributes(of)
	m.errorf(a.NameRange, "Unknown attribute", "%s has no attribute %q; it has %s.%s", block, a.Name, strings.Join(known, ", "), word.DidYouMean(a.Name, known))
}

// constBool evaluates an attribute that is written as true or false.
func (m *module) constBool(a *hclsyntax.Attribute) bool {
	v := m.constant(a, "here")
	if v.Type() != cty.Bool || v.IsNull() || !v.IsKnown() {
		if !value.IsBroken(v) {
			m.errorf(a.Expr.Range(), "Wrong type", "%s is true or false.", a.Name)
		}
		return false
	}
	return v.True()
}

// constString evaluates an attribute that is written as a string.
func (m *module) constString(a *hclsyntax.Attribute) string {
	v := m.constant(a, "here")
	if v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		if !value.IsBroken(v) {
			m.errorf(a.Expr.Range(), "Wrong type", "%s is a string.", a.Name)
		}
		return ""
	}
	return v.AsString()
}

// constant evaluates an expression that refers to nothing.
func (m *module) constant(a *hclsyntax.Attribute, where string) cty.Value {
	e := m.compile(a.Expr, place{words: where})
	v, diags := m.bare.value(e)
	m.diags = append(m.diags, diags...)
	return v
}

// setVariables gives every variable its value and makes var of them.
func (m *module) setVariables() {
	all := m.givenValues()
	values := make(map[string]cty.Value, len(m.variables))
	for _, name := range word.Keys(m.variables) {
		v := m.variables[name]
		v.value = m.variableValue(v, all[name])
		values[name] = v.value
		delete(all, name)
	}
	m.root.Variables["var"] = cty.ObjectVal(values)
	for _, name := range word.Keys(all) {
		if !m.partial {
			m.errorf(all[name].at, "Variable does not exist", "The recipe has no variable %q.%s", name, word.DidYouMean(name, word.Keys(m.variables)))
		}
	}
	for _, name := range word.Keys(m.variables) {
		m.validate(m.variables[name])
	}
}

// variableValue converts what was given, or the default, to the variable's type.
func (m *module) variableValue(v *variable, g *given) cty.Value {
	if g == nil && v.def == nil {
		if !m.partial {
			m.errorf(v.block.DefRange(), "Variable without a value",
				"The variable has no default. Give it a value with --var %[1]s=…, in a --var-file, or in the environment as %[2]s%[1]s.", v.name, envPrefix)
		}
		return value.Broken
	}
	if g == nil {
		g = &given{v.def.Expr.Range(), m.constant(v.def, "in a variable's default")}
	}
	val := g.value
	if value.IsBroken(val) {
		return value.Broken
	}
	if v.defaults != nil && !val.IsNull() {
		val = v.defaults.Apply(val)
	}
	val, err := value.To(val, v.typ)
	if err != nil {
		why := pathError(err)
		if v.sensitive {
			why = "; why is not shown, as the value is sensitive"
		}
		m.errorf(g.at, "Wrong type", "The variable %q is of type %s%s.", v.name, value.TypeExpr(v.typ), why)
		return value.Broken
	}
	if v.sensitive {
		val = val.Mark(value.SensitiveMark{})
	}
	return val
}

// pathError says what is wrong with a value, and where within it.
func pathError(err error) string {
	var deep cty.PathError
	if !errors.As(err, &deep) || len(deep.Path) == 0 {
		return ": " + err.Error()
	}
	return ": at " + value.PathOf(deep.Path).String() + ": " + err.Error()
}

// validate holds a variable's value against its conditions.
func (m *module) validate(v *variable) {
	if value.IsBroken(v.value) {
		return
	}
	for _, val := range v.validations {
		condition := m.compile(val.condition.Expr, place{})
		message := m.compile(val.message.Expr, place{})
		ok, diags := m.bare.value(condition)
		text, more := m.bare.value(message)
		m.diags = append(append(m.diags, diags...), more...)
		if value.IsBroken(ok) || value.IsBroken(text) {
			continue
		}
		hidden := value.HoldsSensitive(text)
		ok, text = value.Bare(ok), value.Bare(text)
		if ok.Type() != cty.Bool || ok.IsNull() || !ok.IsKnown() {
			m.errorf(val.condition.Expr.Range(), "Wrong type", "The condition must be true or false.")
			continue
		}
		if text.Type() != cty.String || text.IsNull() || !text.IsKnown() {
			m.errorf(val.message.Expr.Range(), "Wrong type", "The error message must be a string.")
			continue
		}
		if ok.True() {
			continue
		}
		why := text.AsString()
		if hidden {
			why = "The error message is not shown, as a sensitive value takes part."
		}
		m.errorf(val.condition.Expr.Range(), "Unsuitable value of variable "+v.name, "%s", why)
	}
}
