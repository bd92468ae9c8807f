package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/pipeline/cluster/slurm/slurmtest"
)

// onSlurm is one test on a cluster: a recipe, beside a site file that sends its steps there.
type onSlurm struct {
	*testing.T
	cluster *slurmtest.Cluster
	bin     string // the runner
	dir     string
}

// TestSlurm runs recipes on a real Slurm of four nodes.
func TestSlurm(t *testing.T) {
	cluster := slurmtest.Start(t, 4)
	bin := filepath.Join(t.TempDir(), "runner")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct {
		name string
		test func(*onSlurm)
	}{
		{"two hundred steps are one array", manySteps},
		{"stages give the results that they give here", realStages},
		{"a runner that was killed submits nothing again", killedRunner},
		{"a training goes on elsewhere when its node is lost", lostNode},
		{"ranks on two nodes train as two here", twoNodes},
		{"near its time limit a job goes back into the queue", timeLimit},
		{"an interrupted run cancels its jobs", cancelled},
		{"jobs that are being submitted when the run is interrupted are cancelled", cancelledEarly},
		{"a run whose jobs another run cancels hands them in again", cancelledByAnother},
		{"nodes that cannot perform jobs fail one", noNode},
		{"what Slurm would refuse is told before anything runs", refused},
	} {
		t.Run(strings.ReplaceAll(test.name, " ", "-"), func(t *testing.T) {
			o := &onSlurm{T: t, cluster: cluster, bin: bin, dir: t.TempDir()}
			o.write("site.hcl", `executor "slurm" "cluster" { time = "20 min" }`)
			test.test(o)
		})
	}
}

func (o *onSlurm) write(name, text string) {
	o.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o666); err != nil {
		o.Fatal(err)
	}
}

// command is the runner's, in the test's directory.
func (o *onSlurm) command(args ...string) *exec.Cmd {
	cmd := exec.Command(o.bin, args...)
	cmd.Dir = o.dir
	return cmd
}

// run runs the recipe r.hcl to its end, and returns what that printed.
func (o *onSlurm) run(flags ...string) string {
	o.Helper()
	out, err := o.command(append([]string{"run", "r.hcl", "-v"}, flags...)...).CombinedOutput()
	if err != nil {
		o.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// start starts a run whose output can be read at any time.
func (o *onSlurm) start(flags ...string) (*exec.Cmd, func() string) {
	o.Helper()
	cmd := o.command(append([]string{"run", "r.hcl", "-v"}, flags...)...)
	log, err := os.Create(filepath.Join(o.TempDir(), "log"))
	if err != nil {
		o.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		o.Fatal(err)
	}
	return cmd, func() string {
		b, _ := os.ReadFile(log.Name())
		return string(b)
	}
}

// await waits until something holds.
func (o *onSlurm) await(what string, holds func() bool) {
	o.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			o.Fatalf("waited too long until %s\n%s", what, o.cluster.Run("squeue", "-r", "-t", "all"))
		}
	}
}

// queue returns the jobs that are not over: "ID STATE NODE" each.
func (o *onSlurm) queue() []string {
	return strings.FieldsFunc(o.cluster.Run("squeue", "-h", "-r", "-o", "%i %T %N"), func(r rune) bool { return r == '\n' })
}

// release lets a job that was put back into the queue start at once: Slurm has it wait for two minutes.
func (o *onSlurm) release() {
	o.await("the job is back in the queue", func() bool {
		for _, job := range o.queue() {
			id, rest, _ := strings.Cut(job, " ")
			if strings.HasPrefix(rest, "PENDING") {
				o.cluster.Run("scontrol", "update", "JobId="+id, "StartTime=now")
				return true
			}
		}
		return false
	})
}

// lines returns how many lines a file has.
func (o *onSlurm) lines(name string) int {
	b, _ := os.ReadFile(filepath.Join(o.dir, name))
	return bytes.Count(b, []byte("\n"))
}

