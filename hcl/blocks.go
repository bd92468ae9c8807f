package hcl

import (
	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/pipeline"
)

// readBlocks takes blocks within a stage as the attribute that they stand for.
func (m *module) readBlocks(s *stage, g *syntax.BlockGroup, in place) {
	for _, b := range g.Blocks {
		if len(b.Labels) > 0 {
			m.errorf(b.LabelRanges[0], "Wrong labels", "A block within a stage has no labels: %s {", b.Type)
			return
		}
	}
	var f *pipeline.Field
	if s.kind != nil {
		f = s.kind.Config.Field(g.Name)
	}
	if f == nil {
		m.readAttribute(s, g.Name, g.List(), g.At(), in)
		return
	}
	switch {
	case f.Type.Kind == pipeline.List && f.Type.Elem.Kind == pipeline.Object:
		m.readAttribute(s, g.Name, g.List(), g.At(), in)
	case f.Type.Kind != pipeline.Object && f.Type.Kind != pipeline.Map:
		m.errorf(g.At(), "Not a block", "%s is %s: write %s = …", g.Name, value.Expected(f, f.Type), g.Name)
	case len(g.Blocks) > 1:
		m.errorf(g.Blocks[1].TypeRange, "Block written twice", "%s was already written at %s.", g.Name, diagnostic.Pos(g.At()))
	default:
		m.readAttribute(s, g.Name, g.Object(), g.At(), in)
	}
}
