package syntax

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Reference is where an expression refers to something outside of it, such as
// stage.net["a"].best: to what no loop within the expression defines.
type Reference struct {
	*hclsyntax.ScopeTraversalExpr
	Key  hclsyntax.Expression // of stage.net[key], where key is an expression on which no loop has an influence
	Rest hcl.Traversal        // behind that key
	Used []string             // where a loop goes over all of it: the names of what the loop takes of each; nil for all
}

// Root returns the first name.
func (r Reference) Root() string { return r.Traversal.RootName() }

// Name returns the second name, "" when there is none.
func (r Reference) Name() string {
	name, _ := step(r.Traversal, 1)
	return name
}

// NameRange returns where the second name is, without the dot before it.
func (r Reference) NameRange() hcl.Range {
	_, at := step(r.Traversal, 1)
	return at
}

// StepName returns the name in one step of a traversal, "" where there is none.
func StepName(t hcl.Traversal, i int) string {
	name, _ := step(t, i)
	return name
}

// step returns the name in one step of a traversal.
func step(t hcl.Traversal, i int) (string, hcl.Range) {
	if len(t) <= i {
		return "", t.SourceRange()
	}
	switch s := t[i].(type) {
	case hcl.TraverseAttr:
		return s.Name, withoutDot(s.SrcRange, s.Name)
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String {
			return s.Key.AsString(), s.SrcRange
		}
	}
	return "", t.SourceRange()
}

// withoutDot returns the end of a range that has a dot and a name.
func withoutDot(at hcl.Range, name string) hcl.Range {
	if skip := at.End.Byte - at.Start.Byte - len(name); skip > 0 && at.Start.Line == at.End.Line {
		at.Start.Byte += skip
		at.Start.Column += skip
	}
	return at
}

// Repeat is a key that an object has twice.
type Repeat struct {
	Key       string
	First, At hcl.Range
}

// Scan returns what an expression refers to, and the keys that objects in it have
// twice, of which HCL would take the last.
func Scan(e hclsyntax.Expression) ([]Reference, []Repeat) {
	var w walker
	_ = hclsyntax.Walk(e, &w) // which returns what w does
	return w.refs, w.repeats
}

// walker is at a node of an expression.
type walker struct {
	scopes  []map[string]struct{} // the names that loops around it define
	keys    map[hclsyntax.Node]hclsyntax.Expression
	rests   map[hclsyntax.Node]hcl.Traversal
	used    map[hclsyntax.Node][]string
	refs    []Reference
	repeats []Repeat
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
	case *hclsyntax.ForExpr:
		if names := usedOf(n); names != nil {
			if w.used == nil {
				w.used = make(map[hclsyntax.Node][]string)
			}
			w.used[n.CollExpr] = names
		}
	case *hclsyntax.RelativeTraversalExpr:
		if x, ok := n.Source.(*hclsyntax.IndexExpr); ok {
			if w.rests == nil {
				w.rests = make(map[hclsyntax.Node]hcl.Traversal)
			}
			w.rests[x.Collection] = n.Traversal
		}
	case *hclsyntax.ScopeTraversalExpr:
		if !w.local(n.Traversal.RootName()) {
			w.refs = append(w.refs, Reference{n, w.keys[n], w.rests[n], w.used[n]})
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

// usedOf returns the names of what a loop takes of each element, nil where it takes one as a
// whole.
func usedOf(n *hclsyntax.ForExpr) []string {
	names := []string{}
	for _, e := range []hclsyntax.Expression{n.KeyExpr, n.ValExpr, n.CondExpr} {
		if e == nil {
			continue
		}
		for _, t := range e.Variables() {
			if t.RootName() != n.ValVar {
				continue
			}
			name := StepName(t, 1)
			if name == "" {
				return nil
			}
			names = append(names, name)
		}
	}
	return names
}

func (w *walker) local(name string) bool {
	return slices.ContainsFunc(w.scopes, func(s map[string]struct{}) bool { _, ok := s[name]; return ok })
}

// looped reports whether e depends on a loop around it.
func (w *walker) looped(e hclsyntax.Expression) bool {
	return slices.ContainsFunc(e.Variables(), func(t hcl.Traversal) bool { return w.local(t.RootName()) })
}

func (w *walker) repeated(n *hclsyntax.ObjectConsExpr) {
	seen := make(map[string]hcl.Range, len(n.Items))
	for _, item := range n.Items {
		key, ok := ConstantKey(item.KeyExpr)
		if !ok {
			continue
		}
		if first, twice := seen[key]; twice {
			w.repeats = append(w.repeats, Repeat{key, first, item.KeyExpr.Range()})
		}
		seen[key] = item.KeyExpr.Range()
	}
}
