package hcl

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"eyrie/pipeline"
)

// candidate is a step's attributes, for the stage itself to judge.
type candidate struct {
	stage     *stage
	values    map[string]any
	unknown   []string // attributes whose values are not known yet
	sensitive bool     // one of the values is
}

// judge returns what the stage objects to.
func (c candidate) judge() error {
	if len(c.unknown) > 0 {
		return c.stage.kind.CheckWritten(c.values, c.unknown)
	}
	_, err := c.stage.kind.Decode(c.values)
	return err
}

// validateSteps lets the stages judge the steps without other mistakes, and reports
// what they object to: of each stage block once.
func (m *module) validateSteps() {
	errs := make([]error, len(m.candidates))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(errs); i += workers {
				errs[i] = m.candidates[i].judge()
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
