package supernet

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/nas/data"
	"eyrie/nas/train/traintest"
	"eyrie/pipeline"
)

// child is what a training process gets to do.
type child struct {
	Config     Config
	Data       string // directory with train.index …
	Work       string
	Checkpoint string
	Digest     string // the file that receives the digest of the outputs
}

const childEnv = "EYRIE_TEST_TRAINING"

// TestMain is also the main function of the processes that
// TestKilledTraining kills.
func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := trainChild(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func trainChild(spec string) error {
	b, err := os.ReadFile(spec)
	if err != nil {
		return err
	}
	var c child
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	for name, part := range map[string]*data.Part{"train": &c.Config.Dataset.Train, "test": &c.Config.Dataset.Test} {
		part.Index = artifacts.Local(filepath.Join(c.Data, name+".index"))
		part.Data = artifacts.Local(filepath.Join(c.Data, name+".data"))
	}
	if err := os.MkdirAll(c.Work, 0o777); err != nil {
		return err
	}
	out, err := run(context.Background(), pipeline.NewTask(pipeline.Env{Work: c.Work, Checkpoint: c.Checkpoint}), c.Config)
	if err != nil {
		return err
	}
	d, err := digest(out)
	if err != nil {
		return err
	}
	return os.WriteFile(c.Digest, []byte(d.String()), 0o666)
}

// A training process that is killed (SIGKILL) at random moments, mostly while
// it trains or writes a checkpoint, ends with the outputs of one that is left alone.
func TestKilledTraining(t *testing.T) {
	c := small(t)
	c.Epochs, c.Arithmetic, c.CheckpointEvery, c.Space.Depths = 12, "auto", 0, []int{1}
	killed(t, c, 24, func(string) {})
}

// So does one that PyTorch does in two ranks. Nothing of these outlives it.
func TestKilledTorch(t *testing.T) {
	c := inTorch(t)
	killed(t, c, 4, func(work string) { gone(t, work) })
}

// killed kills a training again and again, and calls after with its work directory each time.
func killed(t *testing.T, c Config, kills int, after func(work string)) {
	dir := filepath.Dir(c.Dataset.Train.Index.Path)
	run := func(name string) (cmd *exec.Cmd, work string) {
		spec := child{Config: c, Data: dir, Work: filepath.Join(t.TempDir(), "work"), Checkpoint: filepath.Join(dir, name), Digest: filepath.Join(dir, name+".digest")}
		if err := os.MkdirAll(spec.Checkpoint, 0o777); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "spec")
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		cmd = exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path)
		cmd.Stderr = os.Stderr
		return cmd, spec.Work
	}
	complete := func(name string) {
		cmd, _ := run(name)
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	result := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name+".digest"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	complete("alone")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	latest := func() string {
		list, _ := filepath.Glob(filepath.Join(dir, "killed", "*"+traintest.CheckpointSuffix))
		if len(list) == 0 {
			return ""
		}
		return slices.Max(list)
	}
	done := 0
	for ; done < kills; done++ {
		cmd, work := run("killed")
		before := latest()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for latest() == before && len(ended) == 0 { // until it got on
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rng.IntN(15000)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			break // it had ended
		}
		<-ended
		after(work)
	}
	if done < kills*5/6 {
		t.Fatalf("the training ended after %d kills: it is too short for this test", done)
	}
	complete("killed")
	if a, b := result("killed"), result("alone"); a != b {
		t.Errorf("killed %d times: %s, left alone: %s", done, a, b)
	}
}
