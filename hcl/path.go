package hcl

import (
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// path leads into a value, beginning with an attribute's name.
type path []pathStep

// pathStep is a name, or where that is empty an index; -1 stands for all.
type pathStep struct {
	name  string
	index int
}

// String returns the path as a recipe would write it.
func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.name == "" && s.index < 0:
			b.WriteString("[*]")
		case s.name == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// pathOf returns cty's form of a path in ours.
func pathOf(steps cty.Path) path {
	var p path
	for _, step := range steps {
		switch s := step.(type) {
		case cty.GetAttrStep:
			p = append(p, pathStep{name: s.Name})
		case cty.IndexStep:
			key := bare(s.Key)
			switch {
			case !key.IsKnown() || key.IsNull():
				p = append(p, pathStep{index: -1})
			case key.Type() == cty.String:
				p = append(p, pathStep{name: key.AsString()})
			case key.Type() == cty.Number:
				i, _ := key.AsBigFloat().Int64()
				p = append(p, pathStep{index: int(i)})
			}
		}
	}
	return p
}
