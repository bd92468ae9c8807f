package history

import (
	"context"
	"encoding/json"
	"slices"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
)

// Lineage is who made and who read which content, by all records of a store.
type Lineage struct {
	store   *store.Store
	records map[artifacts.ActionID]store.Record
	makers  map[artifacts.Digest][]artifacts.ActionID // by content: who made it
	readers map[artifacts.Digest][]artifacts.ActionID // by content: in whose key it is
	runs    map[string]*Run
}

// Input is what an action took: content that the recipe named or another action made, or a
// value of another action's.
type Input struct {
	Attr   string             `json:"attr,omitempty"`
	Path   string             `json:"path,omitempty"` // of a file that the recipe named
	Object *artifacts.Digest  `json:"object,omitempty"`
	Action artifacts.ActionID `json:"action,omitzero"` // who made it
	Output string             `json:"output,omitempty"`
}

// NewLineage reads the store's records, each once.
func NewLineage(ctx context.Context, s *store.Store) (*Lineage, error) {
	l := &Lineage{s, make(map[artifacts.ActionID]store.Record), make(map[artifacts.Digest][]artifacts.ActionID),
		make(map[artifacts.Digest][]artifacts.ActionID), make(map[string]*Run)}
	for r, err := range s.Records(ctx) {
		if err != nil {
			return nil, err
		}
		l.records[r.Action] = r
		for _, f := range r.Objects {
			l.makers[f.Digest] = append(l.makers[f.Digest], r.Action)
		}
		for _, d := range contentIn(r.Preimage) {
			l.readers[d] = append(l.readers[d], r.Action)
		}
	}
	for _, by := range []map[artifacts.Digest][]artifacts.ActionID{l.makers, l.readers} {
		for _, ids := range by {
			slices.SortFunc(ids, l.order)
		}
	}
	return l, nil
}

// order sorts actions by when they were done.
func (l *Lineage) order(a, b artifacts.ActionID) int {
	return l.records[a].Started.Compare(l.records[b].Started)
}

// Record returns the record of an action, false where there is none.
func (l *Lineage) Record(id artifacts.ActionID) (store.Record, bool) {
	r, ok := l.records[id]
	return r, ok
}

// Makers and Readers return who made some content, and who read it, the oldest first.
func (l *Lineage) Makers(d artifacts.Digest) []artifacts.ActionID { return l.makers[d] }

// Readers returns the actions that read some content, the oldest first.
func (l *Lineage) Readers(d artifacts.Digest) []artifacts.ActionID { return l.readers[d] }

// Contents calls f for all content that records tell of.
func (l *Lineage) Contents(f func(artifacts.Digest)) {
	for d := range l.makers {
		f(d)
	}
	for d := range l.readers {
		if l.makers[d] == nil {
			f(d)
		}
	}
}

// Inputs returns what an action took: by the journal of the run that did it, with names;
// where that is gone, what content is in its key.
func (l *Lineage) Inputs(id artifacts.ActionID) []Input {
	record := l.records[id]
	run, ok := l.runs[record.Run]
	if !ok {
		run, _ = Read(l.store, record.Run)
		l.runs[record.Run] = run
	}
	var all []Input
	if run != nil {
		if s := run.Step(record.Step); s != nil && s.Action == id {
			all = l.told(run, s)
		}
	}
	for _, d := range contentIn(record.Preimage) {
		if !slices.ContainsFunc(all, func(in Input) bool { return in.Object != nil && *in.Object == d }) {
			in := Input{Object: &d}
			if makers := l.makers[d]; len(makers) > 0 {
				in.Action = makers[0]
			}
			all = append(all, in)
		}
	}
	return all
}

// told returns the inputs of a step as a journal tells of them.
func (l *Lineage) told(run *Run, s *Step) (all []Input) {
	for _, src := range s.Sources {
		in := Input{Attr: src.Attr, Path: src.Path, Output: src.Output}
		if src.Path != "" {
			in.Object = &src.Object
		} else if from := run.Step(src.Step); from != nil {
			in.Action = from.Action
			in.Object = fileAt(l.records[from.Action].Output, src.Output)
		}
		all = append(all, in)
	}
	return all
}

// fileAt returns the content of a file that is a member of an output.
func fileAt(output []byte, name string) *artifacts.Digest {
	var members map[string]any
	if json.Unmarshal(output, &members) != nil {
		return nil
	}
	if f, ok := artifacts.FileIn(members[name]); ok {
		return &f.Digest
	}
	return nil
}

// contentIn returns the content that handles in a key name, without repeats.
func contentIn(preimage []byte) (all []artifacts.Digest) {
	key, err := pipeline.ReadKey(preimage)
	if err != nil {
		return nil
	}
	for _, f := range artifacts.FilesIn(key.Attributes) {
		all = append(all, f.Digest)
	}
	slices.SortFunc(all, func(a, b artifacts.Digest) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(all)
}
