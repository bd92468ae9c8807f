package pipeline

import (
	"time"

	"eyrie/pipeline/mistake"
)

// Recipe is what was written, with for_each and when already expanded: plain
// steps in the order of the text.
type Recipe struct {
	Name      string // the file's or directory's base name
	Steps     []*Step
	Outputs   []*Output
	Variables []Variable // sorted by name
	Files     []Text     // that it is written in, the recipe's own first, then its modules', sorted
}

// Step is one use of a stage.
type Step struct {
	ID    string // `space`, or `raptornet["70ms"]` for an instance of for_each
	Stage *Stage
	Pos   string   // "paper.hcl:41": where its block begins
	Deps  []string // IDs of the steps that it refers to or depends_on, in order, without repeats
	Attrs Eval[Attrs]
	// Config is what the stage's Decode made of the attributes, where that was done already
	// and nothing can change them: no output, and no file. It is nil otherwise. The values of
	// these attributes are shared, and must not be changed.
	Config any
	// Reveal says that the step's results, which are kept in clear, may hold what
	// sensitive attributes say. Its output is then sensitive.
	Reveal bool
	// Place is where the step runs: "" for this machine, or a name in [RunOptions].Places. Like
	// its Policy it is no part of any key; it is what a site says, not what a recipe does.
	Place string
	Policy
}

// Name returns the name of the step's block: the ID without an instance's key.
func (s *Step) Name() string { return BlockOf(s.ID) }

// Policy says how a step is run; it never changes the result.
type Policy struct {
	Retries   int                // further attempts after a failure
	Timeout   time.Duration      // of one attempt; 0 for none
	Resources map[string]float64 // what it takes of the machine: "cpus", "gpus", "memory" (bytes)
}

// Output is a named result of the recipe.
type Output struct {
	Name string
	Doc  string
	Pos  string
	Deps []string
	Attr Eval[Attr]
}

// Eval evaluates an expression with the outputs that there are: what refers to a
// step without one is unknown itself. An error is a mistake in the recipe, with its
// position, that showed only now. What it returns belongs to the caller, but where it says
// otherwise.
type Eval[T any] func(known *Outputs) (T, error)

// Attrs are evaluated attributes by their names. Steps share attributes that are the same for
// all of them: whoever changes one changes a copy.
type Attrs map[string]*Attr

// Of returns the attribute of a name, a zero one where it is not written.
func (a Attrs) Of(name string) *Attr {
	if attr := a[name]; attr != nil {
		return attr
	}
	return new(Attr)
}

// Attr is an evaluated attribute.
type Attr struct {
	Value     any            // a tree of nil, bool, float64, string, []any, map[string]any, artifacts.File, Traced
	Unknown   []string       // the steps it waits for
	Parts     []mistake.Path // where, when it waits, Value is unknown and nil: paths that begin with the attribute's name
	MayBeNull bool           // it waits, and may turn out not to be written
	Sensitive bool           // must not be shown; its digest stands for it in the preimage
	Origins   []Origin       // what the value came from
	Pos       string         // "paper.hcl:43"
	Type      string         // the type in HCL's words, for outputs
}
