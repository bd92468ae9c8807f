package hcl

import (
	"fmt"
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
	syntax hclsyntax.Expression
	stages []stageRef // references to stages, in the order of the text
	locals []*local   // without repeats
	vars   []*variable
	each   bool     // refers to each
	value  bool     // refers to each.value
	weight int      // what it takes to evaluate it, where that is done for each instance
	bad    bool     // refers to what does not exist, which was reported
	reads  []string // see blocks
}

// stageRef is a reference to a stage, or to one instance of it.
type stageRef struct {
	to    *stage
	key   *expr // the instance's key, where the reference has one that no loop changes
	whole hcl.Range
}

// uses reports whether e refers to a stage, directly or through locals.
func (e *expr) uses() bool {
	return len(e.stages) > 0 || slices.ContainsFunc(e.locals, func(l *local) bool { return len(l.refs) > 0 })
}

// refs calls yield for each of e's references to stages, those of locals included.
func (e *expr) refs(yield func(stageRef) bool) {
	for _, r := range e.stages {
		if !yield(r) {
			return
		}
	}
	for _, l := range e.locals {
		for _, r := range l.refs {
			if !yield(r) {
				return
			}
		}
	}
}

// place says what may be referred to where an expression stands.
type place struct {
	each  bool   // the block has for_each
	typed bool   // the value is only converted to a type
	local string // the one that is defined
	words string // "in a variable's default", when only functions are allowed
}

// compile finds what the expression refers to and reports what does not exist.
func (m *module) compile(e hclsyntax.Expression, in place) *expr {
	out := &expr{syntax: e}
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
	default:
		c.unknownRoot(r)
	}
}

func (c compiler) eachRef(r syntax.Reference, name string, at hcl.Range) {
	switch {
	case !c.in.each:
		c.bad(r.Range(), "No each here", "each.key and each.value exist only in a stage with for_each.")
	case name != "key" && name != "value":
		c.bad(at, "Unknown reference", "There are only each.key and each.value.")
	default:
		c.out.each = true
		c.out.value = c.out.value || name == "value"
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
		if r.key.uses() || r.key.bad {
			r.key = nil
		}
		return r
	}
	if len(from.Traversal) > 2 {
		switch step := from.Traversal[2].(type) {
		case hcl.TraverseAttr:
			r.key = constant(cty.StringVal(step.Name), step.SrcRange)
		case hcl.TraverseIndex:
			r.key = constant(step.Key, step.SrcRange)
		}
	}
	return r
}

func constant(v cty.Value, at hcl.Range) *expr {
	return &expr{syntax: &hclsyntax.LiteralValueExpr{Val: v, SrcRange: at}}
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
	c.m.errorf(at, "Reference to a "+what+" that does not exist", "The recipe has no %s %q.%s", what, name, word.DidYouMean(name, names))
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
	c.bad(r.Range(), "Unknown reference", "There is nothing called %q. References begin with var, local, stage, path or each.%s", root, hint)
}
