package hcl

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
	"eyrie/pipeline"
)

// explain adds to HCL's diagnostics what only the recipe knows: which name was
// probably meant, which instances there are, which stages their when leaves out.
// HCL's words may show a sensitive value, and are replaced where one takes part.
func (m *module) explain(e *expr, diags hcl.Diagnostics, secret bool) hcl.Diagnostics {
	all := make(hcl.Diagnostics, len(diags))
	for i, d := range diags {
		better := *d
		if better.Detail = m.detail(e, d); secret {
			better.Detail = "Why is not shown, as a sensitive value takes part."
		}
		better.Expression, better.EvalContext = nil, nil // may show what is sensitive
		all[i] = &better
	}
	return all
}

func (m *module) detail(e *expr, d *hcl.Diagnostic) string {
	var panicked function.PanicError
	if extra, ok := d.Extra.(hclsyntax.FunctionCallDiagExtra); ok && errors.As(extra.FunctionCallError(), &panicked) {
		return fmt.Sprintf("The function %q cannot cope with these arguments (a mistake in the function: %v).", extra.CalledFunctionName(), panicked.Value)
	}
	if extra, ok := d.Extra.(hclsyntax.FunctionCallUnknownDiagExtra); ok {
		name := extra.CalledFunctionName()
		return fmt.Sprintf("There is no function %q.%s", name, word.DidYouMean(name, word.Keys(m.root.Functions)))
	}
	switch d.Summary {
	case "Unsupported attribute":
		return d.Detail + m.attributeHint(e, d)
	case "Invalid index", "Attempt to get attribute from null value", "Attempt to index null value":
		if hint := m.instanceHint(e, d); hint != "" {
			return d.Detail + hint
		}
		return strings.TrimSuffix(d.Detail, ".") + "." + m.elementsHint(e, d)
	}
	return d.Detail
}

// attributeHint suggests an output of one of the stages that e refers to.
func (m *module) attributeHint(e *expr, d *hcl.Diagnostic) string {
	if d.Subject == nil {
		return ""
	}
	name := strings.Trim(m.source(*d.Subject), ".")
	for b, whole := range e.blocksNamed {
		if b.many && within(*d.Subject, whole) && len(b.keys) > 0 {
			return fmt.Sprintf(" %[1]s has instances, as it has for_each: write %[1]s[%[2]q].%[3]s, or a for expression.", b.title(), b.sortedKeys()[0], name)
		}
	}
	var names []string
	for r := range e.refs(nil) {
		if r.to.kind != nil {
			names = collectNames(r.to.kind.Output, names)
		}
	}
	for _, r := range e.modules {
		if r.to.text != nil {
			names = append(names, word.Keys(r.to.text.outputs)...)
		}
	}
	if hint := word.DidYouMean(name, names); hint != "" {
		return hint
	}
	for r := range e.refs(nil) {
		if r.to.kind != nil && within(*d.Subject, r.whole) {
			return fmt.Sprintf(" A stage %q has the outputs %s.", r.to.kind.Name, strings.Join(value.FieldNames(r.to.kind.Output), ", "))
		}
	}
	return ""
}

// within reports whether a lies in b.
func within(a, b hcl.Range) bool {
	return a.Filename == b.Filename && b.Start.Byte <= a.Start.Byte && a.End.Byte <= b.End.Byte
}

// collectNames adds the names of all fields in t.
func collectNames(t *pipeline.Type, names []string) []string {
	if t.Elem != nil {
		return collectNames(t.Elem, names)
	}
	for i := range t.Fields {
		names = collectNames(t.Fields[i].Type, append(names, t.Fields[i].Name))
	}
	return names
}

