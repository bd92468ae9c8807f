package hcl

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"eyrie/artifacts"
	"eyrie/pipeline"
)

// converter turns an evaluated expression into the tree that a stage's schema
// asks for, and gathers what the value's marks say.
type converter struct {
	dir string // which relative paths start from

	waits     map[string]bool // the steps that unknown parts wait for
	unknown   bool            // a part is not known
	blind     bool            // an unknown part does not say what it waits for
	broken    bool            // a part could not be evaluated, as was reported
	sensitive bool
	origins   map[pipeline.Origin]bool
	cell      map[pipeline.Origin]bool // of the Cell being converted; nil outside
	part      path                     // where in the Cell
	faults    []fault
}

// fault is a part of a value that is not what the schema asks for.
type fault struct {
	at      path
	summary string
	detail  string
}

// path leads into a value: names (string) and indexes (int).
type path []any

func (p path) with(step any) path { return append(slices.Clip(p), step) }

// String returns the path as a recipe would write it.
func (p path) String() string {
	var b strings.Builder
	for i, step := range p {
		switch s := step.(type) {
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s)
		case int:
			b.WriteString("[" + strconv.Itoa(s) + "]")
		}
	}
	return b.String()
}

// inherited are the marks of the lists and objects around a value, which hold
// for all that is in them.
type inherited struct {
	waits   []string
	origins []pipeline.Origin
}

// unmark takes the marks off v and notes what they say.
func (c *converter) unmark(v cty.Value, in inherited) (cty.Value, inherited) {
	var marks cty.ValueMarks
	if v.IsKnown() {
		if !v.IsMarked() {
			return v, in
		}
		v, marks = v.Unmark()
	} else {
		v, marks = v.UnmarkDeep()
	}
	in = inherited{slices.Clip(in.waits), slices.Clip(in.origins)}
	for m := range marks {
		switch m := m.(type) {
		case originMark:
			in.origins = append(in.origins, m.Origin)
		case waitMark:
			in.waits = append(in.waits, m.step)
		case sensitiveMark:
			c.sensitive = true
		case brokenMark:
			c.broken = true
		}
	}
	return v, in
}

// note adds the origins of a leaf.
func (c *converter) note(in inherited) {
	for _, o := range in.origins {
		if c.origins == nil {
			c.origins = make(map[pipeline.Origin]bool)
		}
		c.origins[o] = true
		if c.cell != nil {
			o.At = c.part.String()
			c.cell[o] = true
		}
	}
}

// wait notes that a part is unknown.
func (c *converter) wait(in inherited) {
	c.unknown = true
	if len(in.waits) == 0 {
		c.blind = true
	}
	for _, step := range in.waits {
		if c.waits == nil {
			c.waits = make(map[string]bool)
		}
		c.waits[step] = true
	}
}

func (c *converter) fault(at path, summary, format string, args ...any) any {
	c.faults = append(c.faults, fault{at, summary, fmt.Sprintf(format, args...)})
	return nil
}

// mismatch reports a value of the wrong type.
func (c *converter) mismatch(v cty.Value, f *pipeline.Field, t *pipeline.Type, at path) any {
	return c.fault(at, "Wrong type", "%s takes %s, not %s.", at, expected(f, t), c.describe(v))
}

// tree converts v to what type t, of field f or within it, asks for.
func (c *converter) tree(v cty.Value, f *pipeline.Field, t *pipeline.Type, at path, in inherited) any {
	v, in = c.unmark(v, in)
	if c.broken {
		return nil
	}
	if !v.IsKnown() {
		c.wait(in)
		c.fits(v.Type(), f, t, at)
		return nil
	}
	if v.IsNull() && (t.Kind != pipeline.Any && t.Kind != pipeline.Cell || len(at) == 1 && f.Required) {
		if !t.Nullable {
			c.fault(at, "Missing value", "%s takes %s, not null.", at, expected(f, t))
		}
		return nil
	}
	ty := v.Type()
	switch t.Kind {
	case pipeline.Any:
		return c.any(v, in)
	case pipeline.Cell:
		return c.traced(v, in)
	case pipeline.List:
		if ty.IsListType() || ty.IsTupleType() || ty.IsSetType() {
			return c.list(v, f, t, at, in)
		}
	case pipeline.Map:
		if ty.IsMapType() || ty.IsObjectType() {
			return c.dict(v, f, t, at, in)
		}
	case pipeline.Object:
		if ty.IsMapType() || ty.IsObjectType() {
			return c.object(v, f, t, at, in)
		}
	default:
		c.note(in)
		return c.scalar(v, f, t, at)
	}
	return c.mismatch(v, f, t, at)
}

