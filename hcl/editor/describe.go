package editor

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/builtin"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// Description is what an editor shows of what stands at a place.
type Description struct {
	Range      Range  // the word there
	Title      string // what it is: attribute policy, stage.net.best, round(number, digits)
	Type       string // in an author's words; "" where that is not known
	Doc        string
	Value      string // as a recipe would write it; "" while it is not known
	Unit       string
	Min, Max   *float64
	Choices    []string
	Default    string // as a recipe would write it; "" where there is none
	Required   bool
	Provenance pipeline.Provenance // how numbers in an output came about
}

// String returns the description in lines of plain text.
func (d Description) String() string {
	lines := []string{d.Title}
	add := func(format, s string) {
		if s != "" {
			lines = append(lines, fmt.Sprintf(format, s))
		}
	}
	add("%s", d.Doc)
	add("type: %s", d.Type)
	add("unit: %s", d.Unit)
	if d.Min != nil {
		add("at least %s", fmt.Sprint(*d.Min))
	}
	if d.Max != nil {
		add("at most %s", fmt.Sprint(*d.Max))
	}
	add("one of %s", word.Quote(d.Choices))
	add("default: %s", d.Default)
	if d.Required {
		add("%s", "required")
	}
	add("provenance: %s", string(d.Provenance))
	add("value: %s", d.Value)
	return strings.Join(lines, "\n")
}

// mostShown is about how many bytes of a value are shown.
const mostShown = 400

// Describe returns what is to be said of what stands at a place: of an attribute's name,
// what its schema says; of a reference, what it refers to; of a function, how it is called.
func (x *Index) Describe(file string, at Position) (Description, bool) {
	c := x.cursor(file, at)
	if c == nil || c.Word == "" {
		return Description{}, false
	}
	d, ok := c.describe()
	d.Range = c.at()
	return d, ok
}

func (c *cursor) describe() (Description, bool) {
	switch c.Kind {
	case syntax.ItemName, syntax.KeyName:
		return c.describeItem()
	case syntax.Label:
		return c.describeLabel()
	case syntax.Text:
		if f, _ := c.field(); f != nil && len(f.OneOf) > 0 {
			return ofField("attribute "+f.Name, f), true
		}
	case syntax.Operand, syntax.Step, syntax.Key:
		if c.Called && c.Kind == syntax.Operand {
			return describeFunction(c.Word)
		}
		return c.describeReference()
	}
	return Description{}, false
}

// describeItem describes the name of an attribute, of a block or of a local.
func (c *cursor) describeItem() (Description, bool) {
	if len(c.Frames) == 1 {
		if b := grammar.Of(c.Word); b != nil {
			return Description{Title: "block " + b.Type, Doc: b.Doc}, true
		}
		return Description{}, false
	}
	if c.Top().Kind == syntax.Body && c.Top().Type == "locals" {
		return c.x.describeSymbol(c.x.targets[target{kind: Local, name: c.Word}])
	}
	f := fieldOf(c.object(), c.Word)
	if f == nil {
		return Description{}, false
	}
	d := ofField("attribute "+f.Name, f)
	if e := c.written(); e != nil {
		d.Value = shown(c.x.eval.Value(e, c.place))
	}
	return d, true
}

// written returns what is written for the item whose name is at the cursor, nil where
// the parser made nothing of it.
func (c *cursor) written() hclsyntax.Expression {
	body := syntax.BodyOf(c.x.files[c.file])
	if body == nil {
		return nil
	}
	for _, b := range body.Blocks {
		if r := b.Body.SrcRange; r.Start.Byte <= c.Start && c.End <= r.End.Byte {
			return syntax.Item(b.Body, c.Start, c.End)
		}
	}
	return nil
}

// describeLabel describes a stage's type, or the name that a block declares.
func (c *cursor) describeLabel() (Description, bool) {
	for _, d := range c.x.declared {
		if d.At.File == c.file && d.At.Start.Byte == c.Start && d.Kind != Each {
			return c.x.describeSymbol(d)
		}
	}
	if typ := c.x.types[c.Word]; typ != nil && c.Top().Item == "stage" {
		return Description{Title: fmt.Sprintf("stage %q", typ.Name), Doc: typ.Doc, Type: "gives " + typ.Output.String()}, true
	}
	return Description{}, false
}

