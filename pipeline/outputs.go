package pipeline

import (
	"encoding/json"
	"strings"
)

// Outputs are the outputs of steps that there are so far. The nil Outputs has none.
//
// A recipe of thousands of steps evaluates expressions that read thousands of
// outputs, once for each step. Version is what lets it keep what it evaluated: it
// tells in constant time whether one more of the outputs of a block is there.
type Outputs struct {
	byStep   map[string]json.RawMessage
	versions map[string]int // by the name of the block
}

// Known returns the output of a step, if there is one yet.
func (o *Outputs) Known(step string) (output json.RawMessage, ok bool) {
	if o == nil {
		return nil, false
	}
	output, ok = o.byStep[step]
	return output, ok
}

// Set makes the output of a step known.
func (o *Outputs) Set(step string, output json.RawMessage) {
	if o.byStep == nil {
		o.byStep, o.versions = make(map[string]json.RawMessage), make(map[string]int)
	}
	o.byStep[step] = output
	o.versions[blockOf(step)]++
}

// Version returns a number that grows whenever the output of a step of a block,
// which is the step of that name or one of its instances, becomes known.
func (o *Outputs) Version(block string) int {
	if o == nil {
		return 0
	}
	return o.versions[block]
}

// blockOf returns the name of a step's block: its ID without an instance's key.
func blockOf(step string) string {
	name, _, _ := strings.Cut(step, "[")
	return name
}