// instanceHint says which instances there are, or that a stage was left out.
func (m *module) instanceHint(e *expr, d *hcl.Diagnostic) string {
	if d.Subject == nil {
		return ""
	}
	for b, whole := range e.blocksNamed {
		near := within(*d.Subject, whole) || whole.End.Byte == d.Subject.Start.Byte && whole.Filename == d.Subject.Filename
		switch {
		case !near:
		case !b.many && len(b.keys) == 0 && !b.broken:
			return fmt.Sprintf(" %s is left out, as its when (%s) is false; try(%s, …) says what to take instead.", b.title(), diagnostic.Pos(b.when.syntax.Range()), m.source(whole))
		case b.many:
			return b.inventory()
		}
	}
	return ""
}

// blocksNamed calls yield for each block that e refers to, itself or through locals, with
// where it does.
func (e *expr) blocksNamed(yield func(*block, hcl.Range) bool) {
	all := []*expr{e}
	seen := map[*local]bool{}
	for i := 0; i < len(all); i++ {
		for _, r := range all[i].stages {
			if !yield(&r.to.block, r.whole) {
				return
			}
		}
		for _, r := range all[i].modules {
			if !yield(&r.to.block, r.whole) {
				return
			}
		}
		for _, l := range all[i].locals {
			if !seen[l] && l.expr != nil {
				seen[l] = true
				all = append(all, l.expr)
			}
		}
	}
}

// elementsHint says which elements there are of what is indexed wrongly.
func (m *module) elementsHint(e *expr, d *hcl.Diagnostic) string {
	v, _ := m.bounded(e, func() (cty.Value, hcl.Diagnostics) { return indexed(d) })
	v, _ = v.Unmark()
	switch ty := v.Type(); {
	case !v.IsKnown() || v.IsNull():
	case ty.IsMapType() || ty.IsObjectType():
		var keys []string
		for k := range v.Elements() {
			keys = append(keys, k.AsString())
		}
		if len(keys) > 0 {
			return fmt.Sprintf(" The keys are %s.", word.Quote(word.First(keys, 8)))
		}
		return " There are no keys."
	case ty.IsListType() || ty.IsTupleType():
		switch n := v.LengthInt(); n {
		case 0:
			return ""
		case 1:
			return " The list has one element, at index 0."
		default:
			return fmt.Sprintf(" The list has %d elements, counted from 0.", n)
		}
	}
	return ""
}

// indexed returns the value whose index a diagnostic is about, or one that is unknown.
func indexed(d *hcl.Diagnostic) (cty.Value, hcl.Diagnostics) {
	before := func(t hcl.Traversal) hcl.Traversal {
		for i, step := range t {
			if s, ok := step.(hcl.TraverseIndex); ok && d.Subject != nil && s.SrcRange == *d.Subject {
				return t[:i]
			}
		}
		return nil
	}
	switch x := d.Expression.(type) {
	case *hclsyntax.IndexExpr:
		return x.Collection.Value(d.EvalContext)
	case *hclsyntax.ScopeTraversalExpr:
		if t := before(x.Traversal); t != nil {
			return t.TraverseAbs(d.EvalContext)
		}
	case *hclsyntax.RelativeTraversalExpr:
		v, diags := x.Source.Value(d.EvalContext)
		if diags.HasErrors() {
			return cty.DynamicVal, diags
		}
		return before(x.Traversal).TraverseRel(v)
	}
	return cty.DynamicVal, nil
}

// title is what references to the block begin with.
func (b *block) title() string { return b.kind + "." + b.name }

// inventory says which instances a block with for_each has.
func (b *block) inventory() string {
	hint := fmt.Sprintf(" %s has the instances %s", b.title(), word.Quote(word.First(b.sortedKeys(), 8)))
	if len(b.keys) == 0 {
		hint = fmt.Sprintf(" %s has no instances", b.title())
	}
	if len(b.dropped) > 0 {
		hint += fmt.Sprintf("; its when (%s) leaves out %s", diagnostic.Pos(b.when.syntax.Range()), word.Quote(word.First(b.dropped, 8)))
	}
	return hint + "."
}

// source returns the text of a range.
func (r *recipe) source(at hcl.Range) string {
	f := r.files[at.Filename]
	if f == nil || !at.CanSliceBytes(f.Bytes) {
		return ""
	}
	return string(at.SliceBytes(f.Bytes))
}
