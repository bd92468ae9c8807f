// Package grammar says which blocks a recipe has, and which attributes those have that
// are the same in every recipe.
package grammar

import "eyrie/pipeline"

// Block is a kind of block of a recipe.
type Block struct {
	Type   string
	Labels []string // what they are: TYPE, NAME
	Doc    string
	Body   *pipeline.Type // its attributes and blocks; of a stage, those that every stage has
}

// Blocks are all of them.
var Blocks = []Block{
	{"variable", []string{"NAME"}, "A value that is given from outside: by --var, a --var-file or the environment.", object(
		pipeline.Field{Name: "type", Doc: "what it holds: string, number, bool, list(number), object({ a = string }) …", Type: anything},
		pipeline.Field{Name: "default", Doc: "its value where none is given; without it, one must be", Type: anything},
		pipeline.Field{Name: "description", Doc: "what it is, for people", Type: text},
		pipeline.Field{Name: "sensitive", Doc: "it must not be shown", Type: truth},
		pipeline.Field{Name: "validation", Doc: "a condition on its value", Type: list(object(
			pipeline.Field{Name: "condition", Doc: "true for good values", Type: truth, Required: true},
			pipeline.Field{Name: "error_message", Doc: "what to say of others", Type: text, Required: true},
		))},
	)},
	{"locals", nil, "Named expressions: local.NAME.", object()},
	{"stage", []string{"TYPE", "NAME"}, "A step of the recipe, or with for_each one for each element.", object(
		pipeline.Field{Name: "for_each", Doc: "a map, a set or a list of unique strings: makes a step for each element", Type: anything},
		pipeline.Field{Name: "when", Doc: "false leaves the step out", Type: truth},
		pipeline.Field{Name: "depends_on", Doc: "stages that must be done before, though no attribute refers to them", Type: anything},
		pipeline.Field{Name: "reveal", Doc: "its results, which are kept in clear, may hold what is sensitive in its attributes", Type: truth},
		pipeline.Field{Name: "retry", Doc: "how often it is tried again after a failure", Type: &pipeline.Type{Kind: pipeline.Integer}, Min: new(float64)},
		pipeline.Field{Name: "timeout", Doc: "how long an attempt may take", Type: number, Unit: "s", Min: new(float64)},
		pipeline.Field{Name: "resources", Doc: "what it takes of the machine while it runs: cpus, gpus, memory, or others by name", Type: object(
			pipeline.Field{Name: "cpus", Doc: "processor cores", Type: number, Min: new(float64)},
			pipeline.Field{Name: "gpus", Doc: "GPUs, or a part of one", Type: number, Min: new(float64)},
			pipeline.Field{Name: "memory", Doc: "main memory", Type: number, Unit: "bytes", Min: new(float64)},
		)},
	)},
	{"module", []string{"NAME"}, "Another recipe whose steps become part of this one, or with for_each once for each element. Its other attributes are its variables' values.", object(
		pipeline.Field{Name: "source", Doc: "where it is: a directory or file, from here on: ./train", Type: text, Required: true},
		pipeline.Field{Name: "for_each", Doc: "a map, a set or a list of unique strings: makes a module for each element", Type: anything},
		pipeline.Field{Name: "when", Doc: "false leaves the module out", Type: truth},
		pipeline.Field{Name: "depends_on", Doc: "stages and modules that must be done before any step in it", Type: anything},
	)},
	{"output", []string{"NAME"}, "A result of the recipe, shown after a run.", object(
		pipeline.Field{Name: "value", Doc: "what it is", Type: anything, Required: true},
		pipeline.Field{Name: "description", Doc: "what it means, for people", Type: text},
		pipeline.Field{Name: "sensitive", Doc: "it must not be shown unless it is asked for by name", Type: truth},
	)},
}

var (
	anything = &pipeline.Type{Kind: pipeline.Any}
	text     = &pipeline.Type{Kind: pipeline.String}
	truth    = &pipeline.Type{Kind: pipeline.Bool}
	number   = &pipeline.Type{Kind: pipeline.Number}
)

func object(fields ...pipeline.Field) *pipeline.Type {
	return &pipeline.Type{Kind: pipeline.Object, Fields: fields}
}

func list(of *pipeline.Type) *pipeline.Type { return &pipeline.Type{Kind: pipeline.List, Elem: of} }

// Of returns the kind of block of this type, nil when there is none.
func Of(kind string) *Block {
	for i := range Blocks {
		if Blocks[i].Type == kind {
			return &Blocks[i]
		}
	}
	return nil
}

// Declared is the kind of block that the block declare of a stage holds. Its attributes are
// those that the stage's schema has for an element of declare.
var Declared = Block{Type: "output", Labels: []string{"NAME"}, Doc: "An output of the step: others refer to it as stage.STEP.NAME."}

// DeclaredTypes are the types that a declared output may have, by their first words.
var DeclaredTypes = []string{"number", "string", "bool", "list", "map", "object", "any", "file", "dir"}

// Begins reports whether a block of this type and with these labels is one of a recipe's
// own, wherever it stands, other than within a block declare: while the one before it lacks its
// closing brace, the parser finds it in there. Other blocks within stages have no labels.
func Begins(kind string, labels []string, within string) bool {
	b := Of(kind)
	declared := within == pipeline.Declaration && kind == Declared.Type
	return b != nil && len(labels) > 0 && len(labels) == len(b.Labels) && !declared
}

// Attributes returns the names of the attributes of a type, without those that are
// written as blocks.
func Attributes(t *pipeline.Type) []string {
	var names []string
	for _, f := range t.Fields {
		if f.Type.Kind != pipeline.List {
			names = append(names, f.Name)
		}
	}
	return names
}

// Types returns the types of blocks.
func Types() []string {
	var all []string
	for _, b := range Blocks {
		all = append(all, b.Type)
	}
	return all
}

// Roots are what references begin with, and how they go on.
var Roots = []struct{ Name, GoesOn, Doc string }{
	{"var", "var.NAME, one of the recipe's variables", "The recipe's variables."},
	{"local", "local.NAME, one of the recipe's locals", "The recipe's locals."},
	{"stage", "stage.NAME.OUTPUT, an output of one of the recipe's stages", "The outputs of the recipe's stages."},
	{"module", "module.NAME.OUTPUT, an output of one of the recipe's modules", "The outputs of the recipe's modules."},
	{"path", "path.recipe, the directory of the recipe, or path.file, its file", "path.recipe is the directory of the recipe, path.file its file, or the directory where it has several."},
	{"each", "each.key or each.value", "The element of for_each that the step is for: each.key, each.value."},
}

// RootNames returns what references begin with.
func RootNames() []string {
	var all []string
	for _, r := range Roots {
		all = append(all, r.Name)
	}
	return all
}

// GoesOn says how references with a root go on, "" for what is no root.
func GoesOn(root string) string {
	for _, r := range Roots {
		if r.Name == root {
			return r.GoesOn
		}
	}
	return ""
}
