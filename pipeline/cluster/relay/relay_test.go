package relay_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eyrie/artifacts/blob"
	"eyrie/artifacts/blob/blobtest"
	"eyrie/artifacts/s3/s3test"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/command"
	"eyrie/pipeline/cluster/relay"
	"eyrie/pipeline/cluster/relay/relaytest"
	"eyrie/pipeline/executortest"
)

func TestMain(m *testing.M) { relaytest.Main(m, func() error { return nil }) }

func scheduler(t testing.TB) *command.Scheduler {
	n := relaytest.Start(t)
	return &command.Scheduler{Submitting: n.Submit, Asking: n.Status, Cancelling: n.Cancel}
}

// subjects makes executors whose nodes have nothing of this machine's but the cache: one bucket
// for each store.
type subjects struct {
	server *s3test.Server
	gate   *relaytest.Gate // in front of it; nil for none
	mu     sync.Mutex
	caches map[*store.Store]*relay.Carrier
}

func (all *subjects) executor(t *testing.T, s *store.Store, dir string) *cluster.Executor {
	all.mu.Lock()
	defer all.mu.Unlock()
	if all.caches[s] == nil {
		all.caches[s] = all.carrier(t, s)
	}
	c := all.caches[s]
	return &cluster.Executor{
		Name: "test", Store: s, Dir: dir, Scheduler: scheduler(t), Program: os.Args[0], Poll: time.Second, Patience: 3 * time.Second,
		Carrier: &relay.Carrier{Store: s, Cache: c.Cache, Bucket: c.Bucket, Caches: c.Caches, Pace: 200 * time.Millisecond},
		Tell:    func(text string) { t.Log(text) },
	}
}

func (all *subjects) carrier(t *testing.T, s *store.Store) *relay.Carrier {
	endpoint := ""
	if all.gate != nil {
		endpoint = "http://" + all.gate.Address
	}
	return relaytest.NewCarrier(t, all.server, endpoint, s)
}

// A job on a machine that shares nothing but the cache does what the runner's own goroutine does.
func TestExecutor(t *testing.T) {
	all := &subjects{server: s3test.Start(t), caches: map[*store.Store]*relay.Carrier{}}
	executortest.Run(t, executortest.Subject{Apart: true, OnDisk: true, New: func(t *testing.T, s *store.Store, dir string) pipeline.Executor {
		return all.executor(t, s, dir)
	}})
}

// A job that a scheduler starts a second time, on another node, goes on from where it was, and is
// heard from then on.
func TestStartedAgain(t *testing.T) {
	all := &subjects{server: s3test.Start(t), caches: map[*store.Store]*relay.Carrier{}}
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := all.executor(t, s, dir)
	nodes := relaytest.Start(t)
	x.Scheduler = &command.Scheduler{Submitting: nodes.Submit, Asking: []string{"sh", "-c", "for n in {ids}; do echo $n running; done"}, Cancelling: nodes.Cancel}
	job := relaytest.Job(t, s, "resume")
	job.Grace = time.Second
	starts, resumed := 0, false
	_, err = x.Perform(t.Context(), job, func(e pipeline.Event) {
		switch e.Type {
		case pipeline.StepStarted:
			starts, resumed = starts+1, e.Resumed
		case pipeline.StepProgress: // as in the first start: what a scheduler does with the job
			nodes.Again(t, 0)
		}
	})
	if err != nil || starts != 2 || !resumed {
		t.Errorf("%d starts, resumed %v: %v", starts, resumed, err)
	}
}

// A bucket that does not answer for a while costs time alone: a job that is told to stop meanwhile
// keeps its checkpoint, one that ends publishes its result, and the runner waits for what they say.
func TestBucketAway(t *testing.T) {
	server := s3test.Start(t)
	all := &subjects{server: server, gate: relaytest.NewGate(t, server.Address), caches: map[*store.Store]*relay.Carrier{}}
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := all.executor(t, s, dir)
	nodes := relaytest.Start(t)
	x.Scheduler = &command.Scheduler{Submitting: nodes.Submit, Asking: nodes.Status, Cancelling: nodes.Cancel}
	job := relaytest.Job(t, s, "resume")
	job.Grace = time.Second
	resumed, starts := false, 0
	_, err = x.Perform(t.Context(), job, func(e pipeline.Event) {
		resumed = resumed || e.Resumed
		if e.Type == pipeline.StepStarted {
			starts++
		}
		switch {
		case e.Type == pipeline.StepProgress:
			all.gate.Shut(func(n int) {
				if n == 30 {
					all.gate.Open()
				}
			})
			nodes.Stop(t, 0)
		case e.Type == pipeline.StepStarted && e.Resumed: // it is about to end
			all.gate.Shut(func(n int) {
				if n == 30 {
					all.gate.Open()
				}
			})
		}
	})
	if err != nil || !resumed || starts != 2 {
		t.Errorf("%d starts, resumed %v: %v", starts, resumed, err)
	}
}