func describeFunction(name string) (Description, bool) {
	for _, f := range builtin.Docs() {
		if f.Name == name {
			return Description{Title: f.Usage, Doc: f.Doc}, true
		}
	}
	return Description{}, false
}

// describeReference describes what is referred to, or a part of it.
func (c *cursor) describeReference() (Description, bool) {
	if c.Kind == syntax.Operand && c.loop(c.Word) != nil {
		return ofShape(c.Word, *c.loop(c.Word)), true
	}
	e := c.expression()
	if e == nil {
		return Description{}, false
	}
	s := c.shape(e)
	switch {
	case len(c.traversal()) == 2 && s.decl != nil && s.decl.Kind != Each && c.Kind != syntax.Key:
		return c.x.describeSymbol(s.decl)
	case s.known():
		return ofShape(c.title(), s), true
	}
	return Description{}, false
}

// title returns the text of the reference up to the word at the cursor.
func (c *cursor) title() string {
	switch c.Kind {
	case syntax.Step:
		return c.Chain + "." + c.Word
	case syntax.Key:
		return c.Chain + "[" + `"` + c.Word + `"]`
	}
	return c.Word + c.x.next(c.file, c.End)
}

// known reports whether anything can be told of s.
func (s shape) known() bool {
	return s.decl != nil || s.field != nil || s.typ != nil || s.val != cty.NilVal && !value.IsBroken(s.val)
}

// describeSymbol describes what a recipe declares.
func (x *Index) describeSymbol(d *declaration) (Description, bool) {
	if d == nil {
		return Description{}, false
	}
	out := Description{Title: string(d.Kind) + " " + d.Name, Doc: d.Doc, Type: x.detailed(d).Detail}
	switch d.Kind {
	case Stage:
		out.Type = fmt.Sprintf("stage %q", d.block.Labels[0])
		if d.typ != nil {
			out.Doc, out.Type = d.typ.Doc, out.Type+", gives "+d.typ.Output.String()
		}
		out.Value = x.instancesOf(d)
	case Module:
		out.Type, out.Value = "made of "+d.Detail, x.instancesOf(d)
	case Variable:
		out.Value = shown(x.eval.Value(variable(d.Name), Place{}))
	default:
		if d.expr != nil {
			out.Value = shown(x.eval.Value(d.expr, Place{}))
		}
	}
	return out, true
}

// instancesOf says which instances a block has, "" for one without for_each.
func (x *Index) instancesOf(d *declaration) string {
	if d.forEach == nil {
		return ""
	}
	return "for each of " + word.Quote(word.First(x.eval.Instances(Place{d.Kind, d.Name}), 8))
}

// ofShape describes a part of what is referred to.
func ofShape(title string, s shape) Description {
	d := Description{Title: title}
	if s.field != nil {
		d = ofField(title, s.field)
		d.Required = false // of what a stage takes; this is what it gives
	}
	switch {
	case s.all:
		d.Type = "object of all instances"
	case s.typ != nil:
		d.Type = s.typ.String()
	case s.val != cty.NilVal:
		d.Type = typeOf(s.val)
	}
	d.Value = shown(s.val)
	return d
}

func ofField(title string, f *pipeline.Field) Description {
	d := Description{Title: title, Type: f.Type.String(), Doc: f.Doc, Unit: f.Unit, Min: f.Min, Max: f.Max,
		Choices: f.OneOf, Required: f.Required, Provenance: f.Kind}
	if f.Default != nil {
		d.Default = value.Literal(f.Default, mostShown)
	}
	return d
}

// shown writes a value, "" where nothing of it is known.
func shown(v cty.Value) string {
	if v == cty.NilVal || value.IsBroken(v) {
		return ""
	}
	if plain, _ := v.Unmark(); !plain.IsKnown() && !value.HoldsSensitive(v) {
		return ""
	}
	return value.Text(v, mostShown)
}

// typeOf writes a value's type as a recipe would, without the names in one that must not
// be shown.
func typeOf(v cty.Value) string {
	if ty := v.Type(); !value.HoldsSensitive(v) || ty.IsPrimitiveType() {
		return value.TypeExpr(ty)
	}
	return "any"
}
