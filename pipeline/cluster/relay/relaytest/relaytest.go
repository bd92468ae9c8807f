// Package relaytest has machines, for tests, that share nothing with this one but what they reach
// over the network.
package relaytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Nodes are such machines: a directory, as far as programs go by their environment, and the three
// commands of executor "command". A job's directory there is job.N.
type Nodes struct {
	Dir                    string
	Submit, Status, Cancel []string
}

// Start returns nodes that end with the test.
func Start(t testing.TB) *Nodes {
	t.Helper()
	dir, err := os.MkdirTemp("", "nodes") // which outlasts a job that is being killed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\ncd "+dir+" || exit\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	submit := script("submit", `
n=$(ls -d job.* 2>/dev/null | wc -l)
while ! mkdir job.$n 2>/dev/null; do n=$((n+1)); done
mkdir job.$n/home job.$n/tmp
cp "$1" job.$n/script
cd job.$n
HOME=$PWD/home TMPDIR=$PWD/tmp setsid sh -c 'echo $$ > pid; trap : TERM; sh ./script "$0" & p=$!; echo $p > pid; wait $p; code=$?; while test -d /proc/$p; do wait $p; code=$?; done; echo $code > code.tmp; mv code.tmp code' "$2" >out 2>&1 </dev/null &
while ! test -s pid; do sleep 0.01; done
echo $n
`)
	status := script("status", `
for n in $*; do
	test -d job.$n || continue
	if ! test -f job.$n/code; then echo $n running
	elif test "$(cat job.$n/code)" = 0; then echo $n done
	else echo $n failed exit status $(cat job.$n/code)
	fi
done
`)
	cancel := script("cancel", `
for n in $*; do test -f job.$n/code || kill -TERM $(cat job.$n/pid) 2>/dev/null; done
true
`)
	with := func(script string) []string { return []string{"sh", "-c", script + " {ids}"} }
	return &Nodes{Dir: dir, Submit: []string{submit, "{script}", "{element}"}, Status: with(status), Cancel: with(cancel)}
}

// Stop tells a job to stop, by SIGTERM.
func (n *Nodes) Stop(t testing.TB, job int) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", fmt.Sprintf("kill -TERM $(cat %s/job.%d/pid)", n.Dir, job)).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Await waits until a job has ended.
func (n *Nodes) Await(t testing.TB, job int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(fmt.Sprintf("%s/job.%d/code", n.Dir, job)); err == nil {
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// Again ends a job by SIGTERM, and starts it again on another machine.
func (n *Nodes) Again(t testing.TB, job int) {
	t.Helper()
	again := fmt.Sprintf(`cd %s/job.%d && kill -TERM $(cat pid) && while ! test -f code; do sleep 0.02; done
mkdir -p ../again/home ../again/tmp && cp script ../again && cd ../again
HOME=$PWD/home TMPDIR=$PWD/tmp setsid sh ./script 0 >out 2>&1 </dev/null &`, n.Dir, job)
	if out, err := exec.Command("sh", "-c", again).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
