package pipeline

import (
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"eyrie/artifacts"
)

// Kind is the kind of a Type.
type Kind int

// The kinds of values that recipes and stages exchange.
const (
	Any     Kind = iota // whatever the expression yields
	Bool                //
	Number              // float64
	Integer             // int
	String              //
	File                // artifacts.File: a path in a recipe, or another step's output
	Cell                // Traced: any value, with its origins
	List                // of Elem
	Map                 // of Elem, by string
	Object              // of Fields
)

var kindNames = [...]string{"any", "bool", "number", "integer", "string", "file", "any", "list", "map", "object"}

// Type describes what an attribute or output can hold. It is derived from a
// Go type, see [Define].
type Type struct {
	Kind     Kind
	Elem     *Type   // of a List or Map
	Fields   []Field // of an Object, in the struct's order
	Nullable bool    // a pointer in Go: null is a value
	Written  string  // of an Any that decodes itself: what may be written, such as "integer or list of integers"

	decoded reflect.Type // of an Any that decodes itself: what into
	most    float64      // of an Integer that is unsigned in Go: what it can hold
}

// Field is one attribute of a stage, or one field of an Object.
type Field struct {
	Name     string
	Doc      string
	Type     *Type
	Required bool       // must be written: it has no default and is not omitempty
	Default  any        // the Go value used when it is not written
	Unit     string     // "s", "bytes", "Hz", "J", "W", "cycles" …: a quantity such as "87ms" may be written
	Min, Max *float64   // limits of a number, inclusive; of each number in a list
	OneOf    []string   // the strings that are allowed
	Is       string     // what a file must be, "file" or "dir"; "" for either
	Key      bool       // part of the action's key; false for what cannot change the result
	Guarded  bool       // what is sensitive in it, the stage keeps out of all that it says
	Kind     Provenance // how the numbers in an output came about
}

// String names the type as a recipe's author would, such as "list of number".
func (t *Type) String() string {
	switch t.Kind {
	case Any:
		if t.Written != "" {
			return t.Written
		}
	case List, Map:
		return kindNames[t.Kind] + " of " + t.Elem.String()
	case Object:
		names := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			names[i] = f.Name
		}
		return "object {" + strings.Join(names, ", ") + "}"
	}
	return kindNames[t.Kind]
}

// Field returns the field of this name, or nil.
func (t *Type) Field(name string) *Field {
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return &t.Fields[i]
		}
	}
	return nil
}

var (
	fileType   = reflect.TypeFor[artifacts.File]()
	tracedType = reflect.TypeFor[Traced]()
	rawType    = reflect.TypeFor[json.RawMessage]()
	anyType    = reflect.TypeFor[any]()
	textType   = reflect.TypeFor[encoding.TextMarshaler]()

	writtenType = reflect.TypeFor[written]()
)

// written is a type that may be written in several ways, such as a number or a list, and
// has methods to decode itself from any of them:
//
//	func (Extent) Written() string { return "integer or list of [rows, columns]" }
type written interface{ Written() string }

// typeOf derives the Type of a Go type. It panics where a stage's author used
// a type that has no JSON form, naming where. Provenance is inherited by what
// does not state its own.
func typeOf(t reflect.Type, def reflect.Value, where string, kind Provenance) *Type {
	switch {
	case t == fileType:
		return &Type{Kind: File}
	case t == tracedType:
		return &Type{Kind: Cell}
	case t == anyType || t == rawType:
		return &Type{Kind: Any}
	case t.Kind() != reflect.Pointer && t.Implements(writtenType):
		// The type decodes itself from values of several kinds, and says which.
		return &Type{Kind: Any, Written: reflect.Zero(t).Interface().(written).Written(), decoded: t}
	case t.Kind() != reflect.Pointer && t.Implements(textType):
		return &Type{Kind: String}
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Type{Kind: Bool}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return &Type{Kind: Integer, most: mostOf(t.Kind())}
	case reflect.Float32, reflect.Float64:
		return &Type{Kind: Number}
	case reflect.String:
		return &Type{Kind: String}
	case reflect.Slice, reflect.Array:
		return &Type{Kind: List, Elem: typeOf(t.Elem(), reflect.Value{}, where+"[]", kind)}
	case reflect.Map:
		if t.Key().Kind() == reflect.String {
			return &Type{Kind: Map, Elem: typeOf(t.Elem(), reflect.Value{}, where+"{}", kind)}
		}
	case reflect.Pointer:
		if def.IsValid() {
			def = def.Elem()
		}
		elem := *typeOf(t.Elem(), def, where, kind)
		elem.Nullable = true
		return &elem
	case reflect.Struct:
		return &Type{Kind: Object, Fields: fieldsOf(t, def, where, kind)}
	}
	panic(fmt.Sprintf("pipeline: %s: a %s cannot be an attribute or output", where, t))
}

