package examples_test

import (
	"bufio"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"eyrie/nas/data"
	"eyrie/nas/torch/torchtest"
)

// jpegs returns a directory with JPEGs of shapes in ImageNet's layout, train/CLASS/*.JPEG and
// val/CLASS/*.JPEG: train and val images for each class.
func jpegs(t *testing.T, train, val int) string {
	t.Helper()
	dir := t.TempDir()
	g := data.Shapes{Seed: 1, Size: 80, Noise: 0.1}
	classes := data.ShapeClasses()
	pixels := make([]byte, g.Size*g.Size*3)
	for part, n := range map[string]int{"train": train, "val": val} {
		first := 0
		if part == "val" {
			first = 1 << 20
		}
		for i := range n * len(classes) {
			label := g.Render(first+i, pixels)
			img := image.NewRGBA(image.Rect(0, 0, g.Size, g.Size))
			for p := range g.Size * g.Size {
				copy(img.Pix[4*p:], pixels[3*p:3*p+3])
				img.Pix[4*p+3] = 255
			}
			path := filepath.Join(dir, part, strings.ReplaceAll(classes[label], " ", "-"), fmt.Sprintf("%d.JPEG", i))
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := jpeg.Encode(f, img, nil); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	return dir
}

// The paper's experiment plans at its own scale. At a small one, on two processes and JPEGs, it
// runs from images to figure 2, also when it is killed while it trains and while it fine-tunes.
func TestImageNet(t *testing.T) {
	python := torchtest.Python(t)
	bin := filepath.Join(t.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", bin, "../cmd/runner").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := runner(t)
	args := []string{
		"imagenet.hcl", "--store", t.TempDir(), "--var", "data=" + jpegs(t, 24, 6), "--var", "python=" + python,
		"--var", "device=cpu", "--var", "precision=float32", "--var", "classes=12",
	}
	text := run(append([]string{"plan"}, args...)...)
	for _, step := range []string{"supernet", `found["90ms"]`, `tuned["30ms"]`, `deployed["30ms"]`, "figure2"} {
		if !strings.Contains(text, step) {
			t.Errorf("the plan lacks %s:\n%s", step, text)
		}
	}
	args = append(args, "--var", "ranks=2", "--var", "epochs=1", "--var", "tuning=0.5", "--var", "batch=16", "--var", "resolutions=[48, 64]",
		"--var", "limits=[8, 12]", "--var", "iterations=5", "--var", "calibration=48", "--var", "checkpoint=0")
	for _, during := range []string{"supernet", "tuned["} {
		said, killed := killedDuring(t, bin, args, during)
		if !killed {
			t.Fatalf("was not killed during %s:\n%s", during, said)
		}
	}
	out, err := exec.Command(bin, append([]string{"run"}, args...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "resuming from step") {
		t.Fatalf("did not go on where it was killed: %v\n%s", err, out)
	}
	text = string(out)
	for _, want := range []string{"ours, under 8ms", "RaptorNet, 87 ms, the paper's", "measured", "published"} {
		if !strings.Contains(text, want) {
			t.Errorf("the output does not say %q:\n%s", want, text)
		}
	}
	figure, err := os.ReadFile(strings.TrimSpace(run(append([]string{"output", args[0], "figure2"}, args[1:]...)...)))
	if err != nil || !strings.Contains(string(figure), "ours, fine-tuned") {
		t.Errorf("figure 2: %v, %d bytes", err, len(figure))
	}
	if text := run(append([]string{"run"}, args...)...); !strings.Contains(text, "nothing to do") && !strings.Contains(text, " cached") {
		t.Errorf("the second run is not cached:\n%s", text)
	}
}

// killedDuring runs a recipe until a step trains and has a checkpoint, and kills the runner.
func killedDuring(t *testing.T, bin string, args []string, step string) (said string, killed bool) {
	t.Helper()
	store := args[slices.Index(args, "--store")+1]
	cmd := exec.Command(bin, append([]string{"run", "-j", "1"}, args...)...)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if killed || !strings.Contains(lines.Text(), step) || !strings.Contains(lines.Text(), "steps of") {
			continue
		}
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if found, _ := filepath.Glob(filepath.Join(store, "checkpoints", "*", "*", "*.checkpoint")); len(found) > 0 {
				killed = cmd.Process.Kill() == nil
				break
			}
		}
	}
	return all.String(), cmd.Wait() != nil && killed
}

// A found network by shared weights, fine-tuned and trained alone, each of them also for int8:
// one table, here of trainings too short to be good.
func TestFinetune(t *testing.T) {
	run := runner(t)
	text := run("run", "finetune.hcl", "--store", t.TempDir(), "--var", "data="+fashionMNIST(t), "--var", "python="+torchtest.Python(t),
		"--var", "seeds=1", "--var", "epochs={supernet = 0.1, tuned = 0.05, last = 0.02}", "--var", "images=200")
	for _, want := range []string{"shared weights ", "fine-tuned + 0.02 epochs, int8-aware", "trained alone + 0.02 epochs ", "measured"} {
		if !strings.Contains(text, want) {
			t.Errorf("the output does not say %q:\n%s", want, text)
		}
	}
}
