package hcl

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline"
)

// Options are what a recipe is read with.
type Options struct {
	Stages   []*pipeline.Stage // the kinds of stages that there are
	Vars     map[string]string // values of variables, as on a command line; they override VarFiles
	VarFiles []string          // files of name = value; later ones override earlier ones
	Environ  []string          // NAME=value, as os.Environ returns; EYRIE_VAR_x gives x where nothing else does
}

// Load reads the recipe at path: one file, or the *.hcl files of a directory.
// It reports all mistakes that it can find at once; with any of them there is
// no recipe.
//
// Load reads files (the recipe's, the variables', those that the function file
// names) and looks whether files that stages take exist. It does nothing else.
func Load(path string, opt Options) (*pipeline.Recipe, Diagnostics) {
	m := newModule(opt)
	r := m.load(path)
	diags := m.diagnostics()
	if diags.HasErrors() {
		return nil, diags
	}
	return r, diags
}

// load reads the recipe at path as far as its mistakes, which it reports, allow.
func (m *module) load(path string) *pipeline.Recipe {
	m.read(path)
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
	shapes  shapes // of the types' outputs
	dir     string // of the recipe, absolute
	files   map[string]*hcl.File
	partial bool // a file could not be read to its end
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

	mu      sync.Mutex // held by the steps' closures
	memory  *memory
	earlier *memory // the one before
}

func newModule(opt Options) *module {
	m := &module{
		opt:       opt,
		types:     make(map[string]*pipeline.Stage, len(opt.Stages)),
		shapes:    make(shapes),
		files:     make(map[string]*hcl.File),
		variables: make(map[string]*variable),
		locals:    make(map[string]*local),
		stages:    make(map[string]*stage),
	}
	for _, s := range opt.Stages {
		m.types[s.Name] = s
		m.shapes.add(s.Output)
	}
	m.bare = &scope{m: m, known: (*pipeline.Outputs)(nil).Known, locals: make(map[*local]cty.Value)}
	return m
}

// read parses the recipe's files.
func (m *module) read(path string) {
	m.dir = filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		m.dir = path
	}
	names, err := Files(path)
	switch {
	case err != nil:
		m.unreadable(path, err)
	case len(names) == 0:
		m.report(nil, "Not a recipe", "The directory %s has no *.hcl files.", path)
	}
	if abs, err := filepath.Abs(m.dir); err == nil {
		m.dir = abs
	}
	for _, name := range names {
		if body := m.parse(name); body != nil {
			m.bodies = append(m.bodies, body)
		}
	}
	m.root = &hcl.EvalContext{
		Functions: functions(m.dir),
		Variables: map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{"recipe": cty.StringVal(m.dir)})},
	}
}

// Files returns the files of the recipe at path: path itself, or of a directory
// the *.hcl files in it, sorted.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
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
	src, err := os.ReadFile(name)
	if err != nil {
		m.unreadable(name, err)
		return nil
	}
	if line, bad := notText(src); bad {
		m.partial = true
		m.report(nil, "Not a recipe", "The file %s is not text in UTF-8: see line %d.", name, line)
		return nil
	}
	if diag := tooDeep(src, name); diag != nil {
		m.files[name] = &hcl.File{Bytes: src}
		m.partial = true
		m.diags = append(m.diags, diag)
		return nil
	}
	file, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	diags = withoutCascade(diags)
	m.files[name] = file
	m.diags = append(m.diags, diags...)
	m.partial = m.partial || diags.HasErrors()
	return file.Body.(*hclsyntax.Body)
}

// notText returns the first line that has a zero byte, or one that is part of no
// character in UTF-8, if there is any.
func notText(src []byte) (line int, bad bool) {
	if utf8.Valid(src) && bytes.IndexByte(src, 0) < 0 {
		return 0, false
	}
	at := 0
	for {
		r, size := utf8.DecodeRune(src[at:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return 1 + bytes.Count(src[:at], []byte("\n")), true
		}
		at += size
	}
}

// withoutCascade leaves out what follows from a quote that is missing: the
// parser takes all the rest of the file for a string, and objects to each line.
func withoutCascade(diags hcl.Diagnostics) hcl.Diagnostics {
	i := slices.IndexFunc(diags, func(d *hcl.Diagnostic) bool { return d.Summary == "Invalid multi-line string" })
	if i < 0 {
		return diags
	}
	diags[i].Summary = "Unclosed string"
	diags[i].Detail = "A quote is missing at the end. Text of several lines is written between <<-END and END; \\n is a line's end within quotes."
	return diags[:i+1]
}

// declare collects the blocks, so that what follows can refer to any of them.
func (m *module) declare() {
	for _, body := range m.bodies {
		for _, a := range inOrder(body.Attributes) {
			m.errorf(a.NameRange, "Attribute outside of a block", "A recipe consists of blocks: %s. A named value belongs into locals.", strings.Join(blockTypes, ", "))
		}
		for _, b := range body.Blocks {
			m.declareBlock(b)
		}
	}
}

var blockTypes = []string{"variable", "locals", "stage", "output"}

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
		m.errorf(b.TypeRange, "Unknown block", "A recipe has no %q blocks; it has %s.%s", b.Type, strings.Join(blockTypes, ", "), didYouMean(b.Type, blockTypes))
	}
}

// labels reports a block that has not the labels it should have.
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

// inOrder returns attributes in the order of the text.
func inOrder(attrs hclsyntax.Attributes) []*hclsyntax.Attribute {
	all := make([]*hclsyntax.Attribute, 0, len(attrs))
	for _, a := range attrs {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *hclsyntax.Attribute) int { return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte })
	return all
}
