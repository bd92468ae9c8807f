package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"eyrie/cmd/runner/internal/cli"
	"eyrie/stages"
)

// The test binary is also the command runner, with the test's stages, and as
// eyrie with those of the product.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"runner": func() { os.Exit(cli.Main(testStages)) },
		"eyrie":  func() { os.Exit(cli.Main(stages.All)) },
	})
}

// Each script shows one behaviour of the command, as its comments tell.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TRACE", filepath.Join(env.WorkDir, "trace"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":   exits,
			"json":    jsonLines,
			"waitfor": waitFor,
			"replace": replace,
			"signal":  signal,
		},
	})
}

// exits runs a command and checks its exit code: exits 2 runner plan x.hcl
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// jsonLines checks that each line of a file is a JSON object that begins as all
// lines of --json do: json stdout
func jsonLines(ts *testscript.TestScript, _ bool, args []string) {
	lines := bufio.NewScanner(bytes.NewReader([]byte(ts.ReadFile(args[0]))))
	lines.Buffer(nil, 1<<24)
	n := 0
	for ; lines.Scan(); n++ {
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			ts.Fatalf("line %d is no JSON object: %s", n+1, lines.Text())
		}
		at, _ := object["time"].(string)
		_, err := time.Parse(time.RFC3339, at)
		if event, _ := object["event"].(string); object["v"] != 1. || err != nil || event == "" {
			ts.Fatalf("line %d lacks v, time or event: %s", n+1, lines.Text())
		}
	}
	if n == 0 {
		ts.Fatalf("%s is empty", args[0])
	}
}

// waitFor waits until a file has a match of the pattern: waitfor trace 'slow 3'
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[1])
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && pattern.Match(b) {
			return
		}
	}
	ts.Fatalf("%s never had a match of %s", args[0], args[1])
}

// replace replaces a text in a file, which must have it: replace a.hcl 'old' 'new'
func replace(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	before := ts.ReadFile(path)
	after := bytes.ReplaceAll([]byte(before), []byte(args[1]), []byte(args[2]))
	if string(after) == before {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, after, 0o666))
}

// signal sends a signal to the process that writes the trace: signal KILL trace
func signal(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(string(bytes.TrimSpace([]byte(ts.ReadFile(args[1] + ".pid")))))
	ts.Check(err)
	number := unix.SignalNum("SIG" + args[0])
	if number == 0 {
		ts.Fatalf("there is no signal %s", args[0])
	}
	ts.Check(syscall.Kill(pid, number))
}
