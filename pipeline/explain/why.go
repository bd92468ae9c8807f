package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Why says why a step does another action than before.
type Why struct {
	Step    string            `json:"step"`
	Same    bool              `json:"same,omitempty"`    // it does not
	Again   bool              `json:"again,omitempty"`   // it is explained elsewhere in the tree
	Changes []Change          `json:"changes,omitempty"` // what differs in its key
	Reasons []pipeline.Reason `json:"reasons,omitempty"` // where there is nothing to compare: why it runs
	Waits   []Wait            `json:"waits,omitempty"`   // what is known only after other steps have run
}

// Change is an attribute that differs.
type Change struct {
	pipeline.Reason
	Pos   string       `json:"pos,omitempty"` // where it is written now
	Files []FileChange `json:"files,omitempty"`
	From  []Edge       `json:"from,omitempty"`
}

// Edge is an output of another step that an attribute came from, and that differs.
type Edge struct {
	Step    string `json:"step"`
	Output  string `json:"output,omitempty"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
	Perhaps bool   `json:"perhaps,omitempty"` // it may have decided on the value; nothing says so
	Why     *Why   `json:"why"`
}

// Wait is an attribute that is not known yet.
type Wait struct {
	Attr string `json:"attr"`
	For  []*Why `json:"for"`
}

// mostSteps is how many steps an explanation goes into: people read no further.
const mostSteps = 200

// Steps explains a step: how its state now came from what changed since then.
func Steps(ctx context.Context, s *store.Store, then, now Moment, id string) *Why {
	return (&walk{ctx: ctx, store: s, then: then, now: now, seen: map[string]bool{}}).why(id)
}

type walk struct {
	ctx       context.Context
	store     *store.Store
	then, now Moment
	seen      map[string]bool
}

func (w *walk) why(id string) *Why {
	y := &Why{Step: id}
	if y.Again = w.seen[id] || len(w.seen) >= mostSteps; y.Again {
		return y
	}
	w.seen[id] = true
	is, was := w.now(id), w.then(id)
	switch {
	case is == nil:
	case len(is.Waits) > 0:
		y.Waits = w.waits(is)
	case was != nil && was.Action == is.Action:
		y.Same, y.Reasons = true, is.Reasons
	case was == nil || was.Preimage == nil || is.Preimage == nil:
		y.Reasons = is.Reasons
	default:
		y.Changes = w.changes(was, is)
	}
	return y
}

// waits explains the steps that attributes wait for.
func (w *walk) waits(is *State) []Wait {
	var all []Wait
	for _, name := range slices.Sorted(maps.Keys(is.Waits)) {
		wait := Wait{Attr: name}
		for _, id := range is.Waits[name] {
			wait.For = append(wait.For, w.why(id))
		}
		all = append(all, wait)
	}
	return all
}

// changes compares two keys of a step, and follows what differs.
func (w *walk) changes(was, is *State) []Change {
	var all []Change
	before, after := attributes(was.Preimage), attributes(is.Preimage)
	for _, r := range pipeline.Differences(was.Preimage, is.Preimage, is.Config) {
		c := Change{Reason: r}
		if r.Attr != "" {
			name := root(r.Attr)
			c.Pos = is.Pos[name]
			c.Files = w.files(r.Attr, is, find(before, r.Attr), find(after, r.Attr))
			if len(c.Files) == 0 {
				c.From = w.edges(name, is)
			}
		}
		all = append(all, c)
	}
	return all
}

// edges returns the outputs that an attribute came from and that differ. Where none does,
// a condition may have chosen another value: then what else the step needs is told as a
// possibility.
func (w *walk) edges(attr string, is *State) []Edge {
	var all []Edge
	for _, s := range is.Sources {
		if s.Step != "" && root(s.Attr) == attr {
			if e, differs := w.edge(s.Step, s.Output); differs {
				all = append(all, e)
			}
		}
	}
	if len(all) == 0 {
		for _, id := range is.Deps {
			if e, differs := w.edge(id, ""); differs {
				e.Perhaps = true
				all = append(all, e)
			}
		}
	}
	for i := range all { // after all are found: who is explained where depends on their order alone
		all[i].Why = w.why(all[i].Step)
	}
	return all
}

// edge compares an output of a step then and now.
func (w *walk) edge(step, output string) (Edge, bool) {
	e := Edge{Step: step, Output: output}
	was, is := w.then(step), w.now(step)
	if was == nil || is == nil || was.Output == nil || is.Output == nil {
		return e, was == nil || is == nil || was.Action != is.Action
	}
	if bytes.Equal(was.Output, is.Output) {
		return e, false
	}
	path, _, _ := strings.Cut(output, "[*]")
	old, new := find(decode(was.Output), path), find(decode(is.Output), path)
	if e.Old, e.New = pipeline.Brief(old), pipeline.Brief(new); output == "" {
		e.Old, e.New = "", ""
	}
	if was.Secret || is.Secret {
		e.Old, e.New = "(sensitive)", "(sensitive)"
	}
	return e, !equal(old, new)
}

// files explains a file that the recipe names, and whose content differs.
func (w *walk) files(attr string, is *State, old, new any) []FileChange {
	before, wasFile := handle(old)
	after, isFile := handle(new)
	if !wasFile || !isFile {
		return nil
	}
	for _, s := range is.Sources {
		if s.Path != "" && (s.Attr == attr || root(s.Attr) == root(attr) && s.Object == after.Digest) {
			after.Path = s.Path
			return []FileChange{Compare(w.ctx, w.store, before, after)}
		}
	}
	return nil
}

// handle returns the file that a value in a key stands for.
func handle(v any) (f artifacts.File, ok bool) {
	m, _ := v.(map[string]any)
	if _, ok := artifacts.DigestIn(m); !ok {
		return f, false
	}
	b, err := json.Marshal(m)
	return f, err == nil && json.Unmarshal(b, &f) == nil
}

// attributes returns the attributes in a key.
func attributes(preimage []byte) any {
	m, _ := decode(preimage).(map[string]any)
	return m["attributes"]
}

func decode(b []byte) (v any) {
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	return v
}

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// root returns the attribute that a path such as "front[2].network" begins with.
func root(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		return path[:end]
	}
	return path
}

// find follows a path such as "front[2].network" into a tree, as far as that goes: nil
// where there is nothing. A name may itself have dots.
func find(v any, path string) any {
	path = strings.TrimPrefix(path, ".")
	if path == "" {
		return v
	}
	switch v := v.(type) {
	case []any:
		index, rest, ok := strings.Cut(strings.TrimPrefix(path, "["), "]")
		if i, err := strconv.Atoi(index); ok && err == nil && i >= 0 && i < len(v) {
			return find(v[i], rest)
		}
	case map[string]any:
		for end := len(path); end > 0; end-- {
			if end < len(path) && path[end] != '.' && path[end] != '[' {
				continue
			}
			if e, ok := v[strings.TrimSuffix(strings.TrimPrefix(path[:end], `["`), `"]`)]; ok {
				return find(e, path[end:])
			}
		}
	}
	return nil
}
