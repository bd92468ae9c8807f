// Package slurmtest starts a real Slurm for tests: slurmctld and several slurmd on this
// machine, from Debian's slurm-wlm, which scripts/test-needs installs.
package slurmtest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cluster is a Slurm that ends with the test, with everything that its jobs have started.
type Cluster struct {
	t     testing.TB
	dir   string
	nodes map[string]*exec.Cmd
}

// What a node of the cluster has.
const (
	CPUs   = 16    // whatever this machine has
	Memory = 20000 // MB, likewise
)

// commands are those of Slurm's whose calls are counted.
var commands = []string{"sbatch", "squeue", "scontrol", "scancel", "sinfo"}

// Start starts a cluster with nodes n1, n2, …, and has the test's process, and what it starts,
// use it. Where Slurm is not installed the test is skipped, and fails under CI=true.
func Start(t testing.TB, nodes int) *Cluster {
	t.Helper()
	for _, program := range append([]string{"slurmctld", "slurmd"}, commands...) {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip("Slurm is not installed; scripts/test-needs installs it")
		}
	}
	dir, err := os.MkdirTemp("", "slurm") // its sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, dir: dir, nodes: map[string]*exec.Cmd{}}
	c.count()
	c.configure(nodes)
	t.Setenv("SLURM_CONF", filepath.Join(dir, "slurm.conf"))
	t.Cleanup(c.end)
	c.start("slurmctld", "-D", "-i")
	for i := range nodes {
		c.Boot("n" + strconv.Itoa(i+1))
	}
	c.await(nodes)
	return c
}

// count puts commands in front of Slurm's own that note their calls.
func (c *Cluster) count() {
	bin := filepath.Join(c.dir, "bin")
	if err := os.Mkdir(bin, 0o777); err != nil {
		c.t.Fatal(err)
	}
	for _, name := range commands {
		real, err := exec.LookPath(name)
		if err == nil {
			script := fmt.Sprintf("#!/bin/sh\necho %s \"$*\" >>%s/calls\nexec %s \"$@\"\n", name, c.dir, real)
			err = os.WriteFile(filepath.Join(bin, name), []byte(script), 0o777)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
	c.t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func (c *Cluster) configure(nodes int) {
	host, err := os.Hostname()
	if err != nil {
		c.t.Fatal(err)
	}
	host, _, _ = strings.Cut(host, ".")
	first := freePorts(c.t, nodes+1)
	for _, name := range []string{"state", "spool", "log"} {
		if err := os.Mkdir(filepath.Join(c.dir, name), 0o777); err != nil {
			c.t.Fatal(err)
		}
	}
	user := "root"
	if os.Getuid() != 0 {
		user = os.Getenv("USER")
	}
	text := fmt.Sprintf(`ClusterName=test
SlurmctldHost=%[1]s(127.0.0.1)
SlurmctldPort=%[2]d
SlurmUser=%[3]s
SlurmdUser=%[3]s
AuthType=auth/none
CredType=cred/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
StateSaveLocation=%[4]s/state
SlurmdSpoolDir=%[4]s/spool/%%n
SlurmctldPidFile=%[4]s/slurmctld.pid
SlurmdPidFile=%[4]s/%%n.pid
SlurmctldLogFile=%[4]s/log/slurmctld
SlurmdLogFile=%[4]s/log/%%n
SlurmdParameters=config_overrides
SlurmdTimeout=5
MessageTimeout=5
ReturnToService=2
MinJobAge=300
KillWait=5
MaxArraySize=1001
SchedulerParameters=bf_interval=1,sched_interval=1
GresTypes=gpu
NodeName=n[1-%[5]d] NodeHostname=%[1]s NodeAddr=127.0.0.1 Port=[%[6]d-%[7]d] CPUs=%[8]d RealMemory=%[9]d Gres=gpu:2 State=UNKNOWN
PartitionName=p Nodes=n[1-%[5]d] Default=YES MaxTime=INFINITE State=UP
`, host, first, user, c.dir, nodes, first+1, first+nodes, CPUs, Memory)
	if nodes == 1 { // a list of one has no brackets
		text = strings.NewReplacer("n[1-1]", "n1", fmt.Sprintf("[%d-%d]", first+1, first+1), strconv.Itoa(first+1)).Replace(text)
	}
	for name, text := range map[string]string{"slurm.conf": text, "gres.conf": "Name=gpu File=" + c.dir + "/gpu[0-1]\n", "gpu0": "", "gpu1": ""} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o666); err != nil {
			c.t.Fatal(err)
		}
	}
}

// freePorts returns the first of n ports in a row at which nobody listens.
func freePorts(t testing.TB, n int) int {
next:
	for port := 12000 + os.Getpid()%7000; port < 20000; port += n { // below those that systems hand out
		for i := range n {
			l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+i))
			if err != nil {
				continue next
			}
			l.Close()
		}
		return port
	}
	t.Fatal("no ports are free")
	return 0
}

func (c *Cluster) start(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(c.dir, "log", name+strings.Join(args, "")+".out"))
	if err == nil {
		cmd.Stdout, cmd.Stderr = log, log
		err = cmd.Start()
		log.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

// Boot starts a node.
func (c *Cluster) Boot(node string) { c.nodes[node] = c.start("slurmd", "-D", "-N", node) }

// Cut kills a node's daemon, as when its network is lost: what runs there goes on.
func (c *Cluster) Cut(node string) {
	c.t.Helper()
	if err := c.nodes[node].Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = c.nodes[node].Wait()
	delete(c.nodes, node)
}

// Run runs one of Slurm's commands, uncounted, and returns what it prints.
func (c *Cluster) Run(name string, args ...string) string {
	c.t.Helper()
	out, err := exec.Command("/usr/bin/"+name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Calls returns how often a command was called, by the product.
func (c *Cluster) Calls(name string) (n int) {
	b, _ := os.ReadFile(filepath.Join(c.dir, "calls"))
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, name+" ") {
			n++
		}
	}
	return n
}

// await waits until all nodes are idle.
func (c *Cluster) await(nodes int) {
	for end := time.Now().Add(time.Minute); ; {
		out, _ := exec.Command("/usr/bin/sinfo", "-h", "-N", "-t", "idle", "-o", "%N").Output()
		if len(strings.Fields(string(out))) == nodes {
			return
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(c.dir, "log", "slurmctld"))
			c.t.Fatalf("the nodes are not ready: %s\n%s", out, log)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// end kills all that belongs to the cluster: every process that knows its configuration.
func (c *Cluster) end() {
	mine := []byte("SLURM_CONF=" + filepath.Join(c.dir, "slurm.conf"))
	for range 3 {
		found, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range found {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, mine) && pid != os.Getpid() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	_ = os.RemoveAll(c.dir)
}
