package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"eyrie/pipeline/mistake"
)

// Traced is a value with its origins. Config fields of this type receive from
// the recipe where every value came from. A value that is an object or a list
// may have an origin for each of its parts; see [Origin.At].
type Traced struct {
	Value   any      `json:"value"` // nil, bool, float64, string, []any, map[string]any
	Origins []Origin `json:"origins,omitempty"`
}

// Row is an object of traced values: a row of a table, a point of a plot.
type Row map[string]Traced

// Lookup follows a path such as "best.latency" into the row. A value that is missing or
// within null is not found, which is not an error; a path into something other than an
// object is one. A name may itself have dots.
func (r Row) Lookup(key string) (v Traced, found bool, err error) {
	if v, ok := r[key]; ok {
		return v, true, nil
	}
	names := strings.Split(key, ".")
	v, found = r[names[0]]
	for i, name := range names[1:] {
		if !found || v.Value == nil {
			return Traced{}, false, nil
		}
		object, ok := v.Value.(map[string]any)
		if !ok {
			return v, false, fmt.Errorf("%q is %s, not an object that could hold %q", strings.Join(names[:i+1], "."), v, name)
		}
		value, ok := object[name]
		v, found = Traced{Value: value, Origins: within(v.Origins, name)}, ok
	}
	return v, found, nil
}

// CheckKey reports a key that none of the rows has, at the report on the key: as soon as
// the names of the rows' values are known, whatever those are. The report in is on the rows.
func CheckKey(at, in *mistake.Report, rows []Row, key string) {
	if len(rows) == 0 || !at.Knows() {
		return
	}
	first, _, _ := strings.Cut(key, ".")
	var names []string
	for i, row := range rows {
		if row == nil {
			return
		}
		names = append(names, row.Keys()...)
		for _, u := range in.At(i).Unknown() {
			if len(u) == 0 {
				return // the whole row
			}
			names = append(names, u[0].Name)
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); !slices.Contains(names, key) && !slices.Contains(names, first) {
		at.Badf("no row has %q; rows have %s", key, strings.Join(names, ", "))
	}
}

// Keys returns the names of the row's values, sorted.
func (r Row) Keys() []string { return slices.Sorted(maps.Keys(r)) }

// within returns the origins of a part of a value: those of all of it, and
// those at the part, whose path is shortened.
func within(origins []Origin, name string) []Origin {
	var part []Origin
	for _, o := range origins {
		rest, ok := strings.CutPrefix(o.At, name)
		if o.At == "" || ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			if o.At != "" {
				o.At = strings.TrimPrefix(rest, ".")
			}
			part = append(part, o)
		}
	}
	return part
}

// String describes the value for a message: the number 5, a list of 3.
func (t Traced) String() string {
	switch v := t.Value.(type) {
	case nil:
		return "null"
	case float64:
		return fmt.Sprintf("the number %v", v)
	case string:
		return fmt.Sprintf("%q", v)
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return "an object with " + strings.Join(slices.Sorted(maps.Keys(v)), ", ")
	}
	return fmt.Sprint(t.Value)
}

// Provenances are all kinds, in the order in which they are listed.
var Provenances = []Provenance{Measured, Modelled, Predicted, Published, Adopted, Given}

// Kinds returns the kinds of some origins, in the order of Provenances. A
// number that was computed from given ones and others is of the others' kind, so that
// Given comes alone.
func Kinds(origins []Origin) []Provenance {
	var kinds []Provenance
	for _, k := range Provenances {
		is := func(o Origin) bool { return o.Kind == k }
		if slices.ContainsFunc(origins, is) && (k != Given || len(kinds) == 0) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// JoinKinds lists kinds in a text: "measured, published".
func JoinKinds(kinds []Provenance) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// String describes the origin for people: "modelled: baseline.estimate.latency".
func (o Origin) String() string {
	from := o.Step
	if o.Output != "" {
		from += "." + o.Output
	}
	if o.Source != "" {
		from = o.Source
	}
	if from == "" || o.Kind == "" {
		return string(o.Kind) + from
	}
	return string(o.Kind) + ": " + from
}
