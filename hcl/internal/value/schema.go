package value

import (
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// Schema returns the type that values of a variable's type have in a schema.
func Schema(ty cty.Type) *pipeline.Type {
	switch {
	case ty == cty.Bool:
		return &pipeline.Type{Kind: pipeline.Bool}
	case ty == cty.Number:
		return &pipeline.Type{Kind: pipeline.Number}
	case ty == cty.String:
		return &pipeline.Type{Kind: pipeline.String}
	case ty.IsListType() || ty.IsSetType():
		return &pipeline.Type{Kind: pipeline.List, Elem: Schema(ty.ElementType())}
	case ty.IsMapType():
		return &pipeline.Type{Kind: pipeline.Map, Elem: Schema(ty.ElementType())}
	case ty.IsObjectType():
		t := &pipeline.Type{Kind: pipeline.Object}
		for _, name := range word.Keys(ty.AttributeTypes()) {
			t.Fields = append(t.Fields, pipeline.Field{Name: name, Type: Schema(ty.AttributeType(name)), Required: !ty.AttributeOptional(name)})
		}
		return t
	}
	return &pipeline.Type{Kind: pipeline.Any}
}
