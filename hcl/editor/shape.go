package editor

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// shape is what can be told of a value before anything runs: from the schema of the
// stage that it comes from, and from what expressions come to.
type shape struct {
	decl   *declaration    // it is what this declares
	all    bool            // it is the object of all instances of decl, a stage or module
	field  *pipeline.Field // it is what this field of an output holds
	typ    *pipeline.Type
	spread bool      // it is a list of which attributes are those of its elements: x[*]
	val    cty.Value // NilVal where nothing is known
}

// reference returns the root and the name of the reference that the cursor is in, ""
// where it is in none or a loop has defined the root.
func (c *cursor) reference() (root, name string) {
	t := c.traversal()
	if len(t) < 2 || c.loop(t.RootName()) != nil {
		return "", ""
	}
	r := syntax.Reference{ScopeTraversalExpr: &hclsyntax.ScopeTraversalExpr{Traversal: t}}
	return r.Root(), r.Name()
}

// traversal returns the beginning of the expression that the cursor is in: up to the
// word at the cursor, and where that is a root, up to the name behind it.
func (c *cursor) traversal() hcl.Traversal {
	e := c.expression()
	for e != nil {
		switch node := e.(type) {
		case *hclsyntax.ScopeTraversalExpr:
			return node.Traversal
		case *hclsyntax.RelativeTraversalExpr:
			e = node.Source
		case *hclsyntax.IndexExpr:
			e = node.Collection
		case *hclsyntax.SplatExpr:
			e = node.Source
		default:
			return nil
		}
	}
	return nil
}

// expression returns the reference that the cursor is in, up to the word at the cursor.
func (c *cursor) expression() hclsyntax.Expression {
	switch {
	case c.Word == "" && c.Kind != syntax.Key:
		return nil
	case c.Kind == syntax.Step && c.Chain != "":
		return c.parse(c.Chain + "." + c.Word)
	case c.Kind == syntax.Key && c.Quoted:
		return c.parse(c.Chain + "[" + string(c.x.files[c.file].Bytes[c.Start-1:c.End]) + `"]`)
	case c.Kind == syntax.Operand && !c.Called:
		return c.parse(c.Word + c.x.next(c.file, c.End))
	}
	return nil
}

// next returns the dot and the name that stand at a byte, "" where none do.
func (x *Index) next(file string, at int) string {
	src := x.files[file].Bytes
	if at >= len(src) || src[at] != '.' {
		return ""
	}
	end := at + 1
	for end < len(src) && hclsyntax.ValidIdentifier("x"+string(src[at+1:end+1])) {
		end++
	}
	if end == at+1 {
		return ""
	}
	return string(src[at:end])
}

// parse parses a part of the text that stands alone, nil where it does not.
func (c *cursor) parse(text string) hclsyntax.Expression {
	e, diag := syntax.ParseExpression(text, c.file)
	if diag != nil {
		return nil
	}
	return e
}

// loop returns the shape of a name that a loop around the cursor defines, nil where none
// does.
func (c *cursor) loop(name string) *shape {
	for i := len(c.Loops) - 1; i >= 0; i-- {
		l := c.Loops[i]
		if name != l.Key && name != l.Value {
			continue
		}
		outer := *c
		cut := *c.Cursor
		cut.Loops = c.Loops[:i]
		outer.Cursor = &cut
		of := shape{}
		if e := c.parse(l.Over); e != nil {
			of = outer.shape(e)
		}
		s := of.key()
		if name == l.Value {
			s = of.element(cty.NilVal)
		}
		return &s
	}
	return nil
}

// shape returns the shape of an expression at the cursor.
func (c *cursor) shape(e hclsyntax.Expression) shape { return (&resolver{c: c}).shape(e) }

// resolver finds the shapes of an expression's parts.
type resolver struct {
	c     *cursor
	items map[*hclsyntax.AnonSymbolExpr]shape // what [*] stands for
	depth int
}

// mostDepth bounds how far locals that refer to each other are followed.
const mostDepth = 32

func (r *resolver) shape(e hclsyntax.Expression) shape {
	if r.depth++; r.depth > mostDepth {
		return shape{}
	}
	defer func() { r.depth-- }()
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return r.root(e)
	case *hclsyntax.RelativeTraversalExpr:
		return r.shape(e.Source).steps(e.Traversal)
	case *hclsyntax.IndexExpr:
		return r.shape(e.Collection).element(r.value(e.Key))
	case *hclsyntax.SplatExpr:
		source := r.shape(e.Source)
		if r.items == nil {
			r.items = make(map[*hclsyntax.AnonSymbolExpr]shape)
		}
		r.items[e.Item] = source.element(cty.NilVal)
		s := r.shape(e.Each)
		s.spread = true
		return s
	case *hclsyntax.AnonSymbolExpr:
		return r.items[e]
	case *hclsyntax.ParenthesesExpr:
		return r.shape(e.Expression)
	case *hclsyntax.ConditionalExpr:
		return r.shape(e.TrueResult)
	case *hclsyntax.FunctionCallExpr:
		return r.call(e)
	}
	return shape{val: r.value(e)}
}

