package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"eyrie/artifacts/s3"
	"eyrie/artifacts/s3/s3test"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/command"
	"eyrie/pipeline/cluster/relay"
	"eyrie/pipeline/cluster/relay/relaytest"
	"eyrie/pipeline/executortest"
)

// The test binary is also what nodes run: "perform --element N" as the job, and
// "perform --store DIR --job FILE" as what it starts.
func TestMain(m *testing.M) {
	if len(os.Args) < 4 || os.Args[1] != "perform" {
		os.Exit(m.Run())
	}
	code, err := node(os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func node(args []string) (code int, err error) {
	ctx := context.Background()
	if args[0] == "--store" {
		s, err := store.Open(args[1])
		if err != nil {
			return 1, err
		}
		defer s.Close()
		return cluster.Serve(ctx, s, executortest.Stages, args[3], func() error { return nil })
	}
	order, err := relay.ParseOrder(os.Getenv(cluster.OrderVariable))
	if err != nil {
		return 1, err
	}
	var config s3.Config
	if err := json.Unmarshal(order.Caches, &config); err != nil {
		return 1, err
	}
	cache, bucket, err := open(ctx, config)
	if err != nil {
		return 1, err
	}
	element, err := strconv.Atoi(args[1])
	if err != nil {
		return 1, err
	}
	n := relay.Node{Order: order, Cache: cache, Bucket: bucket, Requeue: func() error { return nil }, Command: func(store, job string) *exec.Cmd {
		return exec.Command(os.Args[0], "perform", "--store", store, "--job", job)
	}}
	return n.Perform(ctx, element)
}

func open(ctx context.Context, config s3.Config) (*team.Cache, *s3.Bucket, error) {
	bucket, err := s3.Open(config)
	if err != nil {
		return nil, nil, err
	}
	cache, err := team.Open(ctx, []team.Source{{Name: "test", Bucket: bucket, Write: true}}, store.Shared{By: "test"}, func(text string) { fmt.Fprintln(os.Stderr, text) })
	return cache, bucket, err
}

func scheduler(t testing.TB) *command.Scheduler {
	n := relaytest.Start(t)
	return &command.Scheduler{Submitting: n.Submit, Asking: n.Status, Cancelling: n.Cancel}
}

// subjects makes executors whose nodes have nothing of this machine's but the cache: one bucket
// for each store.
type subjects struct {
	server *s3test.Server
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
	config := s3.Config{Bucket: "b" + strconv.FormatInt(time.Now().UnixNano(), 36), Endpoint: all.server.Endpoint(), Region: "us-east-1"}
	all.server.Bucket(t, config.Bucket)
	cache, bucket, err := open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	s.Back(cache)
	caches, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return &relay.Carrier{Cache: cache, Bucket: bucket, Caches: caches}
}

// A job on a machine that shares nothing but the cache does what the runner's own goroutine does.
func TestExecutor(t *testing.T) {
	all := &subjects{server: s3test.Start(t), caches: map[*store.Store]*relay.Carrier{}}
	executortest.Run(t, executortest.Subject{Apart: true, OnDisk: true, New: func(t *testing.T, s *store.Store, dir string) pipeline.Executor {
		return all.executor(t, s, dir)
	}})
}
