package value

import (
	"math"

	"github.com/zclconf/go-cty/cty"

	"eyrie/artifacts"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// any converts a value that may be anything.
func (c *converter) any(v cty.Value, in inherited) any {
	v, in = c.unmark(v, in)
	ty := v.Type()
	switch {
	case !v.IsKnown():
		c.wait(in)
		return nil
	case v.IsNull():
		return nil
	case ty.IsListType() || ty.IsTupleType() || ty.IsSetType():
		all := make([]any, 0, v.LengthInt())
		for _, e := range v.Elements() {
			all = append(all, c.inPart(e, in, mistake.Step{Index: len(all)}))
		}
		return all
	case ty.IsMapType() || ty.IsObjectType():
		all := make(map[string]any, v.LengthInt())
		for k, e := range v.Elements() {
			all[k.AsString()] = c.inPart(e, in, mistake.Step{Name: k.AsString()})
		}
		return all
	}
	c.note(in)
	switch ty {
	case cty.Bool:
		return v.True()
	case cty.Number:
		if c.cell != nil && len(in.origins) == 0 {
			c.given()
		}
		n, _ := v.AsBigFloat().Float64()
		if math.IsInf(n, 0) {
			return c.fault("Number too large", " holds a number that is too large, perhaps from a division by zero.")
		}
		return n
	case cty.String:
		return v.AsString()
	case FileType:
		return *v.EncapsulatedValue().(*artifacts.File)
	}
	panic("hcl: a value of type " + ty.FriendlyName())
}

// inPart converts a part of a value that may be anything.
func (c *converter) inPart(v cty.Value, in inherited, step mistake.Step) any {
	c.part = append(c.part, step)
	tree := c.any(v, in)
	c.part = c.part[:len(c.part)-1]
	return tree
}

func (c *converter) given() {
	c.cell[pipeline.Origin{Kind: pipeline.Given, At: c.part.String()}] = true
}

// traced converts a value together with the origins of all its parts. What
// came from nowhere was written in the recipe.
func (c *converter) traced(v cty.Value, in inherited) any {
	c.cell = make(map[pipeline.Origin]bool)
	defer func() { c.cell = nil }()
	value := c.any(v, in)
	if len(c.cell) == 0 && value != nil {
		c.given()
	}
	return pipeline.Traced{Value: value, Origins: sortOrigins(c.cell)}
}
