package hcl

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/internal/budget"
	"eyrie/hcl/internal/builtin"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/hcl/internal/value"
	"eyrie/hcl/internal/word"
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
// Load reads files (the recipe's, the variables', those that the function file
// names) and looks whether files that stages take exist, all through opt.Files. It
// does nothing else.
func Load(path string, opt Options) (*pipeline.Recipe, Diagnostics) {
	return Open(path, opt).Recipe()
}

// load reads the recipe at path as far as its mistakes allow, and reports these.
func (m *module) load(path string) *pipeline.Recipe {
	m.read(path)
	return m.build(path)
}

// build makes the recipe of what was read.
func (m *module) build(path string) *pipeline.Recipe {
	m.declare()
	m.setVariables()
	m.setLocals()
	m.buildStages()
	m.buildOutputs()
	steps := m.steps()
	m.order(steps)
	r := &pipeline.Recipe{Name: strings.TrimSuffix(filepath.Base(path), ".hcl"), Steps: steps}
	for _, o := range m.outputs {
		r.Outputs = append(r.Outputs, o.result)
	}
	return r
}

// module is a recipe in the making: what its files declare, by name. The steps'
// closures go on using it after Load.
type module struct {
	opt     Options
	types   map[string]*pipeline.Stage
	shapes  value.Shapes         // of the types' outputs
	dir     source.Directory     // of the recipe
	names   []string             // of the recipe's files
	files   map[string]*hcl.File // those, and others that diagnostics are about
	partial bool                 // a file could not be read to its end
	diags   hcl.Diagnostics

	bodies     []*hclsyntax.Body
	variables  map[string]*variable
	locals     map[string]*local
	stages     map[string]*stage
	ordered    []*stage // the stages in the order of the text
	outputs    []*output
	candidates []candidate

	root *hcl.EvalContext // functions, var and path
	bare *scope           // in which no step has an output yet

	meter   budget.Meter // counts what evaluation takes
	made    int          // steps so far
	crowded bool         // there are more than a recipe may have

	mu      sync.Mutex // held by the steps' closures
	memory  *memory
	earlier *memory // the one before
}

func newModule(opt Options) *module {
	m := &module{
		opt:       opt,
		dir:       source.Directory{Files: opt.Files},
		types:     make(map[string]*pipeline.Stage, len(opt.Stages)),
		shapes:    make(value.Shapes),
		files:     make(map[string]*hcl.File),
		variables: make(map[string]*variable),
		locals:    make(map[string]*local),
		stages:    make(map[string]*stage),
	}
	if opt.Files == nil {
		m.dir.Files = source.Disk
	}
	for _, s := range opt.Stages {
		m.types[s.Name] = s
		m.shapes.Add(s.Output)
	}
	m.bare = &scope{m: m, known: (*pipeline.Outputs)(nil).Known, guarded: (*pipeline.Outputs)(nil).Guarded, locals: make(map[*local]cty.Value)}
	return m
}

// read parses the recipe's files.
func (m *module) read(path string) {
	dir := filepath.Dir(path)
	if info, err := m.dir.Stat(path); err == nil && info.IsDir() {
		dir = path
	}
	m.dir.Path = dir
	if abs, err := filepath.Abs(dir); err == nil {
		m.dir.Path = abs
	}
	names, err := filesOf(m.dir, path)
	switch {
	case err != nil:
		m.unreadable(path, err)
	case len(names) == 0:
		m.report(nil, "Not a recipe", "The directory %s has no *.hcl files.", path)
	}
	m.names = names
	file := m.dir.Path // of a recipe in several files
	if dir != path {
		file = filepath.Join(m.dir.Path, filepath.Base(path))
	}
	for _, name := range names {
		if body := m.parse(name); body != nil {
			m.bodies = append(m.bodies, body)
		}
	}
	m.root = &hcl.EvalContext{
		Functions: builtin.Functions(m.dir, &m.meter),
		Variables: map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{
			"recipe": cty.StringVal(m.dir.Path), "file": cty.StringVal(file),
		})},
	}
}

// Files returns the files of the recipe at path: path itself, or where that is a
// directory, the *.hcl files in it, sorted.
func Files(path string) ([]string, error) { return filesOf(source.Disk, path) }

func filesOf(files source.Files, path string) ([]string, error) {
	info, err := files.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := files.ReadDir(path)
	var names []string
	for _, e := range entries {
		if !e.IsDir() && filepath.Ext(e.Name()) == ".hcl" {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	return names, err
}

// unreadable reports a file that cannot be read.
func (m *module) unreadable(name string, err error) {
	m.partial = true
	if errors.Is(err, fs.ErrNotExist) {
		m.report(nil, "No such file", "There is no file %s.", name)
	} else {
		m.report(nil, "Cannot read file", "%s.", err)
	}
}

// parse reads one file. What can be read of a file with mistakes is checked as
// far as that makes sense.
func (m *module) parse(name string) *hclsyntax.Body {
	src, err := m.dir.ReadFile(name)
	if err != nil {
		m.unreadable(name, err)
		return nil
	}
	if line, bad := syntax.NotText(src); bad {
		m.partial = true
		m.report(nil, "Not a recipe", "The file %s is not text in UTF-8: see line %d.", name, line)
		return nil
	}
	file, diags := syntax.Parse(src, name)
	m.files[name] = file
	m.diags = append(m.diags, diags...)
	m.partial = m.partial || diags.HasErrors()
	return syntax.BodyOf(file)
}

// declare collects the blocks, so that what follows can refer to any of them.
func (m *module) declare() {
	for _, body := range m.bodies {
		for _, a := range syntax.InOrder(body.Attributes) {
			m.errorf(a.NameRange, "Attribute outside of a block", "A recipe consists of blocks: %s. A named value belongs into locals.", strings.Join(blockTypes, ", "))
		}
		for _, b := range body.Blocks {
			m.declareBlock(b)
		}
	}
}

var blockTypes = grammar.Types()

func (m *module) declareBlock(b *hclsyntax.Block) {
	switch b.Type {
	case "variable":
		if m.labels(b, "NAME") {
			m.declareVariable(b)
		}
	case "locals":
		if m.labels(b) {
			m.declareLocals(b)
		}
	case "stage":
		if m.labels(b, "TYPE", "NAME") {
			m.declareStage(b)
		}
	case "output":
		if m.labels(b, "NAME") {
			m.declareOutput(b)
		}
	default:
		m.errorf(b.TypeRange, "Unknown block", "A recipe has no %q blocks; it has %s.%s", b.Type, strings.Join(blockTypes, ", "), word.DidYouMean(b.Type, blockTypes))
	}
}

// labels returns whether a block has the labels that it should have, and reports it if
// not.
func (m *module) labels(b *hclsyntax.Block, want ...string) bool {
	if len(b.Labels) != len(want) {
		usage := b.Type
		for _, w := range want {
			usage += ` "` + w + `"`
		}
		m.errorf(b.DefRange(), "Wrong labels", "Such a block begins with %s {", usage)
		return false
	}
	for i, l := range b.Labels {
		if want[i] == "NAME" && !hclsyntax.ValidIdentifier(l) {
			m.errorf(b.LabelRanges[i], "Not a name", "%q cannot be referred to: a name consists of letters, digits, _ and -, and begins with a letter.", l)
			return false
		}
	}
	return true
}
