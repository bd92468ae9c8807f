package hcl

import (
	"iter"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"eyrie/pipeline"
)

// memory is what expressions came to with the outputs that there are. One that
// does not refer to each is the same for all steps until one more of the outputs
// that it reads is known. Evaluated for every instance, two stages of 2,000
// instances, one with { for k, s in stage.a : k => s.text } for its for_each, took 17 s
// and 2.4 GB to plan.
//
// What has mistakes is not remembered: every step that needs it reports them.
type memory struct {
	known  *pipeline.Outputs
	values map[*named]remembered[cty.Value]
	each   map[*block]remembered[map[string]cty.Value] // what a for_each holds, by key
	whole  map[*stage]remembered[cty.Value]            // the object of all instances
	attrs  map[*attribute]remembered[*pipeline.Attr]
}

// remembered is what something came to with some version of the outputs it reads.
type remembered[T any] struct {
	version int
	value   T
}

// remember returns what is remembered of these outputs. Only the last two asked for are
// kept: a plan asks with and without what is foreseen, and then a run does.
func (r *recipe) remember(known *pipeline.Outputs) *memory {
	if r.earlier != nil && r.earlier.known == known {
		r.memory, r.earlier = r.earlier, r.memory
	}
	if r.memory == nil || r.memory.known != known {
		r.earlier = r.memory
		r.memory = &memory{
			known:  known,
			values: make(map[*named]remembered[cty.Value]),
			each:   make(map[*block]remembered[map[string]cty.Value]),
			whole:  make(map[*stage]remembered[cty.Value]),
			attrs:  make(map[*attribute]remembered[*pipeline.Attr]),
		}
	}
	return r.memory
}

// recall returns what key came to, which it makes where that is not known, or where
// more outputs are known since. It remembers what has no mistakes.
func recall[K comparable, T any](all map[K]remembered[T], key K, version int, make func() (T, hcl.Diagnostics)) (T, hcl.Diagnostics) {
	if r, ok := all[key]; ok && r.version == version {
		return r.value, nil
	}
	value, diags := make()
	if len(diags) == 0 {
		all[key] = remembered[T]{version, value}
	}
	return value, diags
}

// version is that of all outputs of some blocks.
func (k *memory) version(blocks []string) (sum int) {
	for _, block := range blocks {
		sum += k.known.Version(block)
	}
	return sum
}

// blocks returns the IDs of the stages that e refers to in whatever way.
func (e *expr) blocks() []string {
	if e.reads == nil {
		e.reads = blocksOf(e.refs(nil))
	}
	return e.reads
}

// blocks returns the IDs of the stages that n refers to in whatever way.
func (n *named) blocks() []string {
	if n.reads == nil {
		n.reads = blocksOf(slices.Values(n.refs))
	}
	return n.reads
}

func blocksOf(refs iter.Seq[stageRef]) []string {
	ids := make(map[string]bool)
	for r := range refs {
		ids[r.to.id()] = true
	}
	return slices.AppendSeq(make([]string, 0, len(ids)), maps.Keys(ids))
}

// elements returns what a block's for_each holds, by key; nil where that cannot be told.
func (k *memory) elements(s *scope, of *block) map[string]cty.Value {
	all, _ := recall(k.each, of, k.version(of.forEach.blocks()), func() (map[string]cty.Value, hcl.Diagnostics) {
		all, diags := s.value(of.forEach)
		return elementsOf(all), diags
	})
	return all
}

// elementsOf returns the elements of a map or object by key; nil of anything else.
func elementsOf(all cty.Value) map[string]cty.Value {
	all, marks := all.Unmark()
	ty := all.Type()
	if !all.IsKnown() || all.IsNull() || !ty.IsMapType() && !ty.IsObjectType() {
		return nil
	}
	elements := make(map[string]cty.Value, all.LengthInt())
	for k, v := range all.Elements() {
		elements[k.AsString()] = v.WithMarks(marks)
	}
	return elements
}

// instances returns the object of all instances of a stage.
func (k *memory) instances(s *scope, of *stage) cty.Value {
	v, _ := recall(k.whole, of, k.known.Version(of.id()), func() (cty.Value, hcl.Diagnostics) {
		values := make(map[string]cty.Value, len(of.steps))
		for _, st := range of.steps {
			values[st.key] = s.output(st)
		}
		return cty.ObjectVal(values), nil
	})
	return v
}
