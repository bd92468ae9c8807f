// Package export writes what happened in a run for other programs: as an RO-Crate, which
// archives take, and to MLflow, which teams look at.
//
// Both are made of a run that has ended, from its journal and from the records in the
// store. Nothing of it is in the path of a step: compute nodes may have no network, and a
// tracking server that is away must not cost a result.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Run is what is told of a run. What is sensitive is not in it.
type Run struct {
	ID        string
	Recipe    string // its name
	Status    pipeline.Status
	Started   time.Time
	Ended     time.Time
	Command   []string       // the command line
	Runner    string         // the version of the runner
	Host      string         // "" where it is not known, as Commit
	Commit    string         // of the recipe's directory, in git
	Sources   []Source       // the recipe's files
	Variables map[string]any // as JSON
	Steps     []Step         // each after those that it needs
	Outputs   []Value        // of the recipe
}

// Source is a file of the recipe.
type Source struct {
	Name string // relative to the recipe's directory, with slashes
	Text []byte
}

// Step is one step of a run.
type Step struct {
	ID      string
	Block   string // the ID without the instance's key
	Stage   string
	Version int
	Doc     string
	Status  pipeline.EventType // StepDone, StepCached, StepFailed …
	Error   string             // of a failure
	Action  artifacts.ActionID // zero where there is none, as of Started and Elapsed
	Started time.Time          // when the result was made, which may be before the run
	Elapsed time.Duration
	MadeBy  string // the run that made the result
	Adopted string // of a result that the stage did not make: where it is from

	Attributes map[string]any  // as they are in the key
	Output     json.RawMessage // nil where there is none, or where it is sensitive
	Type       *pipeline.Type  // of the output
	Reads      []artifacts.File
	Makes      []artifacts.File
}

// Value is an output of the recipe.
type Value struct {
	Name  string
	Value any // as JSON, with files as artifacts.File
	Kinds []pipeline.Provenance
}

// DropFiles leaves out the files among the recipe's outputs.
func (r *Run) DropFiles() {
	for i := range r.Outputs {
		r.Outputs[i].Value = withoutFiles(r.Outputs[i].Value)
	}
}

func withoutFiles(v any) any {
	switch v := v.(type) {
	case artifacts.File:
		return v.Name
	case []any:
		for i := range v {
			v[i] = withoutFiles(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = withoutFiles(v[k])
		}
	}
	return v
}

// Fetch returns where the content of a file can be read.
type Fetch func(ctx context.Context, f artifacts.File) (path string, err error)

// isOutside reports whether a file is a tree that is not in the store, because it is too large
// to be copied: it is told of and not exported.
func isOutside(err error) bool {
	var outside *store.OutsideError
	return errors.As(err, &outside)
}

// leaf is a value within another one that has no parts.
type leaf struct {
	path  string // "platform.rates.conv", "curve.accuracy"
	index int    // in the list of objects that it is in, or 0
	value any    // string, float64, bool or nil
	kind  pipeline.Provenance
}

// leaves returns the parts of a value that have none themselves, by path. The elements of
// a list of objects have the path of their list, and their index. A list of something
// else is one leaf, a text in JSON.
func leaves(v any, of *pipeline.Type, path string, kind pipeline.Provenance) []leaf {
	switch v := v.(type) {
	case map[string]any:
		if _, file := artifacts.DigestIn(v); file {
			return nil
		}
		var all []leaf
		for _, name := range slices.Sorted(maps.Keys(v)) {
			inner, kind := member(of, name, kind)
			all = append(all, leaves(v[name], inner, join(path, name), kind)...)
		}
		return all
	case []any:
		if len(v) == 0 {
			return nil
		}
		if _, objects := v[0].(map[string]any); objects {
			var all []leaf
			for i, e := range v {
				for _, l := range leaves(e, element(of), path, kind) {
					l.index = i
					all = append(all, l)
				}
			}
			return all
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil
		}
		return []leaf{{path: path, value: string(b), kind: kind}}
	}
	return []leaf{{path: path, value: v, kind: kind}}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// member returns the type of a field or of an entry of a map, nil where that is not
// known, and how its numbers came about.
func member(of *pipeline.Type, name string, kind pipeline.Provenance) (*pipeline.Type, pipeline.Provenance) {
	if of == nil {
		return nil, kind
	}
	if f := of.Field(name); f != nil {
		return f.Type, f.Kind
	}
	return of.Elem, kind
}

func element(of *pipeline.Type) *pipeline.Type {
	if of == nil {
		return nil
	}
	return of.Elem
}

// text returns a leaf's value as people write it.
func (l leaf) text() string {
	switch v := l.value.(type) {
	case nil:
		return "null"
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	b, err := json.Marshal(l.value)
	if err != nil {
		return ""
	}
	return string(b)
}

// number returns the value of a leaf that is a finite number.
func (l leaf) number() (float64, bool) {
	x, ok := l.value.(float64)
	return x, ok && !math.IsInf(x, 0) && !math.IsNaN(x)
}

// ended returns when a step had its result.
func (s *Step) ended() time.Time { return s.Started.Add(s.Elapsed) }

// succeeded reports whether the step has a result.
func (s *Step) succeeded() bool {
	return s.Status == pipeline.StepDone || s.Status == pipeline.StepCached
}

// output returns the step's output as a tree.
func (s *Step) output() any {
	if s.Output == nil {
		return nil
	}
	var v any
	if json.Unmarshal(s.Output, &v) != nil {
		return nil
	}
	return v
}
