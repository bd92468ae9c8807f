package hcl

import (
	"runtime"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"eyrie/hcl/internal/syntax"
	"eyrie/pipeline/mistake"
)

// candidate is a step's attributes, as far as they are known, for the stage itself
// to judge.
type candidate struct {
	stage   *stage
	step    *step // where its attributes are as they will ever be
	values  map[string]any
	unknown []mistake.Path
	perhaps []string // attributes that may turn out to be null
	secrets []string // those of the values that are sensitive
}

// validateSteps lets the stages judge the steps that have no other mistakes, and reports
// what they object to. A mistake that several instances of a block share is reported once.
func (r *recipe) validateSteps() {
	errs := make([]error, len(r.candidates))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(errs); i += workers {
				c := r.candidates[i]
				if c.step != nil {
					c.step.config, errs[i] = c.stage.kind.Decode(c.values)
				} else {
					errs[i] = c.stage.kind.Check(c.values, c.unknown, c.perhaps...)
				}
			}
		})
	}
	wg.Wait()
	reported := make(map[*stage]map[string]bool)
	for i, err := range errs {
		c := r.candidates[i]
		if reported[c.stage] == nil {
			reported[c.stage] = make(map[string]bool)
		}
		c.stage.m.unsuitable(c, err, reported[c.stage])
	}
	r.candidates = nil
}

// mostReported bounds how many mistakes of the instances of one block are shown.
const mostReported = 20

// unsuitable reports what a stage says of a step's attributes, each mistake that was
// not reported yet at the innermost value that is written out.
func (m *module) unsuitable(c candidate, err error, reported map[string]bool) {
	found := c.stage.kind.Discreet(mistake.Of(err), c.secrets, c.values, c.unknown, c.perhaps...)
	for _, bad := range found {
		why := bad.Error()
		if reported[why] || len(reported) >= mostReported {
			continue
		}
		reported[why] = true
		m.errorf(c.stage.written(bad.Path), "Unsuitable attributes", "Stage %q: %s.", c.stage.name, strings.TrimSuffix(why, "."))
	}
}

// written returns where the value at a path is written: as far inwards as it is
// written out, or the block's first line.
func (s *stage) written(p mistake.Path) hcl.Range {
	for _, a := range s.attrs {
		if len(p) > 0 && a.field.Name == p[0].Name {
			return syntax.Inner(a.expr.syntax, p, false).Range()
		}
	}
	return s.node.DefRange()
}
