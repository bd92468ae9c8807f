package value

import (
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// fits reports what can be told of an unknown value from its type alone.
func (c *converter) fits(ty cty.Type, f *pipeline.Field, t *pipeline.Type) {
	if ty == cty.DynamicPseudoType {
		return
	}
	ok := false
	switch t.Kind {
	case pipeline.Any, pipeline.Cell:
		ok = true
	case pipeline.Bool:
		ok = ty == cty.Bool
	case pipeline.String:
		ok = ty.IsPrimitiveType()
	case pipeline.Number, pipeline.Integer:
		ok = ty == cty.Number || ty == cty.String && f.Unit != ""
	case pipeline.File:
		ok = ty == FileType || ty == cty.String
	case pipeline.List:
		if ok = ty.IsListType() || ty.IsSetType(); ok {
			c.enter(mistake.Step{Index: -1})
			c.fits(ty.ElementType(), f, t.Elem)
			c.leave()
		} else if ok = ty.IsTupleType(); ok {
			for i, e := range ty.TupleElementTypes() {
				c.enter(mistake.Step{Index: i})
				c.fits(e, f, t.Elem)
				c.leave()
			}
		}
	case pipeline.Map:
		if ok = ty.IsMapType(); ok {
			c.enter(mistake.Step{Index: -1})
			c.fits(ty.ElementType(), f, t.Elem)
			c.leave()
		} else if ok = ty.IsObjectType(); ok {
			for _, name := range word.Keys(ty.AttributeTypes()) {
				c.enter(mistake.Step{Name: name})
				c.fits(ty.AttributeType(name), f, t.Elem)
				c.leave()
			}
		}
	case pipeline.Object:
		ok = ty.IsMapType() || ty.IsObjectType() && c.fitsObject(ty, t)
	}
	if !ok {
		c.fault("Wrong type", " takes %s, not %s.", Expected(f, t), TypeName(ty))
	}
}

// fitsObject reports whether an object of type ty has the names that t asks for.
func (c *converter) fitsObject(ty cty.Type, t *pipeline.Type) bool {
	for i := range t.Fields {
		if f := &t.Fields[i]; f.Required && !ty.HasAttribute(f.Name) {
			return false
		}
	}
	names := word.Keys(ty.AttributeTypes())
	for _, name := range names {
		if t.Field(name) == nil {
			return false
		}
	}
	for _, name := range names {
		c.enter(mistake.Step{Name: name})
		c.fits(ty.AttributeType(name), t.Field(name), t.Field(name).Type)
		c.leave()
	}
	return true
}
