package hcl

import (
	"errors"
	"fmt"
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
	validations []*validation
	named       *named // its value: what was given from outside, or what a module block gives
	given       bool   // from outside: it is not the default
}

// validation is a condition on a variable's value, and what to say when it
// does not hold.
type validation struct {
	condition, message *hclsyntax.Attribute
	holds, says        *expr
}

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
	m.add(diags)
	if diags.HasErrors() {
		return cty.DynamicPseudoType, nil
	}
	return ty, defaults
}

func (m *module) validationOf(b *hclsyntax.Block) *validation {
	v := new(validation)
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
	m.add(diags)
	return v
}

// setVariables says where every variable has its value from.
func (m *module) setVariables() {
	if m.in != nil {
		for _, name := range word.Keys(m.variables) {
			m.variables[name].named = m.argumentOf(m.variables[name])
		}
		return
	}
	all := m.givenValues()
	values := make(map[string]cty.Value, len(m.variables))
	for _, name := range word.Keys(m.variables) {
		v := m.variables[name]
		values[name] = m.variableValue(v, all[name])
		v.named = &named{m: m, title: "var." + name, at: v.block.DefRange(), state: visited, value: values[name]}
		delete(all, name)
	}
	m.root.Variables["var"] = cty.ObjectVal(values)
	for _, name := range word.Keys(all) {
		if !m.partial {
			m.errorf(all[name].at, "Variable does not exist", "The recipe has no variable %q.%s", name, word.DidYouMean(name, word.Keys(m.variables)))
		}
	}
}

// argumentOf returns what a module block gives a variable, or its default.
func (m *module) argumentOf(v *variable) *named {
	n := &named{m: m, title: "var." + v.name + " of " + m.name(), at: v.block.DefRange()}
	given := m.each.of.call.arguments[v.name]
	switch {
	case given != nil:
		n.m, n.each, n.at, n.expr, n.failed = m.in, m.each, given.attr.SrcRange, given.expr, &given.failed
	case v.def != nil:
		n.expr = m.compile(v.def.Expr, place{words: "in a variable's default"})
	default: // which was reported
		return n
	}
	at := n.expr.syntax.Range()
	n.finish = func(s *scope, val cty.Value) (cty.Value, hcl.Diagnostics) {
		val, diag := v.convert(val, at)
		if diag != nil {
			return value.Broken, n.m.own(hcl.Diagnostics{diag})
		}
		s.values[n] = val // which the conditions refer to
		return val, n.m.own(v.validate(s.in(m), at))
	}
	return n
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
	v.given = g != nil
	if g == nil {
		g = &given{v.def.Expr.Range(), m.constant(v.def, "in a variable's default")}
	}
	if value.IsBroken(g.value) {
		return value.Broken
	}
	val, diag := v.convert(g.value, g.at)
	if diag != nil {
		m.add(hcl.Diagnostics{diag})
		return value.Broken
	}
	return val
}

// convert converts a value to the variable's type.
func (v *variable) convert(val cty.Value, at hcl.Range) (cty.Value, *hcl.Diagnostic) {
	if v.defaults != nil && !val.IsNull() {
		val = v.defaults.Apply(val)
	}
	hidden := v.sensitive || value.HoldsSensitive(val)
	val, err := value.To(val, v.typ)
	if err != nil {
		why := pathError(err)
		if hidden {
			why = "; why is not shown, as the value is sensitive"
		}
		return value.Broken, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Wrong type", Subject: &at,
			Detail: fmt.Sprintf("The variable %q is of type %s%s.", v.name, value.TypeExpr(v.typ), why)}
	}
	if v.sensitive {
		val = val.Mark(value.SensitiveMark{})
	}
	return val, nil
}

// pathError says what is wrong with a value, and where within it.
func pathError(err error) string {
	var deep cty.PathError
	if !errors.As(err, &deep) || len(deep.Path) == 0 {
		return ": " + err.Error()
	}
	return ": at " + value.PathOf(deep.Path).String() + ": " + err.Error()
}

// compileValidations finds what the conditions on variables refer to.
func (m *module) compileValidations() {
	for _, name := range word.Keys(m.variables) {
		v := m.variables[name]
		for _, val := range v.validations {
			val.holds, val.says = m.compile(val.condition.Expr, place{}), m.compile(val.message.Expr, place{})
			v.named.also = append(v.named.also, val.holds, val.says)
		}
	}
}

// checkVariables holds the recipe's variables against their conditions.
func (m *module) checkVariables() {
	for _, name := range word.Keys(m.variables) {
		v := m.variables[name]
		for _, val := range v.validations {
			m.settleNames(val.holds, nil)
			m.settleNames(val.says, nil)
		}
		if !value.IsBroken(v.named.value) {
			m.add(v.validate(m.bare, hcl.Range{}))
		}
	}
}

// validate holds a variable's value against its conditions. A mistake is where the value
// is written, or where that is nowhere, at the condition.
func (v *variable) validate(s *scope, at hcl.Range) (all hcl.Diagnostics) {
	for _, val := range v.validations {
		ok, diags := s.value(val.holds)
		text, more := s.value(val.says)
		all = append(append(all, diags...), more...)
		if !value.IsBroken(ok) && !value.IsBroken(text) {
			if d := v.held(val, ok, text, at); d != nil {
				all = append(all, d)
			}
		}
	}
	return all
}

// held returns what is wrong where a condition does not hold.
func (v *variable) held(val *validation, ok, text cty.Value, at hcl.Range) *hcl.Diagnostic {
	hidden := value.HoldsSensitive(text)
	ok, text = value.Bare(ok), value.Bare(text)
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Wrong type"}
	switch {
	case !ok.IsKnown() && v.named.value == cty.NilVal: // it waits for an output
		return nil
	case ok.Type() != cty.Bool || ok.IsNull() || !ok.IsKnown():
		d.Subject, d.Detail = val.condition.Expr.Range().Ptr(), "The condition must be true or false."
		return d
	case ok.True():
		return nil
	case text.Type() != cty.String || text.IsNull() || !text.IsKnown():
		d.Subject, d.Detail = val.message.Expr.Range().Ptr(), "The error message must be a string."
		return d
	}
	d.Summary, d.Detail, d.Subject = "Unsuitable value of variable "+v.name, text.AsString(), val.condition.Expr.Range().Ptr()
	if hidden {
		d.Detail = "The error message is not shown, as a sensitive value takes part."
	}
	if at != (hcl.Range{}) {
		d.Subject, d.Detail = &at, d.Detail+"\n\nThe condition is at "+diagnostic.Pos(val.condition.Expr.Range())+"."
	}
	return d
}
