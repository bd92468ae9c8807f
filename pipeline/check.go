package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"eyrie/artifacts"
	"eyrie/pipeline/mistake"
)

// Decode makes the stage's configuration of attribute values: it lays them over
// the defaults. It fails with the mistakes of all attributes, a [mistake.List].
func (s *Stage) Decode(values map[string]any) (config any, err error) {
	return s.examine(values, nil)
}

// Check returns the mistakes that can be found in attribute values while the parts at
// some paths are unknown: those that do not depend on what is unknown. perhaps names the
// attributes that are written but may turn out to be null, as if they were not.
func (s *Stage) Check(values map[string]any, unknown []mistake.Path, perhaps ...string) error {
	_, err := s.examine(values, unknown, perhaps...)
	return err
}

// CheckConfig returns the mistakes that the stage itself finds in a configuration made
// by a program, in which the fields that are not zero count as written.
func (s *Stage) CheckConfig(config any) error {
	r := mistake.New().WithWritten(func(name string) (yes, no bool) {
		v, ok := fieldOf(reflect.ValueOf(config), name)
		yes = ok && !v.IsZero()
		return yes, !yes
	})
	s.check(config, r)
	return r.Err()
}

// fieldOf returns the field of a struct that has this name in JSON.
func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		if jsonName(sf) == name {
			return v.Field(i), true
		}
		if sf.Anonymous && jsonName(sf) == "" {
			if inner, ok := fieldOf(v.Field(i), name); ok {
				return inner, true
			}
		}
	}
	return reflect.Value{}, false
}

// examine decodes values and gathers their mistakes. What has a mistake by the schema
// is taken for unknown by what checks further, so that one does not hide others.
func (s *Stage) examine(values map[string]any, unknown []mistake.Path, perhaps ...string) (config any, err error) {
	schema := mistake.New(unknown...)
	s.Config.check(schema, values, nil)
	found := mistake.Of(schema.Err())
	values = without(values, unknown...)
	forget := func(paths ...mistake.Path) {
		values, unknown = without(values, paths...), slices.Concat(unknown, paths)
	}
	for _, m := range found {
		forget(m.Path)
	}
	attrs, err := json.Marshal(values)
	var texts map[string]json.RawMessage // each by itself, where there are mistakes
	if err != nil {
		var bad mistake.List
		texts, bad = encode(values)
		for _, m := range bad {
			found = append(found, m)
			forget(m.Path)
		}
		attrs = object(texts)
	}
	for {
		if config, err = s.decode(values, attrs); err == nil {
			break
		}
		if texts == nil {
			texts, _ = encode(values)
		}
		var bad *mistake.Mistake
		if !errors.As(err, &bad) || values[bad.Path[0].Name] == nil {
			return nil, err
		}
		found = append(found, bad)
		name, path := bad.Path[0].Name, bad.Path
		b, err := json.Marshal(without(values, path)[name])
		if err != nil || len(path) == 1 || bytes.Equal(b, texts[name]) { // of what is in a list, the place is not told
			path = path[:1]
			delete(texts, name)
		} else {
			texts[name] = b
		}
		forget(path)
		attrs = object(texts)
	}
	own := mistake.New(unknown...).WithWritten(func(name string) (yes, no bool) {
		if slices.Contains(perhaps, name) {
			return false, false
		}
		yes = values[name] != nil || slices.ContainsFunc(unknown, func(p mistake.Path) bool { return p[0].Name == name })
		return yes, !yes
	})
	s.check(config, own)
	if found = append(found, mistake.Of(own.Err())...); len(found) > 0 {
		return nil, found
	}
	return config, nil
}

// encode returns values in JSON, each by itself, and those that have no JSON as mistakes.
func encode(values map[string]any) (texts map[string]json.RawMessage, bad mistake.List) {
	texts = make(map[string]json.RawMessage, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		b, err := json.Marshal(values[name])
		if err != nil {
			bad = append(bad, mistake.At(name, "cannot be kept: %w", err))
			continue
		}
		texts[name] = b
	}
	return texts, bad
}

// without returns values without what is at the paths.
func without(values map[string]any, paths ...mistake.Path) map[string]any {
	var rest any = values
	for _, p := range paths {
		if len(p) > 0 {
			rest = blank(rest, p)
		}
	}
	return rest.(map[string]any)
}

// blank returns a tree without what is at the path: a field is left out, an element
// of a list is null.
func blank(tree any, p mistake.Path) any {
	switch v := tree.(type) {
	case map[string]any:
		inner, ok := v[p[0].Name]
		if !ok {
			return v
		}
		v = maps.Clone(v)
		if len(p) == 1 {
			delete(v, p[0].Name)
		} else {
			v[p[0].Name] = blank(inner, p[1:])
		}
		return v
	case []any:
		if i := p[0].Index; p[0].Name == "" && 0 <= i && i < len(v) {
			v = slices.Clone(v)
			if len(p) == 1 {
				v[i] = nil
			} else {
				v[i] = blank(v[i], p[1:])
			}
		}
		return v
	}
	return tree
}

