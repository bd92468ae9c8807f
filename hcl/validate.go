package hcl

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"eyrie/pipeline"
)

// candidate is a step's attributes, all of them known, for the stage itself to
// judge.
type candidate struct {
	stage     *stage
	values    map[string]any
	sensitive bool // one of the values is
}

// validateSteps lets the stages judge the steps that are complete, and reports what
// they object to: of each stage block once.
func (m *module) validateSteps() {
	errs := make([]error, len(m.complete))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(errs); i += workers {
				_, errs[i] = m.complete[i].stage.kind.Decode(m.complete[i].values)
			}
		})
	}
	wg.Wait()
	reported := make(map[*stage]bool)
	for i, err := range errs {
		if c := m.complete[i]; err != nil && !reported[c.stage] {
			reported[c.stage] = true
			m.unsuitable(c, err)
		}
	}
	m.complete = nil
}

// unsuitable reports what a stage says of a step's attributes, at the one that
// it names.
func (m *module) unsuitable(c candidate, err error) {
	s, at := c.stage, c.stage.block.DefRange()
	why := strings.TrimSuffix(err.Error(), ".")
	if c.sensitive {
		why = "why is not shown, as a sensitive value takes part"
	}
	var bad *pipeline.AttrError
	if errors.As(err, &bad) {
		p := splitPath(bad.Attr)
		for _, a := range s.attrs {
			if a.field.Name == p[0].name {
				at = inner(a.expr.syntax, p, false).Range()
			}
		}
	}
	m.errorf(at, "Unsuitable attributes", "Stage %q: %s.", s.name, why)
}

// splitPath reads the path in an AttrError, such as "stops[1].latency".
func splitPath(text string) path {
	var p path
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if i, err := strconv.Atoi(part); err == nil {
			p = append(p, pathStep{index: i})
		} else {
			p = append(p, pathStep{name: part})
		}
	}
	if len(p) == 0 {
		return path{{}}
	}
	return p
}
