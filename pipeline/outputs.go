package pipeline

import (
	"encoding/json"
	"strings"

	"eyrie/artifacts/store"
)

// Outputs are the outputs of the steps that have ended so far. The nil Outputs has none.
//
// A recipe of thousands of steps evaluates expressions that read thousands of
// outputs, once for each step. Version is what lets it keep what it evaluated: it
// says in constant time whether one more of the outputs of a block is there.
type Outputs struct {
	base     *Outputs // what is known besides; nil for nothing
	byStep   map[string]json.RawMessage
	foreseen map[string]json.RawMessage
	guarded  map[string]bool
	adopted  map[string]bool
	versions map[string]int // by the name of the block
}

// Known returns the output of a step, if there is one yet; or, with ok false, what is
// foreseen of it (see [Foreseer]) where that was supposed.
func (o *Outputs) Known(step string) (output json.RawMessage, ok bool) {
	if o == nil {
		return nil, false
	}
	if output, ok = o.byStep[step]; ok {
		return output, true
	}
	if output, ok = o.base.Known(step); ok {
		return output, true
	}
	if foreseen := o.foreseen[step]; foreseen != nil {
		return foreseen, false
	}
	return output, false
}

// Suppose makes known what is foreseen of a step's output, for checks.
func (o *Outputs) Suppose(step string, foreseen json.RawMessage) {
	if o.foreseen == nil {
		o.foreseen = make(map[string]json.RawMessage)
	}
	o.foreseen[step] = foreseen
	o.changed(step)
}

// Set makes the output of a step known.
func (o *Outputs) Set(step string, output json.RawMessage) {
	if o.byStep == nil {
		o.byStep = make(map[string]json.RawMessage)
	}
	o.byStep[step] = output
	o.changed(step)
}

// Adopt says that the output of a step was not made by its stage.
func (o *Outputs) Adopt(step string) {
	if o.adopted == nil {
		o.adopted = make(map[string]bool)
	}
	o.adopted[step] = true
	o.changed(step)
}

// Adopted reports whether the output of a step was not made by its stage.
func (o *Outputs) Adopted(step string) bool {
	return o != nil && (o.adopted[step] || o.base.Adopted(step))
}

// take makes the output in a record known.
func (o *Outputs) take(step string, r *store.Record) {
	if r.Adopted != nil {
		o.Adopt(step)
	}
	o.Set(step, r.Output)
}

// Guard says that the output of a step, known or not, is sensitive.
func (o *Outputs) Guard(step string) {
	if o.Guarded(step) {
		return
	}
	if o.guarded == nil {
		o.guarded = make(map[string]bool)
	}
	o.guarded[step] = true
	o.changed(step)
}

// Guarded reports whether the output of a step is sensitive.
func (o *Outputs) Guarded(step string) bool {
	return o != nil && (o.guarded[step] || o.base.Guarded(step))
}

func (o *Outputs) changed(step string) {
	if o.versions == nil {
		o.versions = make(map[string]int)
	}
	o.versions[BlockOf(step)]++
}

// Version returns a number that grows whenever the output of a step of a block,
// which is the step of that name or one of its instances, becomes known, foreseen or
// sensitive.
func (o *Outputs) Version(block string) int {
	if o == nil {
		return 0
	}
	return o.versions[block] + o.base.Version(block)
}

// BlockOf returns the name of a step's block: its ID without an instance's key. No key has
// the two characters that it begins with in it, as a quote in a key is written \".
func BlockOf(step string) string {
	if i := strings.LastIndex(step, `["`); i > 0 && strings.HasSuffix(step, `"]`) {
		return step[:i]
	}
	return step
}
