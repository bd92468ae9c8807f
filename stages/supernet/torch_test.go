package supernet

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"eyrie/nas/backend"
	"eyrie/nas/nn"
	"eyrie/nas/torch"
	"eyrie/nas/torch/torchtest"
	"eyrie/nas/train"
	"eyrie/pipeline"
)

// inTorch is a configuration that trains with PyTorch in two ranks.
func inTorch(t testing.TB) Config {
	c := small(t)
	c.Choice = backend.Choice{Backend: backend.Torch, Arithmetic: nn.Auto, Torch: &torch.Options{Ranks: 2, Python: torchtest.Python(t)}}
	c.CheckpointEvery = 0
	return c
}

// processes returns the processes whose command line names a directory, by their numbers,
// and those of them that are ranks.
func processes(t testing.TB, dir string) (all, ranks []int) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(found) == 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("no /proc, in which the ranks are seen")
		}
		t.Skip("no /proc, in which the ranks are seen")
	}
	for _, path := range found {
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte(dir+"/")) {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		all = append(all, pid)
		if bytes.Contains(b, []byte("/torch/worker\x00")) {
			ranks = append(ranks, pid)
		}
	}
	return all, ranks
}

// gone waits until no process names the directory.
func gone(t testing.TB, dir string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all, _ := processes(t, dir)
		if len(all) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes %v are left", all)
		}
	}
}

// A rank that is killed ends the training with an error that says so, one that is told to
// stop ends it with a checkpoint. Nothing of the ranks is left, and what goes on from there
// ends with the bits of a training that was left alone.
func TestRankEnds(t *testing.T) {
	c := inTorch(t)
	want := mustTrain(t, c)
	for name, end := range map[string]struct {
		signal syscall.Signal
		rank   int
		says   []string
	}{
		"killed, 0":       {syscall.SIGKILL, 0, []string{"rank 0 was ended by a signal: killed", "run again"}},
		"killed, 1":       {syscall.SIGKILL, 1, []string{"rank 1 was ended by a signal: killed", "run again"}},
		"told to stop, 0": {syscall.SIGTERM, 0, []string{"told to stop", "which is saved: run again"}},
		"told to stop, 1": {syscall.SIGTERM, 1, []string{"told to stop", "which is saved: run again"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := pipeline.Env{Work: t.TempDir(), Checkpoint: t.TempDir(), Grace: 10 * time.Second}
			steps := 0
			env.Progress = func(pipeline.Progress) {
				if steps++; steps != 7 {
					return
				}
				_, ranks := processes(t, env.Work)
				if len(ranks) != 2 {
					t.Errorf("ranks %v run, want two", ranks)
					return
				}
				for _, pid := range ranks {
					b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
					if strings.Contains("\x00"+string(b), "\x00RANK="+strconv.Itoa(end.rank)+"\x00") {
						_ = syscall.Kill(pid, end.signal)
					}
				}
			}
			_, err := run(t.Context(), pipeline.NewTask(env), c)
			if err == nil {
				t.Fatal("the training went on")
			}
			for _, want := range end.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if stopped := errors.Is(err, train.ErrStopped); stopped != (end.signal == syscall.SIGTERM) {
				t.Errorf("stopped: %v", stopped)
			}
			gone(t, env.Work)
			env.Progress = nil
			got, err := run(t.Context(), pipeline.NewTask(env), c)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := mustDigest(t, got), mustDigest(t, want); a != b {
				t.Errorf("went on to %s, left alone: %s", a, b)
			}
		})
	}
}

// Both backends learn, from the same images, by the same steps.
func TestBackendsAgree(t *testing.T) {
	c := inTorch(t)
	c.Torch.Ranks, c.Epochs, c.CheckpointEvery = 1, 3, 1e9
	there := mustTrain(t, c)
	c.Choice = backend.Choice{Arithmetic: nn.Auto}
	here := mustTrain(t, c)
	if d := there.Top1Largest - here.Top1Largest; d < -0.1 || d > 0.1 {
		t.Errorf("top-1 %.3f with PyTorch, %.3f with Go", there.Top1Largest, here.Top1Largest)
	}
	if there.Torch == nil || there.Torch.Torch == "" || there.Torch.Idle == nil || here.Torch != nil {
		t.Errorf("what computed: %+v and %+v", there.Torch, here.Torch)
	}
}
