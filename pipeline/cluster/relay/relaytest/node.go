package relaytest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"eyrie/artifacts/s3"
	"eyrie/artifacts/s3/s3test"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/relay"
	"eyrie/pipeline/executortest"
)

// Main runs tests in a binary that is also what nodes run, with the stages of executortest:
// "perform --element N" as the job, and "perform --store DIR --job FILE" as what that starts.
// Requeue is the node's; nil where the scheduler starts jobs again by itself.
func Main(m *testing.M, requeue func() error) {
	if len(os.Args) < 4 || os.Args[1] != "perform" {
		os.Exit(m.Run())
	}
	code, err := perform(context.Background(), os.Args[2:], requeue)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func perform(ctx context.Context, args []string, requeue func() error) (code int, err error) {
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
	cache, bucket, err := Open(ctx, config)
	if err != nil {
		return 1, err
	}
	element, err := strconv.Atoi(args[1])
	if err != nil {
		return 1, err
	}
	n := relay.Node{Order: order, Cache: cache, Bucket: bucket, Requeue: requeue, Command: func(store, job string) *exec.Cmd {
		return exec.Command(os.Args[0], "perform", "--store", store, "--job", job)
	}}
	return n.Perform(ctx, element)
}

// Open opens a cache that is published to.
func Open(ctx context.Context, config s3.Config) (*team.Cache, *s3.Bucket, error) {
	bucket, err := s3.Open(config)
	if err != nil {
		return nil, nil, err
	}
	cache, err := team.Open(ctx, []team.Source{{Name: "test", Bucket: bucket, Write: true}}, store.Shared{By: "test"}, func(text string) { fmt.Fprintln(os.Stderr, text) })
	return cache, bucket, err
}

// NewCarrier returns a carrier by way of a bucket of its own, and puts that behind a store. Where
// endpoint is not "", it leads to the server.
func NewCarrier(t testing.TB, server *s3test.Server, endpoint string, s *store.Store) *relay.Carrier {
	t.Helper()
	config := s3.Config{Bucket: "b" + strconv.FormatInt(time.Now().UnixNano(), 36), Endpoint: cmp.Or(endpoint, server.Endpoint()), Region: "us-east-1"}
	server.Bucket(t, config.Bucket)
	cache, bucket, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	s.Back(cache)
	told, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return &relay.Carrier{Store: s, Cache: cache, Bucket: bucket, Caches: told}
}
