// Package explain finds out why a step's action is another than before: attribute by
// attribute, and across edges back to the input that changed.
//
// It compares two moments, such as a run and the plan that is to follow it. A step's state
// at a moment is its key with what came of it; the plan, or the journal of the run that
// did it, says which attribute came from which output or file. So a change is followed
// only along values that differ.
package explain

import (
	"context"
	"encoding/json"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/history"
)

// State is a step at a moment.
type State struct {
	Stage    string
	Action   artifacts.ActionID // zero while it is not known
	Preimage json.RawMessage    // nil where it is not known, or no longer
	Output   json.RawMessage    // nil where there is none
	Secret   bool               // the output must not be shown
	Sources  []pipeline.Source
	Deps     []string
	Config   *pipeline.Type      // of the stage; nil where it is not known
	Reasons  []pipeline.Reason   // why it runs, as was said at that moment
	Waits    map[string][]string // by attribute: the steps that it waits for
	Pos      map[string]string   // by attribute: where it is written
}

// Moment returns the state of a step, nil where there is none.
type Moment func(id string) *State

// OfPlan returns the moment of a plan.
func OfPlan(p *pipeline.Plan) Moment {
	return func(id string) *State {
		s := p.Step(id)
		if s == nil {
			return nil
		}
		st := &State{Stage: s.Stage.Name, Action: s.Action, Preimage: s.Preimage(), Secret: s.Secret, Sources: s.Sources(),
			Deps: s.Deps, Config: s.Stage.Config, Reasons: s.Reasons, Waits: make(map[string][]string), Pos: make(map[string]string)}
		if s.Record != nil {
			st.Output = s.Record.Output
		}
		for name, a := range s.Attrs {
			st.Pos[name] = a.Pos
			if len(a.Unknown) > 0 {
				st.Waits[name] = a.Unknown
			}
		}
		return st
	}
}

// Journals reads journals of a store, each once.
type Journals struct {
	ctx   context.Context
	store *store.Store
	runs  map[string]*history.Run
}

// NewJournals returns a reader of the store's journals.
func NewJournals(ctx context.Context, s *store.Store) *Journals {
	return &Journals{ctx, s, make(map[string]*history.Run)}
}

// Run returns a run by its ID, nil where it has no journal that is readable.
func (j *Journals) Run(id string) *history.Run {
	r, ok := j.runs[id]
	if !ok {
		r, _ = history.Read(j.store, id)
		j.runs[id] = r
	}
	return r
}

// mostRuns is how many runs are looked through for the one in which a step last came to
// its end.
const mostRuns = 500

// LastEnd returns the last run of a recipe, before the one with the ID before unless that
// is "", in which a step came to its end; nil where there is none.
func (j *Journals) LastEnd(recipe, step, before string) *history.Run {
	runs, err := history.List(j.store, recipe)
	if err != nil {
		return nil
	}
	passed, n := before == "", 0
	for s := range runs {
		if !passed {
			passed = s.ID == before
			continue
		}
		if n++; n > mostRuns {
			return nil
		}
		if r := j.Run(s.ID); r != nil && ended(r.Step(step)) {
			return r
		}
	}
	return nil
}

func ended(s *history.Step) bool {
	return s != nil && (s.Type == pipeline.StepDone || s.Type == pipeline.StepCached) && !s.Action.IsZero()
}

// Moment returns the moment at which a run ended. Where a step was cached, the journal
// of the run that did it says where its attributes came from.
func (j *Journals) Moment(r *history.Run) Moment {
	return func(id string) *State {
		s := r.Step(id)
		if s == nil || s.Action.IsZero() {
			return nil
		}
		record, _ := j.store.Lookup(j.ctx, s.Action) // the record will do, also if its objects are gone
		key, _ := pipeline.ReadKey(record.Preimage)
		st := &State{Stage: s.Stage, Action: s.Action, Preimage: record.Preimage, Output: record.Output, Reasons: s.Reasons, Secret: key.Secret()}
		origin := s
		if s.Type == pipeline.StepCached && s.Deps == nil && s.Sources == nil {
			if origin = j.did(record); origin == nil || origin.ID != id {
				return st
			}
		}
		st.Stage, st.Sources, st.Deps = origin.Stage, origin.Sources, origin.Deps
		return st
	}
}

// did returns the step that did an action, in the run that did it, as its journal has it.
func (j *Journals) did(record store.Record) *history.Step {
	if r := j.Run(record.Run); r != nil {
		if s := r.Step(record.Step); s != nil && s.Action == record.Action {
			return s
		}
	}
	return nil
}
