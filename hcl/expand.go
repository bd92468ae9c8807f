package hcl

import (
	"slices"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
)

// block is what stage and module blocks have in common: instances by for_each, and when.
type block struct {
	m    *module // that it stands in
	kind string  // stage or module
	name string
	node *hclsyntax.Block
	many bool // it has for_each

	stage *stage // one of these is what the block is
	call  *call

	forEach   *expr // nil where it is not written, as the others are
	when      *expr
	dependsOn []*expr

	state   visit
	broken  bool           // a mistake hides how many instances it has
	byKey   map[string]int // of many, the place of each instance, without those that when leaves out
	keys    []string       // of these
	dropped []string       // of those that when leaves out
	mirrors *block         // for_each is just this block with for_each
	guarded bool           // what for_each holds was checked for what is sensitive
}

// instance is what a block with for_each makes for one element, or a block without makes once.
type instance struct {
	of   *block
	key  string    // of for_each
	each cty.Value // what for_each holds for the key

	object cty.Value // that each is in expressions, where it is made
}

// id names what the instance makes: `net["a"]`, `module.net["a"]`.
func (i *instance) id() string {
	id := i.of.id()
	if i.of.many {
		id += "[" + strconv.Quote(i.key) + "]"
	}
	return id
}

// id is what IDs call the block.
func (b *block) id() string {
	if b.call != nil {
		return b.m.prefix() + "module." + b.name
	}
	return b.m.prefix() + b.name
}

func (b *block) label() (string, hcl.Range) { return b.title(), b.node.DefRange() }
func (b *block) breakOff()                  { b.broken = true }
func (b *block) module() *module            { return b.m }

// compile finds what the block's expressions refer to.
func (b *block) compile() {
	if b.call != nil {
		b.call.compile()
	} else {
		b.m.readStage(b.stage)
	}
}

// expand finds out which instances a block has, after the blocks that its
// for_each and when refer to. No output is known here, ever: which steps there
// are never depends on what is in a cache.
func (r *recipe) expand(b *block, path []node) {
	switch b.state {
	case visited:
		return
	case visiting:
		r.circle(b, path)
		return
	}
	b.state = visiting
	for _, e := range []*expr{b.forEach, b.when} {
		if e != nil {
			r.expandNames(e, append(path, b))
		}
	}
	if b.stage != nil {
		b.stage.evaluateDeclaration(append(path, b))
	}
	b.state = visited
	if b.broken {
		return
	}
	if b.many {
		b.byKey = make(map[string]int)
	}
	for _, i := range b.m.instances(b) {
		keep, ok := b.m.keeps(&i)
		switch {
		case !ok:
			b.broken = true
			return
		case keep:
			if b.many {
				b.byKey[i.key] = len(b.keys)
			}
			b.keys = append(b.keys, i.key)
			b.add(i)
		default:
			b.dropped = append(b.dropped, i.key)
		}
	}
}

// add makes what the block makes of an instance.
func (b *block) add(i instance) {
	if b.call != nil {
		b.call.add(i)
	} else {
		b.stage.steps = append(b.stage.steps, &step{instance: i, m: b.m, stage: b.stage, id: i.id()})
	}
}

// made calls yield for each instance, by key, that when does not leave out.
func (b *block) made(yield func(string, *instance) bool) {
	for i, key := range b.keys {
		of := (*instance)(nil)
		if b.call != nil {
			of = b.call.modules[i].each
		} else {
			of = &b.stage.steps[i].instance
		}
		if !yield(key, of) {
			return
		}
	}
}

// instances returns the instances of a block, when not yet considered.
func (m *module) instances(b *block) []instance {
	if !b.many {
		m.made++
		return []instance{{of: b}}
	}
	v, diags := m.bare.value(b.forEach)
	m.add(diags)
	if value.IsBroken(v) || diags.HasErrors() {
		b.broken = true
		return nil
	}
	b.mirrors = mirrored(b.forEach)
	elems, ok := m.elements(b, v)
	b.broken = !ok
	if m.made += len(elems); m.made > budget.Steps {
		m.errorf(b.forEach.syntax.Range(), "Too many steps", "A recipe has at most %d steps; with these %d it has more. One step can do many things of a kind: hand the list to it.", budget.Steps, len(elems))
		b.broken = true
		return nil
	}
	all := make([]instance, len(elems))
	for i, e := range elems {
		all[i] = instance{of: b, key: e.key, each: e.value}
	}
	return all
}

// mirrored returns the block that a for_each consists of, if it is just stage.NAME or
// module.NAME and that has instances.
func mirrored(e *expr) *block {
	t, ok := e.syntax.(*hclsyntax.ScopeTraversalExpr)
	switch {
	case !ok || len(t.Traversal) != 2:
	case len(e.stages) == 1 && e.stages[0].to.many:
		return &e.stages[0].to.block
	case len(e.modules) == 1 && e.modules[0].to.many:
		return &e.modules[0].to.block
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
func (m *module) elements(b *block, v cty.Value) (elems []element, ok bool) {
	at := b.forEach.syntax.Range()
	if value.IsSensitive(v) {
		m.errorf(at, "Sensitive for_each", "The keys of for_each are shown as part of the steps' names, and this value is sensitive.")
		return nil, false
	}
	v, marks := v.Unmark()
	ty := v.Type()
	switch {
	case !v.IsKnown():
		m.notKnown(m.bare, b.forEach, v.WithMarks(marks), "for_each")
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
			m.notKnown(m.bare, b.forEach, e, "for_each")
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

// keeps evaluates an instance's when.
func (m *module) keeps(i *instance) (keep, ok bool) {
	when := i.of.when
	if when == nil {
		return true, true
	}
	scope := m.bare.with(i)
	v, diags := scope.value(when)
	m.add(diags)
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
	for r := range e.refs(in.each) {
		if slices.ContainsFunc(in.targets(r), func(st *step) bool { return len(waits) == 0 || waits[st.id] }) {
			blamed = true
			at := r.whole
			if at.Filename != e.syntax.Range().Filename { // an output of a module, which has done nothing wrong
				at = e.syntax.Range()
			}
			m.errorf(at, "Known too late", rule+"But %s is an output, known only after %s has run.", what, m.source(r.whole), r.to.name)
		}
	}
	if !blamed {
		m.errorf(e.syntax.Range(), "Known too late", rule+"But this depends on an output.", what)
	}
}

// sortedKeys returns the keys of the block's instances.
func (b *block) sortedKeys() []string { return slices.Sorted(slices.Values(b.keys)) }
