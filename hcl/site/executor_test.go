package site_test

import (
	"strings"
	"testing"
	"time"

	"eyrie/hcl/site"
	"eyrie/pipeline"
)

// What is written of executors is what is read.
func TestExecutors(t *testing.T) {
	s, mistakes := load(t, `
executor "local" "here" { steps = ["download", "fetch-*"] }
executor "slurm" "gpu" {
  takes      = { gpus = 1, memory = "16 GiB" }
  partition  = "gpu"
  account    = "leat"
  qos        = "long"
  constraint = "a100"
  gres       = "gpu:a100"
  time       = "20 h"
  extra      = ["--nice", "-w", "output"]
  setup      = ["module load cuda/12"]
  max_jobs   = 200
  runner     = "/opt/eyrie/runner"
}
executor "command" "lsf" {
  submit = ["bsub-id", "{script}", "{element}"]
  status = ["bstatus", "{ids}"]
  cancel = ["bkill", "{ids}"]
}
`)
	if len(mistakes) > 0 || len(s.Executors) != 3 {
		t.Fatalf("%+v, %q", s, mistakes)
	}
	gpu, lsf := s.Executors[1], s.Executors[2]
	if gpu.Kind != site.Slurm || gpu.Takes["gpus"] != 1 || gpu.Takes["memory"] != 16<<30 || gpu.Partition != "gpu" || gpu.Account != "leat" || gpu.QOS != "long" ||
		gpu.Constraint != "a100" || gpu.GRES != "gpu:a100" || gpu.Time != 20*time.Hour || gpu.Jobs != 200 || gpu.Runner != "/opt/eyrie/runner" ||
		strings.Join(append(gpu.Extra, gpu.Setup...), " ") != "--nice -w output module load cuda/12" {
		t.Errorf("%+v", gpu)
	}
	if lsf.Kind != site.Command || strings.Join(lsf.Submit, " ") != "bsub-id {script} {element}" || lsf.Cancel[0] != "bkill" {
		t.Errorf("%+v", lsf)
	}
}

// A step goes to the first executor that takes it, by its name or by what it asks for.
func TestTake(t *testing.T) {
	s, mistakes := load(t, `
executor "slurm" "names" { steps = ["train-*", "stage.sweep[b]", "module.net"] }
executor "slurm" "gpus" { takes = { gpus = 2 } }
executor "slurm" "both" {
  steps = ["tune"]
  takes = { cpus = 8 }
}
executor "slurm" "any" {}
`)
	if len(mistakes) > 0 {
		t.Fatal(mistakes)
	}
	for _, test := range []struct {
		id        string
		resources map[string]float64
		want      string
	}{
		{"train-supernet", nil, "names any"},
		{`train-one["x"]`, nil, "names any"},
		{`sweep["a"]`, nil, "any"},
		{`sweep["b"]`, nil, "names any"},
		{`module.net["x"].train`, nil, "names any"},
		{"x", map[string]float64{"gpus": 2}, "gpus any"},
		{"x", map[string]float64{"gpus": 1}, "any"},
		{"tune", map[string]float64{"cpus": 7}, "any"},
		{"tune", map[string]float64{"cpus": 8}, "both any"},
	} {
		var got []string
		for _, e := range s.Executors {
			if e.Take(&pipeline.Step{ID: test.id, Policy: pipeline.Policy{Resources: test.resources}}) {
				got = append(got, e.Name)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s %v: %q, want %q", test.id, test.resources, got, test.want)
		}
	}
}

// A mistake in an executor is told with what to write.
func TestExecutorMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`executor "slrum" "a" {}`:                                    `Did you mean "slurm"?`,
		`executor "slurm" {}`:                                        `executor "slurm" "gpu" { … }`,
		`executor "slurm" "a b" {}`:                                  "plain name",
		`executor "slurm" "a" { partion = "x" }`:                     `Did you mean "partition"?`,
		`executor "slurm" "a" { time = "long" }`:                     `such as "20 h"`,
		`executor "slurm" "a" { time = "-2 h" }`:                     `such as "20 h"`,
		`executor "slurm" "a" { time = "20" }`:                       `such as "20 h"`,
		`executor "slurm" "a" { time = 20 }`:                         `such as "20 h"`,
		`executor "slurm" "a" { time = "" }`:                         `such as "20 h"`,
		`executor "slurm" "a" { takes = { gpu = 1 } }`:               `Did you mean "gpus"?`,
		`executor "slurm" "a" { max_jobs = 0 }`:                      "whole number from 1",
		`executor "slurm" "a" { max_jobs = 1.5 }`:                    "whole number from 1",
		`executor "slurm" "a" { takes = ["gpus"] }`:                  "such as { gpus = 1 }",
		`executor "slurm" "a" { takes = { gpus = "one" } }`:          "such as { gpus = 1 }",
		`executor "slurm" "a" { takes = { memory = "1 lot" } }`:      "such as { gpus = 1 }",
		`executor "slurm" "a" { takes = { memory = "-1 GiB" } }`:     "such as { gpus = 1 }",
		`executor "slurm" "a" { extra = ["--nice", "--array=0-5"] }`: "--array=0-5 is for the executor to say",
		`executor "slurm" "a" { extra = ["-Jmine"] }`:                "-Jmine is for the executor to say",
		`executor "slurm" "a" { extra = ["--wrap=hostname"] }`:       "belongs in setup",
		`executor "slurm" "a" { extra = ["-M", "other"] }`:           "SLURM_CONF",
		`executor "local" "a" { partition = "x" }`:                   `no attribute "partition"`,
		`executor "command" "a" {
  submit = ["a", "{script} {element}"]
  status = ["b"]
}`: "needs cancel",
		`executor "command" "a" {
  submit = ["a", "{script}"]
  status = ["b"]
  cancel = ["c", "{ids}"]
}`: "submit: write {element} in one of its words",
		`executor "command" "a" {
  submit = ["sh", "-c", "a {script} {element}"]
  status = ["b"]
  cancel = ["c"]
}`: "cancel: write {ids} in one of its words",
		"executor \"slurm\" \"a\" {}\nexecutor \"local\" \"a\" {}": "another executor",
	} {
		if _, mistakes := load(t, text); len(mistakes) != 1 || !strings.Contains(mistakes[0], want) {
			t.Errorf("%s\nwant %q, got %q", text, want, mistakes)
		}
	}
}
