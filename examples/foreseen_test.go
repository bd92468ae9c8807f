package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// behindTraining is a search behind a supernet that is not trained, of images that are
// not drawn.
const behindTraining = `variable "holdout" {
  type    = number
  default = 200
}
variable "limit" {
  type    = string
  default = "1ms"
}
variable "classes" {
  type    = number
  default = 12
}
stage "dataset" "images" {
  source = "shapes"
}
stage "train-supernet" "supernet" {
  dataset = stage.images.dataset
  space = {
    backbone = {
      input   = stage.images.dataset.channels
      stem    = { channels = 8, kernel = 3, stride = 2 }
      groups  = [{ t = 1, c = 8, n = 1, s = 1 }, { t = 6, c = 8, n = 2, s = 2 }, { t = 6, c = 16, n = 2, s = 1 }]
      head    = 32
      classes = var.classes
    }
    widths      = [1, 1, 1, 1, 1]
    resolutions = [12, 16]
    expansions  = [3, 6]
    depths      = [1, 2]
    kernels     = [3, 5]
  }
  holdout = 100
}
stage "evolve" "found" {
  supernet = stage.supernet.weights
  dataset  = stage.images.dataset
  platform = { preset = "tinyraptor" }
  limit    = { latency = var.limit }
  holdout  = var.holdout
}
`

// What follows from a training's attributes is known before it has run: what stands behind
// it is checked by plan, and nothing runs.
func TestForeseenMistakes(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/runner").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir := t.TempDir()
	recipe := filepath.Join(dir, "search.hcl")
	if err := os.WriteFile(recipe, []byte(behindTraining), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ vars, want string }{
		{"", "step found: holdout: the supernet is trained on all but 100 images, not all but 200: write the holdout of train-supernet"},
		{"holdout=100 limit=1us", "step found: limit.latency: no subnet is as fast as 0.001 ms on tinyraptor; the least latency is 0.0833117 ms"},
		{"holdout=100 classes=11", "step supernet: space.backbone.classes: 11, but the data set has 12 classes"},
		{"holdout=100", ""},
	} {
		args := []string{"plan", recipe}
		for _, v := range strings.Fields(test.vars) {
			args = append(args, "--var", v)
		}
		out, err := exec.Command(bin, args...).CombinedOutput()
		if test.want != "" && (err == nil || !strings.Contains(string(out), test.want)) || test.want == "" && (err != nil || !strings.Contains(string(out), "known after images, supernet")) {
			t.Errorf("%s: %v\n%s", test.vars, err, out)
		}
	}
	// Nothing but mistakes follows from what is foreseen: no step runs earlier, no output is known.
	const tricky = `
stage "table" "t" {
  rows    = [{ a = can(stage.images.dataset.class_names[12]) ? "13" : "12", b = try(stage.supernet.space.kernels[5], "none") }]
  columns = [{ key = "a" }, { key = "b" }]
}
output "n" { value = can(stage.images.dataset.class_names[12]) }
`
	if err := os.WriteFile(recipe, []byte(behindTraining+tricky), 0o666); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "plan", recipe, "--var", "holdout=100").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "? t         table           known after") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, ".eyrie")); err == nil {
		t.Error("a plan made a store")
	}
}
