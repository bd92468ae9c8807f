package builtin

import (
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/pipeline/sheet"
)

// csvdecodeFunc is like cty's, but reads what the stages read and refuses what they
// refuse: see [sheet.Parse]. Space before a cell stays, as recipes that exist have it.
var csvdecodeFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "str", Type: cty.String}},
	Type: func(args []cty.Value) (cty.Type, error) {
		if !args[0].IsKnown() {
			return cty.DynamicPseudoType, nil
		}
		table, err := parseCSV(args[0])
		if err != nil {
			return cty.DynamicPseudoType, err
		}
		return cty.List(rowType(table)), nil
	},
	RefineResult: func(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() },
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		table, err := parseCSV(args[0])
		if err != nil {
			return cty.DynamicVal, err
		}
		if len(table.Rows) == 0 {
			return cty.ListValEmpty(rowType(table)), nil
		}
		rows := make([]cty.Value, len(table.Rows))
		for i, r := range table.Rows {
			row := make(map[string]cty.Value, len(r.Cells))
			for c, text := range r.Cells {
				row[table.Columns[c]] = cty.StringVal(text)
			}
			rows[i] = cty.ObjectVal(row)
		}
		return cty.ListVal(rows), nil
	},
})

func parseCSV(text cty.Value) (*sheet.Sheet, error) {
	table, err := sheet.Parse("", []byte(text.AsString()), sheet.Spaces)
	if err != nil {
		return nil, function.NewArgError(0, err)
	}
	return table, nil
}

func rowType(table *sheet.Sheet) cty.Type {
	columns := make(map[string]cty.Type, len(table.Columns))
	for _, name := range table.Columns {
		columns[name] = cty.String
	}
	return cty.Object(columns)
}
