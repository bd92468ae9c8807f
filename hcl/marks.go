package hcl

import (
	"cmp"
	"regexp"
	"slices"

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

// sensitiveMark is on values that must not be shown.
type sensitiveMark struct{}

// brokenMark is on placeholders for what could not be evaluated because of a
// mistake that was already reported.
type brokenMark struct{ ctymarks.ProvenanceMark }

// broken stands for a value that has no value because of a reported mistake.
var broken = cty.DynamicVal.Mark(brokenMark{})

// isBroken tells whether v depends on what was already reported.
func isBroken(v cty.Value) bool {
	for range cty.ValueMarksOfTypeDeep[brokenMark](v) {
		return true
	}
	return false
}

// bare returns v without any marks.
func bare(v cty.Value) cty.Value {
	v, _ = v.UnmarkDeep()
	return v
}

// withoutOrigins returns v without the origins on itself: of a value that
// selects others and is no part of them.
func withoutOrigins(v cty.Value) cty.Value {
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

// markLeaves adds an origin to every leaf of v that is known.
func markLeaves(v cty.Value, o pipeline.Origin) (cty.Value, error) {
	return cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if plain, _ := v.Unmark(); isLeaf(plain) {
			return v.Mark(originMark{o}), nil
		}
		return v, nil
	})
}

// isLeaf tells whether an unmarked value is a known bool, number, string or file.
func isLeaf(v cty.Value) bool {
	return v.IsKnown() && !v.IsNull() && (v.Type().IsPrimitiveType() || v.Type().IsCapsuleType())
}

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
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Source, b.Source))
	})
	return all
}