func (c *converter) scalar(v cty.Value, f *pipeline.Field, t *pipeline.Type, at path) any {
	switch t.Kind {
	case pipeline.Bool:
		if v.Type() == cty.Bool {
			return v.True()
		}
	case pipeline.String:
		if v.Type().IsPrimitiveType() {
			return c.text(v, f, at)
		}
	case pipeline.Number, pipeline.Integer:
		if v.Type() == cty.String && f.Unit != "" {
			n, err := parseQuantity(v.AsString(), f.Unit)
			if err != nil {
				return c.fault(at, "Wrong quantity", "%s: %s. Write a number of %s or a quantity, such as %s.",
					at, c.hide(err.Error()), f.Unit, exampleOf(f.Unit))
			}
			v = n
		}
		if v.Type() == cty.Number {
			return c.number(v, f, t, at)
		}
	case pipeline.File:
		switch v.Type() {
		case fileType:
			return *v.EncapsulatedValue().(*artifacts.File)
		case cty.String:
			return c.file(v.AsString(), at)
		}
	}
	return c.mismatch(v, f, t, at)
}

// maxExact is the largest integer up to which float64, and JSON, hold every one.
const maxExact = 1 << 53

func (c *converter) number(v cty.Value, f *pipeline.Field, t *pipeline.Type, at path) any {
	big := v.AsBigFloat()
	if t.Kind == pipeline.Integer && !big.IsInt() {
		return c.fault(at, "Not an integer", "%s takes an integer, not %s.", at, c.describe(v))
	}
	n, _ := big.Float64()
	if math.IsInf(n, 0) || t.Kind == pipeline.Integer && math.Abs(n) > maxExact {
		return c.fault(at, "Number too large", "%s: %s is too large to be held exactly.", at, c.describe(v))
	}
	low, high := f.Min != nil && n < *f.Min, f.Max != nil && n > *f.Max
	if low || high {
		return c.fault(at, "Out of range", "%s must be %s, not %s.", at, limits(f), c.describe(v))
	}
	return n
}

func (c *converter) text(v cty.Value, f *pipeline.Field, at path) any {
	s := textOf(v)
	if len(f.OneOf) > 0 && !slices.Contains(f.OneOf, s) {
		return c.fault(at, "Not one of the choices", "%s is one of %s, not %s.%s", at, quoteAll(f.OneOf), c.describe(v), didYouMean(s, f.OneOf))
	}
	return s
}

// textOf returns a bool, number or string as text.
func textOf(v cty.Value) string {
	switch v.Type() {
	case cty.Bool:
		return strconv.FormatBool(v.True())
	case cty.Number:
		return v.AsBigFloat().Text('f', -1)
	}
	return v.AsString()
}

// file makes a handle of a path, which must exist.
func (c *converter) file(name string, at path) any {
	if name == "" {
		return c.fault(at, "No such file", "%s: the path is empty.", at)
	}
	full := name
	if !filepath.IsAbs(name) {
		full = filepath.Join(c.dir, name)
	}
	if _, err := os.Stat(full); err != nil {
		return c.fault(at, "No such file", "%s: there is no file or directory %s. Relative paths start from the recipe's directory.%s",
			at, c.hide(full), c.hide(nearby(full)))
	}
	return artifacts.File{Path: full}
}

// nearby suggests a file with a similar name in the same directory.
func nearby(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) > 1000 {
		return ""
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return didYouMean(filepath.Base(path), names)
}

func (c *converter) list(v cty.Value, f *pipeline.Field, t *pipeline.Type, at path, in inherited) any {
	all := make([]any, 0, v.LengthInt())
	for _, e := range v.Elements() {
		all = append(all, c.tree(e, f, t.Elem, at.with(len(all)), in))
	}
	return all
}

func (c *converter) dict(v cty.Value, f *pipeline.Field, t *pipeline.Type, at path, in inherited) any {
	all := make(map[string]any, v.LengthInt())
	for k, e := range v.Elements() {
		key := k.AsString()
		all[key] = c.tree(e, f, t.Elem, at.with(key), in)
	}
	return all
}

func (c *converter) object(v cty.Value, f *pipeline.Field, t *pipeline.Type, at path, in inherited) any {
	all := make(map[string]any, len(t.Fields))
	for k, e := range v.Elements() {
		name := k.AsString()
		inner := t.Field(name)
		if inner == nil {
			c.extra(name, t, at)
			continue
		}
		if e.IsNull() && !inner.Type.Nullable {
			continue // as if it were not written
		}
		all[name] = c.tree(e, inner, inner.Type, at.with(name), in)
	}
	for i := range t.Fields {
		inner := &t.Fields[i]
		if _, ok := all[inner.Name]; !ok && inner.Required {
			c.missing(inner, at)
		}
	}
	return all
}

