package hcl

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// expand finds out which instances a stage has, after the stages that its
// for_each and when refer to. No output is known here, ever: which steps there
// are never depends on what is in a cache.
func (m *module) expand(s *stage, path []*stage) {
	switch s.state {
	case visited:
		return
	case visiting:
		m.shapeCycle(s, path)
		return
	}
	s.state = visiting
	for _, e := range []*expr{s.forEach, s.when} {
		if e == nil {
			continue
		}
		for r := range e.refs {
			m.expand(r.to, append(path, s))
		}
	}
	s.state = visited
	if s.broken {
		return
	}
	for _, st := range m.instances(s) {
		keep, ok := m.keeps(st)
		switch {
		case !ok:
			s.broken = true
			return
		case keep:
			s.steps = append(s.steps, st)
		default:
			s.dropped = append(s.dropped, st.key)
		}
	}
	s.byKey = make(map[string]*step, len(s.steps))
	for _, st := range s.steps {
		s.byKey[st.key] = st
	}
}

func (m *module) shapeCycle(s *stage, path []*stage) {
	for path[0] != s {
		path = path[1:]
	}
	var b strings.Builder
	for _, p := range path {
		b.WriteString("stage." + p.name + " (" + diagnostic.Pos(p.block.DefRange()) + ") refers to ")
		p.broken = true
	}
	m.errorf(s.block.DefRange(), "Stages refer to each other", "Which steps there are cannot be told: in for_each or when, %sstage.%s.", b.String(), s.name)
}

// instances returns the steps of a stage, when not yet considered.
func (m *module) instances(s *stage) []*step {
	if !s.many {
		m.made++
		return []*step{{m: m, stage: s, id: s.name}}
	}
	v, diags := m.bare.value(s.forEach)
	m.diags = append(m.diags, diags...)
	if value.IsBroken(v) || diags.HasErrors() {
		s.broken = true
		return nil
	}
	s.mirrors = m.mirrored(s.forEach)
	elems, ok := m.elements(s, v)
	s.broken = !ok
	if m.made += len(elems); m.made > budget.Steps {
		m.errorf(s.forEach.syntax.Range(), "Too many steps", "A recipe has at most %d steps; with these %d it has more. One step can do many things of a kind: hand the list to it.", budget.Steps, len(elems))
		s.broken = true
		return nil
	}
	steps := make([]*step, len(elems))
	for i, e := range elems {
		id := s.name + "[" + strconv.Quote(e.key) + "]"
		steps[i] = &step{m: m, stage: s, key: e.key, id: id, each: e.value}
	}
	return steps
}

// mirrored returns the stage that a for_each consists of, if it is just stage.NAME
// and that has instances.
func (m *module) mirrored(e *expr) *stage {
	t, ok := e.syntax.(*hclsyntax.ScopeTraversalExpr)
	if ok && len(e.stages) == 1 && len(t.Traversal) == 2 && e.stages[0].to.many {
		return e.stages[0].to
	}
	return nil
}

// element is what one instance is for.
type element struct {
	key   string
	value cty.Value
}

// elements takes the value of a for_each apart: a map's in the order of its
// keys, a list's in its own. It reports what is no map, set or list of unique
// strings, or is not known.
func (m *module) elements(s *stage, v cty.Value) (elems []element, ok bool) {
	at := s.forEach.syntax.Range()
	if value.IsSensitive(v) {
		m.errorf(at, "Sensitive for_each", "The keys of for_each are shown as part of the steps' names, and this value is sensitive.")
		return nil, false
	}
	v, marks := v.Unmark()
	ty := v.Type()
	switch {
	case !v.IsKnown():
		m.notKnown(m.bare, s.forEach, v.WithMarks(marks), "for_each")
		return nil, false
	case v.IsNull():
		m.errorf(at, "Wrong type", "for_each takes a map, a set or a list of unique strings, not null.")
		return nil, false
	case ty.IsMapType() || ty.IsObjectType():
		for k, e := range v.Elements() {
			elems = append(elems, element{k.AsString(), e.WithMarks(marks)})
		}
		return elems, true
	case !ty.IsListType() && !ty.IsTupleType() && !ty.IsSetType():
		m.errorf(at, "Wrong type", "for_each takes a map, a set or a list of unique strings, not %s.", value.TypeName(ty))
		return nil, false
	}
	seen := make(map[string]bool)
	for _, e := range v.Elements() {
		key, _ := e.Unmark()
		switch {
		case value.IsSensitive(e):
			m.errorf(at, "Sensitive for_each", "The keys of for_each are shown as part of the steps' names, and this value is sensitive.")
			return nil, false
		case !key.IsKnown():
			m.notKnown(m.bare, s.forEach, e, "for_each")
			return nil, false
		case key.IsNull() || key.Type() != cty.String:
			m.errorf(at, "Wrong type", "The elements of a list or set in for_each must be strings, as they name the steps, not %s. Write { for x in … : \"name of ${x}\" => x }.", value.Describe(key, true))
			return nil, false
		case seen[key.AsString()]:
			m.errorf(at, "Key written twice", "%q is in the list of for_each twice; every element names a step.", key.AsString())
			return nil, false
		}
		seen[key.AsString()] = true
		elems = append(elems, element{key.AsString(), e.WithMarks(marks)})
	}
	return elems, true
}

// keeps evaluates a step's when.
func (m *module) keeps(st *step) (keep, ok bool) {
	when := st.stage.when
	if when == nil {
		return true, true
	}
	scope := m.bare.of(st)
	v, diags := scope.value(when)
	m.diags = append(m.diags, diags...)
	if value.IsBroken(v) || diags.HasErrors() {
		return false, false
	}
	hidden := value.IsSensitive(v)
	if value.IsSensitive(v) {
		m.errorf(when.syntax.Range(), "Sensitive when", "Whether there is a step is shown, and this value is sensitive.")
		return false, false
	}
	v, marks := v.Unmark()
	switch {
	case !v.IsKnown():
		m.notKnown(scope, when, v.WithMarks(marks), "when")
		return false, false
	case v.IsNull() || v.Type() != cty.Bool:
		m.errorf(when.syntax.Range(), "Wrong type", "when takes true or false, not %s.", value.Describe(v, hidden))
		return false, false
	}
	return v.True(), true
}

// notKnown reports an expression whose value must be known before anything runs,
// naming what it refers to that is not.
func (m *module) notKnown(in *scope, e *expr, v cty.Value, what string) {
	const rule = "%s must be known before anything runs: it may refer to variables, locals, files, and to which instances a stage has. "
	waits := value.WaitsFor(v)
	blamed := false
	for r := range e.refs {
		if slices.ContainsFunc(in.targets(r), func(st *step) bool { return len(waits) == 0 || waits[st.id] }) {
			blamed = true
			m.errorf(r.whole, "Known too late", rule+"But %s is an output, known only after %s has run.", what, m.source(r.whole), r.to.name)
		}
	}
	if !blamed {
		m.errorf(e.syntax.Range(), "Known too late", rule+"But this depends on an output.", what)
	}
}

// keys returns the keys of a stage's instances.
func (s *stage) keys() []string {
	keys := make([]string, len(s.steps))
	for i, st := range s.steps {
		keys[i] = st.key
	}
	slices.Sort(keys)
	return keys
}
