package hcl

import (
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"eyrie/pipeline/mistake"
)

// candidate is a step's attributes, as far as they are known, for the stage itself
// to judge.
type candidate struct {
	stage     *stage
	values    map[string]any
	unknown   []mistake.Path
	sensitive bool // one of the values is
}

// validateSteps lets the stages judge the steps without other mistakes, and reports
// what they object to: of each stage block, what the first of its instances with
// mistakes has.
func (m *module) validateSteps() {
	errs := make([]error, len(m.candidates))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(errs); i += workers {
				c := m.candidates[i]
				errs[i] = c.stage.kind.Check(c.values, c.unknown)
			}
		})
	}
	wg.Wait()
	reported := make(map[*stage]bool)
	for i, err := range errs {
		if c := m.candidates[i]; err != nil && !reported[c.stage] {
			reported[c.stage] = true
			m.unsuitable(c, err)
		}
	}
	m.candidates = nil
}

// unsuitable reports what a stage says of a step's attributes, each mistake at the
// innermost value that is written out.
func (m *module) unsuitable(c candidate, err error) {
	for _, bad := range mistake.Of(err) {
		why := bad.Error()
		if c.sensitive {
			why = (&mistake.Mistake{Path: bad.Path, Err: errSensitive}).Error()
		}
		m.errorf(c.stage.written(bad.Path), "Unsuitable attributes", "Stage %q: %s.", c.stage.name, strings.TrimSuffix(why, "."))
	}
}

var errSensitive = errors.New("why is not shown, as a sensitive value takes part")

// written returns where the value at a path is written: as far inwards as it is
// written out, or the block's first line.
func (s *stage) written(p mistake.Path) hcl.Range {
	for _, a := range s.attrs {
		if len(p) > 0 && a.field.Name == p[0].Name {
			return inner(a.expr.syntax, p, false).Range()
		}
	}
	return s.block.DefRange()
}
