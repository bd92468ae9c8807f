package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline"
)

// An attribute that is an object may be written as a block, and a list of
// objects as several blocks:
//
//	limit {
//	  latency = "87ms"
//	}
//
// Blocks are turned into the expression that they stand for, so that all that
// follows knows attributes only.

// blockGroup is the blocks of one type within a body.
type blockGroup struct {
	name   string
	blocks []*hclsyntax.Block
}

// groupBlocks gathers blocks by type, in the order of the text.
func groupBlocks(blocks hclsyntax.Blocks) []*blockGroup {
	var groups []*blockGroup
	byName := make(map[string]*blockGroup)
	for _, b := range blocks {
		g := byName[b.Type]
		if g == nil {
			g = &blockGroup{name: b.Type}
			byName[b.Type] = g
			groups = append(groups, g)
		}
		g.blocks = append(g.blocks, b)
	}
	return groups
}

func (g *blockGroup) at() hcl.Range { return g.blocks[0].TypeRange }

// object returns the first block as an object.
func (g *blockGroup) object() *hclsyntax.ObjectConsExpr { return objectOf(g.blocks[0].Body) }

// list returns the blocks as a list of objects.
func (g *blockGroup) list() *hclsyntax.TupleConsExpr {
	list := &hclsyntax.TupleConsExpr{SrcRange: g.at(), OpenRange: g.at()}
	for _, b := range g.blocks {
		list.Exprs = append(list.Exprs, objectOf(b.Body))
	}
	return list
}

func objectOf(body *hclsyntax.Body) *hclsyntax.ObjectConsExpr {
	object := &hclsyntax.ObjectConsExpr{SrcRange: body.SrcRange, OpenRange: body.SrcRange}
	add := func(name string, at hcl.Range, value hclsyntax.Expression) {
		key := &hclsyntax.LiteralValueExpr{Val: cty.StringVal(name), SrcRange: at}
		object.Items = append(object.Items, hclsyntax.ObjectConsItem{KeyExpr: key, ValueExpr: value})
	}
	for _, a := range inOrder(body.Attributes) {
		add(a.Name, a.NameRange, a.Expr)
	}
	for _, g := range groupBlocks(body.Blocks) {
		if len(g.blocks) == 1 {
			add(g.name, g.at(), g.object())
		} else {
			add(g.name, g.at(), g.list())
		}
	}
	return object
}

// readBlocks takes blocks within a stage as the attribute that they stand for.
func (m *module) readBlocks(s *stage, g *blockGroup, in place) {
	for _, b := range g.blocks {
		if len(b.Labels) > 0 {
			m.errorf(b.LabelRanges[0], "Wrong labels", "A block within a stage has no labels: %s {", b.Type)
			return
		}
	}
	var f *pipeline.Field
	if s.kind != nil {
		f = s.kind.Config.Field(g.name)
	}
	if f == nil {
		m.readAttribute(s, g.name, g.list(), g.at(), in)
		return
	}
	switch {
	case f.Type.Kind == pipeline.List && f.Type.Elem.Kind == pipeline.Object:
		m.readAttribute(s, g.name, g.list(), g.at(), in)
	case f.Type.Kind != pipeline.Object && f.Type.Kind != pipeline.Map:
		m.errorf(g.at(), "Not a block", "%s is %s: write %s = …", g.name, expected(f, f.Type), g.name)
	case len(g.blocks) > 1:
		m.errorf(g.blocks[1].TypeRange, "Block written twice", "%s was already written at %s.", g.name, pos(g.at()))
	default:
		m.readAttribute(s, g.name, g.object(), g.at(), in)
	}
}
