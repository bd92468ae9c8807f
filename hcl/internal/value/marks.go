package value

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/ctymarks"

	"eyrie/pipeline"
)

// originMark says where a value came from. Leaves carry it, never the lists
// and objects around them.
type originMark struct{ pipeline.Origin }

// waitMark is on unknown values: the step whose output will make them known.
type waitMark struct {
	ctymarks.ProvenanceMark
	step string
}

// promiseMark is on unknown files: what the step that will make one promises of it. The
// file itself stays unknown, as two of them may turn out to be the same or not.
type promiseMark struct {
	ctymarks.ProvenanceMark
	promise string
}

// SensitiveMark is on values that must not be shown.
type SensitiveMark struct{}

// brokenMark is on placeholders for what could not be evaluated because of a
// mistake that was already reported.
type brokenMark struct{ ctymarks.ProvenanceMark }

// Broken stands for a value that has no value because of a reported mistake.
var Broken = cty.DynamicVal.Mark(brokenMark{})

// IsBroken reports whether v depends on what was already reported.
func IsBroken(v cty.Value) bool {
	if v.Type().IsSetType() { // it has the marks of its elements, and is sorted for whoever walks it
		v = cty.DynamicVal.WithSameMarks(v)
	}
	for range cty.ValueMarksOfTypeDeep[brokenMark](v) {
		return true
	}
	return false
}

// Bare returns v without any marks.
func Bare(v cty.Value) cty.Value {
	v, _ = v.UnmarkDeep()
	return v
}

// WithoutOrigins returns v without the origins on itself. A value that only selects
// others is no part of them.
func WithoutOrigins(v cty.Value) cty.Value {
	if !v.IsMarked() {
		return v
	}
	v, marks := v.Unmark()
	for m := range marks {
		if _, ok := m.(originMark); ok {
			delete(marks, m)
		}
	}
	return v.WithMarks(marks)
}

// MarksWithoutOrigins returns the marks on v and within it, but origins.
func MarksWithoutOrigins(v cty.Value) cty.ValueMarks {
	if !v.ContainsMarked() {
		return nil
	}
	_, marks := v.UnmarkDeep()
	for m := range marks {
		if _, ok := m.(originMark); ok {
			delete(marks, m)
		}
	}
	return marks
}

// MarkLeaves adds an origin to every leaf of v that is known.
func MarkLeaves(v cty.Value, o pipeline.Origin) (cty.Value, error) {
	return cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if plain, _ := v.Unmark(); isLeaf(plain) {
			return v.Mark(originMark{o}), nil
		}
		return v, nil
	})
}

// markPart adds an origin to the leaves that it explains, see [pipeline.Origin.At].
func markPart(v cty.Value, o pipeline.Origin) (cty.Value, error) {
	at := o.At
	o.At = ""
	return cty.Transform(v, func(p cty.Path, v cty.Value) (cty.Value, error) {
		if plain, _ := v.Unmark(); isLeaf(plain) && covers(at, p) {
			return v.Mark(originMark{o}), nil
		}
		return v, nil
	})
}

// covers reports whether the value at p is within the part that at names.
func covers(at string, p cty.Path) bool {
	here := PathOf(p).String()
	if strings.Contains(at, "[*]") {
		here = indexes.ReplaceAllString(here, "[*]")
	}
	rest, ok := strings.CutPrefix(here, at)
	return ok && (at == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// isLeaf reports whether an unmarked value is a known bool, number, string or file.
func isLeaf(v cty.Value) bool {
	return v.IsKnown() && !v.IsNull() && (v.Type().IsPrimitiveType() || v.Type().IsCapsuleType())
}

// WaitsFor returns the steps that unknown parts of v wait for.
func WaitsFor(v cty.Value) map[string]bool {
	steps := make(map[string]bool)
	for w := range cty.ValueMarksOfTypeDeep[waitMark](v) {
		steps[w.step] = true
	}
	return steps
}

// IsSensitive reports whether v itself must not be shown.
func IsSensitive(v cty.Value) bool { return v.HasMark(SensitiveMark{}) }

// HoldsSensitive reports whether v, or a part of it, must not be shown.
func HoldsSensitive(v cty.Value) bool { return v.HasMarkDeep(SensitiveMark{}) }

// manyOrigins is how many origins a value may have before those that differ
// only in an index are shown as one.
const manyOrigins = 16

var indexes = regexp.MustCompile(`\[[^\]]*\]`)

// sortOrigins returns the origins in a stable order, without repeats; when
// there are many, "front[3].latency" becomes "front[*].latency".
func sortOrigins(set map[pipeline.Origin]bool) []pipeline.Origin {
	if len(set) > manyOrigins {
		merged := make(map[pipeline.Origin]bool)
		for o := range set {
			o.Output = indexes.ReplaceAllString(o.Output, "[*]")
			o.At = indexes.ReplaceAllString(o.At, "[*]")
			merged[o] = true
		}
		set = merged
	}
	if len(set) == 0 {
		return nil
	}
	all := make([]pipeline.Origin, 0, len(set))
	for o := range set {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b pipeline.Origin) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Output, b.Output),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Source, b.Source), cmp.Compare(a.At, b.At))
	})
	return all
}
