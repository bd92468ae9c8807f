package hcl

import (
	"fmt"
	"slices"

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
	words string // "in a variable's default", when only functions are allowed
}

// compile finds what the expression refers to and reports what does not exist.
func (m *module) compile(e hclsyntax.Expression, in place) *expr {
	out := &expr{syntax: e}
	if literal(e) {
		return out
	}
	w := &walker{m: m, in: in, out: out}
	_ = hclsyntax.Walk(e, w) // w reports by itself
	out.syntax = trace(e)
	return out
}

// literal tells, cheaply, that an expression is a plain number, bool or string.
func literal(e hclsyntax.Expression) bool {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TemplateExpr:
		return e.IsStringLiteral()
	}
	return false
}

// walker gathers an expression's references. Names that loops within the
// expression define are not references.
type walker struct {
	m      *module
	in     place
	out    *expr
	scopes []map[string]struct{}
	keys   map[hclsyntax.Node]hclsyntax.Expression // of references whose index is an expression
}

// Enter implements [hclsyntax.Walker].
func (w *walker) Enter(n hclsyntax.Node) hcl.Diagnostics {
	switch n := n.(type) {
	case hclsyntax.ChildScope:
		w.scopes = append(w.scopes, n.LocalNames)
	case *hclsyntax.IndexExpr:
		if t, ok := n.Collection.(*hclsyntax.ScopeTraversalExpr); ok && !w.looped(n.Key) {
			if w.keys == nil {
				w.keys = make(map[hclsyntax.Node]hclsyntax.Expression)
			}
			w.keys[t] = n.Key
		}
	case *hclsyntax.ScopeTraversalExpr:
		if !w.local(n.Traversal.RootName()) {
			w.reference(n)
		}
	case *hclsyntax.ObjectConsExpr:
		w.repeated(n)
	}
	return nil
}

// Exit implements [hclsyntax.Walker].
func (w *walker) Exit(n hclsyntax.Node) hcl.Diagnostics {
	if _, ok := n.(hclsyntax.ChildScope); ok {
		w.scopes = w.scopes[:len(w.scopes)-1]
	}
	return nil
}

func (w *walker) local(name string) bool {
	return slices.ContainsFunc(w.scopes, func(s map[string]struct{}) bool { _, ok := s[name]; return ok })
}

// looped reports whether e depends on a loop around it.
func (w *walker) looped(e hclsyntax.Expression) bool {
	return slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool { return w.local(t.RootName()) })
}

// repeated reports keys that an object has twice, where HCL would take the last.
func (w *walker) repeated(n *hclsyntax.ObjectConsExpr) {
	seen := make(map[string]hcl.Range, len(n.Items))
	for _, item := range n.Items {
		key, ok := constantKey(item.KeyExpr)
		if !ok {
			continue
		}
		if first, twice := seen[key]; twice {
			w.m.errorf(item.KeyExpr.Range(), "Key written twice", "The key %q was already written at %s.", key, pos(first))
		}
		seen[key] = item.KeyExpr.Range()
	}
}

func constantKey(e hclsyntax.Expression) (string, bool) {
	if k, ok := e.(*hclsyntax.ObjectConsKeyExpr); ok {
		if word := hcl.ExprAsKeyword(k.Wrapped); word != "" {
			return word, true
		}
		e = k.Wrapped
	}
	if !literal(e) {
		return "", false
	}
	v, _ := e.Value(nil)
	if v.Type() != cty.String || v.IsNull() || !v.IsKnown() {
		return "", false
	}
	return v.AsString(), true
}

var roots = []string{"var", "local", "stage", "path", "each"}

