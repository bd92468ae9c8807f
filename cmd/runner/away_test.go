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

	"eyrie/artifacts/s3/s3test"
	"eyrie/pipeline/cluster/kubernetes/kubetest"
	"eyrie/pipeline/cluster/relay/relaytest"
	"eyrie/pipeline/cluster/slurm/slurmtest"
)

// On machines that share nothing with this one but the cache, a recipe gives what it gives here:
// with a file that it names, a tree, and a file that one step makes and another reads. Another
// member of the team then finds it all, and nothing stays in the cache but results.
func TestAway(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	server.Bucket(t, "results")
	nodes := relaytest.Start(t)
	self, err := exec.LookPath("runner")
	if err != nil {
		t.Fatal(err)
	}
	list := func(words []string) string { return strings.ReplaceAll(fmt.Sprintf("%q", words), `" "`, `", "`) }
	away := func(m *member, executor string) {
		m.write("site.hcl", fmt.Sprintf(`
executor "command" "far" {
  submit = %s
  status = %s
  cancel = %s
  runner = %q
  store  = "cache"
  %s
}
cache "s3" "team" {
  bucket   = "results"
  endpoint = %q
  region   = "us-east-1"
  mode     = "read-write"
}
`, list(nodes.Submit), list(nodes.Status), list(nodes.Cancel), self, executor, server.Endpoint()))
	}
	recipe := `
stage "read" "named" { file = "in.txt" }
stage "write" "made" { text = "made of ${stage.named.text}" }
stage "read" "again" { file = stage.made.file }
output "text" { value = stage.again.text }
`
	first := newMember(t, server.Endpoint())
	away(first, "")
	first.write("fan.hcl", recipe)
	first.write("in.txt", "a file")
	if out := first.runs(0, "run", "fan.hcl"); !strings.Contains(out, "made of a file") || !strings.Contains(out, "3 ran in") {
		t.Error(out)
	}
	first.moved(t, map[string][2]int64{ // what nodes have fetched and sent, with what this machine has
		"named": {6, 6}, "made": {0, 14}, "again": {14 + 14, 0},
	})
	if jobs, _ := filepath.Glob(filepath.Join(nodes.Dir, "job.*")); len(jobs) != 3 {
		t.Errorf("%d jobs", len(jobs))
	}
	left, _ := filepath.Glob(filepath.Join(nodes.Dir, "job.*/tmp/*"))
	if len(left) > 0 {
		t.Errorf("jobs have left %s", left)
	}
	if left, _ := os.ReadDir(filepath.Join(server.Dir, "results", "jobs")); len(left) > 0 {
		t.Errorf("the cache has %d of the jobs' files", len(left))
	}
	second := newMember(t, server.Endpoint())
	second.write("fan.hcl", recipe)
	second.write("in.txt", "a file")
	if out := second.runs(0, "run", "fan.hcl"); !strings.Contains(out, "made of a file") || !strings.Contains(out, "3 cached") {
		t.Error(out)
	}
}

// In pods of Kubernetes a recipe gives what it gives here. A runner that is killed meanwhile, and
// started again, makes no second job; credentials reach the pods from their Secret alone.
func TestKubernetes(t *testing.T) {
	server, kube := s3test.Start(t), kubetest.Start(t)
	server.Bucket(t, "results")
	self, err := exec.LookPath("runner")
	if err != nil {
		t.Fatal(err)
	}
	kube.Program = self
	kube.Secrets = map[string]map[string]string{"cache": {"AWS_ACCESS_KEY_ID": s3test.Key, "AWS_SECRET_ACCESS_KEY": s3test.Secret}}
	m := newMember(t, server.Endpoint(), `mode = "read-write"`)
	site, err := os.ReadFile(filepath.Join(m.dir, "site.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	m.write("site.hcl", string(site)+`
executor "kubernetes" "cloud" {
  image    = "registry.example.org/eyrie:1"
  env_from = ["cache"]
}
`)
	if out := m.runs(0, "run", "fan.hcl"); !strings.Contains(out, "24 ran in") {
		t.Error(out)
	}
	if n := kube.Calls("POST jobs"); n != 24 || kube.Calls("LIST jobs") > 4 {
		t.Errorf("%d jobs were made, and listed %d times", n, kube.Calls("LIST jobs"))
	}

	m.write("slow.hcl", `
stage "slow" "count" {
  for_each = { a = 1, b = 2, c = 3 }
  steps    = 100
  seed     = each.value
}
`)
	cmd := m.command("run", "slow.hcl")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); kube.Calls("POST jobs") < 27; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no jobs")
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if out := m.runs(0, "run", "slow.hcl"); !strings.Contains(out, "3 ran in") || kube.Calls("POST jobs") != 27 {
		t.Errorf("%d jobs\n%s", kube.Calls("POST jobs"), out)
	}
}

// Slurm's nodes, too, may see nothing of this machine's. A job that is put back into the queue
// near its time limit goes on from the checkpoint that it has taken to the cache.
func TestSlurmAway(t *testing.T) {
	server, cluster, scratch := s3test.Start(t), slurmtest.Start(t, 2), t.TempDir()
	server.Bucket(t, "results")
	self, err := exec.LookPath("runner")
	if err != nil {
		t.Fatal(err)
	}
	m := newMember(t, server.Endpoint(), `mode = "read-write"`)
	site, err := os.ReadFile(filepath.Join(m.dir, "site.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	m.write("site.hcl", string(site)+fmt.Sprintf(`
executor "slurm" "far" {
  store   = "cache"
  scratch = %q
  runner  = %q
}
`, scratch, self))
	if out := m.runs(0, "run", "fan.hcl"); !strings.Contains(out, "24 ran in") {
		t.Error(out)
	}
	m.write("slow.hcl", `
stage "slow" "count" { steps = 200 }
output "counted" { value = stage.count }
`)
	cmd := m.command("run", "slow.hcl", "-v")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waited too long until %s\n%s", what, cluster.Run("squeue"))
			}
		}
	}
	await("it counts", func() bool {
		b, _ := os.ReadFile(filepath.Join(m.dir, "trace"))
		return strings.Contains(string(b), "slow")
	})
	job := strings.TrimSpace(cluster.Run("squeue", "-h", "-t", "running", "-o", "%A"))
	cluster.Run("scancel", "--signal=USR1", "--batch", job)
	await("it is back in the queue, and its node is free", func() bool {
		left, _ := os.ReadDir(scratch) // Slurm takes the first start's end for the second's, if it comes later
		return len(left) == 0 && strings.Contains(cluster.Run("squeue", "-h", "-o", "%r"), "BeginTime") && cluster.Run("squeue", "-h", "-t", "completing") == ""
	})
	cluster.Run("scontrol", "update", "JobId="+job, "StartTime=now") // Slurm has it wait for two minutes
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), "back in the queue") || !strings.Contains(said.String(), "resuming at step") {
		t.Errorf("%v\n%s", err, said.String())
	}
}
