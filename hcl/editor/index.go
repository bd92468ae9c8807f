// Package editor answers what an editor asks about a recipe: what it declares, where
// that is used, what stands at a place, and what may be written there. It answers for
// recipes with mistakes as well, as those are the ones that people edit.
//
// Places are as HCL counts them: lines and columns from 1, bytes from 0, a column for
// each character as people see it (a grapheme cluster). The byte of a place decides;
// [Index.Position] finds it for a line and column. An editor that counts UTF-16 units,
// as the language server protocol does, finds the byte in its own text.
package editor

import (
	"cmp"
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"eyrie/hcl/diagnostic"
	"eyrie/hcl/internal/grammar"
	"eyrie/hcl/internal/syntax"
	"eyrie/pipeline"
)

// Range and Position are those of diagnostics.
type (
	Range    = diagnostic.Range
	Position = diagnostic.Position
)

// Place is the block that an expression stands in: a stage or a module, or the zero Place
// outside of these.
type Place struct {
	Kind Kind
	Name string
}

// Evaluator evaluates expressions as far as that is possible before anything runs.
type Evaluator interface {
	// Value returns what an expression comes to in the first instance of a block. Where it
	// has a mistake, that is not known.
	Value(e hclsyntax.Expression, in Place) cty.Value
	// Instances returns the keys of a block's instances.
	Instances(block Place) []string
	// Arguments returns the variables of a module, nil where its source cannot be read.
	Arguments(module string) []pipeline.Field
	// Result returns the block that declares a module's output, nil where there is none.
	Result(module, output string) *hclsyntax.Block
	// Kind returns a stage as the block of this name uses it, with the outputs that it
	// declares; nil where there is none.
	Kind(name string) *pipeline.Stage
}

// Index answers questions about one recipe. Its methods may be called concurrently.
type Index struct {
	files map[string]*hcl.File
	types map[string]*pipeline.Stage
	eval  Evaluator

	once     sync.Once // guards what is found in the trees
	declared []*declaration
	targets  map[target]*declaration
	uses     []use

	mu     sync.Mutex
	tokens map[string]*syntax.Tokens
}

// New returns the index of a recipe that consists of these files, by the names that
// ranges have.
func New(files map[string]*hcl.File, types map[string]*pipeline.Stage, eval Evaluator) *Index {
	return &Index{files: files, types: types, eval: eval}
}

// Position returns the place in a file at a line and column.
func (x *Index) Position(file string, line, column int) Position {
	f := x.files[file]
	if f == nil {
		return Position{Line: 1, Column: 1}
	}
	return Position(syntax.Position(f.Bytes, syntax.Offset(f.Bytes, line, column)))
}

// rangeOf returns a part of a file by its bytes.
func (x *Index) rangeOf(file string, begin, end int) Range {
	src := x.files[file].Bytes
	return Range{File: file, Start: Position(syntax.Position(src, begin)), End: Position(syntax.Position(src, end))}
}

// cursor is a place in a recipe.
type cursor struct {
	*syntax.Cursor
	x     *Index
	file  string
	place Place // the block around it
}

func (x *Index) cursor(file string, at Position) *cursor {
	f := x.files[file]
	if f == nil {
		return nil
	}
	x.once.Do(x.find)
	c := &cursor{x.lex(file).At(at.Byte), x, file, Place{}}
	if block := c.block(); block != nil {
		c.place = placeOf(block.Type, block.Labels)
	}
	return c
}

// placeOf returns the place within a block, the zero Place for blocks without instances.
func placeOf(kind string, labels []string) Place {
	switch {
	case kind == "stage" && len(labels) == 2:
		return Place{Stage, labels[1]}
	case kind == "module" && len(labels) == 1:
		return Place{Module, labels[0]}
	}
	return Place{}
}

func (x *Index) lex(file string) *syntax.Tokens {
	x.mu.Lock()
	defer x.mu.Unlock()
	tokens, ok := x.tokens[file]
	if !ok {
		if x.tokens == nil {
			x.tokens = make(map[string]*syntax.Tokens)
		}
		tokens = syntax.Lex(x.files[file].Bytes, file)
		x.tokens[file] = tokens
	}
	return tokens
}

// block returns the recipe's block around the cursor, nil where there is none.
func (c *cursor) block() *syntax.Frame {
	for i := len(c.Frames) - 1; i > 0; i-- {
		if f := c.Frames[i]; c.ofRecipe(i) {
			return f
		}
	}
	return nil
}

// ofRecipe reports whether the depth'th frame is a block of the recipe rather than one
// within.
func (c *cursor) ofRecipe(depth int) bool {
	f := c.Frames[depth]
	return f.Kind == syntax.Body && (depth == 1 || depth > 1 && grammar.Begins(f.Type, f.Labels, c.Frames[depth-1].Type))
}

// at returns the range of the word at the cursor.
func (c *cursor) at() Range { return c.x.rangeOf(c.file, c.Start, c.End) }

// inOrder compares ranges by file and place.
func inOrder(a, b Range) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Start.Byte, b.Start.Byte))
}

// sortedNames returns the names of the files that could be read.
func (x *Index) sortedNames() []string {
	var names []string
	for name := range x.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
