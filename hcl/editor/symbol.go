package editor

import (
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/pipeline"
)

// Kind is what a name, or what may be written, is.
type Kind string

// The kinds of names that a recipe declares.
const (
	Variable Kind = "variable"
	Local    Kind = "local"
	Stage    Kind = "stage"
	Module   Kind = "module"
	Output   Kind = "output"
	Each     Kind = "each" // a block's for_each, with the block's name; not among [Index.Symbols]
)

// Symbol is a name that a recipe declares.
type Symbol struct {
	Kind   Kind
	Name   string
	Detail string // a stage's type, a module's source; the type of others, where that is known
	Doc    string // its description
	Range  Range  // all of it
	At     Range  // its name, without quotes
}

// declaration is a symbol with what is written for it.
type declaration struct {
	Symbol
	block   *hclsyntax.Block     // nil of a local
	expr    hclsyntax.Expression // a local's or output's value, a variable's default, what for_each is
	forEach *hclsyntax.Attribute // of a stage or module
	place   Place                // of a for_each: the block that it is of
	typ     *pipeline.Stage      // of a stage, nil where there is no such type

	once   sync.Once // guards detail, which is evaluated when it is asked for
	detail string
}

// target is what a reference may lead to.
type target struct {
	kind Kind
	name string
	of   Place // for Each, the block
}

// use is a reference to a declaration.
type use struct {
	at Range // the name
	to *declaration
}

// Symbols returns what the recipe declares, file by file in the order of the text. Names
// that are declared twice are there twice.
func (x *Index) Symbols() []Symbol {
	x.once.Do(x.find)
	var all []Symbol
	for _, d := range x.declared {
		if d.Kind != Each {
			all = append(all, x.detailed(d))
		}
	}
	return all
}

// detailed returns a declaration's symbol with its type.
func (x *Index) detailed(d *declaration) Symbol {
	s := d.Symbol
	if s.Detail == "" && d.expr != nil {
		d.once.Do(func() {
			expr := d.expr
			if d.Kind == Variable { // whose value knows that it is sensitive
				expr = variable(d.Name)
			}
			d.detail = typeOf(x.eval.Value(expr, Place{}))
		})
		s.Detail = d.detail
	}
	return s
}

// Definition returns what the reference at a place refers to, which is all of
// stage.net["a"].best. At the name in a declaration, that is the declaration itself.
// each refers to its stage's for_each; what loops define is no symbol.
func (x *Index) Definition(file string, at Position) (Symbol, bool) {
	if d := x.definition(x.cursor(file, at), at); d != nil {
		return x.detailed(d), true
	}
	return Symbol{}, false
}

// References returns where the symbol at a place is referred to: the names there, in
// every file of the recipe, without that in its declaration.
func (x *Index) References(file string, at Position) []Range {
	d := x.definition(x.cursor(file, at), at)
	if d == nil {
		return nil
	}
	var all []Range
	for _, u := range x.uses {
		if u.to == d {
			all = append(all, u.at)
		}
	}
	return all
}

func (x *Index) definition(c *cursor, at Position) *declaration {
	if c == nil {
		return nil
	}
	for _, d := range x.declared {
		if d.At.File == c.file && d.At.Start.Byte <= at.Byte && at.Byte <= d.At.End.Byte {
			return x.first(d)
		}
	}
	if d := c.result(); d != nil {
		return d
	}
	if root, name := c.reference(); name != "" {
		return x.target(root, name, c.place)
	}
	return nil
}

// result returns the declaration of the module's output whose name is at the cursor, in the
// module's own file; nil elsewhere.
func (c *cursor) result() *declaration {
	if c.Kind != syntax.Step || c.Chain == "" {
		return nil
	}
	e := c.parse(c.Chain)
	if e == nil {
		return nil
	}
	s := c.shape(e)
	if s.decl == nil || s.decl.Kind != Module || s.all {
		return nil
	}
	b := c.x.eval.Result(s.decl.Name, c.Word)
	if b == nil {
		return nil
	}
	return c.x.named(Output, b)
}

// first returns the declaration that references to the name of d lead to.
func (x *Index) first(d *declaration) *declaration {
	if t := x.targets[target{d.Kind, d.Name, d.place}]; t != nil {
		return t
	}
	return d
}

// target returns what root.name refers to at a place; nil for what does not exist.
func (x *Index) target(root, name string, in Place) *declaration {
	switch root {
	case "var":
		return x.targets[target{kind: Variable, name: name}]
	case "local":
		return x.targets[target{kind: Local, name: name}]
	case "stage":
		return x.targets[target{kind: Stage, name: name}]
	case "module":
		return x.targets[target{kind: Module, name: name}]
	case "each":
		return x.targets[target{Each, in.Name, in}]
	}
	return nil
}

