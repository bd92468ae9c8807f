package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"eyrie/pipeline"
	"eyrie/stages"
)

// large has a step of each stage that would take minutes or longer.
const large = `
locals {
  backbone = {
    input  = 3
    stem   = { channels = 8, kernel = 3, stride = 2 }
    groups = [{ t = 1, c = 8, n = 1, s = 1 }, { t = 3, c = 8, n = 2, s = 2 }]
    head    = 16
    classes = 12
  }
  deep = merge(local.backbone, { groups = [for i in range(60) : { t = 6, c = 16, n = 16, s = 1 }] })
  wide = merge(local.backbone, { groups = [for i in range(8) : { t = 6, c = 16, n = 2, s = 1 }] })
  tiny = { preset = "tinyraptor", memory = "12KiB" }
  rows = [for i in range(30000) : { a = i, b = i % 997 }]
}

stage "dataset" "small" {
  source = "shapes"
  size   = 16
  train  = 12000
  test   = 100
}

stage "train-supernet" "trained" {
  dataset = stage.small.dataset
  space   = local.space
  holdout = 10000
  epochs  = 0.5
}

locals {
  space = { backbone = local.backbone, widths = [1, 1, 1, 1], resolutions = [16, 32, 48], expansions = [2, 3, 4], depths = [1, 2], kernels = [3, 5, 7] }
}

stage "dataset" "dataset" {
  source = "shapes"
  size   = 256
  train  = 1000000
}

stage "analyze-memory" "analyze-memory" {
  platform = local.tiny
  network  = { backbone = local.deep, width = 1, resolution = 64 }
}

stage "calibrate" "calibrate" {
  platform     = local.tiny
  measurements = "many.csv"
  starts       = 1000
}

stage "progressive-grid" "progressive-grid" {
  platform    = local.tiny
  backbone    = local.wide
  resolutions = [64]
  min         = 0.1
  max         = 2
  step        = 0.2
}

stage "train-supernet" "train-supernet" {
  dataset = stage.small.dataset
  space   = local.space
  epochs  = 1000000
}

stage "train-network" "train-network" {
  dataset = stage.small.dataset
  network = { width = 0.35, resolution = 32 }
  epochs  = 1000000
}

stage "train-predictor" "train-predictor" {
  supernet = stage.trained.weights
  dataset  = stage.small.dataset
  holdout  = 10000
  samples  = 160
}

stage "evolve" "evolve" {
  platform   = { preset = "tinyraptor" }
  space      = { backbone = local.wide, widths = [for i in range(10) : 1], resolutions = [64, 96, 128], expansions = [2, 3, 4, 6], depths = [1, 2, 3, 4], kernels = [3, 5, 7] }
  limit      = { latency = "1s" }
  iterations = 40000
}

stage "deploy-estimate" "deploy-estimate" {
  platform  = local.tiny
  plausible = [for i in range(20000) : merge(local.tiny, { clock = 100000000 + i })]
  network   = { backbone = local.deep, width = 1, resolution = 64 }
}

stage "exec" "exec" {
  shell = "while :; do sleep 0.01; done"
  declare {
    output "never" {
      type = file
      path = "never"
    }
  }
}

stage "table" "table" {
  rows    = local.rows
  columns = [{ key = "a" }, { key = "b" }]
}

stage "plot" "plot" {
  series = [{ rows = local.rows, x = "a", y = "b", mark = "line" }]
}

stage "table" "html" {
  rows    = slice(local.rows, 0, 10000)
  columns = [{ key = "a" }, { key = "b" }]
}

stage "report" "report" {
  title    = "Large"
  sections = [for i in range(60) : { title = "Section ${i}", tables = [stage.html.html] }]
}
`

// Every stage stops soon after it is told to, at whatever moment that is, by itself: the
// grace after which it would be given up is beyond the test's end.
func TestStagesStop(t *testing.T) {
	dir := t.TempDir()
	var csv strings.Builder
	csv.WriteString("network,width,resolution,mu,latency\n")
	for i := range 400 {
		fmt.Fprintf(&csv, "MobileNetV2,%.3f,%d,0.%d,0.0%d\n", 0.3+float64(i%40)*0.01, 96+32*(i/100), 10+i%80, 100+i)
	}
	for name, text := range map[string]string{"large.hcl": large, "many.csv": csv.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command("eyrie", args...)
		cmd.Dir = dir
		return cmd
	}
	if out, err := command("run", "large.hcl", "--target", "trained", "--target", "html").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, stage := range stages.All {
		t.Run(stage.Name, func(t *testing.T) {
			stopped(t, command("run", "large.hcl", "--target", stage.Name, "--rerun", stage.Name, "--json", "--grace", "1h"), stage.Name)
		})
	}
}

// quick are stages that may be done before they are told to stop, however large their
// input: they go over it once or twice.
var quick = map[string]bool{"analyze-memory": true, "deploy-estimate": true, "table": true, "plot": true, "report": true}

// stopped runs the command, interrupts it a random while after the step began, and fails
// if that does not end it soon.
func stopped(t *testing.T, cmd *exec.Cmd, step string) {
	t.Helper()
	var notices bytes.Buffer
	cmd.Stderr = &notices
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var told time.Time
	var ended pipeline.Event
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var e pipeline.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		switch {
		case e.Step == step && e.Type == pipeline.StepStarted:
			longest := 1000 // ms
			if quick[step] {
				longest = 30
			}
			time.Sleep(time.Duration(rand.IntN(longest)) * time.Millisecond)
			told = time.Now()
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		case e.Step == step && (e.Type == pipeline.StepStopped || e.Type == pipeline.StepDone || e.Type == pipeline.StepFailed):
			ended = e
		}
	}
	cmd.Wait()
	if told.IsZero() {
		t.Fatalf("the step never began: %s", &notices)
	}
	took := time.Since(told)
	done := ended.Type == pipeline.StepDone && quick[step]
	if code := cmd.ProcessState.ExitCode(); !done && (ended.Type != pipeline.StepStopped || code != 130) {
		t.Errorf("ended by %s (%s), exit code %d; the recipe must keep it busy\n%s", ended.Type, ended.Error, code, &notices)
	}
	const soon = 5 * time.Second // on a busy machine, too; most stop within 50 ms
	t.Logf("stopped after %v", took)
	if took > soon {
		t.Errorf("stopped only %v after it was told", took)
	}
}
