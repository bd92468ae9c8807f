package syntax

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
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

// BlockGroup is the blocks of one type within a body.
type BlockGroup struct {
	Name   string
	Blocks []*hclsyntax.Block
}

// GroupBlocks gathers blocks by type, in the order of the text.
func GroupBlocks(blocks hclsyntax.Blocks) []*BlockGroup {
	var groups []*BlockGroup
	byName := make(map[string]*BlockGroup)
	for _, b := range blocks {
		g := byName[b.Type]
		if g == nil {
			g = &BlockGroup{Name: b.Type}
			byName[b.Type] = g
			groups = append(groups, g)
		}
		g.Blocks = append(g.Blocks, b)
	}
	return groups
}

// At returns where the first block begins.
func (g *BlockGroup) At() hcl.Range { return g.Blocks[0].TypeRange }

// Object returns the first block as an object.
func (g *BlockGroup) Object() *hclsyntax.ObjectConsExpr { return objectOf(g.Blocks[0].Body) }

// List returns the blocks as a list of objects.
func (g *BlockGroup) List() *hclsyntax.TupleConsExpr {
	list := &hclsyntax.TupleConsExpr{SrcRange: g.At(), OpenRange: g.At()}
	for _, b := range g.Blocks {
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
	for _, a := range InOrder(body.Attributes) {
		add(a.Name, a.NameRange, a.Expr)
	}
	for _, g := range GroupBlocks(body.Blocks) {
		if len(g.Blocks) == 1 {
			add(g.Name, g.At(), g.Object())
		} else {
			add(g.Name, g.At(), g.List())
		}
	}
	return object
}
