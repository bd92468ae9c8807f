package hcl

import (
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"eyrie/hcl/internal/syntax"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// candidate is a step's attributes, as far as they are known, for the stage itself
// to judge.
type candidate struct {
	stage   *stage
	step    *step // where its attributes are as they will ever be
	values  map[string]any
	unknown []mistake.Path
	perhaps []string       // attributes that may turn out to be null
	secrets map[string]any // those of the values that are sensitive
}

// validateSteps lets the stages judge the steps that have no other mistakes, and reports
// what they object to. A mistake that several instances of a block share is reported once.
func (m *module) validateSteps() {
	errs := make([]error, len(m.candidates))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(errs); i += workers {
				c := m.candidates[i]
				if c.step != nil {
					c.step.checked, errs[i] = c.stage.kind.CheckAll(c.values)
				} else {
					errs[i] = c.stage.kind.Check(c.values, c.unknown, c.perhaps...)
				}
			}
		})
	}
	wg.Wait()
	reported := make(map[*stage]map[string]bool)
	for i, err := range errs {
		c := m.candidates[i]
		if reported[c.stage] == nil {
			reported[c.stage] = make(map[string]bool)
		}
		m.unsuitable(c, err, reported[c.stage])
	}
	m.candidates = nil
}

// mostReported bounds how many mistakes of the instances of one block are shown.
const mostReported = 20

// unsuitable reports what a stage says of a step's attributes, each mistake that was
// not reported yet at the innermost value that is written out.
func (m *module) unsuitable(c candidate, err error, reported map[string]bool) {
	for _, bad := range mistake.Of(err) {
		if text := bad.Error(); reported[text] || len(reported) >= mostReported {
			continue
		} else {
			reported[text] = true
		}
		why := bad.Error()
		if c.hides(bad) {
			why = (&mistake.Mistake{Path: bad.Path, Err: errSensitive}).Error()
		}
		m.errorf(c.stage.written(bad.Path), "Unsuitable attributes", "Stage %q: %s.", c.stage.name, strings.TrimSuffix(why, "."))
	}
}

// hides reports whether a mistake must not be shown: it is about a sensitive attribute, or
// quotes one.
func (c candidate) hides(bad *mistake.Mistake) bool {
	for name, v := range c.secrets {
		if len(bad.Path) > 0 && bad.Path[0].Name == name || pipeline.Quotes(bad.Error(), v) {
			return true
		}
	}
	return len(bad.Path) == 0 && len(c.secrets) > 0
}

var errSensitive = errors.New("why is not shown, as a sensitive value takes part")

// written returns where the value at a path is written: as far inwards as it is
// written out, or the block's first line.
func (s *stage) written(p mistake.Path) hcl.Range {
	for _, a := range s.attrs {
		if len(p) > 0 && a.field.Name == p[0].Name {
			return syntax.Inner(a.expr.syntax, p, false).Range()
		}
	}
	return s.block.DefRange()
}
