package command_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/command"
	"eyrie/pipeline/executortest"
)

// The test binary is also what jobs run, as "perform --store DIR --job FILE".
func TestMain(m *testing.M) {
	if len(os.Args) != 6 || os.Args[1] != "perform" {
		os.Exit(m.Run())
	}
	s, err := store.Open(os.Args[3])
	code := 1
	if err == nil {
		code, err = cluster.Serve(context.Background(), s, executortest.Stages, os.Args[5], nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = s.Close()
	os.Exit(code)
}

// asSSH are the commands for a machine that is reached by ssh, without the ssh.
func asSSH() *command.Scheduler {
	return &command.Scheduler{
		Submitting: []string{"sh", "-c", "setsid sh {script} {element} >{log} 2>&1 </dev/null 3>&- & echo $!"},
		Asking:     []string{"sh", "-c", "for p in {ids}; do if kill -0 $p 2>/dev/null; then echo $p running; else echo $p done; fi; done"},
		Cancelling: []string{"sh", "-c", "kill {ids} 2>/dev/null; true"},
	}
}

// Three commands are a scheduler.
func TestExecutor(t *testing.T) {
	executortest.Run(t, executortest.Subject{Apart: true, OnDisk: true, New: func(t *testing.T, s *store.Store, dir string) pipeline.Executor {
		return &cluster.Executor{
			Name: "test", Store: s, Dir: dir, Scheduler: asSSH(), Poll: 200 * time.Millisecond, Patience: time.Second, Tell: func(text string) { t.Log(text) },
		}
	}})
}

// A command that does not do what is asked of it is an error that says what was expected.
func TestCommandsGoWrong(t *testing.T) {
	lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	b := &cluster.Batch{Dir: t.TempDir(), Size: 2, Locked: lock}
	ctx := context.Background()
	cancelled := filepath.Join(t.TempDir(), "cancelled")
	for _, test := range []struct {
		s    command.Scheduler
		want string
	}{
		{command.Scheduler{Submitting: []string{"echo", "Job <1> is submitted"}}, "want the job's name alone"},
		{command.Scheduler{Submitting: []string{"true"}}, "want the job's name alone"},
		{command.Scheduler{Submitting: []string{"sh", "-c", "echo no room >&2; exit 3"}}, "no room"},
		{command.Scheduler{Submitting: []string{"/nowhere/submit"}}, "/nowhere/submit"},
		{command.Scheduler{Submitting: []string{"sh", "-c", "test {element} = 0 && echo 17"}, Cancelling: []string{"sh", "-c", "echo {ids} >" + cancelled}}, "exit status 1"},
	} {
		if _, err := test.s.Submit(ctx, b); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.s.Submitting, err)
		}
	}
	if out, _ := os.ReadFile(cancelled); string(out) != "17\n" {
		t.Errorf("of two jobs the second could not be submitted; cancelled: %q", out)
	}
	late, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	slow := command.Scheduler{Submitting: []string{"sh", "-c", "test {element} = 0 || exec sleep 60; echo 18"}, Cancelling: []string{"sh", "-c", "echo {ids} >" + cancelled}}
	if _, err := slow.Submit(late, b); err == nil {
		t.Error("it was submitted in no time")
	}
	if out, _ := os.ReadFile(cancelled); string(out) != "18\n" {
		t.Errorf("the second took too long; cancelled: %q", out)
	}
	s := command.Scheduler{Asking: []string{"echo", "17 RUN"}}
	if _, err := s.Status(ctx, []string{"17"}); err == nil || !strings.Contains(err.Error(), "pending, running, done, failed, lost") {
		t.Error(err)
	}
}