const manyRecipe = `
stage "exec" "many" {
  for_each = toset([for i in range(%d) : "k${i}"])
  shell    = "${%q} # ${each.key}"
  declare {
    output "made" {
      type = file
      path = "made"
    }
  }
}
`

func manySteps(o *onSlurm) {
	o.write("r.hcl", fmt.Sprintf(manyRecipe, 200, "hostname >made"))
	sbatch, squeue, begin := o.cluster.Calls("sbatch"), o.cluster.Calls("squeue"), time.Now()
	if out := o.run(); !strings.Contains(out, "200 ran in") {
		o.Error(out)
	}
	took := time.Since(begin)
	sbatch, squeue = o.cluster.Calls("sbatch")-sbatch, o.cluster.Calls("squeue")-squeue
	o.Logf("200 steps in %v: %d sbatch, %d squeue", took.Round(time.Millisecond), sbatch, squeue)
	if most := 2 + int(took/(5*time.Second)); sbatch > 4 || squeue > most { // of the question before it, the job that tries a node, and the array, which may come in two parts
		o.Errorf("%d calls of sbatch, %d of squeue in %v", sbatch, squeue, took)
	}
	if out := o.run(); !strings.Contains(out, "200 cached") {
		o.Error(out)
	}
	if left, _ := filepath.Glob(filepath.Join(o.dir, ".eyrie/jobs/eyrie-*")); len(left) > 0 {
		o.Errorf("the files of jobs are left: %v", left)
	}
}

func realStages(o *onSlurm) {
	o.write("r.hcl", `
stage "progressive-grid" "grid" {
  for_each    = { for i in range(20) : "under ${20 + i} ms" => 20 + i }
  platform    = { preset = "tinyraptor" }
  resolutions = [96]
  min         = 0.5
  max         = 1
  step        = 0.25
  limit       = { latency = "${each.value} ms" }
}
output "found" { value = { for k, g in stage.grid : k => g.best } }
`)
	there := o.run()
	here := o.run("--site", "none", "--store", "here")
	value := func(out string) string { _, v, _ := strings.Cut(out, "\nfound"); return v }
	if !strings.Contains(there, "20 ran in") || value(there) != value(here) || value(there) == "" {
		o.Errorf("on Slurm:\n%s\nhere:\n%s", there, here)
	}
}

func killedRunner(o *onSlurm) {
	const jobs = 50
	o.write("r.hcl", fmt.Sprintf(manyRecipe, jobs, fmt.Sprintf("echo >>%[1]s/begun; while ! test -e %[1]s/go; do sleep 0.2; done; hostname >made", o.dir)))
	sbatch := o.cluster.Calls("sbatch")
	cmd, _ := o.start()
	o.await("all jobs run", func() bool { return o.lines("begun") == jobs })
	if err := cmd.Process.Kill(); err != nil {
		o.Fatal(err)
	}
	_ = cmd.Wait()
	cmd, said := o.start()
	o.await("the second run knows the jobs", func() bool { return strings.Contains(said(), "exec") })
	o.write("go", "")
	if err := cmd.Wait(); err != nil {
		o.Fatalf("%v\n%s", err, said())
	}
	sbatch = o.cluster.Calls("sbatch") - sbatch
	if n := o.lines("begun"); n != jobs || sbatch > 5 { // of which two only ask

		o.Errorf("%d steps began %d times; %d calls of sbatch\n%s", jobs, n, sbatch, said())
	}
}

// training is a recipe that trains for some seconds, on kernels that give the same bits on any
// machine, and keeps a checkpoint after each step.
const training = `
variable "epochs" { default = 20 }
stage "dataset" "shapes" {
  source = "shapes"
  size   = 16
  train  = 600
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
  epochs           = var.epochs
  batch            = 20
  holdout          = 100
  checkpoint_every = 0
  %s
}
output "weights" { value = stage.supernet.weights }
`

// weights returns the weights that a store has.
func (o *onSlurm) weights(flags ...string) string {
	o.Helper()
	out, err := o.command(append([]string{"output", "r.hcl", "weights"}, flags...)...).Output()
	if err != nil {
		o.Fatal(err)
	}
	return o.read(strings.TrimSpace(string(out)))
}

