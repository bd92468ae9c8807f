package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline/mistake"
)

// ErrHasResult reports a step that has a result of its stage's.
var ErrHasResult = errors.New("the step has a result that its stage made")

// Adopt records an output for a step whose stage did not run. values are all of the output's
// fields: trees as [Attr] has them, with files that are local. The record says for ever that
// it was adopted, and its numbers are of no other kind. A result that the stage made is
// replaced only if replace is set: otherwise the error is ErrHasResult.
func Adopt(ctx context.Context, s *store.Store, p *Planned, values map[string]any, as store.Adopted, replace bool) (store.Record, error) {
	if p.action == nil {
		return store.Record{}, fmt.Errorf("what step %s does is known only after %s: run that first", p.ID, few(p.After))
	}
	report := mistake.New()
	p.Stage.Output.check(report, values, nil)
	if err := report.Err(); err != nil {
		return store.Record{}, err
	}
	unlock, err := s.Lock(ctx, p.Action, nil)
	if err != nil {
		return store.Record{}, err
	}
	defer unlock()
	release, err := s.Hold(ctx)
	if err != nil {
		return store.Record{}, err
	}
	defer release()
	if was, err := s.Lookup(ctx, p.Action); err == nil && was.Adopted == nil && !replace {
		return store.Record{}, ErrHasResult
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Record{}, err
	}
	made := s.Batch()
	defer made.Close()
	x := &performer{store: s, made: made, record: store.Record{Action: p.Action, Preimage: p.action.preimage, Step: p.ID, Started: time.Now().UTC(), Adopted: &as}}
	if x.record.Output, err = x.adopt(ctx, p.Stage, values); err != nil {
		return store.Record{}, err
	}
	return x.record, made.Commit(ctx, x.record)
}

// adopt takes the files among the values and returns them as the output of the stage would
// be.
func (p *performer) adopt(ctx context.Context, of *Stage, values map[string]any) (json.RawMessage, error) {
	var tree any = values
	if err := eachFile(reflect.ValueOf(&tree).Elem(), func(f *artifacts.File) error { return p.keep(ctx, f) }); err != nil {
		return nil, err
	}
	b, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	output, err := of.output(b) // which has the stage's order, and refuses what it would never make
	if err != nil {
		return nil, err
	}
	return canonical(output)
}
