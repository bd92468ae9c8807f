package hcl

import (
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/pipeline"
)

// Fields of what every stage takes besides its own attributes.
var (
	retryField   = grammar.Of("stage").Body.Field("retry")
	timeoutField = grammar.Of("stage").Body.Field("timeout")
)

// readResources reads what a step takes of the machine: any named numbers. That
// of memory is in bytes.
func (m *module) readResources(s *stage, e hclsyntax.Expression, in place) {
	object, ok := e.(*hclsyntax.ObjectConsExpr)
	if !ok {
		m.errorf(e.Range(), "Wrong type", "resources names what the step takes: resources = { cpus = 2, memory = \"4GiB\" }.")
		return
	}
	for _, item := range object.Items {
		name, ok := syntax.ConstantKey(item.KeyExpr)
		if !ok {
			m.errorf(item.KeyExpr.Range(), "Not a name", "Resources have plain names, such as cpus, gpus, memory.")
			continue
		}
		f := &pipeline.Field{Name: name, Type: &pipeline.Type{Kind: pipeline.Number}, Min: new(float64)}
		if name == "memory" {
			f.Unit = "bytes"
		}
		s.resources = append(s.resources, m.attribute(item.ValueExpr, item.KeyExpr.Range(), f, in))
	}
}

// policy evaluates how a step is to be run, which must be known from the start.
func (st *step) policy() pipeline.Policy {
	m := st.m
	var p pipeline.Policy
	if n, ok := m.certain(st, st.stage.retry); ok {
		p.Retries = int(n)
	}
	if seconds, ok := m.certain(st, st.stage.timeout); ok {
		p.Timeout = time.Duration(min(seconds*float64(time.Second), float64(1<<62)))
	}
	for _, a := range st.stage.resources {
		if n, ok := m.certain(st, a); ok {
			if p.Resources == nil {
				p.Resources = make(map[string]float64)
			}
			p.Resources[a.field.Name] = n
		}
	}
	return p
}

// certain evaluates a number that may not depend on any output.
func (m *module) certain(st *step, a *attribute) (float64, bool) {
	if a == nil {
		return 0, false
	}
	result := m.check(st, a)
	if result != nil && len(result.Unknown) > 0 {
		m.notKnown(m.bare.with(&st.instance), a.expr, cty.DynamicVal, a.field.Name)
		return 0, false
	}
	if result == nil {
		return 0, false
	}
	n, ok := result.Value.(float64)
	return n, ok
}