// check reports a value that the schema refuses: of the wrong kind, missing, beyond a
// limit, not one of the choices, or of an unknown name. f is the field whose value it is
// or is in; nil for the attributes as a whole.
func (t *Type) check(r *mistake.Report, value any, f *Field) {
	if value == nil || !r.Knows() && t.Kind != Object && t.Kind != List && t.Kind != Map {
		return
	}
	switch t.Kind {
	case File:
		if file, ok := value.(artifacts.File); ok && !file.Digest.IsZero() {
			r.Add(f.Admit(file))
		}
	case Any, Cell:
		if t.decoded != nil {
			r.Add(t.tryDecode(value))
		}
	case Object:
		if v, ok := generic(value).(map[string]any); ok {
			t.checkFields(r, v)
			return
		}
		r.Badf("takes an %s, not %s", t, described(value))
	case Map:
		v, ok := generic(value).(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			t.Elem.checkElement(r.At(key), v[key], f)
		}
		if !ok {
			r.Badf("takes a %s, not %s", t, described(value))
		}
	case List:
		v, ok := generic(value).([]any)
		for i, e := range v {
			t.Elem.checkElement(r.At(i), e, f)
		}
		if !ok {
			r.Badf("takes a %s, not %s", t, described(value))
		}
	default:
		t.checkScalar(r, value, f)
	}
}

// tryDecode returns why a value is none that the type decodes itself from. Decoding all
// attributes at once would find it, too, and not say where.
func (t *Type) tryDecode(value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, reflect.New(t.decoded).Interface())
}

// checkElement checks an element of a list or map, which must not be null: null would be
// decoded as zero.
func (t *Type) checkElement(r *mistake.Report, value any, f *Field) {
	if value == nil && !t.Nullable && t.Kind != Any && t.Kind != Cell && r.Knows() {
		r.Badf("takes %s, not null", article(t))
		return
	}
	t.check(r, value, f)
}

func (t *Type) checkFields(r *mistake.Report, v map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(v)) {
		if f := t.Field(name); f != nil {
			f.Type.check(r.At(name), v[name], f)
		} else {
			r.At(name).Badf("there is no such attribute")
		}
	}
	for i := range t.Fields {
		if f := &t.Fields[i]; f.Required && v[f.Name] == nil && r.Knows(f.Name) {
			r.At(f.Name).Badf("is missing: it takes %s", article(f.Type))
		}
	}
}

func (t *Type) checkScalar(r *mistake.Report, value any, f *Field) {
	switch v := generic(value).(type) {
	case bool:
		if t.Kind == Bool {
			return
		}
	case string:
		if t.Kind == String {
			r.Add(f.Admit(v))
			return
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			r.Badf("takes %s, not %v", article(t), v)
			return
		}
		if t.most > 0 && (v < 0 || v > t.most) {
			r.Badf("must be between 0 and %.0f, not %v", t.most, v)
			return
		}
		if t.Kind == Number || t.Kind == Integer && v == float64(int64(v)) {
			r.Add(f.Admit(v))
			return
		}
	}
	r.Badf("takes %s, not %s", article(t), described(value))
}

// Admit returns nil for a string or number that the field's choices and limits allow, or a
// file of the kind that it takes, else what is wrong with it.
func (f *Field) Admit(value any) error {
	switch v := value.(type) {
	case string:
		if len(f.OneOf) > 0 {
			return mistake.OneOf(v, f.OneOf)
		}
	case artifacts.File:
		switch {
		case v.Foreseen != "":
		case f.Is == "file" && v.Tree:
			return errors.New("takes a file, and this is a directory")
		case f.Is == "dir" && !v.Tree:
			return errors.New("takes a directory, and this is a file")
		}
	case float64:
		low, high := f.Min != nil && !(v >= *f.Min), f.Max != nil && !(v <= *f.Max) // NaN is neither
		switch {
		case !low && !high:
		case f.Max == nil:
			return fmt.Errorf("must be at least %v, not %v", *f.Min, v)
		case f.Min == nil:
			return fmt.Errorf("must be at most %v, not %v", *f.Max, v)
		default:
			return fmt.Errorf("must be between %v and %v, not %v", *f.Min, *f.Max, v)
		}
	}
	return nil
}

// checkDefaults panics where defaults are beyond the limits of their fields.
func checkDefaults(stage string, config *Type, defaults []byte) {
	var values map[string]any
	if err := json.Unmarshal(defaults, &values); err != nil {
		panic(fmt.Sprintf("pipeline: %s: defaults: %v", stage, err))
	}
	r := mistake.New()
	config.checkDefaults(r, values)
	if err := r.Err(); err != nil {
		panic(fmt.Sprintf("pipeline: %s: default of %v", stage, err))
	}
}

// checkDefaults checks the fields that have a default; zero means none.
func (t *Type) checkDefaults(r *mistake.Report, values map[string]any) {
	for i := range t.Fields {
		f := &t.Fields[i]
		if inner, ok := values[f.Name].(map[string]any); ok && f.Type.Kind == Object {
			f.Type.checkDefaults(r.At(f.Name), inner)
		} else if f.Default != nil {
			f.Type.check(r.At(f.Name), values[f.Name], f)
		}
	}
}

// generic returns a value as the tree that JSON decodes to, but for files and cells, which
// stay what they are.
func generic(value any) any {
	switch value.(type) {
	case artifacts.File, Traced:
		return value
	}
	return treeOf(value)
}

// treeOf returns a value as the tree that JSON decodes to.
func treeOf(value any) any {
	switch v := value.(type) {
	case nil, bool, string, float64, []any, map[string]any:
		return v
	}
	b, err := json.Marshal(value)
	if err != nil {
		return value
	}
	var tree any
	if json.Unmarshal(b, &tree) != nil {
		return value
	}
	return tree
}

// described says what a value is, in the words of Type.String.
func described(value any) string {
	switch v := generic(value).(type) {
	case nil:
		return "null"
	case bool:
		return "a bool"
	case string:
		return "a string"
	case float64:
		return fmt.Sprintf("the number %v", v)
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	case artifacts.File:
		return "a file"
	}
	return fmt.Sprintf("a %T", value)
}

// article names a type with its article.
func article(t *Type) string {
	switch t.Kind {
	case Integer, Object, Any, Cell:
		return "an " + t.String()
	}
	return "a " + t.String()
}
