package slurm_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
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

// Whether Slurm would take a job is known without one.
func TestCheck(t *testing.T) {
	slurmtest.Start(t, 2)
	for _, test := range []struct {
		scheduler slurm.Scheduler
		ask       cluster.Ask
		want      string // in the error
		waits     bool   // a run waits for that
	}{
		{slurm.Scheduler{}, cluster.Ask{CPUs: 1, Time: time.Hour}, "", false},
		{slurm.Scheduler{Partition: "none"}, cluster.Ask{}, `there is no partition "none", but `, false},
		{slurm.Scheduler{Constraint: "big"}, cluster.Ask{}, "sbatch: allocation failure: Invalid feature specification", false},
		{slurm.Scheduler{Extra: []string{"--hurry"}}, cluster.Ask{}, "sbatch: unrecognized option '--hurry'", false},
		{slurm.Scheduler{}, cluster.Ask{Memory: 1 << 50}, "sbatch: ", true},
	} {
		version, err := slurm.New(test.scheduler).Check(t.Context(), test.ask)
		if test.want == "" && (err != nil || version == "") || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) || errors.Is(err, cluster.ErrBusy) != test.waits {
			t.Errorf("%+v, %+v: %q, %v, want %q", test.scheduler, test.ask, version, err, test.want)
		}
	}
	if out, err := exec.Command("squeue", "-h", "-t", "all").Output(); err != nil || len(out) > 0 {
		t.Errorf("it has left jobs: %q, %v", out, err)
	}
}
