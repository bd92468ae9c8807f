package value

import (
	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline/mistake"
)

// PathOf returns cty's form of a path in ours.
func PathOf(steps cty.Path) mistake.Path {
	var p mistake.Path
	for _, step := range steps {
		switch s := step.(type) {
		case cty.GetAttrStep:
			p = append(p, mistake.Step{Name: s.Name})
		case cty.IndexStep:
			key := Bare(s.Key)
			switch {
			case !key.IsKnown() || key.IsNull():
				p = append(p, mistake.Step{Index: -1})
			case key.Type() == cty.String:
				p = append(p, mistake.Step{Name: key.AsString()})
			case key.Type() == cty.Number:
				i, _ := key.AsBigFloat().Int64()
				p = append(p, mistake.Step{Index: int(i)})
			}
		}
	}
	return p
}
