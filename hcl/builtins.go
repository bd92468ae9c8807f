package hcl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"eyrie/pipeline"
)

// free is a parameter that takes any value as it is.
func free(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowNull: true, AllowUnknown: true, AllowMarked: true}
}

// typeOfFirst is the type of a function that returns its argument.
func typeOfFirst(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil }

// originFunc returns a function that marks a value, and all within it, as
// coming from a source. Where else it came from stays with it.
func originFunc(kind pipeline.Provenance) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{free("value"), {Name: "source", Type: cty.String}},
		Type:   typeOfFirst,
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			source, _ := args[1].Unmark()
			if !source.IsKnown() {
				return cty.UnknownVal(args[0].Type()), nil
			}
			return markLeaves(args[0], pipeline.Origin{Kind: kind, Source: source.AsString()})
		},
	})
}

var lengthFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowDynamicType: true, AllowUnknown: true, AllowMarked: true}},
	Type: func(args []cty.Value) (cty.Type, error) {
		ty := args[0].Type()
		if ty == cty.String || ty == cty.DynamicPseudoType || ty.IsCollectionType() || ty.IsTupleType() || ty.IsObjectType() {
			return cty.Number, nil
		}
		return cty.NilType, function.NewArgErrorf(0, "%s has no length", typeName(ty))
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v, marks := args[0].Unmark()
		switch ty := v.Type(); {
		case ty == cty.String:
			n, err := stdlib.Strlen(v)
			return n.WithMarks(marks), err
		case ty.IsObjectType():
			return cty.NumberIntVal(int64(len(ty.AttributeTypes()))).WithMarks(marks), nil
		case ty == cty.DynamicPseudoType:
			return cty.UnknownVal(cty.Number).WithMarks(marks), nil
		}
		return v.Length().WithMarks(marks), nil
	},
})

var indexFunc = function.New(&function.Spec{
	Params: []function.Parameter{
		{Name: "list", Type: cty.DynamicPseudoType},
		{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true},
	},
	Type: func(args []cty.Value) (cty.Type, error) {
		if ty := args[0].Type(); !ty.IsListType() && !ty.IsTupleType() {
			return cty.NilType, function.NewArgErrorf(0, "must be a list, not %s", typeName(ty))
		}
		return cty.Number, nil
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		for i, v := range args[0].Elements() {
			switch same := v.Equals(args[1]); {
			case !same.IsKnown():
				return cty.UnknownVal(cty.Number), nil
			case same.True():
				return i, nil
			}
		}
		return cty.NilVal, errors.New("the list has no such element")
	},
})

// maxRange is how many numbers range gives at most.
const maxRange = 1 << 20

var rangeFunc = function.New(&function.Spec{
	VarParam: &function.Parameter{Name: "limits", Type: cty.Number},
	Type:     function.StaticReturnType(cty.List(cty.Number)),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		start, step := cty.Zero, cty.NumberIntVal(1)
		if len(args) < 1 || len(args) > 3 {
			return cty.NilVal, errors.New("takes (end), (start, end) or (start, end, step)")
		}
		end := args[0]
		if len(args) > 1 {
			start, end = args[0], args[1]
		}
		if len(args) > 2 {
			step = args[2]
		}
		if step.Equals(cty.Zero).True() {
			return cty.NilVal, function.NewArgErrorf(2, "the step must not be zero")
		}
		more := cty.Value.LessThan
		if step.LessThan(cty.Zero).True() {
			more = cty.Value.GreaterThan
		}
		var all []cty.Value
		for n := start; more(n, end).True(); n = n.Add(step) {
			if len(all) == maxRange {
				return cty.NilVal, fmt.Errorf("gives more than %d numbers", maxRange)
			}
			all = append(all, n)
		}
		if len(all) == 0 {
			return cty.ListValEmpty(cty.Number), nil
		}
		return cty.ListVal(all), nil
	},
})

// toFunc returns a function that converts to a type. Unlike those of cty's
// library it leaves each element its own marks.
func toFunc(want cty.Type) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{free("value")},
		Type: func(args []cty.Value) (cty.Type, error) {
			v, err := convert.Convert(args[0], want)
			if err != nil {
				c := converter{sensitive: args[0].HasMarkDeep(sensitiveMark{})}
				return cty.NilType, function.NewArgErrorf(0, "%s cannot be converted to %s", c.describe(bare(args[0])), typeExpr(want))
			}
			return v.Type(), nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return convert.Convert(args[0], want) },
	})
}

// files reads each file once, so that an expression has the same value
// whenever it is evaluated.
type files struct {
	dir string
	mu  sync.Mutex
	all map[string]content
}

type content struct {
	text string
	err  error
}

func newFiles(dir string) *files { return &files{dir: dir, all: make(map[string]content)} }

func (f *files) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.dir, name)
}

func (f *files) read(name string) (string, error) {
	path := f.path(name)
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.all[path]; ok {
		return c.text, c.err
	}
	b, err := os.ReadFile(path)
	if err == nil && !utf8.Valid(b) {
		err = errors.New("the file is not UTF-8 text; a stage can take it as a file, by its path")
	}
	c := content{string(b), err}
	f.all[path] = c
	return c.text, c.err
}

func (f *files) fileFunc() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			text, err := f.read(args[0].AsString())
			if errors.Is(err, os.ErrNotExist) {
				return cty.NilVal, function.NewArgErrorf(0, "there is no file %s%s", f.path(args[0].AsString()), nearby(f.path(args[0].AsString())))
			} else if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			return cty.StringVal(text), nil
		},
	})
}

func (f *files) existsFunc() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			_, err := os.Stat(f.path(args[0].AsString()))
			return cty.BoolVal(err == nil), nil
		},
	})
}
