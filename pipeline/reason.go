package pipeline

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// Reason is one difference between what a step is to do and what it did last.
type Reason struct {
	Why  string `json:"why,omitempty"`  // in words, when it is not an attribute
	Attr string `json:"attr,omitempty"` // the path of the attribute that differs
	Old  string `json:"old,omitempty"`  // its values, as JSON, abbreviated
	New  string `json:"new,omitempty"`
}

func (r Reason) String() string {
	if r.Attr == "" {
		return r.Why
	}
	return fmt.Sprintf("%s: %s → %s", r.Attr, r.Old, r.New)
}

// NoResult is why a step runs that has never succeeded.
const NoResult = "no result yet"

// because returns why an action that is not in the store must be run: how it differs
// from what the step did last.
func because(ctx context.Context, store *store.Store, name string, a *action, of *Stage) []Reason {
	last, err := store.Last(name)
	if err != nil {
		return []Reason{{Why: NoResult}}
	}
	if last == a.id {
		return []Reason{{Why: "its result is no longer in the store"}}
	}
	old, _ := store.Lookup(ctx, last) // the record will do, also if its objects are gone
	if old.Preimage == nil {
		return []Reason{{Why: "what it did last is no longer in the store"}}
	}
	return Differences(old.Preimage, a.preimage, of.Config)
}

// Differences compares two preimages, the second of which is of a configuration of a type;
// nil where the type is not known.
func Differences(old, new []byte, of *Type) []Reason {
	was, errWas := ReadKey(old)
	is, errIs := ReadKey(new)
	if errWas != nil || errIs != nil {
		return []Reason{{Why: "what it did last is not readable"}}
	}
	var rs []Reason
	switch {
	case was.Format != is.Format:
		rs = append(rs, Reason{Why: "the runner's key format changed"})
	case was.Stage != is.Stage:
		return []Reason{{Attr: "stage", Old: was.Stage, New: is.Stage}}
	case was.Version != is.Version:
		rs = append(rs, Reason{Attr: "version of stage " + is.Stage, Old: strconv.Itoa(was.Version), New: strconv.Itoa(is.Version)})
	}
	return append(rs, diff("", was.Attributes, is.Attributes, of)...)
}

// diff descends into both trees as far as they have the same shape. Their type is nil where
// it is not known.
func diff(path string, old, new any, of *Type) []Reason {
	if reflect.DeepEqual(old, new) {
		return nil
	}
	if o, n, ok := both[map[string]any](old, new); ok && !special(o) && !special(n) {
		var rs []Reason
		for _, k := range slices.Sorted(maps.Keys(union(o, n))) {
			at := k
			if path != "" {
				at = path + "." + k
			}
			ov, was := o[k]
			nv, is := n[k]
			switch {
			case !was:
				rs = append(rs, Reason{Attr: at, Old: leftOut(of.within(k)), New: Brief(nv)})
			case !is:
				rs = append(rs, Reason{Attr: at, Old: Brief(ov), New: leftOut(of.within(k))})
			default:
				rs = append(rs, diff(at, ov, nv, of.within(k))...)
			}
		}
		return rs
	}
	if o, n, ok := both[[]any](old, new); ok && len(o) == len(n) {
		var rs []Reason
		for i := range o {
			rs = append(rs, diff(fmt.Sprintf("%s[%d]", path, i), o[i], n[i], of.within(""))...)
		}
		return rs
	}
	was, is := Brief(old), Brief(new)
	switch { // the other value is likely to be the secret
	case IsSensitive(new) && !IsSensitive(old):
		was = "(not sensitive)"
	case IsSensitive(old) && !IsSensitive(new):
		is = "(not sensitive)"
	}
	return []Reason{{Attr: path, Old: was, New: is}}
}

// special reports whether an object is the handle of a file or a sensitive value, which
// are shown as a whole.
func special(m map[string]any) bool {
	_, file := artifacts.DigestIn(m)
	return file || IsSensitive(m)
}

// within returns the type of an element, or of what has a name, nil where that is not known.
func (t *Type) within(name string) *Type {
	switch {
	case t == nil:
		return nil
	case t.Elem != nil:
		return t.Elem
	}
	if f := t.Field(name); f != nil {
		return f.Type
	}
	return nil
}

// leftOut is a value that JSON leaves out: zero, or none at all where there is a difference.
func leftOut(of *Type) string {
	switch {
	case of == nil || of.Nullable:
	case of.Kind == Number || of.Kind == Integer:
		return "0"
	case of.Kind == Bool:
		return "false"
	}
	return "(not set)"
}

func both[T any](a, b any) (x, y T, ok bool) {
	x, okX := a.(T)
	y, okY := b.(T)
	return x, y, okX && okY
}

func union(a, b map[string]any) map[string]any {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// Brief returns a value as JSON, cut to a length that fits a line.
func Brief(v any) string {
	if m, ok := v.(map[string]any); ok {
		if object, ok := artifacts.DigestIn(m); ok && len(object) >= 12 {
			return "content " + object[:12]
		}
		if IsSensitive(m) {
			return "(sensitive)"
		}
	}
	b, err := canonical(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	const most = 60 // bytes
	if len(b) <= most {
		return string(b)
	}
	if l, ok := v.([]any); ok {
		return fmt.Sprintf("%d elements", len(l))
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(b[cut]) {
		cut--
	}
	return string(b[:cut]) + "…"
}