// root returns the shape of a reference.
func (r *resolver) root(e *hclsyntax.ScopeTraversalExpr) shape {
	t := e.Traversal
	if s := r.c.loop(t.RootName()); s != nil {
		return s.steps(t[1:])
	}
	if len(t) < 2 {
		return shape{}
	}
	ref := syntax.Reference{ScopeTraversalExpr: e}
	d := r.c.x.target(ref.Root(), ref.Name(), r.c.place)
	base := shape{decl: d, val: r.value(&hclsyntax.ScopeTraversalExpr{Traversal: t[:2], SrcRange: e.SrcRange})}
	switch {
	case d == nil:
	case d.Kind == Stage && d.typ != nil:
		base.all, base.typ = d.forEach != nil, d.typ.Output
	case d.Kind == Module:
		base.all = d.forEach != nil
	case d.Kind == Each && ref.Name() == "value":
		of := r.shape(d.expr).element(cty.NilVal)
		base.typ, base.field = of.typ, of.field
	case d.Kind == Local:
		of := r.shape(d.expr)
		base.typ, base.field, base.spread = of.typ, of.field, of.spread
	}
	return base.steps(t[2:])
}

// call returns the shape of what some functions return of their first argument.
func (r *resolver) call(e *hclsyntax.FunctionCallExpr) shape {
	s := shape{val: r.value(e)}
	if len(e.Args) == 0 {
		return s
	}
	switch e.Name {
	case "values":
		of := r.shape(e.Args[0]).element(cty.NilVal)
		s.field, s.typ = of.field, of.typ
		if s.typ != nil {
			s.typ = &pipeline.Type{Kind: pipeline.List, Elem: s.typ}
		}
	case "try", "published", "measured", "coalesce", "reverse":
		of := r.shape(e.Args[0])
		s.field, s.typ, s.all, s.decl = of.field, of.typ, of.all, of.decl
	}
	return s
}

// value evaluates an expression; NilVal where it refers to what a loop defines.
func (r *resolver) value(e hclsyntax.Expression) cty.Value {
	for _, t := range e.Variables() {
		if r.c.loop(t.RootName()) != nil {
			return cty.NilVal
		}
	}
	return r.c.x.eval.Value(e, r.c.place)
}

func (s shape) steps(t hcl.Traversal) shape {
	for _, step := range t {
		switch step := step.(type) {
		case hcl.TraverseAttr:
			s = s.attribute(step.Name)
		case hcl.TraverseIndex:
			s = s.element(step.Key)
		case hcl.TraverseSplat:
			s = s.element(cty.NilVal)
			s.spread = true
		}
	}
	return s
}

// attribute returns the shape of s.name.
func (s shape) attribute(name string) shape {
	if s.all {
		return s.element(cty.StringVal(name))
	}
	out := shape{spread: s.spread}
	if s.typ != nil && s.typ.Kind == pipeline.Object {
		if out.field = s.typ.Field(name); out.field != nil {
			out.typ = out.field.Type
		}
	}
	if s.typ != nil && s.typ.Kind == pipeline.Map {
		out.typ = s.typ.Elem
	}
	out.val = attributeOf(s.val, name)
	return out
}

// element returns the shape of an element, of the one with a key or, for NilVal, of any.
func (s shape) element(key cty.Value) shape {
	out := shape{val: elementOf(s.val, key)}
	switch {
	case s.all:
		out.decl, out.typ = s.decl, s.typ
	case s.typ != nil && (s.typ.Kind == pipeline.List || s.typ.Kind == pipeline.Map):
		out.typ, out.field = s.typ.Elem, s.field
	}
	return out
}

// key returns the shape of the keys, or indexes, of s.
func (s shape) key() shape {
	if s.val == cty.NilVal || s.val.Type().IsListType() || s.val.Type().IsTupleType() {
		return shape{}
	}
	return shape{val: cty.UnknownVal(cty.String)}
}

// names returns the attributes of s.
func (s shape) names() []string {
	if s.all {
		return nil
	}
	if s.typ != nil && s.typ.Kind == pipeline.Object {
		return value.FieldNames(s.typ)
	}
	return keysOf(s.val)
}

// keysOf returns the names in an object, or the keys of a map that is known.
func keysOf(v cty.Value) []string {
	if v == cty.NilVal {
		return nil
	}
	v, _ = v.Unmark()
	switch ty := v.Type(); {
	case ty.IsObjectType():
		return word.Keys(ty.AttributeTypes())
	case ty.IsMapType() && v.IsKnown() && !v.IsNull():
		return word.Keys(v.AsValueMap())
	}
	return nil
}

// attributeOf returns an object's attribute or a map's element, NilVal where that
// cannot be told.
func attributeOf(v cty.Value, name string) cty.Value {
	if v == cty.NilVal || v.IsNull() {
		return cty.NilVal
	}
	if ty := v.Type(); ty.IsObjectType() && ty.HasAttribute(name) {
		return v.GetAttr(name)
	}
	return elementOf(v, cty.StringVal(name))
}

// elementOf returns the element with a key, or for NilVal the first one.
func elementOf(v, key cty.Value) cty.Value {
	if v == cty.NilVal || v.IsNull() {
		return cty.NilVal
	}
	plain, marks := v.Unmark()
	if ty := plain.Type(); !plain.IsKnown() && ty.IsCollectionType() {
		return cty.UnknownVal(ty.ElementType()).WithMarks(marks)
	}
	if !plain.IsKnown() || !plain.CanIterateElements() {
		return cty.NilVal
	}
	if key != cty.NilVal {
		key, _ = key.Unmark()
	}
	for k, e := range plain.Elements() {
		if key == cty.NilVal || k.RawEquals(key) {
			return e.WithMarks(marks)
		}
	}
	return cty.NilVal
}