// checkpointed reports whether the training has kept a checkpoint.
func (o *onSlurm) checkpointed() bool {
	found, _ := filepath.Glob(filepath.Join(o.dir, ".eyrie/checkpoints/*/*/*.checkpoint"))
	return len(found) > 0
}

func lostNode(o *onSlurm) {
	o.write("r.hcl", fmt.Sprintf(training, `arithmetic = "go"`))
	cmd, said := o.start()
	o.await("it trains", o.checkpointed)
	var node string
	for _, job := range o.queue() {
		node = strings.Fields(job)[2]
	}
	o.cluster.Cut(node) // the job runs on: nothing tells it
	o.cluster.Run("scontrol", "update", "NodeName="+node, "State=DOWN", "Reason=lost")
	o.release()
	if err := cmd.Wait(); err != nil {
		o.Fatalf("%v\n%s", err, said())
	}
	o.cluster.Boot(node)
	o.cluster.Run("scontrol", "update", "NodeName="+node, "State=RESUME")
	if !strings.Contains(said(), "resuming from step") {
		o.Errorf("it began anew:\n%s", said())
	}
	o.run("--site", "none", "--store", "here")
	if o.weights() != o.weights("--store", "here") {
		o.Errorf("the weights are not those of an undisturbed training\n%s", said())
	}
}

func twoNodes(o *onSlurm) {
	python := "/usr/bin/python3"
	if p := os.Getenv("PYTHON"); p != "" {
		python = p
	}
	if err := exec.Command(python, "-c", "import torch").Run(); err != nil {
		if os.Getenv("CI") == "true" {
			o.Fatal(err)
		}
		o.Skip("no PyTorch")
	}
	o.write("r.hcl", fmt.Sprintf(training, fmt.Sprintf(`backend = "torch"
  torch     = { ranks = 2, python = %q }
  resources = { cpus = 2, nodes = 2 }`, python)))
	o.write("site.hcl", `executor "slurm" "cluster" { takes = { nodes = 2 } }`)
	cmd, said := o.start("--var", "epochs=1")
	nodes := ""
	o.await("it trains", func() bool {
		for _, job := range o.queue() {
			nodes = strings.Fields(job + " -")[2]
		}
		return o.checkpointed() || cmd.ProcessState != nil
	})
	if err := cmd.Wait(); err != nil {
		o.Fatalf("%v\n%s", err, said())
	}
	if !strings.Contains(nodes, "[") {
		o.Errorf("the job was on %s", nodes)
	}
	o.write("r.hcl", strings.ReplaceAll(o.read("r.hcl"), ", nodes = 2", ""))
	o.run("--site", "none", "--store", "here", "--var", "epochs=1")
	if o.weights("--var", "epochs=1") != o.weights("--store", "here", "--var", "epochs=1") {
		o.Errorf("the weights are not those of two ranks here\n%s", said())
	}
}

func (o *onSlurm) read(name string) string {
	o.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(o.dir, name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		o.Fatal(err)
	}
	return string(b)
}

// Slurm sends the signal some seconds late, and gives no less than a minute: the test sends it.
func timeLimit(o *onSlurm) {
	o.write("r.hcl", fmt.Sprintf(training, `arithmetic = "go"`))
	cmd, said := o.start("--var", "epochs=6", "--rerun", "supernet") // from its beginning, but once
	o.await("it trains", o.checkpointed)
	id, _, _ := strings.Cut(o.queue()[0], " ")
	o.cluster.Run("scancel", "--signal=USR1", "--batch", id)
	o.release()
	if err := cmd.Wait(); err != nil {
		o.Fatalf("%v\n%s", err, said())
	}
	for _, want := range []string{"its time limit was near", "back in the queue", "resuming from step"} {
		if !strings.Contains(said(), want) {
			o.Errorf("%q is not said:\n%s", want, said())
		}
	}
}

