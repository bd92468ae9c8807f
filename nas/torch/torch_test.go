package torch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"eyrie/nas/torch/torchtest"
	"eyrie/nas/train"
	"eyrie/nas/train/traintest"
	"eyrie/pipeline"
)

// open opens a session until the test ends: on the CPU, or with EYRIE_TEST_DEVICE=cuda on one
// GPU, in one rank.
func open(t *testing.T, job train.Job, o Options) *Session {
	t.Helper()
	o.Python = torchtest.Python(t)
	env := pipeline.Env{Work: t.TempDir(), CPUs: 2}
	if os.Getenv("EYRIE_TEST_DEVICE") == string(CUDA) {
		o.Device, o.Ranks, env.GPUs = CUDA, 1, []int{0}
	}
	s, err := Open(t.Context(), pipeline.NewTask(env), o, job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// PyTorch keeps a backend's promises, here with two ranks; what agrees with Go's kernels is
// computed by one.
func TestBackend(t *testing.T) {
	traintest.Run(t, func(t *testing.T, job train.Job) train.Backend { return open(t, job, Options{Ranks: 2}) })
}

// Ranks that something else starts find their numbers in the environment, as srun sets it.
func TestLaunch(t *testing.T) {
	launcher := filepath.Join(t.TempDir(), "launch")
	script := "#!/bin/sh\nfor i in 0 1; do SLURM_PROCID=$i SLURM_LOCALID=$i SLURM_NTASKS=2 \"$@\" & done; wait\n"
	if err := os.WriteFile(launcher, []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	var states [2][]byte
	for i, launch := range [][]string{nil, {launcher}} {
		job := traintest.Job(t)
		s := open(t, job, Options{Ranks: 2, Launch: launch})
		traintest.Train(t, s, traintest.Steps(job, 0, 3, 1000))
		states[i] = traintest.State(t, s)
	}
	if !bytes.Equal(states[0], states[1]) {
		t.Error("the ranks of a launcher give another state than those of the runner")
	}
}

// In a job of Slurm's on several machines the ranks are started by srun, on all of them.
func TestLauncher(t *testing.T) {
	for _, test := range []struct {
		nodes string
		o     Options
		want  string
	}{
		{"", Options{Ranks: 4}, ""},
		{"1", Options{Ranks: 4}, ""},
		{"2", Options{}, ""},
		{"2", Options{Ranks: 8}, "srun --quiet --mpi=none --kill-on-bad-exit=1 --overcommit --distribution=block --nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=3"},
		{"4", Options{Ranks: 2}, "srun --quiet --mpi=none --kill-on-bad-exit=1 --overcommit --distribution=block --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=3"},
		{"2", Options{Ranks: 8, Launch: []string{"mine"}}, "mine"},
	} {
		environ := map[string]string{"SLURM_JOB_NUM_NODES": test.nodes, "SLURM_CPUS_PER_TASK": "3"}
		if got := strings.Join(test.o.launcher(func(name string) string { return environ[name] }), " "); got != test.want {
			t.Errorf("%+v on %q nodes: %s", test.o, test.nodes, got)
		}
	}
}

// A launcher that ends is no session, and its success no success.
func TestLauncherEnds(t *testing.T) {
	for script, want := range map[string]string{
		"exit 0":                     "sh ended before the work was done, with exit code 0: what starts ranks must wait",
		"echo no allocation; exit 4": "sh ended with exit code 4; the end of its log:\n  no allocation",
	} {
		o := Options{Python: torchtest.Python(t), Launch: []string{"sh", "-c", script}}
		s, err := Open(t.Context(), pipeline.NewTask(pipeline.Env{Work: t.TempDir(), CPUs: 1}), o, traintest.Job(t))
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}
