package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// Ancestor is a step that a running step needs, directly or not, and how it
// came to its result.
type Ancestor struct {
	ID       string             `json:"id"`
	Stage    string             `json:"stage"`
	Version  int                `json:"version"`
	Pos      string             `json:"pos,omitempty"`     // "paper.hcl:41"
	Deps     []string           `json:"deps,omitempty"`    // IDs of the steps that it needed
	Cached   bool               `json:"cached,omitempty"`  // its result was in the store
	Because  []Reason           `json:"because,omitempty"` // otherwise: why it ran
	Action   artifacts.ActionID `json:"action"`
	Run      string             `json:"run,omitempty"`      // the run that made the result
	Elapsed  time.Duration      `json:"elapsed,omitempty"`  // ns, of making it, whenever that was
	Attrs    json.RawMessage    `json:"attrs,omitempty"`    // its attributes, as they are in the key
	Output   json.RawMessage    `json:"output,omitempty"`   // nil where it is sensitive
	Adopted  *store.Adopted     `json:"adopted,omitempty"`  // its stage did not make the result
	Finished bool               `json:"finished,omitempty"` // false for what still runs as the step starts: a cached step's own ancestors may be made anew beside it
}

// lineage collects the ancestors of a step.
func (x *execution) lineage(step int) []Ancestor {
	wanted := map[string]bool{}
	for _, d := range x.plan.Steps[step].Deps {
		wanted[d] = true
	}
	var all []Ancestor
	for i := step - 1; i >= 0; i-- {
		s := x.plan.Steps[i]
		if !wanted[s.ID] {
			continue
		}
		for _, d := range s.Deps {
			wanted[d] = true
		}
		all = append(all, ancestor(s, x.run.byID[s.ID]))
	}
	slices.Reverse(all)
	return all
}

// ancestor describes a step; ended is nil while it runs.
func ancestor(s *Planned, ended *Ended) Ancestor {
	a := Ancestor{ID: s.ID, Stage: s.Stage.Name, Version: s.Stage.Version, Pos: s.Pos, Deps: s.Deps}
	if ended == nil {
		return a
	}
	if key, err := ReadKey(ended.Record.Preimage); err == nil {
		a.Attrs, _ = canonical(key.Attributes)
	}
	a.Finished, a.Cached, a.Because = true, ended.Type == StepCached, ended.Because
	a.Action, a.Run, a.Elapsed = ended.Record.Action, ended.Record.Run, ended.Record.Elapsed
	a.Adopted = ended.Record.Adopted
	if !s.Secret {
		a.Output = ended.Record.Output
	}
	return a
}

// Anchor is the fragment of a page that is about a step: pages link to
// "#" + Anchor(id).
func Anchor(step string) string {
	var b strings.Builder
	b.WriteString("step-")
	for _, r := range step {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			b.WriteRune(r)
		default: // such as ["87 ms"]; no two steps become one
			fmt.Fprintf(&b, "_%x_", r)
		}
	}
	return b.String()
}
