package slurm_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/slurm"
	"eyrie/pipeline/cluster/slurm/slurmtest"
	"eyrie/pipeline/executortest"
)

// The test binary is also what nodes run, as "perform --store DIR --job FILE".
func TestMain(m *testing.M) {
	if len(os.Args) != 6 || os.Args[1] != "perform" {
		os.Exit(m.Run())
	}
	s, err := store.Open(os.Args[3])
	code := 1
	if err == nil {
		code, err = cluster.Serve(context.Background(), s, executortest.Stages, os.Args[5], slurm.Requeue)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = s.Close()
	os.Exit(code)
}

// executor returns one that asks often, because nobody is to wait for a test.
func executor(t testing.TB, s *store.Store, dir string) *cluster.Executor {
	return &cluster.Executor{
		Name: "test", Store: s, Dir: dir, Scheduler: slurm.New(slurm.Scheduler{Notice: 30 * time.Second}),
		Poll: time.Second, Patience: 3 * time.Second, Tell: func(text string) { t.Log(text) },
	}
}

// A job of Slurm's does what the runner's own goroutine does.
func TestExecutor(t *testing.T) {
	slurmtest.Start(t, 2)
	executortest.Run(t, executortest.Subject{Apart: true, OnDisk: true, New: func(t *testing.T, s *store.Store, dir string) pipeline.Executor {
		return executor(t, s, dir)
	}})
}
