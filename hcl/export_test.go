package hcl

import (
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/pipeline"
)

// LoadWithUnknown is Load, with a function unknown() whose value never becomes known.
func LoadWithUnknown(path string, opt Options) (*pipeline.Recipe, Diagnostics) {
	r := newRecipe(opt)
	r.read(path)
	r.root.root.Functions["unknown"] = function.New(&function.Spec{
		Type: function.StaticReturnType(cty.String),
		Impl: func([]cty.Value, cty.Type) (cty.Value, error) { return cty.UnknownVal(cty.String), nil },
	})
	result := r.build(path)
	return result, r.diagnostics()
}
