package slurm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eyrie/pipeline/cluster"
)

// A site's own sbatch and squeue may greet users, and name clusters, beside the jobs' numbers.
func TestNumbers(t *testing.T) {
	for out, want := range map[string][]string{
		"7\n": {"7"}, "7;main\n": {"7"}, "Welcome, 80 % of your quota is used\n\n7\n": {"7"}, "7\n7\n": {"7", "7"}, "": nil, "Submitted batch job 7\n": nil,
	} {
		if got := numbers(out); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
}

// Each state of Slurm's is what a run makes of it: waiting, running or over.
func TestStatus(t *testing.T) {
	for _, test := range []struct {
		code, reason string
		want         cluster.State
		stuck, never bool
	}{
		{"PENDING", "Priority", cluster.Pending, false, false},
		{"PENDING", "BeginTime", cluster.Pending, false, false},
		{"PENDING", "PartitionConfig", cluster.Pending, true, false},
		{"PENDING", "QOSMaxJobsPerUserLimit", cluster.Pending, true, false},
		{"PENDING", "AssocGrpCPUMinutesLimit", cluster.Pending, true, false},
		{"PENDING", "launch failed requeued held", cluster.Pending, true, false},
		{"PENDING", "job requeued in held state", cluster.Pending, true, false},
		{"PENDING", "JobHoldMaxRequeue", cluster.Pending, true, false},
		{"PENDING", "AccountNotAllowed", cluster.Pending, true, false},
		{"PENDING", "DependencyNeverSatisfied", cluster.Ended, true, true},
		{"RUNNING", "None", cluster.Running, false, false},
		{"CONFIGURING", "None", cluster.Running, false, false},
		{"COMPLETING", "None", cluster.Running, false, false},
		{"SUSPENDED", "None", cluster.Running, false, false},
		{"REQUEUED", "None", cluster.Pending, false, false},
		{"COMPLETED", "None", cluster.Ended, false, false},
		{"CANCELLED", "Dependency", cluster.Ended, false, true},
		{"CANCELLED", "None", cluster.Ended, false, false},
		{"NODE_FAIL", "None", cluster.Ended, false, false},
	} {
		s := status(test.code, "n1", test.reason)
		if s.State != test.want || (s.Stuck != "") != test.stuck || s.Never != test.never {
			t.Errorf("%s (%s): %+v", test.code, test.reason, s)
		}
	}
}

// What ends a job decides what the user is told, and whether it costs an attempt.
func TestEnding(t *testing.T) {
	for _, test := range []struct {
		code, reason, exit, want string
		lost                     bool
	}{
		{"NODE_FAIL", "NodeDown", "0:0", "lost with its node", true},
		{"BOOT_FAIL", "None", "0:0", "did not boot", true},
		{"PREEMPTED", "None", "0:15", "preempted", true},
		{"", "", "", "vanished", true},
		{"OUT_OF_MEMORY", "OutOfMemory", "0:125", "resources { memory", false},
		{"TIMEOUT", "TimeLimit", "0:15", "give it more time", false},
		{"DEADLINE", "Deadline", "0:0", "deadline", false},
		{"CANCELLED", "None", "0:15", "was cancelled", false},
		{"FAILED", "NonZeroExitCode", "7:0", "exit status 7", false},
		{"FAILED", "JobLaunchFailure", "0:53", "do the nodes see the store", false},
		{"FAILED", "JobLaunchFailure", "0:9", "runs out of memory", false},
		{"CANCELLED", "DependencyNeverSatisfied", "0:0", "the job that tries a node has failed", false},
		{"CANCELLED", "Dependency", "0:0", "was cancelled before it started, and not by this run", false},
		{"COMPLETED", "None", "0:0", "without a result", false},
	} {
		e := ending("7_1", test.code, test.reason, test.exit)
		if e.Err == nil || !strings.Contains(e.Err.Error(), test.want) || !strings.Contains(e.Err.Error(), "7_1") || e.Lost != test.lost {
			t.Errorf("%s, %s: %v, lost %v", test.code, test.exit, e.Err, e.Lost)
		}
	}
}

// Nothing of the job that a runner is itself part of reaches the jobs that it submits, and
// everything else does.
func TestEnvironment(t *testing.T) {
	got := Environment([]string{"SLURM_CPU_BIND=none", "SLURM_CONF=/etc/x", "SBATCH_PARTITION=y", "SRUN_DEBUG=1", "PMIX_RANK=0", "PATH=/bin", "MY_SLURM_X=1"})
	if want := []string{"SLURM_CONF=/etc/x", "PATH=/bin", "MY_SLURM_X=1"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Options ask for what the step asks for, in all, whatever the number of nodes.
func TestOptions(t *testing.T) {
	s := New(Scheduler{Partition: "gpu", Account: "leat", QOS: "long", Extra: []string{"--nice"}})
	b := &cluster.Batch{Name: "eyrie-x", Dir: "/a 100%", Size: 3, After: "9_0", Ask: cluster.Ask{CPUs: 16, GPUs: 8, Nodes: 2, Memory: 64<<30 + 1, Time: 90 * time.Second}}
	got := strings.Join(s.options(b), " ")
	for _, want := range []string{
		"--parsable", "--array=0-2", "--output=/a 100%%/%a.log", "--partition=gpu", "--account=leat", "--qos=long", "--dependency=afterok:9_0", "--time=2",
		"--nodes=2", "--ntasks-per-node=4", "--cpus-per-task=2", "--gpus-per-node=4", "--mem=32769M", "--nice",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
	s.GRES, b.Ask = "gpu:a100", cluster.Ask{GPUs: 1}
	if got := strings.Join(s.options(b), " "); !strings.Contains(got, "--gres=gpu:a100:1") || strings.Contains(got, "--gpus") || strings.Contains(got, "--nodes") || strings.Contains(got, "--time") {
		t.Error(got)
	}
}

// A submission that Slurm may take later is tried again; another one is the step's error, in
// Slurm's words.
func TestClassify(t *testing.T) {
	for text, busy := range map[string]bool{
		"sbatch: error: Batch job submission failed: Socket timed out on send/recv operation": true,
		"sbatch: error: QOSMaxSubmitJobPerUserLimit":                                          true,
		"Unable to contact slurm controller (connect failure)":                                true,
		"sbatch: error: invalid partition specified: nosuch":                                  false,
	} {
		if err := classify(errors.New(text)); errors.Is(err, cluster.ErrBusy) != busy || !strings.Contains(err.Error(), text) {
			t.Errorf("%v", err)
		}
	}
}

// fake puts commands on the PATH that print what Slurm's would.
func fake(t *testing.T, scripts map[string]string) *Scheduler {
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return New(Scheduler{})
}

// Slurm forgets a job some minutes after its end; then accounting says how it ended, where
// there is any.
func TestForgotten(t *testing.T) {
	s := fake(t, map[string]string{"scontrol": "echo 'Invalid job id specified' >&2; exit 1", "sacct": "echo 'CANCELLED by 1000|0:15'"})
	if e := s.Explain(context.Background(), "7_1", cluster.Status{}); e.Lost || !strings.Contains(e.Err.Error(), "was cancelled") {
		t.Errorf("%+v", e)
	}
	s = fake(t, map[string]string{"scontrol": "exit 1", "sacct": "exit 1"})
	for state, lost := range map[cluster.State]bool{cluster.Unknown: true, cluster.Running: true, cluster.Pending: false} {
		if e := s.Explain(context.Background(), "7_1", cluster.Status{State: state, Code: "x"}); e.Lost != lost || lost == strings.Contains(e.Err.Error(), "cancelled") {
			t.Errorf("last seen as %v: %+v", state, e)
		}
	}
}

// A job that was put back into the queue since squeue was asked, or that squeue does not show, has
// not ended.
func TestNotEnded(t *testing.T) {
	for state, alive := range map[string]bool{"RUNNING": true, "PENDING": true, "REQUEUED": true, "COMPLETED": false, "NODE_FAIL": false, "PREEMPTED": false} {
		s := fake(t, map[string]string{"scontrol": "echo 'JobId=8 ArrayJobId=7 ArrayTaskId=1 JobState=" + state + " Reason=None ExitCode=0:0'"})
		if e := s.Explain(context.Background(), "7_1", cluster.Status{}); (e.Err == nil) != alive {
			t.Errorf("%s: %+v", state, e)
		}
	}
}

// Of an array that was cancelled while it waited Slurm says that, and nothing of its elements.
func TestCancelledWhole(t *testing.T) {
	got := parse("7|CANCELLED||Resources\n7_2|COMPLETED|n1|None\n17_1|RUNNING|n1|None\n", map[string]bool{"7_1": true, "7_2": true, "8_1": true})
	if len(got) != 2 || got["7_1"].Code != "CANCELLED" || got["7_1"].State != cluster.Ended || got["7_2"].Code != "COMPLETED" {
		t.Errorf("%+v", got)
	}
}

// The signal before a short limit leaves most of the time for work.
func TestNotice(t *testing.T) {
	for limit, want := range map[time.Duration]string{0: "@120", time.Minute: "@15", time.Hour: "@120"} {
		if got := strings.Join(New(Scheduler{}).options(&cluster.Batch{Ask: cluster.Ask{Time: limit}}), " "); !strings.Contains(got, want+" ") && !strings.HasSuffix(got, want) {
			t.Errorf("%v: %s", limit, got)
		}
	}
}

// A site's partition is one that Slurm has, or several by commas.
func TestPartitions(t *testing.T) {
	s := fake(t, map[string]string{"sbatch": "", "sinfo": `if test "$1" = --version; then echo slurm 22.05.8; else printf 'cpu*\ngpu\n'; fi`})
	for partition, want := range map[string]string{"": "", "cpu": "", "gpu,cpu": "", "gpu,big": `no partition "big", but cpu, gpu`} {
		s.Partition = partition
		version, err := s.Check(context.Background(), cluster.Ask{})
		if want == "" && (err != nil || version != "slurm 22.05.8") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %q, %v", partition, version, err)
		}
	}
}

// sbatch's answer is a job's number, perhaps with the cluster's name behind it.
func TestSubmit(t *testing.T) {
	lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	b := &cluster.Batch{Size: 2, Locked: lock}
	s := fake(t, map[string]string{"sbatch": "echo '12;green'"})
	if ids, err := s.Submit(context.Background(), b); err != nil || !slices.Equal(ids, []string{"12_0", "12_1"}) {
		t.Errorf("%q, %v", ids, err)
	}
	s = fake(t, map[string]string{"sbatch": "echo Submitted"})
	if _, err := s.Submit(context.Background(), b); err == nil || !strings.Contains(err.Error(), "Submitted") {
		t.Error(err)
	}
}

// What squeue prints, whatever it is, is taken or passed over.
func FuzzStatus(f *testing.F) {
	f.Add("7_1|RUNNING|n1|None")
	f.Add("7_1|PENDING||launch failed requeued held")
	f.Add("7_1|")
	f.Fuzz(func(t *testing.T, line string) {
		for id, s := range parse(line, map[string]bool{"7_1": true}) {
			if id != "7_1" || s.State == cluster.Unknown {
				t.Errorf("%q: %+v", id, s)
			}
		}
	})
}