// reference notes or reports one reference.
func (w *walker) reference(n *hclsyntax.ScopeTraversalExpr) {
	t := n.Traversal
	root := t.RootName()
	if w.in.words != "" && root != "path" {
		w.bad(n.Range(), "Reference not allowed", "References are not allowed %s.", w.in.words)
		return
	}
	name, at := second(t)
	switch root {
	case "var", "local", "stage", "path", "each":
		if name == "" {
			w.bad(n.Range(), "Incomplete reference", "A reference goes on with a name: %s.", completions[root])
			return
		}
	}
	switch root {
	case "var":
		if v := w.m.variables[name]; v == nil {
			w.unknown(at, "variable", name, sortedKeys(w.m.variables))
		} else if !slices.Contains(w.out.vars, v) {
			w.out.vars = append(w.out.vars, v)
		}
	case "path":
		if name != "recipe" {
			w.bad(at, "Unknown reference", "There is only path.recipe: the directory of the recipe.")
		}
	case "each":
		w.eachRef(n, name, at)
	case "local":
		l := w.m.locals[name]
		if l == nil {
			w.unknown(at, "local", name, sortedKeys(w.m.locals))
		} else if !slices.Contains(w.out.locals, l) {
			w.out.locals = append(w.out.locals, l)
		}
	case "stage":
		s := w.m.stages[name]
		if s == nil {
			w.unknown(at, "stage", name, sortedKeys(w.m.stages))
			return
		}
		w.out.stages = append(w.out.stages, w.stageRef(s, n))
	default:
		w.unknownRoot(n, root)
	}
}

var completions = map[string]string{
	"var":   "var.NAME, one of the recipe's variables",
	"local": "local.NAME, one of the recipe's locals",
	"stage": "stage.NAME.OUTPUT, an output of one of the recipe's stages",
	"path":  "path.recipe, the directory of the recipe",
	"each":  "each.key or each.value",
}

func (w *walker) eachRef(n *hclsyntax.ScopeTraversalExpr, name string, at hcl.Range) {
	switch {
	case !w.in.each:
		w.bad(n.Range(), "No each here", "each.key and each.value exist only in a stage with for_each.")
	case name != "key" && name != "value":
		w.bad(at, "Unknown reference", "There are only each.key and each.value.")
	default:
		w.out.each = true
		w.out.value = w.out.value || name == "value"
	}
}

// stageRef makes the reference to s of a traversal such as stage.NAME["key"].
func (w *walker) stageRef(s *stage, n *hclsyntax.ScopeTraversalExpr) stageRef {
	r := stageRef{to: s, whole: n.Range()}
	if !s.many {
		return r
	}
	if key := w.keys[n]; key != nil && len(n.Traversal) == 2 {
		r.key = w.m.compile(key, place{each: w.in.each})
		if r.key.uses() || r.key.bad {
			r.key = nil
		}
		return r
	}
	if len(n.Traversal) > 2 {
		switch step := n.Traversal[2].(type) {
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

// second returns the name after a traversal's root, "" when there is none.
func second(t hcl.Traversal) (string, hcl.Range) {
	if len(t) > 1 {
		switch step := t[1].(type) {
		case hcl.TraverseAttr:
			return step.Name, t.SourceRange()
		case hcl.TraverseIndex:
			if step.Key.Type() == cty.String {
				return step.Key.AsString(), t.SourceRange()
			}
		}
	}
	return "", t.SourceRange()
}

func (w *walker) bad(at hcl.Range, summary, format string, args ...any) {
	w.out.bad = true
	w.m.errorf(at, summary, format, args...)
}

// unknown reports a reference to a variable, local or stage that is not there.
// A file that could not be read to its end may well have it.
func (w *walker) unknown(at hcl.Range, what, name string, names []string) {
	w.out.bad = true
	if w.m.partial {
		return
	}
	w.m.errorf(at, "Reference to a "+what+" that does not exist", "The recipe has no %s %q.%s", what, name, didYouMean(name, names))
}

func (w *walker) unknownRoot(n *hclsyntax.ScopeTraversalExpr, root string) {
	hint := didYouMean(root, roots)
	switch {
	case w.m.stages[root] != nil:
		hint = fmt.Sprintf(" Did you mean stage.%s?", root)
	case len(n.Traversal) == 1:
		hint += fmt.Sprintf(" A string is written in quotes: %q.", root)
	}
	w.bad(n.Range(), "Unknown reference", "There is nothing called %q. References begin with var, local, stage, path or each.%s", root, hint)
}