// find finds what the recipe's trees declare and refer to.
func (x *Index) find() {
	x.targets = make(map[target]*declaration)
	for _, file := range x.sortedNames() {
		body := syntax.BodyOf(x.files[file])
		if body == nil {
			continue
		}
		begin := len(x.declared)
		for _, b := range body.Blocks {
			x.declare(b)
			x.declareWithin(b)
		}
		slices.SortStableFunc(x.declared[begin:], func(a, b *declaration) int { return inOrder(a.At, b.At) })
	}
	for _, d := range x.declared {
		t := target{d.Kind, d.Name, d.place}
		if x.targets[t] == nil && d.Kind != Output { // which nothing can refer to
			x.targets[t] = d
		}
	}
	for _, file := range x.sortedNames() {
		if body := syntax.BodyOf(x.files[file]); body != nil {
			for _, b := range body.Blocks {
				x.findUses(b, b)
			}
		}
	}
	slices.SortFunc(x.uses, func(a, b use) int { return inOrder(a.at, b.at) })
}

// declareWithin declares the recipe's blocks that the parser finds in another one, see
// [grammar.Begins].
func (x *Index) declareWithin(outer *hclsyntax.Block) {
	for _, b := range outer.Body.Blocks {
		if grammar.Begins(b.Type, b.Labels, outer.Type) {
			x.declare(b)
		}
		x.declareWithin(b)
	}
}

func (x *Index) declare(b *hclsyntax.Block) {
	n := len(b.Labels)
	switch {
	case b.Type == "variable" && n == 1:
		d := x.block(Variable, b)
		d.expr = expression(b.Body, "default")
		if typ := expression(b.Body, "type"); typ != nil {
			d.Detail = string(typ.Range().SliceBytes(x.files[d.Range.File].Bytes))
		}
	case b.Type == "output" && n == 1:
		x.block(Output, b).expr = expression(b.Body, "value")
	case b.Type == "locals":
		for _, a := range b.Body.Attributes {
			x.declared = append(x.declared, &declaration{Symbol: Symbol{Kind: Local, Name: a.Name,
				Range: diagnostic.RangeOf(a.SrcRange), At: diagnostic.RangeOf(a.NameRange)}, expr: a.Expr})
		}
	case b.Type == "stage" && n == 2:
		d := x.block(Stage, b)
		d.Detail, d.typ = b.Labels[0], x.types[b.Labels[0]]
		if k := x.eval.Kind(d.Name); k != nil && d.typ != nil && k.Name == d.typ.Name {
			d.typ = k
		}
		x.declareEach(d, b)
	case b.Type == "module" && n == 1:
		d := x.block(Module, b)
		if e := expression(b.Body, "source"); e != nil {
			d.Detail = strings.Trim(string(e.Range().SliceBytes(x.files[d.Range.File].Bytes)), `"`)
		}
		x.declareEach(d, b)
	}
}

// declareEach declares the for_each of a block.
func (x *Index) declareEach(d *declaration, b *hclsyntax.Block) {
	if d.forEach = b.Body.Attributes["for_each"]; d.forEach != nil {
		x.declared = append(x.declared, &declaration{Symbol: Symbol{Kind: Each, Name: d.Name,
			Range: diagnostic.RangeOf(d.forEach.SrcRange), At: diagnostic.RangeOf(d.forEach.NameRange)}, expr: d.forEach.Expr, place: Place{d.Kind, d.Name}})
	}
}

// block adds the declaration of a block whose last label is its name.
func (x *Index) block(k Kind, b *hclsyntax.Block) *declaration {
	d := x.named(k, b)
	x.declared = append(x.declared, d)
	return d
}

// named makes the declaration of a block whose last label is its name.
func (x *Index) named(k Kind, b *hclsyntax.Block) *declaration {
	last := len(b.Labels) - 1
	d := &declaration{block: b, Symbol: Symbol{Kind: k, Name: b.Labels[last], Range: diagnostic.RangeOf(b.Range()),
		At: diagnostic.RangeOf(unquoted(b.LabelRanges[last], b.Labels[last]))}}
	d.Range.End = Position(b.Body.SrcRange.End)
	if e := expression(b.Body, "description"); e != nil {
		if v := value.Bare(x.eval.Value(e, Place{})); v.IsKnown() && !v.IsNull() && v.Type().IsPrimitiveType() {
			d.Doc = value.TextOf(v)
		}
	}
	return d
}

// unquoted returns a label's range without its quotes.
func unquoted(r hcl.Range, label string) hcl.Range {
	if r.End.Byte-r.Start.Byte == len(label)+2 {
		r.Start.Byte, r.Start.Column = r.Start.Byte+1, r.Start.Column+1
		r.End.Byte, r.End.Column = r.End.Byte-1, r.End.Column-1
	}
	return r
}

// expression returns what is written for an attribute, nil where that is nothing.
func expression(b *hclsyntax.Body, name string) hclsyntax.Expression {
	if a := b.Attributes[name]; a != nil {
		return a.Expr
	}
	return nil
}

// findUses finds the references in a block that is top, a block of the recipe, or within it.
func (x *Index) findUses(top, in *hclsyntax.Block) {
	place := placeOf(top.Type, top.Labels)
	for _, a := range in.Body.Attributes {
		refs, _ := syntax.Scan(a.Expr)
		for _, r := range refs {
			if d := x.target(r.Root(), r.Name(), place); d != nil && r.Name() != "" {
				x.uses = append(x.uses, use{diagnostic.RangeOf(r.NameRange()), d})
			}
		}
	}
	for _, b := range in.Body.Blocks {
		if grammar.Begins(b.Type, b.Labels, in.Type) {
			x.findUses(b, b)
		} else {
			x.findUses(top, b)
		}
	}
}
