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
	Further bool              `json:"further,omitempty"` // it is not explained, because the explanation is long enough (mostSteps)
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
	As    string       `json:"as,omitempty"` // an attribute told before that came from the same outputs, in place of From
}

// Edge is an output of another step that an attribute came from, and that differs.
type Edge struct {
	Step    string `json:"step"`
	Output  string `json:"output,omitempty"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
	Perhaps bool   `json:"perhaps,omitempty"` // it may have decided on the value; nothing says so
	Why     *Why   `json:"why"`

	old, new any // nil where it is no part of an output, or sensitive
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
	return (&walk{ctx: ctx, store: s, then: newRecall(then), now: newRecall(now), seen: map[string]bool{}}).why(id)
}

type walk struct {
	ctx       context.Context
	store     *store.Store
	then, now *recall
	seen      map[string]bool
}

// recall asks a moment for each step once, as that may read a record: a table of a
// thousand rows compares the outputs of a thousand steps, again for each row.
type recall struct {
	moment  Moment
	states  map[string]*State
	outputs map[string]any
}

func newRecall(m Moment) *recall {
	return &recall{m, make(map[string]*State), make(map[string]any)}
}

func (r *recall) state(id string) *State {
	s, ok := r.states[id]
	if !ok {
		s = r.moment(id)
		r.states[id] = s
	}
	return s
}

// output returns a part of what a step yielded, which must have an output.
func (r *recall) output(id, path string) any {
	v, ok := r.outputs[id]
	if !ok {
		v = decode(r.states[id].Output)
		r.outputs[id] = v
	}
	return find(v, path)
}

func (w *walk) why(id string) *Why {
	y := &Why{Step: id}
	switch {
	case w.seen[id]:
		y.Again = true
		return y
	case len(w.seen) >= mostSteps:
		y.Further = true
		return y
	}
	w.seen[id] = true
	is, was := w.now.state(id), w.then.state(id)
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
	before, _ := pipeline.ReadKey(was.Preimage) // what cannot be read is a difference
	after, _ := pipeline.ReadKey(is.Preimage)
	origins := make(map[string]*origin)
	for _, r := range pipeline.Differences(was.Preimage, is.Preimage, is.Config) {
		c := Change{Reason: r}
		if r.Attr != "" {
			name := root(r.Attr)
			old, new := find(before.Attributes, r.Attr), find(after.Attributes, r.Attr)
			c.Pos = is.Pos[name]
			if c.Files = w.files(r.Attr, is, old, new); len(c.Files) == 0 {
				if origins[name] == nil {
					origins[name] = &origin{edges: w.edges(name, is)}
				}
				c.From, c.As = origins[name].of(r.Attr, old, new)
				w.follow(c.From)
			}
		}
		all = append(all, c)
	}
	return all
}

// origin is where an attribute came from: outputs that differ.
type origin struct {
	edges []Edge
	told  string // the part of the attribute of which all were told
}

// of returns the outputs that a part of the attribute came from: those that changed just
// as it did, or else all of them. Of many, all are told once.
func (o *origin) of(attr string, old, new any) (from []Edge, as string) {
	for _, e := range o.edges {
		if e.old != nil && same(e.old, old) && same(e.new, new) {
			from = append(from, e)
		}
	}
	switch {
	case len(from) > 0:
		return from, ""
	case o.told != "" && len(o.edges) > 1:
		return nil, o.told
	}
	o.told = attr
	return slices.Clone(o.edges), ""
}

// follow explains the steps that outputs came from.
func (w *walk) follow(edges []Edge) {
	for i := range edges {
		edges[i].Why = w.why(edges[i].Step)
	}
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
	return all
}

// edge compares an output of a step then and now.
func (w *walk) edge(step, output string) (Edge, bool) {
	e := Edge{Step: step, Output: output}
	was, is := w.then.state(step), w.now.state(step)
	if was == nil || is == nil || was.Output == nil || is.Output == nil {
		return e, was == nil || is == nil || was.Action != is.Action
	}
	if bytes.Equal(was.Output, is.Output) {
		return e, false
	}
	path, _, _ := strings.Cut(output, "[*]")
	old, new := w.then.output(step, path), w.now.output(step, path)
	switch {
	case was.Secret || is.Secret:
		e.Old, e.New = "(sensitive)", "(sensitive)"
	case output != "":
		e.Old, e.New, e.old, e.new = pipeline.Brief(old), pipeline.Brief(new), old, new
	}
	return e, !equal(old, new)
}

// files explains a file that the recipe names, and whose content differs.
func (w *walk) files(attr string, is *State, old, new any) []FileChange {
	before, wasFile := artifacts.FileIn(old)
	after, isFile := artifacts.FileIn(new)
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

// same reports whether two values are equal, or files of the same content.
func same(a, b any) bool {
	x, isFile := artifacts.FileIn(a)
	y, areFiles := artifacts.FileIn(b)
	if isFile && areFiles {
		return x.Digest == y.Digest
	}
	return isFile == areFiles && equal(a, b)
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