// fieldsOf derives the fields of a struct, flattening embedded ones as
// encoding/json does.
func fieldsOf(t reflect.Type, def reflect.Value, where string, kind Provenance) []Field {
	var fields []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		var fdef reflect.Value
		if def.IsValid() {
			fdef = def.Field(i)
		}
		name := jsonName(sf)
		if sf.Anonymous && name == "" {
			fields = append(fields, fieldsOf(sf.Type, fdef, where, kind)...)
			continue
		}
		if !sf.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			panic(fmt.Sprintf("pipeline: %s.%s has no json name", where, sf.Name))
		}
		at := where + "." + name
		knownTags(sf.Tag, at)
		fkind := kind
		if own := sf.Tag.Get("provenance"); own != "" {
			fkind = provenance(own, at)
		}
		f := Field{
			Name: name,
			Doc:  sf.Tag.Get("doc"),
			Type: typeOf(sf.Type, fdef, at, fkind),
			Unit: sf.Tag.Get("unit"),
			Min:  limit(sf, "min", at),
			Max:  limit(sf, "max", at),
			Is:   fileKind(sf, at),
			Key:  sf.Tag.Get("key") != "-",

			Guarded: sf.Tag.Get("sensitive") == "guarded",

			Kind: fkind,
		}
		if s := sf.Tag.Get("oneof"); s != "" {
			f.OneOf = strings.Split(s, ",")
		} else {
			f.OneOf = choicesOf(sf.Type)
		}
		if fdef.IsValid() && !fdef.IsZero() {
			f.Default = fdef.Interface()
		}
		f.Required = f.Default == nil && !omittable(sf) && !f.Type.Nullable
		fields = append(fields, f)
	}
	return fields
}

// mostOf returns the greatest value of a kind of unsigned integers, 0 for others.
func mostOf(k reflect.Kind) float64 {
	switch k {
	case reflect.Uint8:
		return math.MaxUint8
	case reflect.Uint16:
		return math.MaxUint16
	case reflect.Uint32:
		return math.MaxUint32
	}
	return 0
}

// choicesOf returns the choices that a type of strings, or of lists or maps of these,
// knows itself:
//
//	func (Policy) Choices() []string
func choicesOf(t reflect.Type) []string {
	for {
		if c, ok := reflect.Zero(t).Interface().(interface{ Choices() []string }); ok && t.Kind() == reflect.String {
			return c.Choices()
		}
		switch t.Kind() {
		case reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer:
			t = t.Elem()
		default:
			return nil
		}
	}
}

// Holds reports whether a value of the type may have one of the kind in it, other than in
// what the schema does not describe.
func (t *Type) Holds(kind Kind) bool {
	return t.Kind == kind || t.Elem != nil && t.Elem.Holds(kind) ||
		slices.ContainsFunc(t.Fields, func(f Field) bool { return f.Type.Holds(kind) })
}

// knownTags panics if a field has a tag that the schema does not know.
func knownTags(tag reflect.StructTag, where string) {
	for rest := string(tag); ; {
		name, after, ok := strings.Cut(rest, `:"`)
		if !ok {
			return
		}
		switch name = strings.TrimSpace(name); name {
		case "json", "doc", "unit", "min", "max", "oneof", "is", "key", "provenance", "sensitive":
		default:
			panic(fmt.Sprintf("pipeline: %s: there is no tag %q", where, name))
		}
		end := 0
		for end < len(after) && after[end] != '"' {
			if after[end] == '\\' {
				end++
			}
			end++
		}
		rest = after[min(end+1, len(after)):]
	}
}

func jsonName(sf reflect.StructField) string {
	name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
	return name
}

func omittable(sf reflect.StructField) bool {
	_, opts, _ := strings.Cut(sf.Tag.Get("json"), ",")
	return strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero")
}

// fileKind returns what the tag says that a file must be.
func fileKind(sf reflect.StructField, where string) string {
	is := sf.Tag.Get("is")
	if is != "" && is != "file" && is != "dir" {
		panic(fmt.Sprintf("pipeline: %s: is:%q, want file or dir", where, is))
	}
	return is
}

func limit(sf reflect.StructField, tag, where string) *float64 {
	s, ok := sf.Tag.Lookup(tag)
	if !ok {
		return nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("pipeline: %s: %s:%q is not a number", where, tag, s))
	}
	return &v
}

// fieldNames returns the JSON names of a struct's fields, in their order.
func fieldNames[T any]() []string {
	t := reflect.TypeFor[T]()
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = jsonName(t.Field(i))
	}
	return names
}
