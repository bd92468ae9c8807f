package value

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/zclconf/go-cty/cty"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// typeOf returns the type of the values that an output of type t has in
// expressions. Where elements can be anything, so can the list or map: known,
// it is a tuple or an object.
func typeOf(t *pipeline.Type) cty.Type {
	switch t.Kind {
	case pipeline.Bool:
		return cty.Bool
	case pipeline.Number, pipeline.Integer:
		return cty.Number
	case pipeline.String:
		return cty.String
	case pipeline.File:
		return FileType
	case pipeline.List, pipeline.Map:
		elem := typeOf(t.Elem)
		switch {
		case elem.HasDynamicTypes():
			return cty.DynamicPseudoType
		case t.Kind == pipeline.List:
			return cty.List(elem)
		}
		return cty.Map(elem)
	case pipeline.Object:
		attrs := make(map[string]cty.Type, len(t.Fields))
		for i := range t.Fields {
			attrs[t.Fields[i].Name] = typeOf(t.Fields[i].Type)
		}
		return cty.Object(attrs)
	}
	return cty.DynamicPseudoType
}

// Shapes holds the types of outputs' values, so that each is made once.
type Shapes map[*pipeline.Type]cty.Type

// Add takes in t and all types within it.
func (s Shapes) Add(t *pipeline.Type) {
	s[t] = typeOf(t)
	if t.Elem != nil {
		s.Add(t.Elem)
	}
	for i := range t.Fields {
		s.Add(t.Fields[i].Type)
	}
}

// Unknown returns what an output of type t is before its step has run:
// an object down to the parts that are certain to be there, and unknown
// values, marked with the step, below.
func (s Shapes) Unknown(t *pipeline.Type, step string) cty.Value {
	if t.Kind != pipeline.Object || t.Nullable {
		return s.unknown(t, step)
	}
	attrs := make(map[string]cty.Value, len(t.Fields))
	for i := range t.Fields {
		attrs[t.Fields[i].Name] = s.unknownField(&t.Fields[i], step)
	}
	return cty.ObjectVal(attrs)
}

func (s Shapes) unknownField(f *pipeline.Field, step string) cty.Value {
	if f.Required {
		return s.Unknown(f.Type, step)
	}
	return s.unknown(f.Type, step)
}

// unknown returns an unknown value, which is not null unless its type says that it may be.
func (s Shapes) unknown(t *pipeline.Type, step string) cty.Value {
	v := cty.UnknownVal(s[t])
	if !t.Nullable && t.Kind != pipeline.Any && t.Kind != pipeline.Cell && s[t] != cty.DynamicPseudoType {
		v = v.RefineNotNull()
	}
	return v.Mark(waitMark{step: step})
}

// Known returns a step's output as a value whose leaves carry their origin. Where it was
// adopted that is all that is known of how its numbers came about.
func (s Shapes) Known(raw json.RawMessage, t *pipeline.Type, step string, adopted bool) (cty.Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return cty.NilVal, fmt.Errorf("the output of %s: %w", step, err)
	}
	return builder{s, step, adopted}.value(tree, t, origin{}), nil
}

// Foreseen returns an output of which only raw is certain, an object without what
// is not. Its values wait for the step.
func (s Shapes) Foreseen(raw json.RawMessage, t *pipeline.Type, step string) (cty.Value, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return cty.NilVal, err
	}
	return builder{s, step, false}.foreseen(tree, t, origin{}), nil
}

// foreseen makes a value that is foreseen: see [pipeline.Partial].
func (b builder) foreseen(tree any, t *pipeline.Type, at origin) cty.Value {
	object, _ := tree.(map[string]any)
	if promise, ok := object["$foreseen"]; ok {
		text, _ := json.Marshal(promise) // which was JSON
		return cty.UnknownVal(FileType).RefineNotNull().Mark(waitMark{step: b.step}).Mark(promiseMark{promise: string(text)})
	}
	part, ok := object["$partial"].(map[string]any)
	if !ok {
		return b.value(tree, t, at)
	}
	attrs := make(map[string]cty.Value, len(t.Fields))
	for i := range t.Fields {
		f := &t.Fields[i]
		if value, ok := part[f.Name]; ok {
			attrs[f.Name] = b.foreseen(value, f.Type, at.field(f))
		} else {
			attrs[f.Name] = b.shapes.unknownField(f, b.step)
		}
	}
	return cty.ObjectVal(attrs)
}

// builder makes values of a step's output.
type builder struct {
	shapes  Shapes
	step    string
	adopted bool
}

// origin is where in an output a value is, and how the numbers there came about.
type origin struct {
	path string
	kind pipeline.Provenance
}

func (o origin) field(f *pipeline.Field) origin {
	if o.path == "" {
		return origin{f.Name, f.Kind}
	}
	return origin{o.path + "." + f.Name, f.Kind}
}

func (o origin) index(i int) origin { return origin{o.path + "[" + strconv.Itoa(i) + "]", o.kind} }

func (o origin) key(k string) origin { return origin{o.path + "[" + strconv.Quote(k) + "]", o.kind} }

// value makes the value of a JSON tree of type t. What does not have the form
// that the schema says gets the type that it has.
func (b builder) value(tree any, t *pipeline.Type, at origin) cty.Value {
	switch v := tree.(type) {
	case nil:
		return b.null(t)
	case []any:
		if t.Kind == pipeline.List {
			return b.list(v, t, at)
		}
	case map[string]any:
		switch t.Kind {
		case pipeline.Object:
			return b.object(v, t, at)
		case pipeline.Map:
			return b.dict(v, t, at)
		case pipeline.Cell:
			if cell, ok := b.cell(v, at); ok {
				return cell
			}
		}
	}
	return b.implied(tree, at)
}

