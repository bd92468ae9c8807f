package hcl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"eyrie/pipeline"
)

// twins are the attributes of a module by what is written for them. Hundreds of stages may all
// read the same hundred outputs: what is written once more is not evaluated once more, unless
// there is a mistake in it, as that is shown where it stands.
type twins map[*pipeline.Field]map[string]*attribute

// pair notes an attribute that is not another one for each instance with the first one that is
// written likewise.
func (m *module) pair(a *attribute, written *hclsyntax.Attribute) {
	f := m.files[written.SrcRange.Filename]
	if a.expr.bad || a.expr.each || f == nil || !written.SrcRange.CanSliceBytes(f.Bytes) {
		return
	}
	text := written.SrcRange.SliceBytes(f.Bytes)
	of := m.twins[a.field]
	if of == nil {
		of = make(map[string]*attribute)
		m.twins[a.field] = of
	}
	if first := of[string(text)]; first != nil {
		a.twin, first.twin = first, first
	} else {
		of[string(text)] = a
	}
}

// like returns an attribute that was evaluated for its twin.
func (a *attribute) like(result *pipeline.Attr) *pipeline.Attr {
	if result == nil || result == &leftOut {
		return result
	}
	own := *result
	own.Pos = a.pos
	return &own
}

// pairedAttr evaluates an attribute that has a twin.
func (s *scope) pairedAttr(a *attribute) (*pipeline.Attr, hcl.Diagnostics) {
	result, diags := s.sharedAttr(a.twin)
	if len(diags) > 0 {
		return s.attr(a)
	}
	return a.like(result), nil
}
