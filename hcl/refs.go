package hcl

import (
	"fmt"
	"iter"
	"slices"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/trace"
	"eyrie/hcl/internal/word"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// expr is an expression with what it refers to.
type expr struct {
	m       *module // whose names these are
	syntax  hclsyntax.Expression
	stages  []stageRef  // references to stages, in the order of the text
	modules []moduleRef // and to modules
	locals  []*local    // without repeats
	vars    []*variable
	each    bool     // refers to each
	value   bool     // refers to each.value
	within  []string // the names behind each.value; nil where it is referred to as a whole
	weight  int      // what it takes to evaluate it, where that is done for each instance
	listed  bool     // a set that it comes to is wanted as a list
	bad     bool     // refers to what does not exist, which was reported
	reads   []string // see blocks
}

// stageRef is a reference to a stage, or to one instance of it.
type stageRef struct {
	to    *stage
	key   *expr     // the instance's key, where the reference has one that no loop changes
	each  *instance // that the key refers to, nil for that of the scope
	whole hcl.Range
}

// refers reports whether what e refers to is to be found out when it is evaluated.
func (e *expr) refers() bool {
	return len(e.locals) > 0 || len(e.stages) > 0 || len(e.modules) > 0 || e.each || len(e.vars) > 0 && e.m.in != nil
}

// uses reports whether e refers to a stage, directly or through other names.
func (e *expr) uses() bool {
	for range e.refs(nil) {
		return true
	}
	return false
}

// names calls yield for each name that e refers to.
func (e *expr) names(yield func(*named) bool) {
	for _, l := range e.locals {
		if !yield(&l.named) {
			return
		}
	}
	for _, v := range e.vars {
		if !yield(v.named) {
			return
		}
	}
}

// refs yields e's references to stages, those of the names that it refers to included, and
// those of the element that the instance is for. Without an instance, these are left out, and
// a reference to the instance of a module for each of its own is one to all.
func (e *expr) refs(each *instance) iter.Seq[stageRef] {
	return func(yield func(stageRef) bool) {
		for _, r := range e.stages {
			if r.key != nil && r.key.each {
				r.each = each
			}
			if !yield(r) {
				return
			}
		}
		for n := range e.names {
			for _, r := range n.refs {
				if !yield(r) {
					return
				}
			}
		}
		for _, m := range e.modules {
			for r := range m.refs(each) {
				if !yield(r) {
					return
				}
			}
		}
		if e.value && each != nil {
			for r := range each.refs(e.within) {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// refs yields the references to stages in the element that the instance is for; of a
// module's outputs, those in these, or for nil in all.
func (i *instance) refs(outputs []string) iter.Seq[stageRef] {
	b := i.of
	at := b.forEach.syntax.Range()
	switch {
	case b.mirrors == nil:
		return b.forEach.refs(nil)
	case b.mirrors.call != nil:
		return moduleRef{to: b.mirrors.call, key: constant(b.m, cty.StringVal(i.key), at), outputs: outputs}.refs(nil)
	}
	one := []stageRef{{to: b.mirrors.stage, key: constant(b.m, cty.StringVal(i.key), at), whole: at}}
	return slices.Values(one)
}

// place says what may be referred to where an expression stands.
type place struct {
	each  bool   // the block has for_each
	typed bool   // the value is only converted to a type
	list  bool   // a set is as good as the list of its elements
	local string // the one that is defined
	words string // "in a variable's default", when only functions are allowed
}

// compile finds what the expression refers to and reports what does not exist.
func (m *module) compile(e hclsyntax.Expression, in place) *expr {
	out := &expr{m: m, syntax: e, listed: in.list}
	if syntax.Literal(e) {
		out.syntax = trace.Expression(e, &m.meter, false)
		return out
	}
	refs, repeats := syntax.Scan(e)
	for _, again := range repeats {
		m.errorf(again.At, "Key written twice", "The key %q was already written at %s.", again.Key, diagnostic.Pos(again.First))
	}
	c := compiler{m, in, out}
	for _, r := range refs {
		c.reference(r)
	}
	out.syntax = trace.Expression(e, &m.meter, in.typed)
	if out.each {
		out.weight = trace.Weight(e)
	}
	return out
}

// compiler notes what an expression refers to.
type compiler struct {
	m   *module
	in  place
	out *expr
}

// reference notes or reports one reference.
func (c compiler) reference(r syntax.Reference) {
	root, name, at := r.Root(), r.Name(), r.Traversal.SourceRange()
	if c.in.words != "" && root != "path" {
		c.bad(r.Range(), "Reference not allowed", "References are not allowed %s.", c.in.words)
		return
	}
	if goesOn := grammar.GoesOn(root); goesOn != "" && name == "" {
		c.bad(r.Range(), "Incomplete reference", "A reference goes on with a name: %s.", goesOn)
		return
	}
	switch root {
	case "var":
		if v := c.m.variables[name]; v == nil {
			c.unknown(at, "variable", name, word.Keys(c.m.variables))
		} else if !slices.Contains(c.out.vars, v) {
			c.out.vars = append(c.out.vars, v)
		}
	case "path":
		if name != "recipe" && name != "file" {
			c.bad(at, "Unknown reference", "There are path.recipe, the directory of the recipe, and path.file, its file.")
		}
	case "each":
		c.eachRef(r, name, at)
	case "local":
		l := c.m.locals[name]
		if l == nil {
			c.unknown(at, "local", name, word.Others(word.Keys(c.m.locals), c.in.local))
		} else if !slices.Contains(c.out.locals, l) {
			c.out.locals = append(c.out.locals, l)
		}
	case "stage":
		s := c.m.stages[name]
		if s == nil {
			c.unknown(at, "stage", name, word.Keys(c.m.stages))
			return
		}
		c.out.stages = append(c.out.stages, c.stageRef(s, r))
	case "module":
		if to := c.m.calls[name]; to == nil {
			c.unknown(at, "module", name, word.Keys(c.m.calls))
		} else {
			c.moduleRef(to, r)
		}
	default:
		c.unknownRoot(r)
	}
}

func (c compiler) eachRef(r syntax.Reference, name string, at hcl.Range) {
	switch {
	case !c.in.each:
		c.bad(r.Range(), "No each here", "each.key and each.value exist only in a stage or module with for_each.")
	case name != "key" && name != "value":
		c.bad(at, "Unknown reference", "There are only each.key and each.value.")
	default:
		whole := c.out.value && c.out.within == nil
		c.out.each = true
		c.out.value = c.out.value || name == "value"
		if field := syntax.StepName(r.Traversal, 2); name == "value" && field != "" && !whole {
			c.out.within = append(c.out.within, field)
		} else if name == "value" {
			c.out.within = nil
		}
	}
}

// stageRef makes the reference to s of a traversal such as stage.NAME["key"].
func (c compiler) stageRef(s *stage, from syntax.Reference) stageRef {
	r := stageRef{to: s, whole: from.Range()}
	if !s.many {
		return r
	}
	if from.Key != nil && len(from.Traversal) == 2 {
		r.key = c.m.compile(from.Key, place{each: c.in.each})
		if r.key.bad {
			r.key = nil
		}
		return r
	}
	if len(from.Traversal) > 2 {
		switch step := from.Traversal[2].(type) {
		case hcl.TraverseAttr:
			r.key = constant(c.m, cty.StringVal(step.Name), step.SrcRange)
		case hcl.TraverseIndex:
			r.key = constant(c.m, step.Key, step.SrcRange)
		}
	}
	return r
}

// moduleRef notes the reference to a module of a traversal such as module.NAME["key"].output.
func (c compiler) moduleRef(to *call, from syntax.Reference) {
	r := moduleRef{to: to, whole: from.Range()}
	behind := from.Traversal[2:]
	switch {
	case !to.many:
	case from.Key != nil && len(behind) == 0:
		if r.key = c.m.compile(from.Key, place{each: c.in.each}); r.key.bad {
			r.key = nil
		}
		behind = from.Rest
	case len(behind) > 0:
		switch step := behind[0].(type) {
		case hcl.TraverseAttr:
			r.key = constant(c.m, cty.StringVal(step.Name), step.SrcRange)
		case hcl.TraverseIndex:
			r.key = constant(c.m, step.Key, step.SrcRange)
		}
		behind = behind[1:]
	}
	if name := syntax.StepName(behind, 0); name != "" && (!to.many || r.key != nil) {
		r.outputs = []string{name}
		if to.text != nil && to.text.outputs[name] == nil && !to.text.partial {
			c.bad(behind[0].SourceRange(), "Reference to an output that does not exist", "The module %s has no output %q; it has %s.%s", to.text.path, name,
				orNone(word.Keys(to.text.outputs)), word.DidYouMean(name, word.Keys(to.text.outputs)))
		}
	}
	if to.many && len(behind) == 0 && r.key == nil {
		r.outputs = from.Used
	}
	c.out.bad = c.out.bad || to.text == nil // which was reported
	c.out.modules = append(c.out.modules, r)
}

func constant(m *module, v cty.Value, at hcl.Range) *expr {
	return &expr{m: m, syntax: &hclsyntax.LiteralValueExpr{Val: v, SrcRange: at}}
}

func (c compiler) bad(at hcl.Range, summary, format string, args ...any) {
	c.out.bad = true
	c.m.errorf(at, summary, format, args...)
}

// unknown reports a reference to a variable, local or stage that is not there.
// A file that could not be read to its end may well have it.
func (c compiler) unknown(at hcl.Range, what, name string, names []string) {
	c.out.bad = true
	if c.m.partial {
		return
	}
	c.m.errorf(at, "Reference to a "+what+" that does not exist", "The %s has no %s %q.%s", c.m.what(), what, name, word.DidYouMean(name, names))
}

func (c compiler) unknownRoot(r syntax.Reference) {
	root := r.Root()
	hint := word.DidYouMean(root, grammar.RootNames())
	switch {
	case c.m.stages[root] != nil:
		hint = fmt.Sprintf(" Did you mean stage.%s?", root)
	case len(r.Traversal) == 1:
		hint += fmt.Sprintf(" A string is written in quotes: %q.", root)
	}
	c.bad(r.Range(), "Unknown reference", "There is nothing called %q. References begin with var, local, stage, module, path or each.%s", root, hint)
}