func cancelled(o *onSlurm) {
	o.write("r.hcl", fmt.Sprintf(manyRecipe, 5, fmt.Sprintf("echo >>%s/begun; sleep 100", o.dir)))
	cmd, said := o.start()
	o.await("jobs run", func() bool { return o.lines("begun") == 5 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		o.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(said(), "5 stopped") {
		o.Errorf("exit code %d\n%s", code, said())
	}
	o.await("the queue is empty", func() bool { return len(o.queue()) == 0 })
}

func cancelledEarly(o *onSlurm) {
	o.write("r.hcl", fmt.Sprintf(manyRecipe, 5, fmt.Sprintf("echo >>%s/begun; sleep 100", o.dir)))
	real, err := exec.LookPath("sbatch")
	if err != nil {
		o.Fatal(err)
	}
	o.write("sbatch", fmt.Sprintf("#!/bin/sh\ncase \"$*\" in *--test-only*) exec %[2]s \"$@\";; esac\necho >>%[1]s/submitting\nwhile ! test -e %[1]s/go; do sleep 0.1; done\nexec %[2]s \"$@\"\n", o.dir, real))
	if err := os.Chmod(filepath.Join(o.dir, "sbatch"), 0o777); err != nil {
		o.Fatal(err)
	}
	o.Setenv("PATH", o.dir+":"+os.Getenv("PATH"))
	cmd, said := o.start()
	o.await("jobs are being submitted", func() bool { return o.lines("submitting") > 0 })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		o.Fatal(err)
	}
	o.await("it stops", func() bool { return strings.Contains(said(), "stopping") })
	o.write("go", "")
	_ = cmd.Wait()
	o.await("the queue is empty", func() bool { return len(o.queue()) == 0 })
	if code := cmd.ProcessState.ExitCode(); code != 130 || o.lines("begun") == 5 {
		o.Errorf("exit code %d, and %d jobs began\n%s", code, o.lines("begun"), said())
	}
}

func cancelledByAnother(o *onSlurm) {
	const jobs = 3
	o.write("r.hcl", fmt.Sprintf(manyRecipe, jobs, fmt.Sprintf("echo >>%[1]s/begun; while ! test -e %[1]s/go; do sleep 0.2; done; hostname >made", o.dir)))
	first, _ := o.start()
	o.await("all jobs run", func() bool { return o.lines("begun") == jobs })
	second, said := o.start()
	o.await("the second run knows the jobs", func() bool { return strings.Count(said(), "  exec") == jobs })
	if err := first.Process.Signal(os.Interrupt); err != nil {
		o.Fatal(err)
	}
	_ = first.Wait()
	o.write("go", "")
	if err := second.Wait(); err != nil || !strings.Contains(said(), "cancelled by another run") {
		o.Errorf("%v\n%s", err, said())
	}
}

func noNode(o *onSlurm) {
	o.write("site.hcl", `executor "slurm" "cluster" { runner = "/nowhere/runner" }`)
	o.write("r.hcl", fmt.Sprintf(manyRecipe, 30, fmt.Sprintf("echo >>%s/begun", o.dir)))
	out, err := o.command("run", "r.hcl").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no node can perform jobs") || !strings.Contains(string(out), "/nowhere/runner") || o.lines("begun") > 0 {
		o.Errorf("%v\n%s", err, out)
	}
}

func refused(o *onSlurm) {
	o.write("site.hcl", `
executor "local" "here" { steps = ["many[k0]"] }
executor "slurm" "cluster" { constraint = "none-has-it" }
`)
	o.write("r.hcl", fmt.Sprintf(manyRecipe, 3, fmt.Sprintf("echo >>%s/begun; hostname >made", o.dir)))
	cmd := o.command("run", "r.hcl")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(string(out), `site.hcl:3: executor "cluster": no job could be handed in: sbatch: `) || o.lines("begun") > 0 {
		o.Errorf("exit code %d, %d steps began\n%s", code, o.lines("begun"), out)
	}
}
