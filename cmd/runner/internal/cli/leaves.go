package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// leaf is a value in a tree that is neither a list nor an object, or the handle of a file.
type leaf struct {
	path  string
	value any
}

// mostLeaves is how many leaves of a value are looked at.
const mostLeaves = 20_000

// leavesOf returns a JSON value's leaves, in the order of their names.
func leavesOf(b []byte) []leaf {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	var all []leaf
	addLeaves(&all, "", v)
	return all
}

func addLeaves(all *[]leaf, path string, v any) {
	if len(*all) >= mostLeaves {
		return
	}
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			addLeaves(all, path+"["+strconv.Itoa(i)+"]", e)
		}
		return
	case map[string]any:
		if _, ok := artifacts.FileIn(v); ok || pipeline.IsSensitive(v) {
			break
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			addLeaves(all, joined(path, k), v[k])
		}
		return
	}
	*all = append(*all, leaf{path, v})
}

// joined returns the path of a member, or of what is within it.
func joined(path, name string) string {
	if path == "" || name == "" || name[0] == '[' {
		return path + name
	}
	return path + "." + name
}

// leafText returns a leaf's value on a line.
func leafText(v any) string {
	if pipeline.IsSensitive(v) {
		return "(sensitive)"
	}
	return brief(v, 60)
}

// leafChange is a value that differs between two runs.
type leafChange struct {
	Path     string   `json:"path"`
	Old      any      `json:"old"` // null where there is none
	New      any      `json:"new"`
	Change   *float64 `json:"change,omitempty"`   // of numbers: how much more the new one is
	Relative *float64 `json:"relative,omitempty"` // likewise, as a part of the old one

	// How the numbers came about.
	OldKinds []pipeline.Provenance `json:"old_provenance,omitempty"`
	NewKinds []pipeline.Provenance `json:"new_provenance,omitempty"`
}

// cameAbout notes how the numbers among the changes came about, by their path.
func cameAbout(all []leafChange, old, new func(path string) []pipeline.Provenance) {
	for i, c := range all {
		if _, number := c.Old.(float64); number {
			all[i].OldKinds = old(c.Path)
		}
		if _, number := c.New.(float64); number {
			all[i].NewKinds = new(c.Path)
		}
	}
}

// changesOf compares the leaves of two JSON values.
func changesOf(old, new []byte) []leafChange {
	before, after := leavesOf(old), leavesOf(new)
	was := make(map[string]any, len(before))
	for _, l := range before {
		was[l.path] = l.value
	}
	var all []leafChange
	for _, l := range after {
		o, ok := was[l.path]
		delete(was, l.path)
		if !ok || leafText(o) != leafText(l.value) {
			all = append(all, newChange(l.path, o, l.value))
		}
	}
	for _, l := range before {
		if _, gone := was[l.path]; gone {
			all = append(all, newChange(l.path, l.value, nil))
		}
	}
	return all
}

func newChange(path string, old, new any) leafChange {
	c := leafChange{Path: path, Old: old, New: new}
	o, wasNumber := old.(float64)
	n, isNumber := new.(float64)
	if wasNumber && isNumber {
		change := n - o
		c.Change = &change
		if relative := change / math.Abs(o); o != 0 {
			c.Relative = &relative
		}
	}
	return c
}

// String words the change: "accuracy: 0.8 → 0.9  (+0.1, +12.5 %)".
func (c leafChange) String() string {
	text := func(v any) string {
		if v == nil {
			return "(none)"
		}
		return leafText(v)
	}
	s := text(c.Old) + " → " + text(c.New)
	if c.Path != "" {
		s = c.Path + ": " + s
	}
	switch {
	case c.Relative != nil:
		s += fmt.Sprintf("  (%+.4g, %+.3g %%)", *c.Change, 100**c.Relative)
	case c.Change != nil:
		s += fmt.Sprintf("  (%+.4g)", *c.Change)
	}
	if kinds := c.kinds(); kinds != "" {
		s += "  " + kinds
	}
	return s
}

// kinds words how the numbers came about: "measured", or "predicted → measured".
func (c leafChange) kinds() string {
	old, new := pipeline.JoinKinds(c.OldKinds), pipeline.JoinKinds(c.NewKinds)
	switch {
	case old == "" || old == new:
		return new
	case new == "":
		return old
	}
	return old + " → " + new
}