func (c *converter) extra(name string, t *pipeline.Type, at path) {
	c.fault(at.with(name), "Unknown attribute", "%s has no attribute %q.%s", at, name, didYouMean(name, fieldNames(t)))
}

func (c *converter) missing(f *pipeline.Field, at path) {
	c.fault(at, "Missing attribute", "%s needs %s = %s%s", at, f.Name, expected(f, f.Type), docOf(f))
}

// any converts a value that may be anything.
func (c *converter) any(v cty.Value, in inherited) any {
	v, in = c.unmark(v, in)
	ty := v.Type()
	switch {
	case !v.IsKnown():
		c.wait(in)
		return nil
	case v.IsNull():
		return nil
	case ty.IsListType() || ty.IsTupleType() || ty.IsSetType():
		all := make([]any, 0, v.LengthInt())
		for _, e := range v.Elements() {
			all = append(all, c.inPart(e, in, len(all)))
		}
		return all
	case ty.IsMapType() || ty.IsObjectType():
		all := make(map[string]any, v.LengthInt())
		for k, e := range v.Elements() {
			all[k.AsString()] = c.inPart(e, in, k.AsString())
		}
		return all
	}
	c.note(in)
	switch ty {
	case cty.Bool:
		return v.True()
	case cty.Number:
		if c.cell != nil && len(in.origins) == 0 {
			c.given()
		}
		n, _ := v.AsBigFloat().Float64()
		return n
	case cty.String:
		return v.AsString()
	case fileType:
		return *v.EncapsulatedValue().(*artifacts.File)
	}
	panic("hcl: a value of type " + ty.FriendlyName())
}

// inPart converts a part of a value that may be anything.
func (c *converter) inPart(v cty.Value, in inherited, step any) any {
	if c.cell == nil {
		return c.any(v, in)
	}
	outer := c.part
	c.part = outer.with(step)
	defer func() { c.part = outer }()
	return c.any(v, in)
}

func (c *converter) given() {
	c.cell[pipeline.Origin{Kind: pipeline.Given, At: c.part.String()}] = true
}

// traced converts a value together with the origins of all its parts. What
// came from nowhere was written in the recipe.
func (c *converter) traced(v cty.Value, in inherited) any {
	c.cell = make(map[pipeline.Origin]bool)
	defer func() { c.cell = nil }()
	value := c.any(v, in)
	if len(c.cell) == 0 && value != nil {
		c.given()
	}
	return pipeline.Traced{Value: value, Origins: sortOrigins(c.cell)}
}

// fits reports what can be told of an unknown value from its type alone.
func (c *converter) fits(ty cty.Type, f *pipeline.Field, t *pipeline.Type, at path) {
	if ty == cty.DynamicPseudoType {
		return
	}
	ok := false
	switch t.Kind {
	case pipeline.Any, pipeline.Cell:
		ok = true
	case pipeline.Bool:
		ok = ty == cty.Bool
	case pipeline.String:
		ok = ty.IsPrimitiveType()
	case pipeline.Number, pipeline.Integer:
		ok = ty == cty.Number || ty == cty.String && f.Unit != ""
	case pipeline.File:
		ok = ty == fileType || ty == cty.String
	case pipeline.List:
		if ok = ty.IsListType() || ty.IsSetType(); ok {
			c.fits(ty.ElementType(), f, t.Elem, at.with(0))
		} else if ok = ty.IsTupleType(); ok {
			for i, e := range ty.TupleElementTypes() {
				c.fits(e, f, t.Elem, at.with(i))
			}
		}
	case pipeline.Map:
		if ok = ty.IsMapType(); ok {
			c.fits(ty.ElementType(), f, t.Elem, at.with("*"))
		} else if ok = ty.IsObjectType(); ok {
			for _, name := range slices.Sorted(maps.Keys(ty.AttributeTypes())) {
				c.fits(ty.AttributeType(name), f, t.Elem, at.with(name))
			}
		}
	case pipeline.Object:
		if ok = ty.IsMapType() || ty.IsObjectType(); ty.IsObjectType() {
			c.fitsObject(ty, t, at)
		}
	}
	if !ok {
		c.fault(at, "Wrong type", "%s takes %s, not %s.", at, expected(f, t), typeName(ty))
	}
}

func (c *converter) fitsObject(ty cty.Type, t *pipeline.Type, at path) {
	for _, name := range slices.Sorted(maps.Keys(ty.AttributeTypes())) {
		if inner := t.Field(name); inner != nil {
			c.fits(ty.AttributeType(name), inner, inner.Type, at.with(name))
		} else {
			c.extra(name, t, at)
		}
	}
	for i := range t.Fields {
		if f := &t.Fields[i]; f.Required && !ty.HasAttribute(f.Name) {
			c.missing(f, at)
		}
	}
}
