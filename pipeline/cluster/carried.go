package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/store"
	"eyrie/artifacts/tree"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// carried has a job performed by a node with a store of its own. The lock that a performer takes
// of the store that it shares is then taken here.
func (x *Executor) carried(ctx context.Context, job *pipeline.Job, report func(pipeline.Event)) (pipeline.Result, error) {
	unlock, err := x.Store.Lock(ctx, job.Action, func(holder string) { report(pipeline.Event{Type: pipeline.StepWaiting, Holder: holder}) })
	if err != nil {
		return pipeline.Result{}, err
	}
	defer unlock()
	if !job.Rerun {
		if r, err := x.Store.Claim(ctx, job.Action); err == nil {
			return pipeline.Result{Record: r, Found: true}, nil
		} else if !errors.Is(err, store.ErrNotFound) {
			return pipeline.Result{}, err
		}
	} else if job.Attempt <= 1 {
		x.dropCheckpoint(job)
	}
	result, err := x.attempts(ctx, job, report)
	if err == nil {
		x.dropCheckpoint(job)
	}
	return result, err
}

// pack makes an attempt's job one that nodes can perform. It waits for a carrier that is away.
func (x *Executor) pack(ctx context.Context, a *attempt) (err error) {
	if x.Carrier == nil {
		return nil
	}
	for wait := 2 * time.Second; ; wait = min(2*wait, 30*time.Second) {
		if a.packed, err = x.Carrier.Pack(ctx, a.job); err == nil || ctx.Err() != nil {
			return err
		}
		err = fmt.Errorf("bringing what the step reads to the nodes of executor %q: %w", x.Name, err)
		if !errors.Is(err, ErrBusy) {
			return err
		}
		x.stuck.Do(func() { x.tell("%v; trying again", err) })
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send takes a batch's files to where nodes find them, if they do not share the store.
func (x *Executor) send(ctx context.Context, b *batch) (err error) {
	if x.Carrier == nil {
		return nil
	}
	if b.Order, err = x.Carrier.Send(ctx, &b.Batch); err == nil {
		return x.writeScript(b)
	}
	if errors.Is(err, blob.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrBusy, err)
}

// receive brings what an element has said.
func (x *Executor) receive(dir string, element int, now bool) error {
	if x.Carrier == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), command)
	defer cancel()
	err := x.Carrier.Receive(ctx, dir, element, now)
	x.mu.Lock()
	defer x.mu.Unlock()
	if t := troubleOf(err); t > x.deaf { // once of each kind
		x.deaf = t
		x.tell("what jobs say does not arrive: %v; asking again", err)
	}
	return err
}

// recall takes from a batch whose jobs have ended what they have said to nobody: where their actions
// can be gone on with. It does so once, as later batches may have come further.
func (x *Executor) recall(ctx context.Context, b *batch) {
	once := filepath.Join(b.Dir, "recalled")
	if _, err := os.Stat(once); err == nil || x.Carrier == nil {
		return
	}
	err := tree.Each(ctx, len(b.actions), func(_ context.Context, i int) error {
		err := x.receive(b.Dir, i, true)
		if f := lastCheckpoint(filepath.Join(b.Dir, strconv.Itoa(i))); f != nil && !b.rerun[i] {
			x.keepCheckpoint(b.actions[i], *f)
		}
		return err
	})
	if !errors.Is(err, ErrBusy) {
		_ = os.WriteFile(once, nil, 0o666)
	}
}

// lastCheckpoint returns the last one of which an element has said that it took it to the cache.
func lastCheckpoint(base string) (last *artifacts.File) {
	for start := 0; ; start++ {
		events := tail{path: fmt.Sprintf("%s.%d.events", base, start)}
		if _, err := os.Stat(events.path); err != nil {
			return last
		}
		for lines := events.lines(true); lines != nil; lines = events.lines(true) {
			for _, line := range lines {
				var m apart.Message
				if json.Unmarshal(line, &m) == nil && m.Checkpoint != nil {
					last = m.Checkpoint
				}
			}
		}
	}
}

// accept has the store find a result of a node's.
func (x *Executor) accept(ctx context.Context, job *pipeline.Job, r store.Record) error {
	if x.Carrier == nil {
		return nil
	}
	return x.Carrier.Accept(ctx, job, r)
}

// remove removes a batch's files, wherever they are, unless another runner needs them.
func (x *Executor) remove(b *batch) {
	b.remove(func() {
		if x.Carrier == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), command)
		defer cancel()
		_ = x.Carrier.Remove(ctx, b.Dir) // what stays is removed by age
	})
}

// doubt asks what is to be checked where nodes do not do what they should.
func (x *Executor) doubt() string {
	if x.Carrier != nil {
		return fmt.Sprintf("do the nodes reach the cache, with credentials, and have they %s?", x.Program)
	}
	return fmt.Sprintf("do the nodes see %s, and can they run its programs?", x.jobs())
}

func (x *Executor) checkpointPath(action artifacts.ActionID) string {
	return filepath.Join(x.jobs(), "checkpoints", action.String())
}

// checkpoint returns where a job can be gone on with; nil for nowhere.
func (x *Executor) checkpoint(job *pipeline.Job) *artifacts.File {
	var f artifacts.File
	if readJSON(x.checkpointPath(job.Action), &f) != nil {
		return nil
	}
	return &f
}

// keepCheckpoint notes where an action can be gone on with. Without a note it begins anew.
func (x *Executor) keepCheckpoint(action artifacts.ActionID, f artifacts.File) {
	path := x.checkpointPath(action)
	if os.MkdirAll(filepath.Dir(path), 0o777) == nil {
		_ = writeJSON(path, f)
	}
}

func (x *Executor) dropCheckpoint(job *pipeline.Job) { _ = os.Remove(x.checkpointPath(job.Action)) }
