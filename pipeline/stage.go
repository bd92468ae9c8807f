package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Stage is a kind of computation: a plain function of its configuration, with
// a name, a version and a schema that are derived from two structs.
type Stage struct {
	Name    string
	Version int    // bumped whenever the same attributes give another result
	Doc     string // one sentence, then details
	Config  *Type  // an Object: what a recipe may write in the block
	Output  *Type  // an Object: what the block's references yield

	decode func(attrs []byte) (config any, err error)
	check  func(attrs []byte, written func(attr string) bool) error
	run    func(ctx context.Context, config any) (output any, err error)
}

// reserved are the attributes and blocks that every stage takes.
var reserved = map[string]bool{
	"for_each": true, "when": true, "depends_on": true, "retry": true, "timeout": true, "resources": true,
}

// Define makes a stage of a function. C and O are structs whose json tags name
// the attributes and outputs. Further tags of a field:
//
//	doc:"…"         what it means, for runner stages
//	unit:"s"        a quantity: a recipe may write "87ms"
//	min:"0" max:"1" limits, inclusive; of every number in a list
//	oneof:"a,b"     the strings that are allowed
//	key:"-"         cannot change the result, and is not part of the key
//	provenance:"…"  how an output's numbers came about, inherited inwards
//
// A field must be written in the recipe unless defaults holds a value for it,
// or it is a pointer or omitempty. C may have two methods that object to what
// is written, with an [AttrError] that names the culprit: ValidateWritten (see
// [Stage.CheckWritten]), and Validate() error, called once all attributes
// are known.
//
// Define panics on a struct that cannot be a schema: that is a mistake of the
// stage's author.
func Define[C, O any](name string, version int, doc string, defaults C, run func(context.Context, C) (O, error)) *Stage {
	config := typeOf(reflect.TypeFor[C](), reflect.ValueOf(defaults), name, "")
	output := typeOf(reflect.TypeFor[O](), reflect.Value{}, name+" output", "")
	if config.Kind != Object || output.Kind != Object {
		panic(fmt.Sprintf("pipeline: %s: configuration and output must be structs", name))
	}
	for _, f := range config.Fields {
		if reserved[f.Name] {
			panic(fmt.Sprintf("pipeline: %s: attribute %q belongs to every stage", name, f.Name))
		}
	}
	base, err := json.Marshal(defaults)
	if err != nil {
		panic(fmt.Sprintf("pipeline: %s: defaults: %v", name, err))
	}
	return &Stage{
		Name: name, Version: version, Doc: doc, Config: config, Output: output,
		decode: func(attrs []byte) (any, error) { return decode[C](base, attrs) },
		check: func(attrs []byte, written func(string) bool) error {
			_, err := overlay[C](base, attrs, written)
			return err
		},
		run: func(ctx context.Context, config any) (any, error) { return run(ctx, config.(C)) },
	}
}

// overlay lays attrs over the defaults, and validates which of them are written.
// Written objects are merged with their defaults field by field; lists and maps
// replace theirs.
func overlay[C any](defaults, attrs []byte, written func(attr string) bool) (c C, err error) {
	if err := json.Unmarshal(defaults, &c); err != nil {
		return c, err
	}
	var values any
	if err := json.Unmarshal(attrs, &values); err != nil {
		return c, err
	}
	clearWritten(reflect.ValueOf(&c).Elem(), values)
	if err := json.Unmarshal(attrs, &c); err != nil {
		return c, culprit[C](attrs, err)
	}
	if v, ok := any(&c).(interface {
		ValidateWritten(written func(attr string) bool) error
	}); ok {
		err = v.ValidateWritten(written)
	}
	return c, err
}

// culprit names the attribute whose value a type of the configuration refuses to
// decode: the first one, in order of their names, that fails by itself. A
// mismatch of types names its field already.
func culprit[C any](attrs []byte, err error) error {
	var values map[string]json.RawMessage
	if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(err, &mismatch) || json.Unmarshal(attrs, &values) != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var c C
		alone, e := json.Marshal(map[string]json.RawMessage{name: values[name]})
		if e == nil {
			e = json.Unmarshal(alone, &c)
		}
		if e != nil {
			return Badf(name, "%w", e)
		}
	}
	return err
}

// decode lays attrs over the defaults and validates the result.
func decode[C any](defaults, attrs []byte) (any, error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal(attrs, &values); err != nil {
		return nil, err
	}
	c, err := overlay[C](defaults, attrs, func(attr string) bool { return written(values[attr]) })
	if err != nil {
		return nil, err
	}
	if v, ok := any(&c).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// written tells whether an attribute has a value.
func written(value json.RawMessage) bool { return len(value) > 0 && string(value) != "null" }

// clearWritten empties the lists and maps of v that are about to be decoded, as
// encoding/json would mix old and new elements.
func clearWritten(v reflect.Value, written any) {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		v.SetZero()
	case reflect.Pointer:
		if !v.IsNil() {
			clearWritten(v.Elem(), written)
		}
	case reflect.Struct:
		fields, ok := written.(map[string]any)
		if !ok {
			return
		}
		for i := range v.NumField() {
			sf := v.Type().Field(i)
			name := jsonName(sf)
			if sf.Anonymous && name == "" {
				clearWritten(v.Field(i), written)
			} else if w, ok := fields[name]; ok && sf.IsExported() {
				clearWritten(v.Field(i), w)
			}
		}
	}
}

// Decode makes the stage's configuration of attribute values: it lays them over
// the defaults and validates. It fails with an [AttrError] where it can
// tell which attribute is wrong.
func (s *Stage) Decode(values map[string]any) (config any, err error) {
	b, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	config, err = s.decode(b)
	if mismatch, ok := err.(*json.UnmarshalTypeError); ok {
		return nil, Badf(mismatch.Field, "a %s cannot be a %s", mismatch.Value, mismatch.Type)
	}
	return config, err
}

// CheckWritten checks, before all attributes are known, whether those that are
// written go together. It calls the method
//
//	ValidateWritten(written func(attr string) bool) error
//
// of a configuration that has one, with attributes of unknown value at zero.
// Where one with a default is unknown nothing is checked yet.
func (s *Stage) CheckWritten(values map[string]any, unknown []string) error {
	for _, attr := range unknown {
		if s.Config.Field(attr).Default != nil {
			return nil
		}
	}
	b, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return s.check(b, func(attr string) bool { return values[attr] != nil || slices.Contains(unknown, attr) })
}

// AttrError is a mistake in one attribute's value.
type AttrError struct {
	Attr string // a path such as "limit.latency"
	Err  error
}

func (e *AttrError) Error() string { return e.Attr + ": " + e.Err.Error() }
func (e *AttrError) Unwrap() error { return e.Err }

// Badf returns an AttrError for the attribute.
func Badf(attr, format string, args ...any) error {
	return &AttrError{attr, fmt.Errorf(format, args...)}
}
