package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"eyrie/pipeline/mistake"
)

// Stage is a kind of computation: a plain function of its configuration, with
// a name, a version and a schema that are derived from two structs.
type Stage struct {
	Name    string
	Version int    // bumped whenever the same attributes give another result
	Doc     string // one sentence, then details
	Config  *Type  // an Object: what a recipe may write in the block
	Output  *Type  // an Object: what the block's references yield

	lineage  bool // see WithLineage
	declares bool // see Declarer

	decode  func(values map[string]any, attrs []byte) (config any, err error)
	restore func(whole []byte) (config any, err error)
	output  func(whole []byte) (output any, err error)
	check   func(config any, r *mistake.Report)
	run     func(ctx context.Context, task *Task, config any) (output any, err error)
}

// reserved are the attributes and blocks that every stage takes.
var reserved = map[string]bool{
	"for_each": true, "when": true, "depends_on": true, "retry": true, "timeout": true, "resources": true, "reveal": true,
}

// Define makes a stage of a function, which is called with a context that ends when the
// stage must stop, with a task that is all it may use, and with its configuration.
//
// C and O are structs whose json tags name the attributes and outputs. Further tags of a
// field:
//
//	doc:"…"         what it means, for runner stages
//	unit:"s"        a quantity: a recipe may write "87ms"
//	min:"0" max:"1" limits, inclusive; of every number in a list
//	oneof:"a,b"     the strings that are allowed; a type with a method Choices() []string
//	                says so itself
//	is:"file"       what a file must be, this or "dir"; without it, either
//	key:"-"         cannot change the result, and is not part of the key
//	sensitive:"guarded"  the stage keeps what is sensitive in it out of its errors, log and
//	                progress itself, so that these need not be hidden as a whole; it is for
//	                secrets, and what is not sensitive is refused
//	provenance:"…"  how an output's numbers came about, inherited inwards
//
// A field must be written in the recipe unless defaults holds a value for it,
// or it is a pointer or omitempty. A configuration that is a [mistake.Checker] is
// asked for mistakes that these tags cannot express, as soon as what it reads is known;
// its report's Written says which attributes are written.
//
// Define panics on a struct that cannot be a schema, on tags that it does not
// know and on defaults beyond their limits: those are mistakes of the stage's author.
func Define[C, O any](name string, version int, doc string, defaults C, run func(context.Context, *Task, C) (O, error)) *Stage {
	config := typeOf(reflect.TypeFor[C](), reflect.ValueOf(defaults), name, "")
	output := outputType(reflect.TypeFor[C](), reflect.TypeFor[O](), name)
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
	checkDefaults(name, config, base)
	fresh := decoderOf[C](base)
	return &Stage{
		Name: name, Version: version, Doc: doc, Config: config, Output: output,
		declares: reflect.TypeFor[O]() == declaredType,
		decode: func(values map[string]any, attrs []byte) (any, error) {
			return overlay(fresh, values, attrs)
		},
		restore: restore[C],
		output:  restore[O],
		check: func(config any, r *mistake.Report) {
			c := config.(C)
			if k, ok := any(&c).(mistake.Checker); ok {
				k.Check(r)
			}
		},
		run: func(ctx context.Context, task *Task, config any) (any, error) {
			output, err := run(ctx, task, config.(C))
			if err == nil {
				err = cameTrue(config, output)
			}
			return output, err
		},
	}
}

// WithLineage says that the stage calls [Task.Lineage], and returns the stage. Only
// such stages are handed their lineage, as it holds the outputs of all the steps
// before theirs.
func (s *Stage) WithLineage() *Stage {
	s.lineage = true
	return s
}

// decoderOf returns a function that decodes a configuration from JSON, each time anew where
// configurations would share lists, maps or pointers.
func decoderOf[C any](text []byte) func() (C, error) {
	var once C
	if err := json.Unmarshal(text, &once); err == nil && !refers(reflect.ValueOf(once)) {
		return func() (C, error) { return once, nil }
	}
	return func() (c C, err error) {
		err = json.Unmarshal(text, &c)
		return c, err
	}
}

// refers reports whether a copy of a value may share anything with it that can be changed.
func refers(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Func, reflect.Chan:
		return !v.IsNil()
	case reflect.Struct:
		for i := range v.NumField() {
			if refers(v.Field(i)) {
				return true
			}
		}
	case reflect.Array:
		return true
	}
	return false
}

// overlay lays values, which are given in JSON, too, over the defaults. Written objects
// are merged with their defaults field by field; lists and maps replace theirs.
func overlay[C any](defaults func() (C, error), values map[string]any, attrs []byte) (c C, err error) {
	if c, err = defaults(); err != nil {
		return c, err
	}
	clearWritten(reflect.ValueOf(&c).Elem(), values)
	if err := json.Unmarshal(attrs, &c); err != nil {
		return c, culprit[C](attrs, err)
	}
	return c, nil
}

// object returns the members, which are valid, as an object in JSON.
func object(members map[string]json.RawMessage) []byte {
	b := []byte("{")
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, quotedJSON(name)...), ':'), members[name]...)
	}
	return append(b, '}')
}

// culprit names the attribute whose value a type of the configuration refuses to
// decode: the first one, in order of their names, that fails by itself.
func culprit[C any](attrs []byte, err error) error {
	var values map[string]json.RawMessage
	if json.Unmarshal(attrs, &values) != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var c C
		alone, e := json.Marshal(map[string]json.RawMessage{name: values[name]})
		if e == nil {
			e = json.Unmarshal(alone, &c)
		}
		if mismatch := (*json.UnmarshalTypeError)(nil); errors.As(e, &mismatch) {
			return mistake.At(name, "a %s cannot be a %s", mismatch.Value, mismatch.Type)
		}
		if inner := (*mistake.Mistake)(nil); errors.As(e, &inner) {
			return &mistake.Mistake{Path: append(mistake.Path{{Name: name}}, inner.Path...), Err: inner.Err}
		}
		if e != nil {
			return mistake.At(name, "%w", e)
		}
	}
	return err
}

// clearWritten empties the lists and maps of v that are about to be decoded, as
// encoding/json would mix old and new elements.
func clearWritten(v reflect.Value, written any) {
	if v.IsZero() {
		return
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		v.SetZero()
	case reflect.Pointer:
		if !v.IsNil() {
			clearWritten(v.Elem(), written)
		}
	case reflect.Struct:
		fields, ok := treeOf(written).(map[string]any)
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

// Badf returns a mistake in an attribute, for a stage to fail with: the path is one
// such as "limit.latency" or "sections[2].title".
func Badf(attr, format string, args ...any) error { return mistake.At(attr, format, args...) }
