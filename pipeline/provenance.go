package pipeline

import "fmt"

// Provenance says how a number came about.
type Provenance string

// The kinds of provenance. Two kinds never share a column unmarked.
const (
	Measured  Provenance = "measured"  // observed: an accuracy on test images, a time on a board
	Modelled  Provenance = "modelled"  // computed by a model of the hardware
	Predicted Provenance = "predicted" // estimated by a predictor trained on measurements
	Published Provenance = "published" // printed in a source, which is named
	Adopted   Provenance = "adopted"   // from a file or value that somebody gave for a step's output
	Given     Provenance = "given"     // written in the recipe
)

// provenance checks what a struct tag says.
func provenance(s, where string) Provenance {
	switch p := Provenance(s); p {
	case Measured, Modelled, Predicted, Published, Given: // a stage adopts nothing
		return p
	}
	panic(fmt.Sprintf("pipeline: %s: %q is no provenance", where, s))
}

// Origin is one place that a value came from.
type Origin struct {
	Kind   Provenance `json:"kind,omitempty"`
	Step   string     `json:"step,omitempty"`   // the step's ID
	Output string     `json:"output,omitempty"` // which of its outputs, as a path: "best.latency"
	Source string     `json:"source,omitempty"` // of a published value: the citation
	At     string     `json:"at,omitempty"`     // within a Traced: the part of an object or list that came from here, as a path; "" for all of it
}