// null returns the value of a JSON null. Go's nil slices and maps are empty.
func (b builder) null(t *pipeline.Type) cty.Value {
	if t.Nullable {
		return cty.NullVal(b.shapes[t])
	}
	return b.empty(t)
}

// empty returns an empty list or map, or where t is neither, null.
func (b builder) empty(t *pipeline.Type) cty.Value {
	switch ty := b.shapes[t]; {
	case ty.IsListType():
		return cty.ListValEmpty(ty.ElementType())
	case ty.IsMapType():
		return cty.MapValEmpty(ty.ElementType())
	case t.Kind == pipeline.List:
		return cty.EmptyTupleVal
	case t.Kind == pipeline.Map:
		return cty.EmptyObjectVal
	default:
		return cty.NullVal(ty)
	}
}

func (b builder) object(v map[string]any, t *pipeline.Type, at origin) cty.Value {
	attrs := make(map[string]cty.Value, len(t.Fields))
	for i := range t.Fields {
		f := &t.Fields[i]
		attrs[f.Name] = b.value(v[f.Name], f.Type, at.field(f))
	}
	return cty.ObjectVal(attrs)
}

func (b builder) list(v []any, t *pipeline.Type, at origin) cty.Value {
	if len(v) == 0 {
		return b.empty(t)
	}
	elems := make([]cty.Value, len(v))
	for i := range v {
		elems[i] = b.value(v[i], t.Elem, at.index(i))
	}
	if b.shapes[t] == cty.DynamicPseudoType || !cty.CanListVal(elems) {
		return cty.TupleVal(elems)
	}
	return cty.ListVal(elems)
}

func (b builder) dict(v map[string]any, t *pipeline.Type, at origin) cty.Value {
	if len(v) == 0 {
		return b.empty(t)
	}
	elems := make(map[string]cty.Value, len(v))
	for k := range v {
		elems[cty.NormalizeString(k)] = b.value(v[k], t.Elem, at.key(k))
	}
	if b.shapes[t] == cty.DynamicPseudoType || !cty.CanMapVal(elems) {
		return cty.ObjectVal(elems)
	}
	return cty.MapVal(elems)
}

// cell unwraps a Traced value, so that its origins go on through the step. One
// that names no step was found by this one, in a file.
func (b builder) cell(v map[string]any, at origin) (cty.Value, bool) {
	text, err := json.Marshal(v)
	if err != nil {
		return cty.NilVal, false
	}
	var traced struct {
		Value   any
		Origins []pipeline.Origin
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&traced); err != nil {
		return cty.NilVal, false
	}
	if len(traced.Origins) == 0 {
		return b.implied(traced.Value, at), true
	}
	value := Bare(b.implied(traced.Value, at))
	for _, o := range traced.Origins {
		if o.Step == "" {
			o.Step, o.Output = b.step, at.path
		}
		if value, err = markPart(value, o); err != nil {
			return cty.NilVal, false
		}
	}
	return value, true
}

// implied makes the value of a JSON tree that has no schema.
func (b builder) implied(tree any, at origin) cty.Value {
	switch v := tree.(type) {
	case nil:
		return cty.NullVal(cty.DynamicPseudoType)
	case bool:
		return b.leaf(cty.BoolVal(v), at)
	case string:
		return b.leaf(cty.StringVal(v), at)
	case json.Number:
		n, err := cty.ParseNumberVal(v.String())
		if err != nil {
			return b.leaf(cty.StringVal(v.String()), at)
		}
		return b.leaf(n, at)
	case []any:
		elems := make([]cty.Value, len(v))
		for i := range v {
			elems[i] = b.implied(v[i], at.index(i))
		}
		return cty.TupleVal(elems)
	case map[string]any:
		if f, ok := handle(v); ok {
			return b.leaf(fileVal(f), at)
		}
		attrs := make(map[string]cty.Value, len(v))
		for k := range v {
			attrs[cty.NormalizeString(k)] = b.implied(v[k], at.key(k))
		}
		return cty.ObjectVal(attrs)
	}
	panic(fmt.Sprintf("hcl: %T in a JSON tree", tree))
}

// leaf marks a leaf with its origin. Only numbers came about in some way; names
// and choices just are.
func (b builder) leaf(v cty.Value, at origin) cty.Value {
	o := pipeline.Origin{Step: b.step, Output: at.path}
	if v.Type() == cty.Number {
		o.Kind = at.kind
		if b.adopted {
			o.Kind = pipeline.Adopted
		}
	}
	return v.Mark(originMark{o})
}

// handle returns the file that a JSON object stands for, if it does.
func handle(v map[string]any) (artifacts.File, bool) {
	var f artifacts.File
	object, ok := v["$object"]
	if !ok {
		return f, false
	}
	// Every output of a file comes here: text that JSON made need not go back to JSON.
	hex, _ := object.(string)
	number, _ := v["size"].(json.Number)
	name, named := v["name"].(string)
	size, err := number.Int64()
	if err == nil && f.Digest.UnmarshalText([]byte(hex)) == nil && (len(v) == 2 || len(v) == 3 && named) {
		f.Size, f.Name = size, name
		return f, true
	}
	f = artifacts.File{}
	b, err := json.Marshal(v)
	if err != nil || json.Unmarshal(b, &f) != nil {
		return f, false
	}
	return f, true
}
