package value

import (
	"reflect"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline"
)

// The origins of a cell that holds an object tell its parts apart, and come
// back to the same parts when a step hands the cell on.
func TestOriginsOfParts(t *testing.T) {
	modelled := pipeline.Origin{Kind: pipeline.Modelled, Step: "net", Output: "latency"}
	measured := pipeline.Origin{Kind: pipeline.Measured, Step: "net", Output: "top1"}
	v := cty.ObjectVal(map[string]cty.Value{
		"latency": cty.ListVal([]cty.Value{cty.NumberFloatVal(0.1).Mark(originMark{modelled})}),
		"top1":    cty.NumberFloatVal(0.9).Mark(originMark{measured}),
		"top10":   cty.NumberIntVal(1),
	})
	cell := new(converter).tree(v, &pipeline.Field{}, &pipeline.Type{Kind: pipeline.Cell}, inherited{}).(pipeline.Traced)
	given := pipeline.Origin{Kind: pipeline.Given, At: "top10"}
	modelled.At, measured.At = "latency[0]", "top1"
	if want := []pipeline.Origin{given, modelled, measured}; !reflect.DeepEqual(cell.Origins, want) {
		t.Fatalf("origins %+v\nwant %+v", cell.Origins, want)
	}
	back, ok := builder{}.cell(map[string]any{"value": cell.Value, "origins": cell.Origins}, origin{})
	if !ok {
		t.Fatal("not a cell")
	}
	modelled.At, measured.At, given.At = "", "", ""
	for name, want := range map[string]pipeline.Origin{"top1": measured, "top10": given} {
		if v := back.GetAttr(name); !v.HasMark(originMark{want}) || len(v.Marks()) != 1 {
			t.Errorf("%s has marks %#v, want %+v alone", name, v.Marks(), want)
		}
	}
	if v := back.GetAttr("latency").Index(cty.NumberIntVal(0)); !v.HasMark(originMark{modelled}) || len(v.Marks()) != 1 {
		t.Errorf("latency[0] has marks %#v", v.Marks())
	}
}
