package pipeline

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/store/storetest"
)

// nothing is behind a store, and has nothing.
type nothing struct{}

func (nothing) Record(context.Context, artifacts.ActionID) (store.Record, error) {
	return store.Record{}, store.ErrNotFound
}
func (nothing) Has(context.Context, artifacts.File) error { return store.ErrNotFound }
func (nothing) Places() int                               { return 0 }
func (nothing) Open(context.Context, artifacts.Digest, int) (io.ReadCloser, error) {
	return nil, store.ErrNotFound
}
func (nothing) Spoil(artifacts.Digest)           {}
func (nothing) Use(store.Record)                 {}
func (nothing) Share(*store.Store, store.Record) {}

// losing is an executor whose first result is gone once it is done, as one that a node has published
// and somebody has removed.
type losing struct {
	Executor
	t     *testing.T
	store *store.Store
	was   atomic.Bool
}

func (x *losing) Perform(ctx context.Context, job *Job, report func(Event)) (Result, error) {
	r, err := x.Executor.Perform(ctx, job, report)
	if err != nil || len(r.Record.Objects) == 0 || !x.was.CompareAndSwap(false, true) {
		return r, err
	}
	f, err := x.store.Fetch(ctx, r.Record.Objects[0])
	if err == nil {
		err = os.Remove(f.Path)
	}
	if err != nil {
		x.t.Error(err)
	}
	return r, nil
}

// Where a result vanishes while the run goes on, the step that reads it says whose it was; run again,
// that is made anew, and nothing else.
func TestResultVanishes(t *testing.T) {
	s := storetest.New(t)
	s.Back(nothing{})
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	r := recipe(
		step("a", reader, map[string]any{"in": artifacts.Local(path)}),
		step("b", reader, map[string]any{"in": ref{"a", "copy"}}),
		step("c", sum, map[string]any{"x": 1.0}))
	run := execute(t, s, r, RunOptions{Jobs: 1, Executor: &losing{Executor: InProcess(s), t: t, store: s}})
	if got := endings(run); got != "a:done b:failed c:done" {
		t.Fatal(got)
	}
	if text := run.Steps[1].Err.Error(); !strings.Contains(text, "the result of a is neither here nor to be had from a cache any more; run again") {
		t.Error(text)
	}
	if got := endings(execute(t, s, r)); got != "a:done b:done c:cached" {
		t.Error(got)
	}
}
