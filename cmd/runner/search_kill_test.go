package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/pipeline"
)

// searches is a recipe with a search for each objective, on var.cpus threads. Its
// supernet is as small as one can be.
const searches = `
variable "cpus" {
  type    = number
  default = 2
}

stage "dataset" "shapes" {
  source = "shapes"
  size   = 16
  train  = 2200
  test   = 100
}

stage "train-supernet" "supernet" {
  dataset = stage.shapes.dataset
  space = {
    backbone = {
      input   = 3
      stem    = { channels = 8, kernel = 3, stride = 2 }
      groups  = [{ t = 1, c = 8, n = 1, s = 1 }, { t = 6, c = 8, n = 2, s = 2 }, { t = 6, c = 16, n = 2, s = 1 }]
      head    = 32
      classes = 12
    }
    widths      = [1, 1, 1, 1, 1]
    resolutions = [12, 16]
    expansions  = [3, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  epochs  = 0.2
  batch   = 20
  holdout = 200
}

stage "train-predictor" "predictor" {
  supernet    = stage.supernet.weights
  dataset     = stage.shapes.dataset
  holdout     = 200
  samples     = 60
  calibration = 100
  resources   = { cpus = var.cpus }
}

stage "evolve" "accuracy" {
  objective   = "accuracy"
  supernet    = stage.supernet.weights
  dataset     = stage.shapes.dataset
  holdout     = 200
  calibration = 100
  platform    = { preset = "tinyraptor" }
  population  = 20
  iterations  = 9
  measure     = 5
  resources   = { cpus = var.cpus }
}

stage "evolve" "predicted" {
  objective   = "predicted"
  predictor   = stage.predictor.predictor
  supernet    = stage.supernet.weights
  dataset     = stage.shapes.dataset
  holdout     = 200
  calibration = 1600
  platform    = { preset = "tinyraptor" }
  population  = 20
  iterations  = 9
  measure     = 100
  resources   = { cpus = var.cpus }
}

stage "evolve" "macs" {
  platform = { preset = "tinyraptor" }
  space = {
    backbone = {
      input = 3
      stem   = { channels = 32, kernel = 3, stride = 2 }
      groups = [
        { t = 1, c = 16, n = 1, s = 1 }, { t = 6, c = 24, n = 2, s = 2 }, { t = 6, c = 32, n = 3, s = 2 }, { t = 6, c = 64, n = 4, s = 2 },
        { t = 6, c = 96, n = 3, s = 1 }, { t = 6, c = 160, n = 3, s = 2 }, { t = 6, c = 320, n = 1, s = 1 },
      ]
      head    = 1280
      classes = 1000
    }
    widths      = [0.3, 0.3, 0.3, 0.3, 1.5, 1, 0.9, 0.6, 0.6]
    resolutions = [128, 160, 192, 224]
    expansions  = [3, 4, 6]
    depths      = [2, 3, 4]
    kernels     = [3, 5]
  }
  limit      = { latency = "70ms" }
  iterations = 800
  resources  = { cpus = var.cpus }
}

output "predictor" { value = stage.predictor }
output "accuracy"  { value = stage.accuracy }
output "predicted" { value = stage.predicted }
output "macs"      { value = stage.macs }
`

// searcher runs the recipe searches with a store of its own.
type searcher struct {
	t             *testing.T
	recipe, store string
}

func newSearcher(t *testing.T) searcher {
	dir := t.TempDir()
	s := searcher{t, filepath.Join(dir, "searches.hcl"), filepath.Join(dir, "store")}
	if err := os.WriteFile(s.recipe, []byte(searches), 0o666); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s searcher) command(verb string, args ...string) *exec.Cmd {
	return exec.Command("eyrie", append([]string{verb, s.recipe, "--store", s.store}, args...)...)
}

// must runs the command and returns what it printed, other than notices.
func (s searcher) must(verb string, args ...string) string {
	s.t.Helper()
	cmd := s.command(verb, args...)
	var notices bytes.Buffer
	cmd.Stderr = &notices
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s%s", verb, args, err, out, notices.Bytes())
	}
	return string(out)
}

