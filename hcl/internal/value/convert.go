package value

import (
	"fmt"
	"math"
	bigfloat "math/big"
	"slices"

	"github.com/zclconf/go-cty/cty"

	"eyrie/artifacts"
	"eyrie/hcl/internal/word"
	"eyrie/hcl/source"
	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Result is what a value became, and what its marks say.
type Result struct {
	Tree      any
	Parts     []mistake.Path    // those that are not known; none where all is
	Waits     []string          // the steps that these wait for, sorted
	Blind     bool              // one of these does not say what it waits for
	MayBeNull bool              // it may be null as a whole
	Broken    bool              // a part could not be evaluated, as was reported
	Sensitive bool              // a part must not be shown
	Origins   []pipeline.Origin // where it came from
	Faults    []Fault
}

// Fault is a part of a value that is not what the schema asks for.
type Fault struct {
	At      mistake.Path
	Name    bool // the last name of the path is at fault, not its value
	Summary string
	Detail  string
}

// Convert turns an evaluated expression into the tree that a field of a stage's
// schema asks for. Paths of files in it start from dir.
func Convert(v cty.Value, f *pipeline.Field, dir source.Directory) Result {
	c := &converter{dir: dir, at: mistake.Path{{Name: f.Name}}}
	return c.result(c.tree(v, f, f.Type, inherited{}))
}

// ConvertAny turns an evaluated expression, which messages call by a name, into a
// tree whatever it is. Its origins say of which part they are.
func ConvertAny(v cty.Value, name string) Result {
	c := &converter{at: mistake.Path{{Name: name}}}
	traced := c.traced(v, inherited{}).(pipeline.Traced)
	r := c.result(traced.Value)
	r.Origins = traced.Origins
	return r
}

// converter gathers what a conversion finds.
type converter struct {
	dir source.Directory
	at  mistake.Path // the part being converted

	waits     map[string]bool // the steps that unknown parts wait for
	null      bool            // it may be null as a whole
	parts     []mistake.Path  // those that are not known
	blind     bool            // an unknown part does not say what it waits for
	broken    bool            // a part could not be evaluated, as was reported
	sensitive bool
	hidden    int // the names in at from here on are parts of a sensitive value; 0 for none
	origins   map[pipeline.Origin]bool
	cell      map[pipeline.Origin]bool // of the Cell being converted; nil outside
	part      mistake.Path             // where in the Cell
	faults    []Fault
}

func (c *converter) result(tree any) Result {
	r := Result{tree, c.parts, nil, c.blind, c.null, c.broken, c.sensitive, sortOrigins(c.origins), c.faults}
	if len(c.waits) > 0 {
		r.Waits = word.Keys(c.waits)
	}
	return r
}

// enter and leave keep track of which part of the value is being converted.
func (c *converter) enter(s mistake.Step) { c.at = append(c.at, s) }
func (c *converter) leave()               { c.at = c.at[:len(c.at)-1] }

// inherited are the marks of the lists and objects around a value, which hold
// for all that is in them.
type inherited struct {
	waits   []string
	origins []pipeline.Origin
	promise string // of an unknown file
	secret  bool
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
	in = inherited{slices.Clip(in.waits), slices.Clip(in.origins), in.promise, in.secret}
	for m := range marks {
		switch m := m.(type) {
		case originMark:
			in.origins = append(in.origins, m.Origin)
		case waitMark:
			in.waits = append(in.waits, m.step)
		case promiseMark:
			in.promise = m.promise
		case SensitiveMark:
			c.sensitive, in.secret = true, true
			if c.hidden == 0 || len(c.at) < c.hidden {
				c.hidden = len(c.at)
			}
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
	c.parts = append(c.parts, slices.Clone(c.at))
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

// fault reports what is wrong with the part being converted. The detail begins
// with where that is, but for names that a sensitive value may have given.
func (c *converter) fault(summary, format string, args ...any) any {
	shown := c.at
	if c.hidden > 0 && c.hidden < len(shown) {
		shown = shown[:c.hidden]
	}
	c.faults = append(c.faults, Fault{slices.Clone(c.at), false, summary, shown.String() + fmt.Sprintf(format, args...)})
	return nil
}

// mismatch reports a value of the wrong type.
func (c *converter) mismatch(v cty.Value, f *pipeline.Field, t *pipeline.Type) any {
	return c.fault("Wrong type", " takes %s, not %s.", Expected(f, t), Describe(v, c.sensitive))
}

// tree converts v to what type t, of field f or within it, asks for.
func (c *converter) tree(v cty.Value, f *pipeline.Field, t *pipeline.Type, in inherited) any {
	v, in = c.unmark(v, in)
	if c.broken {
		return nil
	}
	if !v.IsKnown() && in.promise != "" && t.Kind == pipeline.File {
		return artifacts.File{Foreseen: in.promise}
	}
	if !v.IsKnown() {
		c.null = c.null || len(c.at) == 1 && !v.Range().DefinitelyNotNull()
		c.wait(in)
		c.fits(v.Type(), f, t)
		return nil
	}
	if v.IsNull() && (t.Kind != pipeline.Any && t.Kind != pipeline.Cell || len(c.at) == 1 && f.Required) {
		if !t.Nullable {
			c.fault("Missing value", " takes %s, not null.", Expected(f, t))
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
			return c.list(v, f, t, in)
		}
	case pipeline.Map:
		if ty.IsMapType() || ty.IsObjectType() {
			return c.dict(v, f, t, in)
		}
	case pipeline.Object:
		if (ty.IsMapType() || ty.IsObjectType()) && !unrelated(v, t) {
			return c.object(v, f, t, in)
		}
	default:
		if f.Guarded && !in.secret {
			return c.fault("Secret in clear", " is for a secret, and this value is not sensitive: take it from a variable with sensitive = true, as journals keep the text of a recipe.")
		}
		c.note(in)
		return c.scalar(v, f, t)
	}
	return c.mismatch(v, f, t)
}

func (c *converter) scalar(v cty.Value, f *pipeline.Field, t *pipeline.Type) any {
	switch t.Kind {
	case pipeline.Bool:
		if v.Type() == cty.Bool {
			return v.True()
		}
	case pipeline.String:
		if v.Type().IsPrimitiveType() {
			return c.text(v, f)
		}
	case pipeline.Number, pipeline.Integer:
		if v.Type() == cty.String && f.Unit != "" {
			n, err := ParseQuantity(v.AsString(), f.Unit)
			if err != nil {
				return c.fault("Wrong quantity", ": %s. Write a number of %s or a quantity, such as %s.",
					c.hide(err.Error()), f.Unit, exampleOf(f.Unit))
			}
			v = n
		}
		if v.Type() == cty.Number {
			return c.number(v, f, t)
		}
	case pipeline.File:
		switch v.Type() {
		case FileType:
			file := *v.EncapsulatedValue().(*artifacts.File)
			if err := f.Admit(file); err != nil && !file.Digest.IsZero() {
				return c.fault("Wrong kind of file", " %s.", err)
			}
			return file
		case cty.String:
			return c.file(v.AsString(), f)
		}
	}
	return c.mismatch(v, f, t)
}

// number converts to float64, as JSON does: integers must be held exactly, as
// all up to 2^53 are.
func (c *converter) number(v cty.Value, f *pipeline.Field, t *pipeline.Type) any {
	big := v.AsBigFloat()
	if t.Kind == pipeline.Integer && !big.IsInt() {
		return c.fault("Not an integer", " takes an integer, not %s.", Describe(v, c.sensitive))
	}
	n, accuracy := big.Float64()
	if math.IsInf(n, 0) || t.Kind == pipeline.Integer && accuracy != bigfloat.Exact {
		return c.fault("Number too large", ": %s is too large to be held exactly.", Describe(v, c.sensitive))
	}
	if err := f.Admit(n); err != nil {
		return c.fault("Out of range", " %s.", c.hide(err.Error()))
	}
	return n
}

func (c *converter) text(v cty.Value, f *pipeline.Field) any {
	s := TextOf(v)
	if f.Admit(s) != nil {
		return c.fault("Not one of the choices", " is one of %s, not %s.%s", word.Quote(f.OneOf), Describe(v, c.sensitive), word.DidYouMean(s, f.OneOf))
	}
	return s
}

// file makes a handle of a path, where there must be what the field takes.
func (c *converter) file(name string, f *pipeline.Field) any {
	if name == "" {
		return c.fault("No such file", ": the path is empty.")
	}
	full := c.dir.Join(name)
	info, err := c.dir.Stat(full)
	if err != nil {
		return c.fault("No such file", ": there is no file or directory %s. Relative paths start from the recipe's directory.%s",
			c.hide(full), c.hide(c.dir.Nearby(full)))
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return c.fault("Wrong kind of file", ": %s is neither a file nor a directory.", c.hide(full))
	}
	if err := f.Admit(artifacts.File{Path: full, Tree: info.IsDir()}); err != nil {
		return c.fault("Wrong kind of file", " %s: %s.", err, c.hide(full))
	}
	return artifacts.File{Path: full}
}

// hide returns the words, or nothing of them when they may contain a sensitive value.
func (c *converter) hide(words string) string {
	if c.sensitive {
		return "(sensitive)"
	}
	return words
}

func (c *converter) list(v cty.Value, f *pipeline.Field, t *pipeline.Type, in inherited) any {
	all := make([]any, 0, v.LengthInt())
	for _, e := range v.Elements() {
		c.enter(mistake.Step{Index: len(all)})
		all = append(all, c.tree(e, f, t.Elem, in))
		c.leave()
	}
	return all
}

func (c *converter) dict(v cty.Value, f *pipeline.Field, t *pipeline.Type, in inherited) any {
	all := make(map[string]any, v.LengthInt())
	for k, e := range v.Elements() {
		key := k.AsString()
		c.enter(mistake.Step{Name: key})
		all[key] = c.tree(e, f, t.Elem, in)
		c.leave()
	}
	return all
}

// unrelated reports whether an object has no attribute in common with what is asked
// for, not even a misspelt one: then its type is at fault, not its attributes.
func unrelated(v cty.Value, t *pipeline.Type) bool {
	for k := range v.Elements() {
		name := k.AsString()
		if t.Field(name) != nil || word.DidYouMean(name, FieldNames(t)) != "" {
			return false
		}
	}
	return v.LengthInt() > 0
}

func (c *converter) object(v cty.Value, f *pipeline.Field, t *pipeline.Type, in inherited) any {
	all := make(map[string]any, len(t.Fields))
	for k, e := range v.Elements() {
		name := k.AsString()
		inner := t.Field(name)
		if inner == nil {
			c.extra(name, t)
			continue
		}
		if e.IsNull() && !inner.Type.Nullable {
			continue // as if it were not written
		}
		c.enter(mistake.Step{Name: name})
		all[name] = c.tree(e, inner, inner.Type, in)
		c.leave()
	}
	for i := range t.Fields {
		inner := &t.Fields[i]
		if _, ok := all[inner.Name]; !ok && inner.Required {
			c.missing(inner)
		}
	}
	return all
}

func (c *converter) extra(name string, t *pipeline.Type) {
	if c.hidden > 0 {
		c.fault("Unknown attribute", " has an attribute that is not one of %s. Which is not shown, as a sensitive value takes part.", word.Quote(FieldNames(t)))
	} else {
		c.fault("Unknown attribute", " has no attribute %q.%s", name, word.DidYouMean(name, FieldNames(t)))
	}
	f := &c.faults[len(c.faults)-1]
	f.At, f.Name = append(f.At, mistake.Step{Name: name}), true
}

func (c *converter) missing(f *pipeline.Field) {
	c.fault("Missing attribute", " needs %s: %s.", f.Name, Expected(f, f.Type))
}
