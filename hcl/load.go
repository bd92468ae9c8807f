package hcl

import (
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/source"
	"eyrie/pipeline"
)

// Options are what a recipe is read with.
type Options struct {
	Stages   []*pipeline.Stage // the kinds of stages that there are
	Vars     map[string]string // values of variables, as on a command line; they override VarFiles
	VarFiles []string          // files of name = value; later ones override earlier ones
	Environ  []string          // NAME=value, as os.Environ returns; EYRIE_VAR_x gives x where nothing else does
	Files    source.Files      // where all that Load reads comes from; nil is the disk
}

// Load reads the recipe at path: one file, or the *.hcl files of a directory.
// It reports all mistakes that it can find at once; with any of them there is
// no recipe.
//
// Load reads files (the recipe's and its modules', the variables', those that the function file
// names) and looks whether files that stages take exist, all through opt.Files. It
// does nothing else.
func Load(path string, opt Options) (*pipeline.Recipe, Diagnostics) {
	r := newRecipe(opt)
	result := r.load(path)
	diags := r.diagnostics()
	if diags.HasErrors() {
		return nil, diags
	}
	r.fold()
	return result, diags
}

// recipe is a recipe in the making: what its modules share. The steps' closures go on
// using it after Load.
type recipe struct {
	opt        Options
	disk       source.Files
	types      map[string]*pipeline.Stage
	shapes     value.Shapes         // of the types' outputs
	files      map[string]*hcl.File // that diagnostics are about
	texts      map[string]*text     // by absolute path
	diags      hcl.Diagnostics
	root       *module // the recipe itself
	candidates []candidate

	meter   budget.Meter // counts what evaluation takes
	made    int          // steps and modules so far
	crowded bool         // there are more than a recipe may have

	mu      sync.Mutex // held by the steps' closures
	bare    *view      // in which no step has an output yet
	memory  *memory
	earlier *memory // the one before
}

func newRecipe(opt Options) *recipe {
	r := &recipe{
		opt:    opt,
		disk:   opt.Files,
		types:  make(map[string]*pipeline.Stage, len(opt.Stages)),
		shapes: make(value.Shapes),
		files:  make(map[string]*hcl.File),
		texts:  make(map[string]*text),
		bare:   &view{known: (*pipeline.Outputs)(nil).Known, guarded: (*pipeline.Outputs)(nil).Guarded, adopted: (*pipeline.Outputs)(nil).Adopted, values: make(map[*named]cty.Value)},
	}
	if opt.Files == nil {
		r.disk = source.Disk
	}
	for _, s := range opt.Stages {
		r.types[s.Name] = s
		r.shapes.Add(s.Output)
	}
	return r
}

// load reads the recipe at path as far as its mistakes allow, and reports these.
func (r *recipe) load(path string) *pipeline.Recipe {
	r.read(path)
	return r.build(path)
}

// read parses the recipe's files.
func (r *recipe) read(path string) { r.root = newModule(r, r.textAt(path)) }

// build makes the recipe of what was read.
func (r *recipe) build(path string) *pipeline.Recipe {
	root := r.root
	root.open()
	root.expandAll()
	r.check()
	result := &pipeline.Recipe{Name: strings.TrimSuffix(filepath.Base(path), ".hcl"), Steps: root.allSteps(nil), Variables: root.values(), Files: r.written()}
	r.order(result.Steps)
	for _, o := range root.outputs {
		result.Outputs = append(result.Outputs, o.result)
	}
	return result
}

// check checks what all modules are made of, before anything has run. Which outputs are
// sensitive is known of a step once what it refers to was checked.
func (r *recipe) check() {
	modules := r.root.all(nil)
	for _, m := range modules {
		m.checkLocals()
	}
	for _, m := range modules {
		m.checkCalls()
		for _, s := range m.ordered {
			s.checkInOrder()
		}
	}
	r.validateSteps()
	for _, m := range modules {
		for _, s := range m.ordered {
			m.warnAlike(s)
		}
		m.checkOutputs()
	}
}
