package editor

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/pipeline"
)

// schema follows the brackets around a cursor through what a schema asks for.
type schema struct {
	object *pipeline.Type  // what the items of the innermost body or object are
	field  *pipeline.Field // of the value at the cursor
	typ    *pipeline.Type  // what that value is to be
}

// object returns what the items of the innermost body or object are, nil where no schema
// says that.
func (c *cursor) object() *pipeline.Type { return c.schema().object }

// field returns the field that the value at the cursor is for, or is within, and what the
// value there is to be; nil where no schema says that.
func (c *cursor) field() (*pipeline.Field, *pipeline.Type) {
	s := c.schema()
	return s.field, s.typ
}

func (c *cursor) schema() schema {
	var s schema
	for i, f := range c.Frames {
		switch f.Kind {
		case syntax.Body:
			s = s.body(c, f, i)
		case syntax.Object:
			s = s.braces()
		case syntax.Tuple:
			s = s.brackets()
		case syntax.Paren:
			if f.Call != "" {
				s = schema{}
			}
		case syntax.Quote:
		default:
			s = schema{}
		}
		if f.Value && (f.Kind == syntax.Body || f.Kind == syntax.Object) {
			s.field, s.typ = fieldOf(s.object, f.Item), nil
			if s.field != nil {
				s.typ = s.field.Type
			}
		}
	}
	return s
}

// body enters a block, the depth'th frame.
func (s schema) body(c *cursor, f *syntax.Frame, depth int) schema {
	if depth == 0 {
		return schema{}
	}
	if c.ofRecipe(depth) {
		return schema{object: c.x.blockType(f)}
	}
	field := fieldOf(s.object, f.Type)
	if field == nil {
		return schema{}
	}
	typ := field.Type
	if typ.Kind == pipeline.List {
		typ = typ.Elem
	}
	return schema{object: typ, field: field}
}

// blockType returns the attributes of a block of the recipe.
func (x *Index) blockType(f *syntax.Frame) *pipeline.Type {
	b := grammar.Of(f.Type)
	if b == nil {
		return nil
	}
	if f.Type == "module" && len(f.Labels) == 1 {
		given := x.eval.Arguments(f.Labels[0])
		return &pipeline.Type{Kind: pipeline.Object, Fields: append(given[:len(given):len(given)], b.Body.Fields...)}
	}
	if f.Type != "stage" || len(f.Labels) == 0 || x.types[f.Labels[0]] == nil {
		return b.Body
	}
	own := x.types[f.Labels[0]].Config.Fields
	return &pipeline.Type{Kind: pipeline.Object, Fields: append(own[:len(own):len(own)], b.Body.Fields...)}
}

// braces enters an object in an expression.
func (s schema) braces() schema {
	if s.typ == nil || s.typ.Kind != pipeline.Object && s.typ.Kind != pipeline.Map {
		return schema{}
	}
	return schema{object: s.typ, field: s.field}
}

// brackets enters a list in an expression.
func (s schema) brackets() schema {
	if s.typ == nil || s.typ.Kind != pipeline.List {
		return schema{}
	}
	return schema{field: s.field, typ: s.typ.Elem}
}

// fieldOf returns an object's field, or for a map one that stands for each element.
func fieldOf(t *pipeline.Type, name string) *pipeline.Field {
	switch {
	case t == nil || name == "":
		return nil
	case t.Kind == pipeline.Map:
		return &pipeline.Field{Name: name, Type: t.Elem}
	}
	return t.Field(name)
}

// variable returns the expression var.name.
func variable(name string) hclsyntax.Expression {
	return &hclsyntax.ScopeTraversalExpr{Traversal: hcl.Traversal{hcl.TraverseRoot{Name: "var"}, hcl.TraverseAttr{Name: name}}}
}