// killed starts the search and kills it (SIGKILL) a while after the step's first
// event of a type. It returns what the step said, and whether the kill came
// before the step had ended.
func (s searcher) killed(step string, from pipeline.EventType, after time.Duration) (said []pipeline.Event, early bool) {
	s.t.Helper()
	cmd := s.command("run", "--json", "--target", step)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	early = true
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var e pipeline.Event
		if err := json.Unmarshal(line, &e); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		if e.Step != step {
			continue
		}
		said = append(said, e)
		if e.Type == from {
			time.AfterFunc(after, func() { cmd.Process.Kill() })
			from = ""
		}
		switch e.Type {
		case pipeline.StepDone, pipeline.StepCached:
			early = false
		}
	}
	io.Copy(io.Discard, out)
	cmd.Wait()
	return said, early
}

// forget removes the checkpoint that a step leaves which was killed between its result
// and the end.
func (s searcher) forget() {
	if err := os.RemoveAll(filepath.Join(s.store, "checkpoints")); err != nil {
		s.t.Fatal(err)
	}
}

// kept returns the whole lines of what an interrupted search has measured.
func (s searcher) kept() []byte {
	s.t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.store, "checkpoints", "*", "*", "measured.jsonl"))
	if err != nil || len(logs) > 1 {
		s.t.Fatalf("checkpoints %v, %v", logs, err)
	}
	if len(logs) == 0 {
		return nil
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return b[:bytes.LastIndexByte(b, '\n')+1]
}

// output returns what a step yields, as JSON, which says nothing of the store.
func (s searcher) output(step string) string {
	s.t.Helper()
	return strings.ReplaceAll(s.must("output", step), s.store, "store")
}

// Searches are killed at random moments. Each that measures goes on with all that
// was measured before, and says so. The outputs are those of searches that were left
// alone, on another number of threads.
func TestKilledSearches(t *testing.T) {
	const kills, most = 6, 30 // most: until one came late enough, however busy the machine is
	alone, killed := newSearcher(t), newSearcher(t)
	alone.must("run", "--var", "cpus=1")
	killed.must("run", "--target", "supernet")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for _, step := range []string{"predictor", "accuracy", "predicted", "macs"} {
		resumed := 0
		killed.forget()
		for i, early := 0, true; early; i++ {
			from := []pipeline.EventType{pipeline.StepStarted, pipeline.StepProgress}[i%2]
			after := time.Duration(rng.IntN(20+20*i)) * time.Millisecond // the first ones well before the end
			last := i == most || i >= kills && (resumed > 0 || step == "macs")
			if last {
				after = time.Hour
			}
			before := killed.kept()
			var said []pipeline.Event
			said, early = killed.killed(step, from, after)
			if last && early {
				t.Fatalf("%s failed: %+v", step, said)
			}
			if len(before) == 0 || len(said) == 0 || said[0].Type != pipeline.StepStarted {
				continue
			}
			if after := killed.kept(); early && !bytes.HasPrefix(after, before) && killed.command("output", step).Run() != nil {
				t.Fatalf("%s: %d measurements are left of %d", step, bytes.Count(after, []byte("\n")), bytes.Count(before, []byte("\n")))
			}
			want := fmt.Sprintf("going on with the %d measurements", bytes.Count(before, []byte("\n")))
			goesOn := len(said) > 1 && strings.Contains(string(said[1].Log), want)
			if !said[0].Resumed || !goesOn && !early {
				t.Errorf("%s: the run does not say that it is %s: %+v", step, want, said)
			}
			if goesOn {
				resumed++
			}
		}
		t.Logf("%s went on from a checkpoint %d times", step, resumed)
		if step != "macs" && resumed == 0 { // tables are searched faster than a checkpoint is read
			t.Errorf("%s never went on from a checkpoint", step)
		}
		if got, want := killed.output(step), alone.output(step); got != want {
			t.Errorf("%s: killed:\n%s\nleft alone:\n%s", step, got, want)
		}
	}
}

// Searches on one, two and five threads find the same.
func TestSearchesOnAnyThreads(t *testing.T) {
	s := newSearcher(t)
	s.must("run", "--var", "cpus=1")
	steps := []string{"predictor", "accuracy", "predicted", "macs"}
	want := make([]string, len(steps))
	for i, step := range steps {
		want[i] = s.output(step)
	}
	for _, cpus := range []string{"cpus=2", "cpus=5"} {
		args := []string{"--var", cpus, "--resource", cpus}
		for _, step := range steps {
			args = append(args, "--rerun", step)
		}
		s.must("run", args...)
		for i, step := range steps {
			if got := s.output(step); got != want[i] {
				t.Errorf("%s with %s:\n%s\nwith one:\n%s", step, cpus, got, want[i])
			}
		}
	}
}