// What a job has said while no runner listened counts for the next one: where to go on from.
func TestUnheard(t *testing.T) {
	all := &subjects{server: s3test.Start(t), caches: map[*store.Store]*relay.Carrier{}}
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	nodes := relaytest.Start(t)
	runner := func() *cluster.Executor {
		x := all.executor(t, s, dir)
		x.Scheduler = &command.Scheduler{Submitting: nodes.Submit, Asking: nodes.Status, Cancelling: nodes.Cancel}
		return x
	}
	job := relaytest.Job(t, s, "resume")
	job.Grace = time.Second
	ctx, leave := context.WithCancelCause(t.Context())
	_, err = runner().Perform(ctx, job, func(e pipeline.Event) {
		if e.Type == pipeline.StepProgress {
			leave(pipeline.ErrDetached)
		}
	})
	if err == nil {
		t.Fatal("it ended while nobody listened")
	}
	nodes.Stop(t, 0)
	nodes.Await(t, 0)
	resumed := false
	_, err = runner().Perform(t.Context(), job, func(e pipeline.Event) { resumed = resumed || e.Resumed })
	if err != nil || !resumed {
		t.Errorf("resumed %v: %v", resumed, err)
	}
}

// flaky is a bucket that stores what is put there, and says that it has not.
type flaky struct {
	blob.Bucket
	failing atomic.Bool
}

func (f *flaky) Put(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	err := f.Bucket.Put(ctx, key, content)
	if key.Kind == blob.Job && f.failing.Load() {
		return errors.New("the answer was lost")
	}
	return err
}

// What is sent a second time is what was sent the first time: the runner may have read it, and reads
// on behind it.
func TestLostAnswer(t *testing.T) {
	bucket := &flaky{Bucket: new(blobtest.Mem)}
	said := relay.NewSaying(bucket)
	bucket.failing.Store(true)
	if err := said.Say(t.Context(), "one"); err == nil {
		t.Fatal("the answer arrived")
	}
	if got := said.Heard(t.Context()); got != "one" {
		t.Errorf("heard %q", got)
	}
	_ = said.Say(t.Context(), "two")
	bucket.failing.Store(false)
	if err := said.Say(t.Context(), "three"); err != nil {
		t.Fatal(err)
	}
	if got := said.Heard(t.Context()); got != "one two three" {
		t.Errorf("heard %q", got)
	}
}

// Who can write to the bucket, and has not the batch's token, cannot say anything in a job's name.
func TestForged(t *testing.T) {
	server := s3test.Start(t)
	all := &subjects{server: server, caches: map[*store.Store]*relay.Carrier{}}
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	x := all.executor(t, s, dir)
	jobs := filepath.Join(dir, "jobs", "eyrie-a")
	if err := os.MkdirAll(jobs, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(jobs, "0.job"), []byte("{}"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Carrier.Send(t.Context(), &cluster.Batch{Name: "eyrie-a", Dir: jobs, Size: 1}); err != nil {
		t.Fatal(err)
	}
	bucket := all.caches[s].Bucket
	said := blob.Key{Kind: blob.Job, Hash: sha256.Sum256([]byte("eyrie-a/0.0.1"))}
	forged := append(make([]byte, sha256.Size), `{"events":"e30K"}`...)
	if err := bucket.Put(t.Context(), said, bytes.NewReader(forged)); err != nil {
		t.Fatal(err)
	}
	if err := x.Carrier.Receive(t.Context(), jobs, 0, true); err == nil || !strings.Contains(err.Error(), "changed by somebody else") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(jobs, "0.0.events")); err == nil {
		t.Error("it was heard")
	}
}
