package builtin

import (
	"errors"
	"io/fs"
	"sync"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"eyrie/hcl/source"
)

// files reads each file once, so that an expression has the same value
// whenever it is evaluated.
type files struct {
	dir source.Directory
	mu  sync.Mutex
	all map[string]content
}

type content struct {
	text string
	err  error
}

func newFiles(dir source.Directory) *files { return &files{dir: dir, all: make(map[string]content)} }

func (f *files) read(path string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.all[path]; ok {
		return c.text, c.err
	}
	b, err := f.dir.ReadFile(path)
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
			path := f.dir.Join(args[0].AsString())
			text, err := f.read(path)
			if errors.Is(err, fs.ErrNotExist) {
				return cty.NilVal, function.NewArgErrorf(0, "there is no file %s%s", path, f.dir.Nearby(path))
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
			_, err := f.dir.Stat(f.dir.Join(args[0].AsString()))
			return cty.BoolVal(err == nil), nil
		},
	})
}
